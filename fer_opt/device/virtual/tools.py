"""The commands of a phone: the computer's where they do the same, else those the daemon answers."""

from __future__ import annotations

import os
import shlex
import shutil
import site
import sys
from pathlib import Path

from fer_opt.device.virtual import inside
from fer_opt.device.virtual.layout import Layout
from fer_opt.device.virtual.profile import Profile

__all__ = ["write_tools"]

# Commands of Android 7's toybox and toolbox that this computer's do the work of.
ALWAYS = """
basename cat chmod chown cksum clear cmp cp cut date dd dirname du echo env expr false find
grep head hostname id kill ln ls md5sum mkdir mkfifo mknod more mv nice nohup od paste printf
ps pwd readlink realpath rm rmdir sed seq setsid sha1sum sleep sort split stat strings sync
tail tar tee test time timeout touch tr true truncate tty uniq uptime wc which xargs yes
"""
# First API level -> commands that came with it.
LATER = {
    24: "base64 egrep fgrep free pgrep pkill renice top",
    26: "cal diff file gunzip gzip sha224sum sha256sum sha384sum sha512sum zcat",
    28: "awk fmt getconf nl",
    29: "nproc unshare",
}
# Answered by the daemon.
ANSWERED = (
    "am", "cmd", "df", "dumpsys", "getprop", "input", "pm", "reboot", "setprop", "settings",
    "svc", "uname", "wm",
)  # fmt: skip


def write_tools(layout: Layout, profile: Profile, *, ask: str) -> None:
    """Fill ``/system/bin``.

    Args:
        layout: the phone's folders.
        profile: whose API level says which commands there are.
        ask: path of the daemon's socket, as commands inside see it.
    """
    names = ALWAYS.split()
    for level, more in LATER.items():
        if profile.sdk >= level:
            names += more.split()
    for name in names:
        _link(layout.tools / name, name)
    _link(layout.tools / "sh", "sh")
    for name in ANSWERED:
        _script(layout.tools / name, [*_python("ask.py"), ask, name])
    allowed = ",".join(str(cpu) for cpu in _allowed_cpus())
    taskset = [*_python("taskset.py"), str(profile.cores), allowed]
    _script(layout.tools / "taskset", taskset)
    _script(layout.tools / "python3", [sys.executable], _python_environment())


def _link(place: Path, name: str) -> None:
    """A command of this computer, where it has it."""
    found = shutil.which(name) or shutil.which(name, path="/bin:/usr/bin:/sbin:/usr/sbin")
    if found is not None:
        place.symlink_to(found)


def _script(place: Path, words: list[str], environment: dict[str, str] | None = None) -> None:
    lines = ["#!/bin/sh"]
    lines += [f"export {key}={shlex.quote(value)}" for key, value in (environment or {}).items()]
    lines.append(f'exec {shlex.join(words)} "$@"')
    place.write_text("\n".join(lines) + "\n", "utf-8")
    place.chmod(0o755)


def _python(script: str) -> list[str]:
    """A command line that runs one of the scripts inside, without looking for packages."""
    path = os.path.join(os.path.dirname(inside.__file__), script)
    return [sys.executable, "-I", "-S", "-B", path]


def _python_environment() -> dict[str, str]:
    """What makes ``python3`` inside find the packages that the daemon's interpreter finds."""
    wanted = {name: os.environ.get(name, "") for name in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    found = {name: value for name, value in wanted.items() if value}
    if site.ENABLE_USER_SITE:
        found["PYTHONUSERBASE"] = site.getuserbase()
    return {**found, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _allowed_cpus() -> list[int]:
    """CPUs that processes of this computer may use here."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
