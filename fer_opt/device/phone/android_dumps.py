"""Reading Android's own tools: getprop, dumpsys battery, power and thermalservice, df. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from fer_opt.device.phone.phone_facts import Battery
from fer_opt.device.phone.sections import whole_number

__all__ = [
    "parse_battery",
    "parse_df",
    "parse_getprop",
    "parse_screen",
    "parse_thermalservice",
    "zone_temperatures",
]

STATUS = {"1": "unknown", "2": "charging", "3": "discharging", "4": "not charging", "5": "full"}
"""android.os.BatteryManager.BATTERY_STATUS_*."""

NO_TEMPERATURE = re.compile(r"soc\b|vbat|ibat|bcl|batt?-?curr|-lvl|-lowf", re.IGNORECASE)
"""Zones that Qualcomm's kernels list although they are charges, currents and voltages."""

COLDEST_C, HOTTEST_C = -40.0, 150.0
"""Beyond which a sensor is not wired or not a thermometer."""


def parse_getprop(text: str) -> dict[str, str]:
    """Properties from lines ``[name]: [value]``; a value of several lines keeps its first."""
    found = re.findall(r"^\[([^\]\n]+)\]: \[([^\n]*?)\]?$", text, re.MULTILINE)
    return {name: value.strip() for name, value in found}


def parse_battery(text: str) -> Battery:
    """The battery from ``dumpsys battery``; temperature there is in tenths of a degree."""
    # Samsung's builds append more blocks, which repeat keys: the first of each counts.
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            values.setdefault(key.strip().lower(), value.strip())
    level = whole_number(values.get("level"))
    scale = whole_number(values.get("scale"), least=1)
    tenths = whole_number(values.get("temperature"), least=-400, most=1500)
    kinds = {"ac": "AC", "usb": "USB", "wireless": "wireless", "dock": "dock"}
    return Battery(
        percent=None if level is None else min(100, round(100 * level / (scale or 100))),
        status=STATUS.get(values.get("status", ""), ""),
        plugged=tuple(
            name for key, name in kinds.items() if values.get(f"{key} powered") == "true"
        ),
        temperature_c=None if tenths is None else tenths / 10,
        pretended="UPDATES STOPPED" in text,
    )


def parse_screen(text: str) -> bool | None:
    """Whether the screen is lit, from ``dumpsys power``; None where that does not tell."""
    if found := re.search(r"Display Power: state=(\w+)", text):
        return found[1] == "ON"
    if found := re.search(r"mWakefulness=(\w+)", text):
        return found[1] == "Awake"
    return None


def parse_thermalservice(text: str) -> tuple[dict[str, float], int | None]:
    """Temperatures by sensor and the status, from ``dumpsys thermalservice`` (Android 10 on).

    The HAL's current values where they are listed, the service's cached ones otherwise.
    """
    status = re.search(r"^\s*Thermal Status: (\d)$", text, re.MULTILINE)
    for title in ("Current temperatures from HAL:", "Cached temperatures:"):
        _, found, rest = text.partition(title)
        # The block ends at the next title.
        block = re.split(r"^\S.*:$", rest, maxsplit=1, flags=re.MULTILINE)[0] if found else ""
        rows = re.findall(r"Temperature\{mValue=(-?[\d.]+), mType=-?\d+, mName=([^,}]+)", block)
        readings = {name.strip(): _celsius(value) for value, name in rows}
        kept = {name: value for name, value in readings.items() if value is not None}
        if kept:
            return kept, int(status[1]) if status else None
    return {}, int(status[1]) if status else None


def zone_temperatures(zones: Mapping[str, tuple[str, str]]) -> dict[str, float]:
    """Degrees Celsius by sensor, from the kernel's thermal zones.

    Args:
        zones: by zone, its ``type`` and ``temp``. The kernel's ABI says millidegrees
            (Documentation/ABI/testing/sysfs-class-thermal); kernels of old phones also give
            tenths or whole degrees, told apart by size.
    """
    found: dict[str, float] = {}
    for zone, (kind, temperature) in zones.items():
        value = whole_number(temperature, least=-(10**6), most=10**6)
        if value is None or NO_TEMPERATURE.search(kind):
            continue
        size = abs(value)
        celsius = value / 1000 if size >= 1000 else value / 10 if size > HOTTEST_C else float(value)
        # A sensor that is not wired reads 0.
        if value and COLDEST_C <= celsius <= HOTTEST_C:
            found[kind if kind and kind not in found else f"{kind} {zone}".strip()] = celsius
    return found


def parse_df(text: str) -> int | None:
    """Free bytes from ``df -k``, whose columns differ between tools; None where unclear."""
    lines = [line for line in text.splitlines() if line.strip()]
    header = next((line for line in lines if re.match(r"\s*Filesystem\b", line)), None)
    if header is None:
        return None
    # A long device name pushes its numbers to the next line.
    cells = " ".join(lines[lines.index(header) + 1 :]).split()
    columns = header.replace("Mounted on", "Mounted").split()
    place = next(
        (columns.index(name) for name in ("Available", "Avail", "Free") if name in columns), 0
    )
    if not 0 < place < len(cells):
        return None
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([KMGT]?)", cells[place])
    if found is None:
        return None
    # Android 5's df prints 12.3G whatever it is asked; the others print KiB.
    unit = {"": 1024, "K": 1024, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}[found[2]]
    return int(float(found[1]) * unit)


def _celsius(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value and COLDEST_C <= value <= HOTTEST_C else None
