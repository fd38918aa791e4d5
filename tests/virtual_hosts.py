"""Hosts for virtual phones: a key, connections by adb-shell, and what they leave running."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from adb_shell.adb_device import AdbDeviceTcp
from adb_shell.auth.keygen import keygen
from adb_shell.auth.sign_pythonrsa import PythonRSASigner

from fer_opt.device.virtual import VirtualPhone


@functools.cache
def private_key() -> str:
    """A host's private key in PEM, made once; its public half is in :func:`public_key`."""
    return _key_pair()[0]


@functools.cache
def public_key() -> str:
    """The public half, as ``adbkey.pub`` has it."""
    return _key_pair()[1]


@functools.cache
def _key_pair() -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "adbkey"
        keygen(str(path))
        return path.read_text(), path.with_suffix(".pub").read_text()


def signer() -> PythonRSASigner:
    """Signs with :func:`private_key`."""
    return PythonRSASigner(public_key(), private_key())


@contextlib.contextmanager
def connected(phone: VirtualPhone | int, *, within_s: float = 5.0) -> Iterator[AdbDeviceTcp]:
    """adb-shell, connected to a phone or its port."""
    port = phone if isinstance(phone, int) else phone.port
    device = AdbDeviceTcp("127.0.0.1", port, default_transport_timeout_s=within_s)
    try:
        device.connect(rsa_keys=[signer()], auth_timeout_s=within_s, read_timeout_s=within_s)
        yield device
    finally:
        device.close()


def set_apart(seconds: int) -> str:
    """A command that leaves a ``sleep`` behind; it waits until that is out of a hang-up's reach."""
    return f"setsid sleep {seconds} </dev/null >/dev/null 2>&1 & sleep 0.3"


def run(device: AdbDeviceTcp, command: str) -> str:
    """What a command prints."""
    return str(device.shell(command, read_timeout_s=20))


def push(
    device: AdbDeviceTcp,
    data: bytes,
    path: str,
    *,
    mode: int = 0o644,
    time_s: int = 0,
    within_s: float = 10.0,
) -> None:
    """Write a file on the phone."""
    device.push(
        io.BytesIO(data), path, st_mode=0o100000 | mode, mtime=time_s, read_timeout_s=within_s
    )


def pull(device: AdbDeviceTcp, path: str) -> bytes:
    """Read a file of the phone."""
    target = io.BytesIO()
    device.pull(path, target)
    return target.getvalue()


def processes_with(text: str) -> list[psutil.Process]:
    """Processes of this computer with ``text`` in their command line, this one apart."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and text in " ".join(process.cmdline()):
                found.append(process)
    return found


def appears(text: str, *, within_s: float = 10.0) -> bool:
    """Whether a process with ``text`` in its command line appears in time."""
    return within(within_s, lambda: bool(processes_with(text)))


def disappears(text: str, *, within_s: float = 10.0) -> bool:
    """Whether every process with ``text`` in its command line disappears in time."""
    return within(within_s, lambda: not processes_with(text))


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
