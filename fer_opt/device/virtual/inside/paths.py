"""Where a phone's path lies: the same path in a sandbox, in a private folder without one."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass


@dataclass(frozen=True)
class Paths:
    """How paths are mapped, and where the daemon listens to commands.

    Attributes:
        mapped: from each of the phone's folders to the computer's; empty inside a sandbox, where
            paths are what they seem.
        writable: those of the phone's folders that files may be written to; checked only where
            paths are mapped, since a sandbox checks by itself.
        ask: the socket at which the daemon answers getprop, dumpsys and their like.
    """

    mapped: dict[str, str]
    writable: list[str]
    ask: str

    def real(self, path: str) -> str:
        """Where ``path`` of the phone really lies."""
        if not self.mapped:
            return path
        path = posixpath.normpath("/" + path).replace("//", "/")
        for phone, computer in self.mapped.items():
            if path == phone or path.startswith(phone + "/"):
                return computer + path[len(phone) :]
        return path

    def is_writable(self, path: str) -> bool:
        """Whether a file may be made at ``path``, as far as this mapping decides."""
        if not self.mapped:
            return True
        # Where its folder really is: a link may lead out of those that may be written.
        folder = os.path.realpath(posixpath.dirname(self.real(path)))
        allowed = [os.path.realpath(self.real(one)) for one in self.writable]
        return any(folder == one or folder.startswith(one + "/") for one in allowed)
