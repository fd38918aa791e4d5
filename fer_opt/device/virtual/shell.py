"""The services that run commands: shell, in its old and its new protocol, and exec."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import os
import pty
import signal
import struct
import termios
import tty
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fer_opt.device.virtual.sandbox import Process
from fer_opt.device.virtual.stream import Stream, StreamClosedError, run_until_closed

__all__ = ["Machine", "ShellRequest", "parse_shell", "run_shell"]

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN, WINDOW_SIZE = range(6)
FRAME = struct.Struct("<BI")
READ_BYTES = 64 * 1024


class Machine(Protocol):
    """What commands need of the phone."""

    def run(self, command: str, fds: Sequence[int], *, tty: bool, terminal: str) -> Process:
        """Run a command line, an interactive shell where it is empty."""
        ...

    def signal(self, process: Process, number: int) -> None:
        """Send a signal to a process that was started."""
        ...

    def teller(self) -> Callable[[bytes], bytes]:
        """For one stream of output: turns each piece into what the phone tells; b"" ends it."""
        ...


@dataclass(frozen=True, slots=True)
class ShellRequest:
    """What an OPEN of a shell asks for.

    Attributes:
        command: to run; empty for an interactive shell.
        framed: whether streams are told apart and the exit status follows (shell v2).
        terminal: whether the command gets a terminal that behaves like one.
        kind: of terminal, for TERM.
    """

    command: str
    framed: bool
    terminal: bool
    kind: str = "dumb"


def parse_shell(name: str) -> ShellRequest | None:
    """Read ``shell:...``, ``shell,v2,TERM=...,raw:...`` or ``exec:...``; None for another service.

    Source: AOSP, daemon/shell_service.cpp and services.cpp.
    """
    service, colon, command = name.partition(":")
    words = service.split(",")
    if not colon or words[0] not in ("shell", "exec"):
        return None
    kind = next((word[5:] for word in words if word.startswith("TERM=")), "dumb")
    terminal = not command if "pty" not in words and "raw" not in words else "pty" in words
    if words[0] == "exec":
        return ShellRequest(command, framed=False, terminal=False)
    return ShellRequest(command, "v2" in words, terminal, kind)


async def run_shell(stream: Stream, machine: Machine, request: ShellRequest) -> None:
    """Run a command at the end of a stream."""
    if request.framed:
        await _run_framed(stream, machine, request)
    else:
        await _run_merged(stream, machine, request)


async def _run_merged(stream: Stream, machine: Machine, request: ShellRequest) -> None:
    """Output and errors as they come, through a terminal.

    adbd uses one even for plain commands: when the host goes, closing it hangs up on every
    process of its session.
    """
    ours, theirs = pty.openpty()
    try:
        if not request.terminal:
            tty.setraw(theirs)
        machine.run(request.command, (theirs, theirs, theirs), tty=True, terminal=request.kind)
    finally:
        os.close(theirs)
    try:
        output = _send_output(ours, stream.write, machine.teller())
        await run_until_closed(stream, output, _take_input(stream, ours))
    finally:
        os.close(ours)


async def _take_input(stream: Stream, fd: int) -> None:
    while (data := await stream.read()) is not None:
        await _write(fd, data)


async def _run_framed(stream: Stream, machine: Machine, request: ShellRequest) -> None:
    """Streams told apart, standard input that can end, and the exit status at last."""
    inner, ends = _open_ends(terminal=request.terminal)
    try:
        process = machine.run(request.command, inner, tty=request.terminal, terminal=request.kind)
    finally:
        for fd in set(inner):
            os.close(fd)
    writing = asyncio.Lock()

    async def frame(kind: int, data: bytes) -> None:
        async with writing:
            await stream.write(FRAME.pack(kind, len(data)) + data)

    async def work() -> None:
        outputs = [(ends.output, STDOUT), (ends.error, STDERR)]
        await asyncio.gather(
            *(
                _send_output(fd, functools.partial(frame, kind), machine.teller())
                for fd, kind in outputs
                if fd is not None
            )
        )
        await frame(EXIT, bytes([await process.status & 0xFF]))

    try:
        await run_until_closed(stream, work(), _take_frames(stream, ends))
    finally:
        if not process.status.done():
            # As adbd does; what ignores it finds its pipes closed.
            machine.signal(process, signal.SIGHUP)
        ends.close()


@dataclass(slots=True)
class _Ends:
    """Our ends of a process's standard streams; a terminal has no error of its own."""

    input: int
    output: int
    error: int | None

    def close_input(self) -> None:
        if self.input >= 0:
            os.close(self.input)
            self.input = -1

    def close(self) -> None:
        self.close_input()
        os.close(self.output)
        if self.error is not None:
            os.close(self.error)


def _open_ends(*, terminal: bool) -> tuple[tuple[int, int, int], _Ends]:
    """Standard streams: the process's three, and ours."""
    if terminal:
        ours, theirs = pty.openpty()
        return (theirs, theirs, theirs), _Ends(os.dup(ours), ours, None)
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    error_read, error_write = os.pipe()
    return (in_read, out_write, error_write), _Ends(in_write, out_read, error_read)


async def _take_frames(stream: Stream, ends: _Ends) -> None:
    """Standard input, its end, and the window's size, however they are cut into packets."""
    waiting = b""
    while (data := await stream.read()) is not None:
        waiting += data
        while len(waiting) >= FRAME.size:
            kind, length = FRAME.unpack_from(waiting)
            if length > 1 << 24:
                raise StreamClosedError
            if len(waiting) < FRAME.size + length:
                break
            payload = waiting[FRAME.size : FRAME.size + length]
            waiting = waiting[FRAME.size + length :]
            if kind == STDIN and ends.input >= 0:
                with contextlib.suppress(OSError):  # the command reads no more
                    await _write(ends.input, payload)
            elif kind == CLOSE_STDIN:
                ends.close_input()
            elif kind == WINDOW_SIZE and ends.input >= 0:
                _set_size(ends.input, payload)


def _set_size(fd: int, text: bytes) -> None:
    """Tell a terminal its size, sent as ``rows x columns , pixels x pixels``."""
    numbers = text.rstrip(b"\0").replace(b",", b"x").split(b"x")
    with contextlib.suppress(ValueError, OSError, struct.error):
        rows, columns, width, height = (int(number) for number in numbers)
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))


async def _send_output(
    fd: int, send: Callable[[bytes], Awaitable[None]], tell: Callable[[bytes], bytes]
) -> None:
    """Everything read from ``fd``."""
    ended = False
    while not ended:
        data = await _read(fd)
        ended = not data
        if told := tell(data):
            await send(told)


async def _read(fd: int) -> bytes:
    """What there is to read; nothing at the end."""
    os.set_blocking(fd, False)
    data = b""
    while len(data) < READ_BYTES:
        try:
            piece = os.read(fd, READ_BYTES)
        except BlockingIOError:
            if data:
                break
            await _ready(fd, writing=False)
            continue
        except OSError:  # a terminal nobody holds any more
            break
        if not piece:
            break
        data += piece  # a terminal gives 4 KiB at once, a packet for each would be slow
    return data


async def _write(fd: int, data: bytes) -> None:
    os.set_blocking(fd, False)
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            await _ready(fd, writing=True)


async def _ready(fd: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    add, remove = (
        (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    )

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    add(fd, wake)
    try:
        await future
    finally:
        remove(fd)
