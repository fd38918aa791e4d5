"""What one pytest run has to remember: sentences for its summary, and what to end."""

from __future__ import annotations

from contextlib import ExitStack

__all__ = ["Said"]


class Said:
    """One run's memory.

    Attributes:
        lines: for the summary at the end, in the order they were said.
        ends: closed when pytest ends.
        virtual: address of the virtual phone; empty before one was started.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ends = ExitStack()
        self.virtual = ""
