"""A phone without a sandbox: its paths in a command line become the computer's, and back.

Limits: what a program makes up itself, and what stands inside a pushed file, is not rewritten;
``#!/system/bin/sh`` finds nothing; programs run as the user who started the phone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["Teller", "rewrite"]

# A path ends where a letter that may stand in a name does not follow, and begins likewise.
BEFORE = r"(?<![\w.+-])"
AFTER = r"(?![\w.+-])"


def rewrite(command: str, mapped: Mapping[str, str]) -> str:
    """A command line with the phone's paths replaced.

    Args:
        command: as the host sent it.
        mapped: from paths of the phone to the computer's; these need no quoting.
    """
    longest = sorted(mapped, key=len, reverse=True)
    pattern = BEFORE + "(" + "|".join(re.escape(path) for path in longest) + ")" + AFTER
    return re.sub(pattern, lambda found: mapped[found[1]], command)


class Teller:
    """Turns the computer's paths in a stream of output into the phone's.

    Called with each piece, and with nothing at the end; what may be the beginning of a path is
    held back until the next piece.
    """

    def __init__(self, mapped: Mapping[str, str]) -> None:
        self._phone = {own.encode(): phone.encode() for phone, own in mapped.items()}
        longest = sorted(self._phone, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(re.escape(path) for path in longest))
        self._held = b""

    def __call__(self, data: bytes) -> bytes:
        """What to tell now."""
        text = self._held + data
        keep = self._beginning(text) if data else 0
        self._held = text[len(text) - keep :]
        return self._pattern.sub(lambda found: self._phone[found[0]], text[: len(text) - keep])

    def _beginning(self, text: bytes) -> int:
        """Length of the longest end of ``text`` that may be the beginning of a path."""
        whole = [found.span() for found in self._pattern.finditer(text)]
        most = max(len(path) for path in self._phone) - 1
        for length in range(min(most, len(text)), 0, -1):
            start = len(text) - length
            within = any(begin < start < end for begin, end in whole)
            if not within and any(
                path.startswith(text[start:]) and len(path) > length for path in self._phone
            ):
                return length
        return 0
