"""A phone's facts as the record keeps them and as people read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.phone.phone_facts import Core, PhoneFacts, clusters, fingerprint

__all__ = ["FactRow", "device_facts", "fact_rows"]


@dataclass(frozen=True, slots=True)
class FactRow:
    """A line for people: what it is, and its value or why there is none."""

    name: str
    value: str
    known: bool


def device_facts(facts: PhoneFacts) -> DeviceFacts:
    """The facts as the record keeps them: kind ``phone`` or ``virtual``, texts by name."""
    written = {name: write(facts) for name, write in _WRITERS.items()}
    known = {name: text for name, text in written.items() if text}
    soc = f" ({facts.soc})" if facts.soc else ""
    return DeviceFacts(
        kind="virtual" if facts.virtual else "phone",
        name=f"{facts.title}{soc}",
        fingerprint=fingerprint(facts),
        facts=known,
        unread={
            name: facts.unread.get(_READ_AS.get(name, name), "the phone does not tell")
            for name, text in written.items()
            if not text and name not in _MAY_LACK
        },
    )


def fact_rows(facts: PhoneFacts) -> tuple[FactRow, ...]:
    """The facts in the order people ask for them, with units, and reasons where unknown."""
    kept = device_facts(facts)
    sizes = {name for name in kept.facts if name.endswith("_bytes")}

    def value(name: str) -> str:
        text = kept.facts[name]
        if name in sizes:
            return _size(int(text))
        return f"{text}{_UNITS.get(name, '')}"

    return tuple(
        FactRow(title, value(name), known=True)
        if name in kept.facts
        else FactRow(title, f"unknown: {kept.unread[name]}", known=False)
        for name, title in _TITLES.items()
        if name in kept.facts or name in kept.unread
    )


def _size(count: int) -> str:
    """1234567890 as ``1.15 GiB``."""
    for unit, power in (("GiB", 30), ("MiB", 20)):
        if count >= 1 << power:
            return f"{count / (1 << power):.3g} {unit}"
    return f"{count / 1024:.0f} KiB"


def _clusters(facts: PhoneFacts) -> str:
    """``4 × 449-1430 MHz``, fastest cores first."""
    parts = []
    for khz, numbers in clusters(facts):
        if khz is None:
            continue
        floors = {core.min_khz for core in facts.cores if core.number in numbers and core.min_khz}
        low = f"{min(floors) / 1000:.0f}-" if floors else ""
        parts.append(f"{len(numbers)} × {low}{khz / 1000:.0f} MHz")
    return ", ".join(parts)


def _per_core(facts: PhoneFacts, tell: Callable[[Core], str]) -> str:
    """One text where all cores agree; otherwise each core's."""
    texts = {core.number: tell(core) for core in facts.cores}
    told = {text for text in texts.values() if text}
    if len(told) <= 1:
        return "".join(told)
    return ", ".join(f"cpu{number} {text}" for number, text in texts.items() if text)


def _limit(core: Core) -> str:
    if core.limit_khz is None:
        return ""
    low = f"{core.floor_khz / 1000:.0f}-" if core.floor_khz is not None else ""
    return f"{low}{core.limit_khz / 1000:.0f} MHz"


def _stay_awake(facts: PhoneFacts) -> str:
    if facts.stay_awake is None:
        return ""
    names = {1: "AC", 2: "USB", 4: "wireless", 8: "dock"}
    chosen = [name for bit, name in names.items() if facts.stay_awake & bit]
    return f"while plugged into {', '.join(chosen)}" if chosen else "no"


def _number(value: float | None, form: str = "g") -> str:
    return "" if value is None else f"{value:{form}}"


def _choice(value: bool | None, yes: str, no: str) -> str:
    return "" if value is None else yes if value else no


def _battery_status(facts: PhoneFacts) -> str:
    suffix = ", frozen by dumpsys battery set" if facts.battery.pretended else ""
    return f"{facts.battery.status}{suffix}" if facts.battery.status else ""


