"""Progress through a file whose size is known in bytes and whose lines are not yet counted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from fer_opt.progress import Progress

__all__ = ["percent_stage"]


@contextlib.contextmanager
def percent_stage(
    progress: Progress, title: str, total_bytes: int
) -> Iterator[Callable[[int], None]]:
    """A stage of 100 units; the value of the context is told the byte that was reached."""
    shown = 0
    with progress.stage(f"{title} (%)", 100) as advance:

        def reached(position: int) -> None:
            nonlocal shown
            percent = min(100, 100 * position // max(total_bytes, 1))
            if percent > shown:
                advance(percent - shown)
                shown = percent

        yield reached
        reached(total_bytes)
