"""A phone's facts from what ``scripts/facts.sh`` printed there. Pure, and never raises."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TypeVar

from fer_opt.device.phone.android_dumps import (
    parse_battery,
    parse_df,
    parse_getprop,
    parse_screen,
    parse_thermalservice,
    zone_temperatures,
)
from fer_opt.device.phone.identity import phone_id
from fer_opt.device.phone.phone_facts import Battery, Core, PhoneFacts
from fer_opt.device.phone.sections import (
    MISSING,
    Section,
    file_lines,
    split_sections,
    whole_number,
)

__all__ = ["number_list", "parse_facts"]

T = TypeVar("T")

CPU = "/sys/devices/system/cpu"
BOOT_ID = "/proc/sys/kernel/random/boot_id"

DESIGNS = {
    0xC07: "Cortex-A7", 0xC08: "Cortex-A8", 0xC09: "Cortex-A9", 0xC0F: "Cortex-A15",
    0xC0E: "Cortex-A17", 0xD01: "Cortex-A32", 0xD03: "Cortex-A53", 0xD04: "Cortex-A35",
    0xD05: "Cortex-A55", 0xD07: "Cortex-A57", 0xD08: "Cortex-A72", 0xD09: "Cortex-A73",
    0xD0A: "Cortex-A75", 0xD0B: "Cortex-A76", 0xD0D: "Cortex-A77", 0xD41: "Cortex-A78",
    0xD44: "Cortex-X1", 0xD46: "Cortex-A510", 0xD47: "Cortex-A710", 0xD48: "Cortex-X2",
    0xD4D: "Cortex-A715", 0xD4E: "Cortex-X3", 0xD80: "Cortex-A520", 0xD81: "Cortex-A720",
    0xD82: "Cortex-X4",
}  # fmt: skip
"""Arm's part numbers (Linux, arch/arm64/include/asm/cputype.h and Arm's reference manuals)."""

INSTRUCTION_SETS = ("neon", "asimd", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2")
"""Those an inference library chooses its kernels by, as Linux names them."""


def parse_facts(output: str, serial: str) -> PhoneFacts:
    """Everything the phone told; whatever is missing or unintelligible is in ``unread``.

    Args:
        output: of the script, whole or cut off.
        serial: that the phone was reached by; used where it does not tell its own.
    """
    sections = split_sections(output)
    unread: dict[str, str] = {}

    def read(name: str, section: str, parse: Callable[[str], T | None], nothing: T) -> T:
        """What ``parse`` finds in a section; ``nothing`` and a reason where it finds nothing."""
        told = sections.get(section, MISSING)
        value = parse(told.text)
        if value is None or value == nothing:
            unread[name] = told.trouble if value is None else _reason(told)
            return nothing
        return value

    properties = parse_getprop(sections.get("getprop", MISSING).text)
    values, reasons = file_lines(
        "\n".join(sections.get(name, MISSING).text for name in ("single", "clocks", "zones"))
    )

    def told(name: str, *keys: str) -> str:
        """The first of these properties that is set."""
        value = next((properties[key] for key in keys if properties.get(key)), "")
        if not value:
            why = f"the phone has no property {' or '.join(keys)}"
            unread[name] = (
                why if properties else f"getprop: {sections.get('getprop', MISSING).trouble}"
            )
        return value

    def line(name: str, path: str) -> str:
        value = values.get(path, "")
        if not value:
            unread[name] = f"{path}: {reasons.get(path, MISSING.cut)}"
        return value

    own_serial = properties.get("ro.serialno") or properties.get("ro.boot.serialno") or serial
    cores = _cores(values, reasons, unread)
    thermal, status = _thermal(values, reasons, sections, unread)
    facts = PhoneFacts(
        phone=phone_id(own_serial),
        serial_end=own_serial[-4:],
        model=told("model", "ro.product.model"),
        brand=told("brand", "ro.product.manufacturer", "ro.product.brand"),
        device=told("device", "ro.product.device"),
        soc=told(
            "soc", "ro.soc.model", "ro.hardware.chipname", "ro.chipname", "ro.arch",
            "ro.board.platform", "ro.hardware",
        ),
        platform=told("platform", "ro.board.platform"),
        hardware=told("hardware", "ro.hardware"),
        build=told("build", "ro.build.fingerprint"),
        android=told("android", "ro.build.version.release"),
        sdk=whole_number(told("sdk", "ro.build.version.sdk"), least=1, most=999),
        abis=tuple(
            abi.strip()
            for abi in told("abis", "ro.product.cpu.abilist", "ro.product.cpu.abi").split(",")
            if abi.strip()
        ),
        virtual=properties.get("ro.fer_opt.virtual", ""),
        cores=cores,
        core_designs=read("core_designs", "cpuinfo", _core_designs, ()),
        instruction_sets=read("instruction_sets", "cpuinfo", _instruction_sets, ()),
        memory_bytes=read("memory_bytes", "meminfo", lambda text: _memory(text, "MemTotal"), None),
        available_bytes=read(
            "available_bytes", "meminfo", lambda text: _memory(text, "MemAvailable"), None
        ),
        free_bytes=read("free_bytes", "df", parse_df, None),
        battery=read("battery", "battery", parse_battery, Battery()),
        thermal_c=thermal,
        thermal_status=status,
        screen_on=read("screen_on", "power", parse_screen, None),
        low_power=read("low_power", "low_power", _switch, None),
        stay_awake=read("stay_awake", "stay_on", _stay_awake, None),
        uptime_s=_seconds(line("uptime_s", "/proc/uptime")),
        boot_id=line("boot_id", BOOT_ID),
        kernel=" ".join(line("kernel", "/proc/version").split()[0:3:2]),
        unread=unread,
    )  # fmt: skip
    for name in _silent(facts):
        unread.setdefault(name, "the phone tells it in an unknown form")
    return facts


def number_list(text: str) -> tuple[int, ...]:
    """The numbers of a kernel's list such as ``0-3,6``; empty where it is none."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        found = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part)
        if found is None:
            return ()
        first, last = int(found[1]), int(found[2] or found[1])
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def _silent(facts: PhoneFacts) -> list[str]:
    """Names of the facts that are not known."""
    mine = {field.name: getattr(facts, field.name) for field in dataclasses.fields(facts)}
    for name in ("phone", "serial_end", "virtual", "unread", "battery"):
        del mine[name]
    mine |= {"battery_percent": facts.battery.percent, "battery_c": facts.battery.temperature_c}
    return [name for name, value in mine.items() if value is None or value in ("", (), {})]


