"""ADB's file service: stat, list, receive, send; it runs inside, so that paths mean what they say.

Source: AOSP, packages/modules/adb, SYNC.TXT and daemon/file_sync_service.cpp.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import struct

from .ask import ask
from .paths import Paths

CHUNK = 64 * 1024
MOST_PATH = 1024
WORDS = struct.Struct("<4sI")
STAT_V1 = struct.Struct("<4sIII")
STAT_V2 = struct.Struct("<4sIQQIIIIQqqq")


class LinkEndedError(Exception):
    """The host has gone, or speaks no sync."""


class Service:
    """One sync connection."""

    def __init__(self, connection: socket.socket, paths: Paths) -> None:
        self.connection = connection
        self.paths = paths
        self.incoming = connection.makefile("rb", CHUNK)
        self.modified_s = 0

    def run(self) -> None:
        """Answer requests until the host quits, or a push fails."""
        while True:
            request, length = WORDS.unpack(self.exactly(WORDS.size))
            if request == b"QUIT":
                return
            if length > MOST_PATH:
                self.fail("path too long")
                return
            path = self.exactly(length)
            if request == b"SEND":
                if not self.receive(path):
                    return
            elif request in ANSWERS:
                ANSWERS[request](self, request, self.real(path))
            else:
                self.fail(f"unknown command {request.hex()}")
                return

    def real(self, path: bytes) -> str:
        """Where a path lies."""
        return self.paths.real(os.fsdecode(path))

    def exactly(self, count: int) -> bytes:
        """The next ``count`` bytes from the host."""
        data: bytes = self.incoming.read(count)
        if len(data) != count:
            raise LinkEndedError
        return data

    def answer(self, data: bytes) -> None:
        """Send bytes to the host."""
        self.connection.sendall(data)

    def fail(self, reason: str) -> None:
        """Tell the host why something did not work."""
        data = os.fsencode(reason)
        self.answer(WORDS.pack(b"FAIL", len(data)) + data)

    def stat(self, _request: bytes, path: str) -> None:
        """STAT: of the path itself; all zeros where there is nothing."""
        try:
            self.answer(STAT_V1.pack(b"STAT", *brief(os.lstat(path))))
        except OSError:
            self.answer(STAT_V1.pack(b"STAT", 0, 0, 0))

    def stat_v2(self, request: bytes, path: str) -> None:
        """LST2 and STA2: everything, with the error; STA2 follows links."""
        self.answer(full(request, path, follow=request == b"STA2"))

    def list(self, _request: bytes, path: str) -> None:
        """LIST: one entry each; an unreadable folder has none."""
        for name in listed(path):
            try:
                entry = STAT_V1.pack(b"DENT", *brief(os.lstat(os.path.join(path, name))))
            except OSError:
                continue
            data = os.fsencode(name)
            self.answer(entry + struct.pack("<I", len(data)) + data)
        self.answer(STAT_V1.pack(b"DONE", 0, 0, 0) + bytes(4))

    def list_v2(self, _request: bytes, path: str) -> None:
        """LIS2: entries with everything."""
        for name in listed(path):
            data = os.fsencode(name)
            entry = full(b"DNT2", os.path.join(path, name), follow=False)
            self.answer(entry + struct.pack("<I", len(data)) + data)
        self.answer(b"DONE" + bytes(STAT_V2.size - 4) + bytes(4))

    def send(self, _request: bytes, path: str) -> None:
        """RECV: the file's bytes."""
        try:
            with open(path, "rb", buffering=0) as handle:
                while data := handle.read(CHUNK):
                    self.answer(WORDS.pack(b"DATA", len(data)) + data)
        except OSError as exc:
            if isinstance(exc, (BrokenPipeError, ConnectionError)):
                raise LinkEndedError from exc
            self.fail(f"open failed: {exc.strerror}")
            return
        self.answer(WORDS.pack(b"DONE", 0))

    def receive(self, specification: bytes) -> bool:
        """SEND: write a file or link; False when that failed and this connection is to end."""
        name, comma, digits = specification.rpartition(b",")
        if not comma or not digits.isdigit():
            self.fail("missing , in ID_SEND")
            return False
        path, mode = os.fsdecode(name), int(digits)
        real = self.paths.real(path)
        try:
            if not self.paths.is_writable(path):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            make_way(real)
            if stat.S_ISLNK(mode):
                self.receive_link(real)
            else:
                self.receive_file(real, mode)
        except OSError as exc:
            self.fail(f"couldn't create file: {exc.strerror}")
            self.drain()
            return False
        except LinkEndedError:
            unlink(real)
            raise
        self.answer(WORDS.pack(b"OKAY", 0))
        return True

    def receive_file(self, real: str, mode: int) -> None:
        """Write a new file, as far as there is room; a part of one is removed again."""
        room = int(str(ask(self.paths.ask, ["#room"])["output"]) or "-1")
        written = 0
        # adbd gives group and others what the owner has.
        owner = mode >> 6 & 7
        try:
            descriptor = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb", buffering=0) as handle:
                while (length := self.next_chunk()) is not None:
                    data = self.exactly(length)
                    if 0 <= room < written + len(data):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    handle.write(data)
                    written += len(data)
                os.fchmod(descriptor, owner << 6 | owner << 3 | owner)
            os.utime(real, (self.modified_s, self.modified_s))
        except OSError:
            unlink(real)
            raise
        finally:
            ask(self.paths.ask, ["#pushed", str(written)])

    def receive_link(self, real: str) -> None:
        """Make a symbolic link to the path that is sent."""
        target = b""
        while (length := self.next_chunk()) is not None:
            target += self.exactly(length)
        os.symlink(target.rstrip(b"\0"), os.fsencode(real))

    def next_chunk(self) -> int | None:
        """Length of the next piece of data; None at the end, whose time is kept."""
        request, number = WORDS.unpack(self.exactly(WORDS.size))
        if request == b"DONE":
            self.modified_s = number
            return None
        if request != b"DATA" or number > CHUNK:
            raise LinkEndedError
        return int(number)

    def drain(self) -> None:
        """Read on to the end: old hosts look at an answer only after all was sent."""
        while (length := self.next_chunk()) is not None:
            self.exactly(length)


