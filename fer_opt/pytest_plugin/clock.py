"""A clock that tells times measured elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

__all__ = ["ProcessClock"]


class ProcessClock:
    """Stands at 0 before a round and at that round's time after it, in seconds."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def read(self) -> float:
        """The time it tells."""
        return self._now_s

    def reset(self) -> None:
        """Back to 0, so that no sum of earlier rounds costs a round its last digits."""
        self._now_s = 0.0

    def playing(self, times_ms: Sequence[float]) -> Callable[[], None]:
        """A call that takes each of ``times_ms`` in turn, and then over again."""
        # pytest-benchmark calls once more where it is to profile.
        times = cycle(times_ms)

        def play() -> None:
            self._now_s = next(times) / 1000

        return play
