"""The folders of a virtual phone, on the computer and as seen from inside."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

__all__ = ["TEMPORARY", "Layout", "PlainPaths", "bubblewrap_words", "plain_paths"]

TEMPORARY = "/data/local/tmp"
ASK = "/dev/socket/fer_opt"
# What of the computer's root a phone does not have, or has of its own.
HIDDEN = frozenset((
    "boot", "data", "dev", "lost+found", "media", "mnt", "proc", "run", "sdcard", "storage",
    "sys", "system", "tmp", "vendor",
))  # fmt: skip
# Files below /proc that tell of the phone, not of the computer.
PROC_FILES = ("meminfo", "cpuinfo", "uptime", "version", "sys/kernel/random/boot_id")


class PlainPaths(TypedDict):
    """Arguments of :class:`fer_opt.device.virtual.inside.paths.Paths`."""

    mapped: dict[str, str]
    writable: list[str]
    ask: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a phone lie on this computer.

    Attributes:
        base: private folder of the phone, removed with it.
        temporary: what is ``/data/local/tmp`` inside.
    """

    base: Path
    temporary: Path

    @property
    def card(self) -> Path:
        """What is ``/sdcard`` inside."""
        return self.base / "sdcard"

    @property
    def tools(self) -> Path:
        """What is ``/system/bin`` inside."""
        return self.base / "bin"

    @property
    def sys(self) -> Path:
        """What is ``/sys`` inside."""
        return self.base / "sys"

    @property
    def proc(self) -> Path:
        """Files that stand for some of ``/proc``."""
        return self.base / "proc"

    @property
    def log(self) -> Path:
        """Where the first process complains."""
        return self.base / "log"

    @property
    def socket(self) -> Path:
        """Where the daemon listens to commands; short, since such a path may have 107 bytes."""
        return self.base / "s" / "fer_opt"

    def make(self) -> None:
        """Make the folders, but not what is in them."""
        for folder in (self.temporary, self.card, self.tools, self.sys, self.socket.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.temporary.chmod(0o771)  # as on Android
        (self.proc / "sys/kernel/random").mkdir(parents=True)


def plain_paths(layout: Layout, *, mapped: bool) -> PlainPaths:
    """How the phone's paths are found without a sandbox; with one, nothing is mapped."""
    if not mapped:
        return {"mapped": {}, "writable": [], "ask": ASK}
    proc = {f"/proc/{name}": str(layout.proc / name) for name in PROC_FILES}
    folders = {
        TEMPORARY: str(layout.temporary),
        "/sdcard": str(layout.card),
        "/system/bin": str(layout.tools),
        "/sys": str(layout.sys),
    }
    return {
        "mapped": {**folders, **proc},
        "writable": [TEMPORARY, "/sdcard"],
        "ask": str(layout.socket),
    }


def bubblewrap_words(layout: Layout, options: tuple[str, ...]) -> list[str]:
    """A bwrap command line up to the program: the computer's root read-only, the phone's own over.

    Args:
        layout: the phone's folders.
        options: which namespaces to make.
    """
    words = ["bwrap", *options, "--die-with-parent", "--new-session"]
    for entry in sorted(Path("/").iterdir()):
        if entry.name not in HIDDEN:
            link = entry.is_symlink()
            words += ["--symlink", os.readlink(entry)] if link else ["--ro-bind-try", str(entry)]
            words.append(str(entry))
    words += ["--proc", "/proc", "--dev", "/dev"]
    for folder in _interpreter_folders():
        words += ["--ro-bind-try", folder, folder]
    for name in PROC_FILES:
        words += ["--ro-bind-try", str(layout.proc / name), f"/proc/{name}"]
    words += ["--dir", "/data", "--dir", "/data/local"]
    words += ["--bind", str(layout.temporary), TEMPORARY, "--bind", str(layout.card), "/sdcard"]
    words += ["--ro-bind", str(layout.tools), "/system/bin", "--ro-bind", str(layout.sys), "/sys"]
    words += ["--bind", str(layout.socket.parent), os.path.dirname(ASK)]
    return [*words, "--remount-ro", "/", "--chdir", "/"]


def _interpreter_folders() -> list[str]:
    """Folders Python needs that lie where a phone has none, such as an environment in /tmp."""
    wanted = [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))]
    wanted += [entry for entry in sys.path if os.path.isdir(entry)]
    wanted.append(os.path.dirname(__file__))
    parts = {Path(os.path.abspath(folder)).parts for folder in wanted}
    # A whole folder such as /tmp is not given away because a script lies in it.
    return sorted(str(Path(*one)) for one in parts if len(one) > 2 and one[1] in HIDDEN)
