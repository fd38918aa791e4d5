"""A virtual phone as Python sees it: started, looked into, made to fail, ended."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from fer_opt.device.virtual.connection import Authorise, Guard
from fer_opt.device.virtual.daemon import Daemon
from fer_opt.device.virtual.faults import NO_FAULTS, Faults
from fer_opt.device.virtual.kernel_files import write_kernel_files
from fer_opt.device.virtual.keys import parse_public_key
from fer_opt.device.virtual.kinds import choose_kind
from fer_opt.device.virtual.layout import ASK, Layout
from fer_opt.device.virtual.packets import MAX_PAYLOAD, VERSION_CHECKED, VERSION_UNCHECKED
from fer_opt.device.virtual.profile import load_profile
from fer_opt.device.virtual.state import new_state
from fer_opt.device.virtual.tools import write_tools
from fer_opt.device.virtual.wire import Line
from fer_opt.errors import PhoneError

__all__ = ["Counters", "SandboxWanted", "VirtualPhone", "serve", "start_virtual_phone"]

SandboxWanted = Literal["auto", "bubblewrap", "plain"]
START_S = 60.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Counters:
    """What a virtual phone has seen so far.

    Attributes:
        messages: ADB packets carried, both directions.
        carried_bytes: of those packets.
        messages_since_faults: likewise since the faults were set; what ``drop_at_message`` counts.
        bytes_since_faults: likewise; what ``drop_at_byte`` counts.
        pushed_bytes: of files written by pushes.
        drops: how often a fault broke the link.
        reboots: how often it rebooted.
    """

    messages: int
    carried_bytes: int
    messages_since_faults: int
    bytes_since_faults: int
    pushed_bytes: int
    drops: int
    reboots: int


class VirtualPhone:
    """A virtual phone that runs; made by :func:`start_virtual_phone`, ended by :meth:`close`.

    Attributes:
        port: on 127.0.0.1 at which it answers.
        serial: its serial number.
        folder: what is its ``/data/local/tmp``, on this computer.
        profile: name of the phone it plays.
        sandbox: ``bubblewrap`` or ``plain``.
        foreign: processors whose programs run through an emulator, as qemu names them.
        said: what the user should know about it, a sentence each.
    """

    def __init__(self, daemon: Daemon, profile: str, *, keep_folder: bool) -> None:
        self._daemon = daemon
        self._keep_folder = keep_folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"virtual phone {daemon.state.serial}", daemon=True
        )
        self._closed = False
        self.serial = daemon.state.serial
        self.folder = daemon.layout.temporary
        self.profile = profile
        self.sandbox = daemon.kind.name
        self.said = (daemon.kind.said,) if daemon.kind.said else ()
        self.port = 0
        self.foreign: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """How fer-opt is told to reach it."""
        return f"tcp:127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, dict[str, str]]:
        """Android's settings now: namespace -> key -> value; a copy."""
        return {name: dict(values) for name, values in self._daemon.state.settings.items()}

    @property
    def counters(self) -> Counters:
        """What it has seen so far."""
        state, line = self._daemon.state, self._daemon.state.line
        return Counters(
            line.messages, line.carried_bytes, line.since_messages, line.since_bytes,
            state.pushed_bytes, line.drops, state.reboots,
        )  # fmt: skip

    @property
    def faults(self) -> Faults:
        """What goes wrong now; setting it takes effect at once and counts from 0 again."""
        return self._daemon.state.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._do(self._daemon.set_faults(faults))

    def reboot(self) -> None:
        """Reboot; returns when the new boot has begun, the link may be away a little longer."""
        self._do(self._daemon.reboot())

    def close(self) -> None:
        """End everything that runs in it, and remove its folders; calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._do(self._daemon.stop())
        finally:
            self._end_thread()
            shutil.rmtree(self._daemon.layout.base, ignore_errors=True)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _start(self, port: int) -> None:
        self._thread.start()
        try:
            self._do(self._daemon.start(port))
        except BaseException:
            with contextlib.suppress(Exception):
                self.close()
            raise
        self.port = self._daemon.port
        self.foreign = self._daemon.sandbox.foreign

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


def start_virtual_phone(
    profile: str = "galaxy-j3",
    *,
    port: int = 0,
    folder: Path | None = None,
    faults: Faults = NO_FAULTS,
    serial: str | None = None,
    authorise: Authorise = "always",
    authorise_after_s: float = 0.0,
    known_keys: Iterable[str] = (),
    sandbox: SandboxWanted = "auto",
    checksums: bool = False,
    most_payload: int = MAX_PAYLOAD,
    reboot_s: float = 1.0,
) -> VirtualPhone:
    """Start a virtual phone in this process, on 127.0.0.1; it answers when this returns.

    Args:
        profile: which phone it plays, one of :func:`fer_opt.device.virtual.profile_names`.
        port: to listen on; 0 takes a free one.
        folder: to be its ``/data/local/tmp``, kept afterwards; None makes one and removes it.
        faults: what goes wrong from the start.
        serial: its serial number; None makes one up.
        authorise: whose keys it accepts: any that is offered, those known, or none.
        authorise_after_s: how long its owner takes to accept an offered key, in seconds.
        known_keys: public keys it knows, each as ``adbkey.pub`` has it.
        sandbox: how its processes are kept apart: ``bubblewrap``, ``plain``, or the best there is.
        checksums: whether it is so old that every packet carries a checksum.
        most_payload: the longest packet it takes, in bytes; old phones take 4096.
        reboot_s: how long it is away when it reboots, in seconds.

    Raises:
        PhoneError: there is no such profile, the port or folder cannot be had, the sandbox that
            was asked for cannot be made, or this system has no such processes.
    """
    if sys.platform == "win32":
        raise PhoneError("a virtual phone needs Linux or macOS; on Windows, start it in WSL.")
    claims = load_profile(profile)
    serial = serial or f"virtual{secrets.token_hex(4)}"
    base = Path(tempfile.mkdtemp(prefix="fer-opt-phone-"))
    try:
        layout = Layout(base, folder.absolute() if folder is not None else base / "tmp")
        layout.make()
        state = new_state(claims, serial, Line(faults), platform.machine())
        write_kernel_files(layout, state)
        kind = choose_kind(layout, sandbox)
        ask = ASK if kind.name == "bubblewrap" else str(layout.socket)
        write_tools(layout, claims, ask=ask)
        keys = [key for line in known_keys if (key := parse_public_key(line.encode()))]
        daemon = Daemon(
            state,
            layout,
            kind,
            Guard(authorise, authorise_after_s, keys),
            version=VERSION_CHECKED if checksums else VERSION_UNCHECKED,
            most_payload=most_payload,
            reboot_s=reboot_s,
        )
        phone = VirtualPhone(daemon, profile, keep_folder=folder is not None)
        phone._start(port)
    except BaseException as exc:
        shutil.rmtree(base, ignore_errors=True)
        if isinstance(exc, OSError):
            raise PhoneError(
                f"the virtual phone cannot start ({exc.strerror or exc}); choose another port or "
                "folder."
            ) from exc
        raise
    return phone


def serve(
    profile: str = "galaxy-j3",
    *,
    port: int = 0,
    folder: Path | None = None,
    faults: Faults = NO_FAULTS,
    serial: str | None = None,
    authorise: Authorise = "always",
    sandbox: SandboxWanted = "auto",
    started: Callable[[VirtualPhone], None],
) -> None:
    """Run a virtual phone until Ctrl-C or SIGTERM; for the command line.

    Args:
        profile: which phone it plays.
        port: to listen on; 0 takes a free one.
        folder: to be its ``/data/local/tmp``, kept afterwards.
        faults: what goes wrong from the start.
        serial: its serial number.
        authorise: whose keys it accepts.
        sandbox: how its processes are kept apart.
        started: called once it answers; tells the user its address.

    Raises:
        PhoneError: as :func:`start_virtual_phone`.
    """
    ended = threading.Event()
    with start_virtual_phone(
        profile, port=port, folder=folder, faults=faults, serial=serial, authorise=authorise,
        sandbox=sandbox,
    ) as phone:  # fmt: skip
        started(phone)
        with contextlib.suppress(KeyboardInterrupt):
            ended.wait()
