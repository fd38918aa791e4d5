"""The phone's ADB daemon: it listens, lets hosts in, and finds the service behind a name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from fer_opt.device.virtual.commands import answer_command
from fer_opt.device.virtual.connection import Connection, Guard, Service
from fer_opt.device.virtual.faults import Faults
from fer_opt.device.virtual.kernel_files import update_kernel_files
from fer_opt.device.virtual.kinds import SandboxKind
from fer_opt.device.virtual.layout import Layout, plain_paths
from fer_opt.device.virtual.packets import MAX_PAYLOAD, VERSION_UNCHECKED
from fer_opt.device.virtual.plain import Teller, rewrite
from fer_opt.device.virtual.sandbox import Process, Sandbox, start_sandbox
from fer_opt.device.virtual.shell import parse_shell, run_shell
from fer_opt.device.virtual.state import PhoneState
from fer_opt.device.virtual.stream import Stream
from fer_opt.device.virtual.sync import run_sync
from fer_opt.device.virtual.wire import Wire
from fer_opt.errors import PhoneError

__all__ = ["Daemon"]

TICK_S = 0.1  # between updates of what the kernel's files tell
CUT_S = 1.0  # that services of a lost host have to end
BUFFER_BYTES = 4 * 1024 * 1024


@dataclass(slots=True)
class Daemon:
    """A running phone, inside its event loop.

    Attributes:
        state: all that changes.
        layout: its folders.
        kind: of its sandbox.
        guard: whom it lets in.
        version: newest version of ADB's protocol it speaks.
        most_payload: it takes, in bytes.
        reboot_s: how long it is away when it reboots, in seconds.
    """

    state: PhoneState
    layout: Layout
    kind: SandboxKind
    guard: Guard
    version: int = VERSION_UNCHECKED
    most_payload: int = MAX_PAYLOAD
    reboot_s: float = 1.0
    port: int = 0
    _sandbox: Sandbox | None = None
    _booting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _hosts: dict[asyncio.Task[None], Wire] = field(default_factory=dict)
    _others: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def sandbox(self) -> Sandbox:
        """Where processes run.

        Raises:
            ConnectionError: it is just starting or ending.
        """
        if self._sandbox is None or self._sandbox.dead:
            raise ConnectionError("the phone is not up")
        return self._sandbox

    async def start(self, port: int) -> None:
        """Begin to listen.

        Raises:
            OSError: the port cannot be had.
            PhoneError: the sandbox does not start.
        """
        self._servers.append(
            await asyncio.start_server(self._meet, "127.0.0.1", port, limit=BUFFER_BYTES)
        )
        self.port = self._servers[0].sockets[0].getsockname()[1]
        self._servers.append(await asyncio.start_unix_server(self._answer, self.layout.socket))
        self._sandbox = await start_sandbox(self.layout, self.kind)
        self.state.line.reboot = lambda: self._later(self._reboot_by_itself())
        await self.set_faults(self.state.faults)
        self._later(self._watch())

    async def stop(self) -> None:
        """End everything that runs."""
        for server in self._servers:
            server.close()
        await self._cut_off()
        for task in list(self._others):
            task.cancel()
        await asyncio.gather(*self._others, return_exceptions=True)
        if self._sandbox is not None:
            await self._sandbox.end()
        for server in self._servers:
            await server.wait_closed()

    async def set_faults(self, faults: Faults) -> None:
        """Let other things go wrong from now on; hosts that have gone count no more."""
        await self._see_off()
        self.state.line.set_faults(faults)
        self.state.pushed_since_faults = 0
        self.state.used_when_set = self._used_bytes()
        with contextlib.suppress(ConnectionError):
            self.sandbox.set_speed(faults.speed)
        update_kernel_files(self.layout, self.state)

    async def reboot(self) -> None:
        """Everything ends, the link is gone for a while, and a new boot begins.

        Raises:
            PhoneError: it does not come up again.
        """
        async with self._booting:
            self.state.line.away_until = time.monotonic() + self.reboot_s
            await self._cut_off()
            old, self._sandbox = self._sandbox, None
            if old is not None:
                await old.end()
            self.state.boot()
            self._sandbox = await start_sandbox(self.layout, self.kind)
            self._sandbox.set_speed(self.state.faults.speed)
            update_kernel_files(self.layout, self.state)

    async def _reboot_by_itself(self) -> None:
        with contextlib.suppress(PhoneError):  # then it stays off
            await self.reboot()

    async def _see_off(self) -> None:
        """Wait for connections to end whose host has hung up, so that they carry nothing more."""
        leaving = {task: wire for task, wire in self._hosts.items() if wire.left_by_host()}
        if not self.state.line.moving.is_set():
            for wire in leaving.values():
                wire.hang_up()  # a frozen phone reads no end
        if leaving:
            await asyncio.wait(leaving, timeout=CUT_S)

    async def _cut_off(self) -> None:
        """Hang up on every host, and wait until its services have ended."""
        hosts = dict(self._hosts)
        for wire in hosts.values():
            wire.hang_up()
        if hosts:
            _, late = await asyncio.wait(hosts, timeout=CUT_S)
            for task in late:  # frozen, or waiting for its owner
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A host has connected."""
        line = self.state.line
        if time.monotonic() < line.away_until or self._sandbox is None:
            writer.transport.abort()
            return
        guard = Guard("never") if line.faults.unauthorized else self.guard
        wire = Wire(reader, writer, line, self.most_payload)
        connection = Connection(
            wire, guard, self._banner(), version=self.version, open_service=self._service
        )  # fmt: skip
        task = asyncio.current_task()
        assert task is not None
        self._hosts[task] = wire
        try:
            await connection.run()
        finally:
            del self._hosts[task]
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _banner(self) -> bytes:
        names = ("ro.product.name", "ro.product.model", "ro.product.device")
        told = [f"{name}={self.state.properties.get(name, '')}" for name in names]
        features = ",".join(self.state.profile.features)
        return f"device::{';'.join(told)};features={features}".encode()

    def _service(self, name: str) -> Service | None:
        """The service of that name; None for one this phone does not have."""
        request = parse_shell(name)
        if request is not None:
            if request.framed and "shell_v2" not in self.state.profile.features:
                return None
            return lambda stream: run_shell(stream, self, request)
        if name == "sync:":
            return lambda stream: run_sync(stream, self.sandbox)
        if name.startswith("reboot:"):
            return self._reboot_service
        return None

    async def _reboot_service(self, stream: Stream) -> None:
        self._later(self._reboot_by_itself())
        await stream.wait_closed()

    def run(self, command: str, fds: Sequence[int], *, tty: bool, terminal: str) -> Process:
        """Run a command line, an interactive shell where it is empty."""
        update_kernel_files(self.layout, self.state)
        plain = self.kind.name == "plain"
        tools = str(self.layout.tools) if plain else "/system/bin"
        temporary = str(self.layout.temporary) if plain else "/data/local/tmp"
        if plain:
            command = rewrite(command, plain_paths(self.layout, mapped=True)["mapped"])
        words = [f"{tools}/sh", *(["-c", command] if command else ["-i" if tty else "-s"])]
        environment = {
            "PATH": tools, "HOME": temporary if plain else "/", "SHELL": f"{tools}/sh",
            "USER": "shell", "LOGNAME": "shell", "TMPDIR": temporary, "TERM": terminal,
            "HOSTNAME": self.state.profile.properties.get("ro.product.device", "localhost"),
            "ANDROID_ROOT": "/system", "ANDROID_DATA": "/data", "LANG": "C.UTF-8",
            "OPENBLAS_NUM_THREADS": "1",
        }  # fmt: skip
        return self.sandbox.run(words, environment, fds, tty=tty)

    def signal(self, process: Process, number: int) -> None:
        """Send a signal to a process that was started."""
        with contextlib.suppress(ConnectionError):
            self.sandbox.signal(process, number)

    def teller(self) -> Callable[[bytes], bytes]:
        """For one stream of output: what the phone tells of it."""
        if self.kind.name != "plain":
            return lambda data: data
        return Teller(plain_paths(self.layout, mapped=True)["mapped"])

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a command inside that asks one of the phone's services."""
        try:
            words = json.loads(await reader.readline())
            answer: dict[str, str | int] = {}
            if words == ["#room"]:
                answer = {"output": str(self.state.room_bytes(self._used_bytes()))}
            elif words[0] == "#pushed":
                self.state.pushed_bytes += int(words[1])
                self.state.pushed_since_faults += int(words[1])
            else:
                used_bytes = self._used_bytes() if words[0] == "df" else 0
                said = answer_command(self.state, words, used_bytes=used_bytes)
                answer = {"output": said.output, "error": said.error, "status": said.status}
            writer.write(json.dumps(answer).encode("ascii"))
            await writer.drain()
        except (OSError, ValueError, LookupError, TypeError):
            pass  # whoever asked has gone, or asked no question
        finally:
            writer.close()
        if self.state.rebooting:
            self.state.rebooting = False
            self._later(self._reboot_by_itself())

    def _used_bytes(self) -> int:
        total = 0
        for folder, _, names in os.walk(self.layout.temporary):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(folder, name)).st_size
        return total

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def _watch(self) -> None:
        """Keep the kernel's files fresh while anything runs; boot again when init was killed."""
        while True:
            await asyncio.sleep(TICK_S)
            if self._sandbox is not None and self._sandbox.dead:
                await self._reboot_by_itself()
            elif self._sandbox is not None and self._sandbox.busy:
                update_kernel_files(self.layout, self.state)
