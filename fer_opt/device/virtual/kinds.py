"""How a phone's processes are kept apart from the computer: the best that it allows."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field

from fer_opt.device.virtual.layout import Layout, bubblewrap_words
from fer_opt.errors import PhoneError

__all__ = ["SandboxKind", "choose_kind"]

PROBE_S = 20.0
NATIVE = {"x86_64": ("x86_64", "i386"), "aarch64": ("aarch64",)}
EMULATED = ("arm", "aarch64", "i386", "x86_64")  # processors of phones, as qemu names them
# The phone's processes are Android's shell user, alone with their kin and without a network.
SHELL = ("--unshare-user", "--uid", "2000", "--gid", "2000")
# Root of the namespace, which may register emulators; the phone goes on as the shell user.
ROOT = ("--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL")
ALONE = ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", "localhost")
NO_NETWORK = ("--unshare-net",)


@dataclass(frozen=True, slots=True)
class SandboxKind:
    """How processes are kept apart from the computer.

    Attributes:
        name: ``bubblewrap`` or ``plain``.
        options: of bwrap that this computer allows.
        root: whether the first process begins as root of its namespace.
        emulators: to register there: qemu's name of a processor -> path.
        said: what to tell the user; empty where nothing is missing.
    """

    name: str
    options: tuple[str, ...] = ()
    root: bool = False
    emulators: dict[str, str] = field(default_factory=dict)
    said: str = ""


def choose_kind(layout: Layout, wanted: str = "auto") -> SandboxKind:
    """The best this computer allows; it is tried, since many a container forbids some of it.

    Args:
        layout: the phone's folders.
        wanted: ``auto``, ``bubblewrap`` or ``plain``.

    Raises:
        PhoneError: bubblewrap was wanted and cannot be used.
    """
    if wanted == "plain":
        return SandboxKind("plain")
    cause = "bubblewrap (bwrap) is not installed"
    if find_bubblewrap() is not None:
        emulators = find_emulators(os.uname().machine)
        candidates = [(*SHELL, *ALONE, *NO_NETWORK), (*SHELL, *ALONE), (*ALONE, *NO_NETWORK)]
        if emulators:
            candidates.insert(0, (*ROOT, *ALONE, *NO_NETWORK))
        for options in candidates:
            cause = _try(layout, options)
            if not cause:
                root = options[: len(ROOT)] == ROOT
                return SandboxKind("bubblewrap", options, root, emulators if root else {})
    if wanted == "bubblewrap":
        raise PhoneError(
            f"no sandbox can be made ({cause}); install bubblewrap and allow user namespaces, or "
            "ask for a plain folder."
        )
    return SandboxKind(
        "plain",
        said=f"The virtual phone runs without a sandbox ({cause}): its programs run as you, its "
        "paths are rewritten in command lines only.",
    )


def find_bubblewrap() -> str | None:
    """Path of bwrap."""
    return shutil.which("bwrap")


def find_emulators(machine: str) -> dict[str, str]:
    """Emulators of other processors on this computer: qemu's name -> path.

    Args:
        machine: this computer's, as ``uname -m`` says.
    """
    found = {
        name: shutil.which(f"qemu-{name}-static") or shutil.which(f"qemu-{name}")
        for name in EMULATED
        if name not in NATIVE.get(machine, (machine,))
    }
    return {name: path for name, path in found.items() if path is not None}


def _try(layout: Layout, options: tuple[str, ...]) -> str:
    """Why bwrap cannot be used with these options; empty where it can. Asked once only."""
    if options not in _TRIED:
        _TRIED[options] = _try_anew(layout, options)
    return _TRIED[options]


_TRIED: dict[tuple[str, ...], str] = {}


def _try_anew(layout: Layout, options: tuple[str, ...]) -> str:
    words = [*bubblewrap_words(layout, options), "/bin/sh", "-c", "test -w /data/local/tmp"]
    try:
        done = subprocess.run(words, capture_output=True, timeout=PROBE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return str(exc)
    if done.returncode == 0:
        return ""
    said = done.stderr.decode("utf-8", "replace").strip()
    return said.splitlines()[-1] if said else f"bwrap ended with {done.returncode}"
