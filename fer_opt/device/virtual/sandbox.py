"""Where a virtual phone's processes live: a namespace of their own, or a private folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fer_opt.device.virtual import inside
from fer_opt.device.virtual.kinds import SandboxKind
from fer_opt.device.virtual.layout import Layout, bubblewrap_words, plain_paths
from fer_opt.errors import PhoneError

__all__ = ["Process", "Sandbox", "start_sandbox"]

READY_S = 20.0


@dataclass(slots=True)
class Process:
    """A process inside: its exit status, 128 + n where signal n ended it, comes as a future."""

    number: int
    status: asyncio.Future[int]


class Sandbox:
    """A running one; made by :func:`start_sandbox`. Used from one event loop only.

    Attributes:
        foreign: processors whose programs run through an emulator, as qemu names them.
    """

    def __init__(
        self, program: subprocess.Popen[bytes], control: socket.socket, foreign: tuple[str, ...]
    ) -> None:
        self.foreign = foreign
        self._program = program
        self._control = control
        self._processes: dict[int, Process] = {}
        self._last_number = 0
        self._text = b""
        self._dead = False
        asyncio.get_running_loop().add_reader(control.fileno(), self._listen)

    @property
    def dead(self) -> bool:
        """Whether it has ended by itself: somebody inside killed its first process."""
        return self._dead

    @property
    def busy(self) -> bool:
        """Whether anything that was started runs still."""
        return bool(self._processes)

    def run(
        self, words: Sequence[str], environment: Mapping[str, str], fds: Sequence[int], *, tty: bool
    ) -> Process:
        """Start a program; ``fds`` become its standard input, output and error.

        Args:
            words: its path and arguments.
            environment: all of it.
            fds: three, the caller's to close afterwards.
            tty: whether the first is a terminal to become its controlling one.
        """
        request = {"do": "run", "argv": list(words), "env": dict(environment), "tty": tty}
        return self._start({**request, "cwd": "/"}, fds)

    def serve_files(self, fd: int) -> Process:
        """Start ADB's file service at one end of a socket pair."""
        return self._start({"do": "sync"}, [fd])

    def signal(self, process: Process, number: int) -> None:
        """Send a signal to a process, unless it has ended."""
        self._send({"do": "signal", "id": process.number, "signal": number}, [])

    def set_speed(self, speed: float) -> None:
        """Let everything inside run only this share of the time."""
        self._send({"do": "speed", "speed": speed}, [])

    async def end(self) -> None:
        """Kill everything inside, and wait until it is gone."""
        loop = asyncio.get_running_loop()
        if self._control.fileno() >= 0:
            loop.remove_reader(self._control.fileno())
            self._control.close()
        await loop.run_in_executor(None, self._wait)
        self._lose()

    def _wait(self) -> None:
        try:
            self._program.wait(5)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()

    def _start(self, request: dict[str, Any], fds: Sequence[int]) -> Process:
        self._last_number += 1
        process = Process(self._last_number, asyncio.get_running_loop().create_future())
        self._processes[process.number] = process
        self._send({**request, "id": process.number, "fds": len(fds)}, fds)
        if self._dead:
            self._lose()
        return process

    def _send(self, request: dict[str, Any], fds: Sequence[int]) -> None:
        data = json.dumps(request).encode("ascii") + b"\n"
        try:
            sent = socket.send_fds(self._control, [data], list(fds))
            self._control.sendall(data[sent:])
        except OSError:
            self._dead = True

    def _listen(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except OSError:
            data = b""
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            if "status" in answer:
                process = self._processes.pop(answer["id"], None)
                if process is not None and not process.status.done():
                    process.status.set_result(answer["status"])
        if not data:
            self._dead = True
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._lose()

    def _lose(self) -> None:
        """Nothing inside is alive any more."""
        for process in self._processes.values():
            if not process.status.done():
                process.status.set_result(128 + signal.SIGKILL)
        self._processes.clear()


async def start_sandbox(layout: Layout, kind: SandboxKind) -> Sandbox:
    """Start the first process of a phone.

    Raises:
        PhoneError: it did not come up.
    """
    ours, theirs = socket.socketpair()
    with contextlib.closing(theirs):
        program = _start_agent(layout, kind, theirs)
    loop = asyncio.get_running_loop()
    ours.settimeout(READY_S)
    try:
        hello = json.loads(await loop.run_in_executor(None, _first_line, ours))
    except BaseException as exc:
        program.kill()
        program.wait()
        ours.close()
        if not isinstance(exc, (OSError, ValueError)):
            raise  # cancelled: the phone is being switched off
        said = layout.log.read_text("utf-8", "replace").strip().splitlines()
        raise PhoneError(
            f"the virtual phone's first process did not start ({said[-1] if said else exc}); ask "
            "for a plain folder instead of a sandbox."
        ) from exc
    ours.settimeout(5)
    return Sandbox(program, ours, tuple(hello["foreign"]))


def _first_line(control: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = control.recv(1)
        if not byte:
            raise OSError("it ended at once")
        line += byte
    return line


def _start_agent(
    layout: Layout, kind: SandboxKind, control: socket.socket
) -> subprocess.Popen[bytes]:
    boxed = kind.name == "bubblewrap"
    setup = {
        "alone": boxed,
        "paths": plain_paths(layout, mapped=not boxed),
        "root": kind.root,
        "emulators": kind.emulators,
    }
    package = os.path.dirname(inside.__file__)
    code = (
        f"import sys; sys.path.insert(0, {os.path.dirname(package)!r}); "
        f"from {os.path.basename(package)} import agent; agent.main()"
    )
    python = [sys.executable, "-I", "-S", "-B", "-c", code]
    words = [*python, str(control.fileno()), json.dumps(setup)]
    if boxed:
        words = [*bubblewrap_words(layout, (*kind.options, "--as-pid-1")), *words]
    with open(layout.log, "ab") as log:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=[control.fileno()],
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,
        )
