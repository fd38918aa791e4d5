"""What this computer is: the facts a latency depends on, none that names its owner."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil

from fer_opt.device.conditions import UNREADABLE
from fer_opt.device.cpus import allowed_cpus
from fer_opt.device.measurement import DeviceFacts

__all__ = ["host_facts"]

FINGERPRINTED = (
    "cpu", "architecture", "physical_cores", "logical_cpus", "instruction_sets", "virtualised",
    "governor", "boost", "operating_system", "kernel", "runtime",
)  # fmt: skip
"""Facts that must agree before two records' times may be compared."""

INSTRUCTION_SETS = (
    "sse4_1", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni",
    "avx512_fp16", "amx_int8", "neon", "asimd", "asimdhp", "asimddp", "i8mm", "sve", "sme",
)  # fmt: skip
"""Those XNNPACK chooses its kernels by (src/configs/hardware-config.c), as Linux names them."""

CPUINFO = Path("/proc/cpuinfo")
SYSFS = Path("/sys/devices/system/cpu")


class _UnreadError(Exception):
    """A fact this machine does not tell; the message says why."""


def host_facts() -> DeviceFacts:
    """Read this computer's facts; what it does not tell is in ``unread`` with the reason."""
    facts: dict[str, str] = {}
    unread: dict[str, str] = {}
    for name, read in _READERS.items():
        try:
            facts[name] = read()
        except _UnreadError as exc:
            unread[name] = str(exc)
        except UNREADABLE as exc:
            unread[name] = f"the system did not answer ({type(exc).__name__})"
    return DeviceFacts(
        kind="host",
        name=facts.get("cpu", "this computer"),
        fingerprint=_fingerprint(facts),
        facts=facts,
        unread=unread,
    )


def _fingerprint(facts: dict[str, str]) -> str:
    chosen = {name: facts.get(name) for name in FINGERPRINTED}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def _cpu() -> str:
    if platform.system() == "Darwin":
        return _sysctl("machdep.cpu.brand_string")
    if platform.system() == "Linux":
        try:
            return _cpuinfo("model name")
        except _UnreadError:
            # ARM kernels print no model name; boards name themselves in the device tree.
            return _file(Path("/proc/device-tree/model"))
    return _said(platform.processor(), "the platform module names no processor")


def _sysctl(key: str) -> str:
    try:
        done = subprocess.run(
            ["/usr/sbin/sysctl", "-n", key], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise _UnreadError(f"sysctl {key} failed") from exc
    return _said(done.stdout, f"sysctl {key} is empty")


def _cpuinfo(*keys: str) -> str:
    for line in _file(CPUINFO).splitlines():
        key, _, value = line.partition(":")
        if key.strip() in keys and value.strip():
            return " ".join(value.split())
    raise _UnreadError(f"{CPUINFO} has no line {' or '.join(keys)}")


def _instruction_sets() -> str:
    have = set(_cpuinfo("flags", "Features").split())
    return " ".join(name for name in INSTRUCTION_SETS if name in have) or "none of those known"


def _virtualised() -> str:
    if platform.machine() not in ("x86_64", "AMD64", "i686"):
        raise _UnreadError("only x86 processors tell")
    return "yes" if "hypervisor" in _cpuinfo("flags").split() else "no"


def _governor() -> str:
    paths = [SYSFS / f"cpu{cpu}/cpufreq/scaling_governor" for cpu in allowed_cpus()]
    found = sorted({_file(path) for path in paths if path.exists()})
    return _said(", ".join(found), "no CPU frequency scaling is visible here")


def _boost() -> str:
    intel = SYSFS / "intel_pstate/no_turbo"
    if intel.exists():
        return {"0": "on", "1": "off"}.get(_file(intel), "unknown")
    boost = SYSFS / "cpufreq/boost"
    if not boost.exists():
        raise _UnreadError("no boost switch is visible here")
    return {"1": "on", "0": "off"}.get(_file(boost), "unknown")


def _cpu_quota() -> str:
    text = _file(Path("/sys/fs/cgroup/cpu.max"))
    quota, _, period = text.partition(" ")
    return "none" if quota == "max" else f"{int(quota) / int(period):.2f} CPUs"


def _power() -> str:
    battery = psutil.sensors_battery()
    if battery is None:
        raise _UnreadError("no battery is visible here")
    return "mains" if battery.power_plugged else "battery"


def _operating_system() -> str:
    if platform.system() == "Linux":
        release = platform.freedesktop_os_release()
        return _said(release.get("PRETTY_NAME", ""), "os-release has no PRETTY_NAME")
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    return f"{platform.system()} {platform.release()}"


def _max_mhz() -> str:
    clocks = [one.max for one in psutil.cpu_freq(percpu=True) if one.max > 0]
    return _said(f"{max(clocks):.0f}" if clocks else "", "no CPU tells its highest clock")


def _package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as exc:
        raise _UnreadError(f"{name} is not installed as a package") from exc


def _count(logical: bool) -> str:
    return _said(str(psutil.cpu_count(logical=logical) or ""), "the system does not tell")


def _file(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8", "replace").strip("\0 \n")
    except OSError as exc:
        raise _UnreadError(f"{path} cannot be read ({exc.strerror})") from exc
    return _said(text, f"{path} is empty")


def _said(text: str, otherwise: str) -> str:
    if not text.strip():
        raise _UnreadError(otherwise)
    return text.strip()


_READERS: dict[str, Callable[[], str]] = {
    "cpu": _cpu,
    "architecture": lambda: _said(platform.machine(), "the platform module does not tell"),
    "physical_cores": lambda: _count(logical=False),
    "logical_cpus": lambda: _count(logical=True),
    "allowed_cpus": lambda: _said(
        " ".join(map(str, allowed_cpus())), "this system does not pin processes to CPUs"
    ),
    "cpu_quota": _cpu_quota,
    "instruction_sets": _instruction_sets,
    "max_mhz": _max_mhz,
    "governor": _governor,
    "boost": _boost,
    "virtualised": _virtualised,
    "memory_bytes": lambda: str(psutil.virtual_memory().total),
    "power": _power,
    "operating_system": _operating_system,
    "kernel": lambda: f"{platform.system()} {platform.release()}",
    "python": lambda: f"{platform.python_implementation()} {platform.python_version()}",
    "runtime": lambda: f"ai-edge-litert {_package('ai-edge-litert')}",
    "numpy": lambda: _package("numpy"),
}
