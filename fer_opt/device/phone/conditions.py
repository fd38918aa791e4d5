"""A phone's state at one moment: load, clocks, temperatures, battery; in one round trip."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from fer_opt.device.adb.link import Link
from fer_opt.device.measurement import Conditions
from fer_opt.device.phone.android_dumps import (
    parse_battery,
    parse_thermalservice,
    zone_temperatures,
)
from fer_opt.device.phone.folder import FOLDER
from fer_opt.device.phone.scripts import load_script
from fer_opt.device.phone.sections import MISSING, split_sections
from fer_opt.errors import PhoneError

__all__ = [
    "ClockTimes",
    "PhoneState",
    "clock_difference_s",
    "parse_state",
    "read_clock_residency",
    "read_conditions",
    "read_state",
]

ClockTimes = Mapping[int, Mapping[int, int]]
"""By core, and by clock in kHz: time spent there since the phone started, in units of 10 ms."""


@dataclass(frozen=True, slots=True)
class PhoneState:
    """What is read just before and just after each process.

    Attributes:
        conditions: for the record.
        clock_times: of the cores asked for; empty for those that do not tell.
        guard: whose watchdog runs on the phone, as :class:`fer_opt.device.phone.settings` names
            it; empty where none does.
    """

    conditions: Conditions
    clock_times: ClockTimes
    guard: str


def read_state(link: Link, cpus: Collection[int], *, dumps: bool = True) -> PhoneState:
    """Read everything in one round trip, which also tells the watchdog that we live.

    Args:
        link: to the phone.
        cpus: whose clocks matter.
        dumps: whether dumpsys is asked as well, which takes 0.1 s: the battery, and temperatures
            where the kernel tells none.

    Raises:
        PhoneError: the phone's answer is cut short.
        LinkLostError: the connection broke.
    """
    arguments = [FOLDER, uuid.uuid4().hex, "yes" if dumps else "no", *map(str, sorted(cpus))]
    finished = link.script(load_script("state"), arguments)
    if not finished.output.rstrip().endswith("state complete"):
        raise PhoneError(
            f"{link.serial} stopped in the middle of telling its state (status {finished.status}); "
            "try again."
        )
    return parse_state(finished.output)


def read_conditions(link: Link, cpus: Collection[int]) -> Conditions:
    """The conditions alone; see :func:`read_state`."""
    return read_state(link, cpus).conditions


def read_clock_residency(link: Link, cpus: Collection[int]) -> ClockTimes:
    """The clock times alone; see :func:`read_state`."""
    return read_state(link, cpus).clock_times


def parse_state(output: str) -> PhoneState:
    """The state from what ``scripts/state.sh`` printed; what is missing is None. Pure."""
    output = output.replace("\r\n", "\n")
    clocks = [value for _, value in _numbers(output, "clock")]
    limits = [value for _, value in _numbers(output, "limit")]
    load = re.search(r"^load (\d{1,6}\.\d{1,4}) ", output, re.MULTILINE)
    guard = re.search(r"^guard (\S+)$", output, re.MULTILINE)
    sections = split_sections(output)
    battery = parse_battery(sections.get("battery", MISSING).text)
    service, _ = parse_thermalservice(sections.get("thermalservice", MISSING).text)
    zones = re.findall(r"^zone (-?\d+)(?: (.*))?$", output, re.MULTILINE)
    kernel = zone_temperatures(
        {str(place): (kind.strip(), value) for place, (value, kind) in enumerate(zones)}
    )
    return PhoneState(
        conditions=Conditions(
            load_1m=float(load[1]) if load else None,
            cpu_mhz=round(sum(clocks) / len(clocks) / 1000, 3) if clocks else None,
            temperature_c=max([*kernel.values(), *service.values()], default=None),
            limit_mhz=min(limits) / 1000 if limits else None,
            battery_percent=battery.percent,
            battery_c=battery.temperature_c,
        ),
        clock_times=_clock_times(output),
        guard=guard[1] if guard else "",
    )


def clock_difference_s(before: ClockTimes, after: ClockTimes) -> dict[str, float]:
    """Seconds spent at each clock between two readings, summed over cores.

    Returns:
        By clock in MHz, as text; clocks that were not used are left out. Empty where a core tells
        nothing in one of the readings, or its counters ran backwards: they start anew when a core
        was switched off, and a part would look like the whole.
    """
    if not before or before.keys() != after.keys():
        return {}
    units: dict[int, int] = {}
    for cpu, later in after.items():
        earlier = before[cpu]
        if earlier.keys() != later.keys():
            return {}
        for khz, count in later.items():
            spent = count - earlier[khz]
            if spent < 0:
                return {}
            units[khz] = units.get(khz, 0) + spent
    return {f"{khz / 1000:g}": count / 100 for khz, count in sorted(units.items()) if count}


def _numbers(output: str, name: str) -> list[tuple[int, int]]:
    """Pairs of core and positive number from lines ``NAME CORE NUMBER``."""
    rows = re.findall(rf"^{name} (\d{{1,4}}) (\d{{1,9}})\s*$", output, re.MULTILINE)
    return [(int(cpu), int(value)) for cpu, value in rows if int(value) > 0]


def _clock_times(output: str) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    for row in re.findall(r"^time (\d{1,4}) (\d{1,9}) (\d{1,18})\s*$", output, re.MULTILINE):
        cpu, khz, count = map(int, row)
        found.setdefault(cpu, {})[khz] = count
    return found
