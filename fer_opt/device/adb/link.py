"""What fer-opt asks of a connection to a phone, whatever carries it.

Commands are lists of words, never text put together: words are quoted in one place, so no file
name, serial or label reaches the phone's shell unquoted. What takes several steps is a script, a
constant of our own, whose variable parts are its arguments ``$1``, ``$2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from fer_opt.progress import Advance

__all__ = ["Finished", "Link", "RemoteFile", "Route"]

Route = Literal["usb", "tcp", "server"]
"""How a phone is reached: its USB cable, a TCP port of it, or the adb server that owns it."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended on the phone.

    Attributes:
        output: what it printed on both streams, lines ending in a line feed only.
        status: its exit status; 128 + n where signal n ended it.
    """

    output: str
    status: int


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file or folder on the phone: st_mode, bytes, last change in seconds since 1970."""

    mode: int
    size_bytes: int
    modified_s: int


class Link(Protocol):
    """A connection to one phone. Not safe for use by several threads at once.

    Every method raises :class:`fer_opt.errors.LinkLostError` when the connection breaks, within 3 s
    of its loss, and :class:`fer_opt.errors.PhoneError` for what trying again would not mend.
    Nothing foreign escapes.
    """

    @property
    def serial(self) -> str:
        """The phone's serial number, or ``tcp:HOST:PORT``."""
        ...

    @property
    def route(self) -> Route:
        """How it is reached."""
        ...

    def shell(self, words: Sequence[str], *, timeout_s: float = 20.0) -> Finished:
        """Run a short command, its words quoted.

        Raises:
            PhoneError: it had not ended after ``timeout_s``.
        """
        ...

    def script(
        self, text: str, arguments: Sequence[str] = (), *, timeout_s: float = 20.0
    ) -> Finished:
        """Run a constant shell script with ``arguments`` as $1, $2 and so on.

        Raises:
            PhoneError: it had not ended after ``timeout_s``.
        """
        ...

    def job(self, words: Sequence[str], *, timeout_s: float) -> Finished:
        """Run a command that may be silent for long.

        It runs in the background of one shell that prints a heartbeat meanwhile, so that silence
        always means a lost connection. When this raises, the command is ended on the phone as far
        as the phone can be reached.

        Raises:
            PhoneError: it had not ended after ``timeout_s``; it was killed.
        """
        ...

    def push(
        self,
        source: Path | bytes,
        target: str,
        *,
        mode: int = 0o644,
        advance: Advance | None = None,
    ) -> None:
        """Write a file on the phone; ``advance`` is told of every chunk's bytes.

        The caller checks free space before and the hash after: a phone that runs out of space may
        answer with silence.
        """
        ...

    def pull(self, source: str, *, most_bytes: int = 1 << 28) -> bytes:
        """Read a file of the phone.

        Raises:
            PhoneError: there is no such file, or it is larger than ``most_bytes``.
        """
        ...

    def stat(self, path: str) -> RemoteFile | None:
        """What stands at ``path``; None where there is nothing."""
        ...

    def reconnect(self, *, within_s: float = 60.0) -> None:
        """Connect again to the same phone, with back-off.

        Raises:
            LinkLostError: it did not come back within ``within_s``.
            PhoneError: what answers is another phone, or refuses.
        """
        ...

    def close(self) -> None:
        """Hang up; never raises."""
        ...
