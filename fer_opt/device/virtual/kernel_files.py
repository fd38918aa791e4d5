"""What stands in for the kernel's own files: /sys of the phone, and some of /proc."""

from __future__ import annotations

import os
from pathlib import Path

from fer_opt.device.virtual.layout import Layout
from fer_opt.device.virtual.profile import Profile
from fer_opt.device.virtual.state import PhoneState

__all__ = ["update_kernel_files", "write_kernel_files"]

CPU = "devices/system/cpu"


def write_kernel_files(layout: Layout, state: PhoneState) -> None:
    """Make them for a phone that starts."""
    profile = state.profile
    last = profile.cores - 1
    for name in ("possible", "present", "online"):
        _put(layout.sys / CPU / name, f"0-{last}" if last else "0")
    for index, cluster in enumerate(profile.clusters):
        first = layout.sys / CPU / f"cpu{cluster.cores[0]}" / "cpufreq"
        clocks = " ".join(str(clock) for clock in cluster.clocks_khz)
        _put(first / "cpuinfo_max_freq", str(cluster.clocks_khz[-1]))
        _put(first / "cpuinfo_min_freq", str(cluster.clocks_khz[0]))
        _put(first / "scaling_min_freq", str(cluster.clocks_khz[0]))
        _put(first / "scaling_available_frequencies", clocks)
        _put(first / "scaling_governor", cluster.governor)
        _put(first / "related_cpus", " ".join(str(core) for core in cluster.cores))
        for core in cluster.cores[1:]:
            # Cores with a common clock share one folder.
            other = layout.sys / CPU / f"cpu{core}" / "cpufreq"
            other.parent.mkdir(parents=True, exist_ok=True)
            other.symlink_to(f"../cpu{cluster.cores[0]}/cpufreq")
        for core in cluster.cores:
            _put(layout.sys / CPU / f"cpu{core}" / "online", "1")
        state.clock_ticks.setdefault((index, state.clock_khz(index)), 0.0)
    for index, zone in enumerate(profile.thermal):
        _put(layout.sys / f"class/thermal/thermal_zone{index}/type", zone.type)
    _put(layout.proc / "meminfo", _meminfo(profile))
    _put(layout.proc / "version", _version(profile))
    cpuinfo = _cpuinfo(profile)
    if cpuinfo:
        _put(layout.proc / "cpuinfo", cpuinfo)
    update_kernel_files(layout, state)


def update_kernel_files(layout: Layout, state: PhoneState) -> None:
    """Write anew what changes: clocks and the time at each, temperatures, uptime, boot id."""
    state.tick()
    for index, cluster in enumerate(state.profile.clusters):
        first = layout.sys / CPU / f"cpu{cluster.cores[0]}" / "cpufreq"
        clock_khz = state.clock_khz(index)
        _put(first / "scaling_cur_freq", str(clock_khz))
        limit_khz = clock_khz if state.throttled else cluster.limit_khz
        _put(first / "scaling_max_freq", str(limit_khz))
        rows = [
            f"{clock} {int(state.clock_ticks.get((index, clock), 0))}"
            for clock in cluster.clocks_khz
        ]
        _put(first / "stats/time_in_state", "\n".join(rows))
    for index, zone in enumerate(state.profile.thermal):
        reading = round(state.temperatures()[zone.type] * zone.unit)
        _put(layout.sys / f"class/thermal/thermal_zone{index}/temp", str(reading))
    _put(layout.proc / "uptime", f"{state.uptime_s:.2f} {state.uptime_s * 2:.2f}")
    _put(layout.proc / "sys/kernel/random/boot_id", state.boot_id)


def _put(path: Path, text: str) -> None:
    """Write a file in place: one that is bound into a sandbox must stay the same file.

    A reader sees the old text or the new one: both are shorter than a page and written at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode("ascii") + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)


def _meminfo(profile: Profile) -> str:
    total = profile.memory_kb
    rows = {"MemTotal": total, "MemFree": total // 8, "MemAvailable": total * 2 // 5,
            "Buffers": total // 60, "Cached": total // 4, "SwapTotal": total // 2,
            "SwapFree": total // 3}  # fmt: skip
    return "\n".join(f"{name + ':':<15} {kb:>8} kB" for name, kb in rows.items())


def _version(profile: Profile) -> str:
    return f"Linux version {profile.kernel} (fer-opt virtual phone) #1 SMP PREEMPT"


def _cpuinfo(profile: Profile) -> str:
    """As ARM kernels print it; empty for a processor of this computer's own kind."""
    if not any(cluster.part for cluster in profile.clusters):
        return ""
    blocks = [
        f"processor\t: {core}\nmodel name\t: ARMv8 Processor rev 4 (v8l)\nBogoMIPS\t: 52.00\n"
        "Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt lpae evtstrm "
        "aes pmull sha1 sha2 crc32\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
        f"CPU variant\t: 0x0\nCPU part\t: {cluster.part}\nCPU revision\t: 4\n"
        for cluster in profile.clusters
        for core in cluster.cores
    ]
    hardware = profile.properties.get("ro.hardware", "")
    return "\n".join(blocks) + f"\nHardware\t: {hardware}"