_WRITERS: dict[str, Callable[[PhoneFacts], str]] = {
    "model": lambda facts: facts.model,
    "brand": lambda facts: facts.brand,
    "device": lambda facts: facts.device,
    "serial_end": lambda facts: facts.serial_end,
    "virtual": lambda facts: facts.virtual,
    "android": lambda facts: facts.android,
    "sdk": lambda facts: _number(facts.sdk, "d"),
    "build": lambda facts: facts.build,
    "kernel": lambda facts: facts.kernel,
    "soc": lambda facts: facts.soc,
    "platform": lambda facts: facts.platform,
    "hardware": lambda facts: facts.hardware,
    "abis": lambda facts: ", ".join(facts.abis),
    "cores": lambda facts: str(len(facts.cores)) if facts.cores else "",
    "core_designs": lambda facts: ", ".join(facts.core_designs),
    "instruction_sets": lambda facts: " ".join(facts.instruction_sets),
    "clusters": _clusters,
    "cores_offline": lambda facts: " ".join(
        str(core.number) for core in facts.cores if not core.online
    ),
    "clock_limits": lambda facts: _per_core(facts, _limit),
    "governor": lambda facts: _per_core(facts, lambda core: core.governor),
    "memory_bytes": lambda facts: _number(facts.memory_bytes, "d"),
    "available_bytes": lambda facts: _number(facts.available_bytes, "d"),
    "free_bytes": lambda facts: _number(facts.free_bytes, "d"),
    "battery_percent": lambda facts: _number(facts.battery.percent, "d"),
    "battery_status": _battery_status,
    "plugged": lambda facts: ", ".join(facts.battery.plugged) or (
        "no" if facts.battery.percent is not None else ""
    ),
    "battery_c": lambda facts: _number(facts.battery.temperature_c, ".1f"),
    "thermal_c": lambda facts: ", ".join(
        f"{name} {value:.1f}" for name, value in sorted(facts.thermal_c.items())
    ),
    "thermal_status": lambda facts: _number(facts.thermal_status, "d"),
    "screen": lambda facts: _choice(facts.screen_on, "on", "off"),
    "low_power": lambda facts: _choice(facts.low_power, "on", "off"),
    "stay_awake": _stay_awake,
    "uptime_s": lambda facts: _number(facts.uptime_s, ".0f"),
    "boot_id": lambda facts: facts.boot_id,
}  # fmt: skip
"""How each fact is written down; empty where it is not known."""

_READ_AS = {
    "clusters": "max_khz",
    "clock_limits": "limit_khz",
    "screen": "screen_on",
    "battery_status": "battery",
    "plugged": "battery",
}
"""Under which name the reason is kept, where it is another."""

_MAY_LACK = frozenset({"virtual", "serial_end", "cores_offline"})
"""Facts whose absence is no gap."""

_TITLES = {
    "model": "model",
    "brand": "maker",
    "device": "code name",
    "virtual": "virtual, on",
    "soc": "processor",
    "platform": "platform",
    "cores": "cores",
    "core_designs": "core design",
    "clusters": "clocks",
    "clock_limits": "clocks allowed now",
    "cores_offline": "cores switched off",
    "governor": "governor",
    "instruction_sets": "instruction sets",
    "abis": "ABIs",
    "android": "Android",
    "sdk": "API level",
    "build": "build",
    "kernel": "kernel",
    "memory_bytes": "memory",
    "available_bytes": "memory available",
    "free_bytes": "storage free",
    "battery_percent": "battery",
    "battery_status": "battery state",
    "plugged": "plugged in",
    "battery_c": "battery temperature",
    "thermal_c": "sensors",
    "thermal_status": "thermal status",
    "screen": "screen",
    "low_power": "battery saver",
    "stay_awake": "stays awake",
    "uptime_s": "up since",
}
"""Facts for people, in this order."""

_UNITS = {
    "battery_percent": " %",
    "battery_c": " °C",
    "thermal_c": " (°C)",
    "thermal_status": " (0 none to 6 shutdown)",
    "uptime_s": " s ago",
}
