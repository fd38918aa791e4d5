"""How long work tells whoever waits for it; the command line draws it, a library user may not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

__all__ = ["SILENT", "Advance", "Progress", "Silent"]

Advance = Callable[[int], None]
"""Called with the number of units done since the last call."""


class Progress(Protocol):
    """Anything that can show work going on."""

    def stage(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """A stretch of work of ``total`` units; the value of the context counts them off."""

    def say(self, sentence: str) -> None:
        """Something the user should know now: a guess, a skipped file, a finished part."""


class Silent:
    """A :class:`Progress` that shows nothing."""

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Count nothing."""
        yield lambda _: None

    def say(self, sentence: str) -> None:
        """Say nothing."""


SILENT = Silent()
