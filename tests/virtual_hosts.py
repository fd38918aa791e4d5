"""Hosts for virtual phones: a key, connections by adb-shell, and what they leave running."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
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


def new_seconds() -> str:
    """A time to sleep that nobody else on this computer sleeps, so that it names one sleeper."""
    return f"{4000 + next(_COUNTER)}.{os.getpid():07d}"


_COUNTER = itertools.count()


def set_apart(seconds: str) -> str:
    """A command that leaves a ``sleep`` behind; it waits until that is out of a hang-up's reach."""
    mark = f"/data/local/tmp/apart-{seconds}"
    return (
        f"setsid sh -c 'echo >{mark}; exec sleep {seconds}' </dev/null >/dev/null 2>&1 & "
        + until_there(mark)
    )


def until_there(path: str) -> str:
    """A command that waits for a file."""
    return f"until [ -e {path} ]; do sleep 0.02; done"


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
        io.BytesIO(data),
        path,
        st_mode=0o100000 | mode,
        mtime=time_s,
        transport_timeout_s=within_s,
        read_timeout_s=within_s,
    )


def pull(device: AdbDeviceTcp, path: str) -> bytes:
    """Read a file of the phone."""
    target = io.BytesIO()
    device.pull(path, target)
    return target.getvalue()


def sleepers(seconds: str) -> list[psutil.Process]:
    """Processes of this computer that sleep for just so long, wherever they were started."""
    return [one for one in _told_of(seconds) if one.info["cmdline"][-2:] == ["sleep", seconds]]


def _told_of(seconds: str) -> list[psutil.Process]:
    """Processes with ``seconds`` in their command line: sleepers, and who waits for them."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if seconds in " ".join(process.info["cmdline"] or [])
    ]


def appears(seconds: str, *, within_s: float = 15.0) -> bool:
    """Whether a sleeper appears in time."""
    return within(within_s, lambda: bool(sleepers(seconds)))


def disappears(seconds: str, *, within_s: float = 15.0) -> bool:
    """Whether all sleepers disappear in time, and the shells that were told of them."""
    return within(within_s, lambda: not _told_of(seconds))


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
