"""How the notes of steps name what they speak of."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "listed"]


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def counted(number: int, what: str) -> str:
    """``1 kernel``, ``2 kernels``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
