"""Starting a virtual phone: in this process for a while, or for the command line until Ctrl-C."""

from __future__ import annotations

import contextlib
import platform
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from fer_opt.device.virtual.connection import Authorise, Guard
from fer_opt.device.virtual.daemon import Daemon
from fer_opt.device.virtual.faults import NO_FAULTS, Faults
from fer_opt.device.virtual.kernel_files import write_kernel_files
from fer_opt.device.virtual.keys import parse_public_key
from fer_opt.device.virtual.kinds import choose_kind
from fer_opt.device.virtual.layout import ASK, Layout
from fer_opt.device.virtual.packets import MAX_PAYLOAD, VERSION_CHECKED, VERSION_UNCHECKED
from fer_opt.device.virtual.phone import VirtualPhone
from fer_opt.device.virtual.profile import load_profile
from fer_opt.device.virtual.state import new_state
from fer_opt.device.virtual.tools import write_tools
from fer_opt.device.virtual.wire import Line
from fer_opt.errors import PhoneError

__all__ = ["SandboxWanted", "serve", "start_virtual_phone"]

SandboxWanted = Literal["auto", "bubblewrap", "plain"]


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
        phone = VirtualPhone(daemon, profile)
        phone.start(port)
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
    with (
        contextlib.suppress(KeyboardInterrupt),
        _interrupted_by(signal.SIGTERM),
        start_virtual_phone(
            profile, port=port, folder=folder, faults=faults, serial=serial, authorise=authorise,
            sandbox=sandbox,
        ) as phone,
    ):  # fmt: skip
        started(phone)
        ended.wait()


@contextlib.contextmanager
def _interrupted_by(number: signal.Signals) -> Iterator[None]:
    """Let a signal do what Ctrl-C does; where that cannot be had, it does what it did."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(number, interrupt)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(number, before)