ANSWERS = {
    b"STAT": Service.stat,
    b"STA2": Service.stat_v2,
    b"LST2": Service.stat_v2,
    b"LIST": Service.list,
    b"LIS2": Service.list_v2,
    b"RECV": Service.send,
}


def serve(connection: socket.socket, paths: Paths) -> None:
    """Serve one sync connection to its end."""
    connection.setblocking(True)
    with contextlib.suppress(LinkEndedError, ConnectionError):
        Service(connection, paths).run()


def brief(found: os.stat_result) -> tuple[int, int, int]:
    """Mode, size and time as version 1 sends them, in 32 bits each."""
    return found.st_mode, found.st_size & 0xFFFF_FFFF, int(found.st_mtime) & 0xFFFF_FFFF


def full(request: bytes, path: str, *, follow: bool) -> bytes:
    """Everything about a path as version 2 sends it, its error first."""
    try:
        found = os.stat(path, follow_symlinks=follow)
    except OSError as exc:
        return STAT_V2.pack(request, exc.errno or errno.EIO, *[0] * 10)
    return STAT_V2.pack(
        request, 0, found.st_dev, found.st_ino, found.st_mode, found.st_nlink, found.st_uid,
        found.st_gid, found.st_size, int(found.st_atime), int(found.st_mtime), int(found.st_ctime),
    )  # fmt: skip


def listed(path: str) -> list[str]:
    """Names in a folder, nothing where it cannot be read."""
    try:
        return [".", "..", *sorted(os.listdir(path))]
    except OSError:
        return []


def make_way(path: str) -> None:
    """Folders above ``path``, and no file or link at it."""
    os.makedirs(os.path.dirname(path), mode=0o775, exist_ok=True)
    if os.path.lexists(path) and not (os.path.isdir(path) and not os.path.islink(path)):
        os.unlink(path)


def unlink(path: str) -> None:
    """Remove a file, or leave it."""
    with contextlib.suppress(OSError):
        os.unlink(path)
