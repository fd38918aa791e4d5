"""Which CPUs of this computer a worker is pinned to."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from fer_opt.errors import MeasurementError

__all__ = ["allowed_cpus", "choose_cpus", "pick_cpus"]

SYSFS = Path("/sys/devices/system/cpu")


def allowed_cpus() -> tuple[int, ...]:
    """The CPUs this process may run on, ascending; empty where the system cannot pin."""
    # macOS and Windows have no such call in Python; typeshed knows that, hence getattr.
    read = getattr(os, "sched_getaffinity", None)
    return tuple(sorted(read(0))) if read is not None else ()


def choose_cpus(threads: int, wanted: Collection[int] = ()) -> tuple[int, ...]:
    """The CPUs to pin ``threads`` threads to, ascending; empty where the system cannot pin.

    Args:
        threads: of the interpreter.
        wanted: the user's choice; empty means choose by :func:`pick_cpus`.

    Raises:
        MeasurementError: the wanted CPUs do not exist, are not allowed, or cannot be pinned to,
            or there are fewer CPUs than threads.
    """
    allowed = allowed_cpus()
    available = len(allowed) or (os.cpu_count() or 1)
    if threads > available:
        raise MeasurementError(
            f"{threads} threads on {available} CPU(s) would wait for each other; "
            f"ask for {available} or fewer."
        )
    if not wanted:
        maximum = {cpu: _number(SYSFS / f"cpu{cpu}/cpufreq/cpuinfo_max_freq") for cpu in allowed}
        core = {cpu: _text(SYSFS / f"cpu{cpu}/topology/thread_siblings_list") for cpu in allowed}
        return pick_cpus(allowed, threads, maximum, core)
    if not allowed:
        raise MeasurementError(
            "this operating system does not let a process be pinned to CPUs; name none."
        )
    if foreign := sorted(set(wanted) - set(allowed)):
        raise MeasurementError(
            f"CPU {', '.join(map(str, foreign))} is not open to this process; "
            f"choose among {', '.join(map(str, allowed))}."
        )
    return tuple(sorted(wanted))


def pick_cpus(
    allowed: Collection[int], threads: int, max_khz: Mapping[int, int], core: Mapping[int, str]
) -> tuple[int, ...]:
    """The best ``threads`` of ``allowed``, ascending.

    The fastest CPUs first (a hybrid processor has slow ones); of one core its first thread before
    its sibling; otherwise the highest number, because interrupts tend to be served by CPU 0.

    Args:
        allowed: CPU numbers.
        threads: how many are needed.
        max_khz: top clock of each CPU; 0 where unknown.
        core: any text that is the same for the threads of one core; empty where unknown.
    """
    seen: dict[str, int] = {}
    rank = {}
    for cpu in sorted(allowed):
        name = core.get(cpu) or f"cpu {cpu}"
        rank[cpu] = seen.get(name, 0)
        seen[name] = rank[cpu] + 1
    best = sorted(allowed, key=lambda cpu: (-max_khz.get(cpu, 0), rank[cpu], -cpu))
    return tuple(sorted(best[:threads]))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdigit() else 0
