"""Names of files, which may hold anything, as text that may stand anywhere."""

from __future__ import annotations

__all__ = ["plain"]


def plain(text: str) -> str:
    """``text`` with a question mark for whatever does not print.

    Those are control characters, which terminals obey and XML forbids; marks that turn the
    direction of writing; line breaks; and bytes that are no UTF-8.
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)
