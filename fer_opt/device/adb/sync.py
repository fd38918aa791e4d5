"""Files to and from the phone, by the sync service.

adb-shell's own push loses the phone's reason for failing and waits for a time-out instead.
Format: "SYNC.TXT" in the Android Open Source Project, packages/modules/adb.
"""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fer_opt.device.adb.carrier import STALL_S, Carrier, Stream
from fer_opt.device.adb.link import RemoteFile
from fer_opt.errors import LinkLostError, PhoneError
from fer_opt.progress import Advance

__all__ = ["pull_file", "push_file", "stat_path"]

CHUNK_BYTES = 1 << 16
"""Of one DATA message; adbd takes no more."""

LONGEST_PATH_BYTES = 1024
"""adbd ends the stream at a longer one."""

LEAST_SEND_BYTES, FIRST_SEND_BYTES, MOST_SEND_BYTES = 1 << 13, 1 << 15, 1 << 19
FAST_S, SLOW_S = 0.1, 0.4
"""More at a time while the phone takes it this fast, less when slower: silence must stay short."""


class SyncStream:
    """A sync session: one request, its answer."""

    def __init__(self, carrier: Carrier) -> None:
        self.name = carrier.name
        self._carrier = carrier
        self._stream: Stream = carrier.open(b"sync:")
        self._held = bytearray()

    def request(self, kind: bytes, path: bytes) -> None:
        """Ask for something to be done with ``path``."""
        if len(path) > LONGEST_PATH_BYTES or b"\0" in path or not path:
            raise PhoneError(
                f"{path[:80]!r} is no path for a file on a phone (1 to {LONGEST_PATH_BYTES} bytes, "
                "none of them zero); use a shorter name."
            )
        self.send(kind + struct.pack("<I", len(path)) + path)

    def send(self, data: bytes) -> None:
        """Send ``data`` as it is."""
        self._stream.send(data)

    def answered(self) -> bool:
        """Whether the phone has something to say."""
        return self._stream.has_answer()

    def read(self, size_bytes: int) -> bytes:
        """Exactly so many bytes."""
        while len(self._held) < size_bytes:
            data = self._stream.receive(STALL_S)
            if data is None:
                raise PhoneError(
                    f"{self.name} is there but did not answer for {STALL_S:g} s; restart the phone."
                )
            if not data:
                raise PhoneError(f"{self.name} ended the transfer before it was complete.")
            self._held += data
        taken = bytes(self._held[:size_bytes])
        del self._held[:size_bytes]
        return taken

    def answer(self) -> tuple[bytes, int]:
        """The next message's name and number (its length, where it has one)."""
        kind, number = struct.unpack("<4sI", self.read(8))
        return kind, number

    def failure(self, length_bytes: int) -> str:
        """The words of a FAIL message."""
        words = self.read(min(length_bytes, CHUNK_BYTES)).decode("utf-8", "replace")
        return " ".join(words.split())[:300].rstrip(".")

    def unexpected(self, kind: bytes) -> LinkLostError:
        """An answer that does not belong here."""
        return LinkLostError(f"{self.name} answered {kind!r} in a file transfer; connect again.")

    def close(self) -> None:
        """End the session; never raises."""
        self._stream.close()


@contextlib.contextmanager
def _session(carrier: Carrier) -> Iterator[SyncStream]:
    session = SyncStream(carrier)
    try:
        yield session
    finally:
        session.close()


def stat_path(carrier: Carrier, path: str) -> RemoteFile | None:
    """What stands at ``path``; None where there is nothing. Sizes count up to 4 GB."""
    with _session(carrier) as session:
        session.request(b"STAT", _encoded(path))
        kind = session.read(4)
        if kind != b"STAT":
            raise session.unexpected(kind)
        mode, size, modified = struct.unpack("<III", session.read(12))
        # A missing file is told as all zeros, which no file is.
        return RemoteFile(mode, size, modified) if mode else None


def pull_file(carrier: Carrier, source: str, *, most_bytes: int) -> bytes:
    """Read a file of the phone.

    Raises:
        PhoneError: there is no such file, or it is larger than ``most_bytes``.
    """
    content = bytearray()
    with _session(carrier) as session:
        session.request(b"RECV", _encoded(source))
        while True:
            kind, length = session.answer()
            if kind == b"DONE":
                return bytes(content)
            if kind == b"FAIL":
                raise PhoneError(
                    f"{source} cannot be read on {session.name} (the phone says "
                    f"{session.failure(length)!r}); check that it exists."
                )
            if kind != b"DATA" or length > CHUNK_BYTES:
                raise session.unexpected(kind)
            content += session.read(length)
            if len(content) > most_bytes:
                raise PhoneError(
                    f"{source} on {session.name} is larger than {most_bytes} bytes; it was not "
                    "read."
                )


def push_file(
    carrier: Carrier, source: Path | bytes, target: str, *, mode: int, advance: Advance | None
) -> None:
    """Write a file on the phone, with its folders.

    Raises:
        PhoneError: the phone cannot write it, in its own words; or the source cannot be read.
    """
    with _opened(source) as (handle, modified_s), _session(carrier) as session:
        permissions = stat.S_IFREG | stat.S_IMODE(mode)
        session.request(b"SEND", _encoded(target) + f",{permissions}".encode("ascii"))
        _send_content(session, handle, advance)
        if not session.answered():
            session.send(b"DONE" + struct.pack("<I", modified_s))
        kind, length = session.answer()
        if kind == b"FAIL":
            raise PhoneError(
                f"{target} cannot be written on {session.name} (the phone says "
                f"{session.failure(length)!r}); make room or choose another folder."
            )
        if kind != b"OKAY":
            raise session.unexpected(kind)


def _send_content(session: SyncStream, handle: BinaryIO, advance: Advance | None) -> None:
    """Send all of ``handle``, unless the phone answers before it has everything."""
    most = FIRST_SEND_BYTES
    while not session.answered():
        messages, read_bytes = bytearray(), 0
        while read_bytes < most and (chunk := handle.read(min(CHUNK_BYTES, most))):
            messages += b"DATA" + struct.pack("<I", len(chunk)) + chunk
            read_bytes += len(chunk)
        if not messages:
            return
        began = time.monotonic()
        try:
            session.send(bytes(messages))
        except LinkLostError:
            raise
        except PhoneError:
            if session.answered():  # it gave up, and has said why
                return
            raise
        if advance is not None:
            advance(read_bytes)
        took_s = time.monotonic() - began
        if took_s < FAST_S:
            most = min(most * 2, MOST_SEND_BYTES)
        elif took_s > SLOW_S:
            most = max(most // 2, LEAST_SEND_BYTES)


@contextlib.contextmanager
def _opened(source: Path | bytes) -> Iterator[tuple[BinaryIO, int]]:
    """Where the content comes from, and when it last changed."""
    if isinstance(source, bytes):
        yield io.BytesIO(source), int(time.time())
        return
    try:
        with source.open("rb") as handle:
            yield handle, int(source.stat().st_mtime) & 0xFFFFFFFF
    except OSError as exc:
        raise PhoneError(
            f"{source} cannot be read ({exc.strerror or exc}); give an existing file."
        ) from exc


def _encoded(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