def _reason(section: Section) -> str:
    """Why a section that was there gave nothing: its complaint, where it is one."""
    failed = section.status != 0
    return section.trouble if failed or len(section.text) < 200 else "it answers in an unknown form"


def _cores(
    values: dict[str, str], reasons: dict[str, str], unread: dict[str, str]
) -> tuple[Core, ...]:
    listed = {
        int(found[1])
        for path in (*values, *reasons)
        if (found := re.match(rf"{CPU}/cpu(\d{{1,4}})/", path))
    }
    numbers = number_list(values.get(f"{CPU}/possible", "")) or tuple(sorted(listed))
    online = number_list(values.get(f"{CPU}/online", ""))
    if not numbers:
        unread |= dict.fromkeys(("max_khz", "limit_khz", "governor"), "no core is known")
        unread["cores"] = f"{CPU}/possible: {reasons.get(f'{CPU}/possible', MISSING.cut)}"

    def core(number: int) -> Core:
        def khz(name: str) -> int | None:
            text = values.get(f"{CPU}/cpu{number}/cpufreq/{name}")
            return whole_number(text, least=1, most=10**8)

        return Core(
            number=number,
            online=number in online if online else True,
            max_khz=khz("cpuinfo_max_freq"),
            min_khz=khz("cpuinfo_min_freq"),
            limit_khz=khz("scaling_max_freq"),
            floor_khz=khz("scaling_min_freq"),
            governor=values.get(f"{CPU}/cpu{number}/cpufreq/scaling_governor", ""),
        )

    cores = tuple(core(number) for number in numbers)
    wanted = (
        ("max_khz", "cpuinfo_max_freq", [one.number for one in cores if one.max_khz is None]),
        ("limit_khz", "scaling_max_freq", [one.number for one in cores if one.limit_khz is None]),
        ("governor", "scaling_governor", [one.number for one in cores if not one.governor]),
    )
    for name, file, lacking in wanted:
        if lacking:
            folder = f"{CPU}/cpu{lacking[0]}/cpufreq"
            why = reasons.get(f"{folder}/{file}") or reasons.get(folder) or "the file is not there"
            unread[name] = f"of CPU {', '.join(map(str, lacking))}: {why}"
    return cores


def _thermal(
    values: dict[str, str],
    reasons: dict[str, str],
    sections: dict[str, Section],
    unread: dict[str, str],
) -> tuple[dict[str, float], int | None]:
    places = {path.rpartition("/")[0] for path in values if "/thermal_zone" in path}
    zones = {
        place.rpartition("/")[2]: (values.get(f"{place}/type", ""), values.get(f"{place}/temp", ""))
        for place in sorted(places)
    }
    kernel = zone_temperatures(zones)
    service, status = parse_thermalservice(sections.get("thermalservice", MISSING).text)
    if not kernel and not service:
        why = next((why for path, why in reasons.items() if "/thermal_zone" in path), "no sensor")
        unread["thermal_c"] = f"/sys/class/thermal: {why}"
    if status is None:
        unread["thermal_status"] = "dumpsys thermalservice needs Android 10"
    return {**service, **kernel}, status


def _core_designs(text: str) -> tuple[str, ...] | None:
    parts = re.findall(r"^CPU part\s*:\s*(0x[0-9a-fA-F]{1,4})\s*$", text, re.MULTILINE)
    return tuple(sorted({DESIGNS.get(int(part, 16), f"part {part}") for part in parts})) or None


def _instruction_sets(text: str) -> tuple[str, ...] | None:
    found = re.search(r"^Features\s*:\s*(.*)$", text, re.MULTILINE)
    have = set(found[1].split()) if found else set()
    return tuple(name for name in INSTRUCTION_SETS if name in have) or None


def _memory(text: str, key: str) -> int | None:
    found = re.search(rf"^{key}:\s*(\d{{1,15}}) kB\s*$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _switch(text: str) -> bool | None:
    return {"0": False, "null": False, "1": True}.get(text.strip())


def _stay_awake(text: str) -> int | None:
    return 0 if text.strip() == "null" else whole_number(text, most=255)


def _seconds(text: str) -> float | None:
    found = re.match(r"\d{1,12}(?:\.\d{1,6})?(?= |$)", text)
    return float(found[0]) if found else None
