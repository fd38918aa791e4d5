"""What a phone is, as far as it tells: plain data, and what follows from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

__all__ = ["Battery", "Core", "PhoneFacts", "clusters", "fingerprint"]


@dataclass(frozen=True, slots=True)
class Core:
    """One CPU core; clocks in kHz as the kernel gives them, None where it does not.

    Attributes:
        number: from 0, as in an affinity mask.
        online: whether the kernel uses it at the moment; a phone at rest switches cores off.
        max_khz: the hardware's highest clock.
        min_khz: the hardware's lowest clock.
        limit_khz: the highest clock allowed at the moment; heat and power modes lower it.
        floor_khz: the lowest clock allowed at the moment.
        governor: that chooses the clock; empty where unknown.
    """

    number: int
    online: bool
    max_khz: int | None = None
    min_khz: int | None = None
    limit_khz: int | None = None
    floor_khz: int | None = None
    governor: str = ""


@dataclass(frozen=True, slots=True)
class Battery:
    """The battery as ``dumpsys battery`` tells; None or empty where it does not.

    Attributes:
        percent: charge, 0 to 100.
        status: ``charging``, ``discharging``, ``not charging``, ``full`` or ``unknown``.
        plugged: what feeds it: ``AC``, ``USB``, ``wireless``, ``dock``.
        temperature_c: in degrees Celsius.
        pretended: whether somebody froze these values with ``dumpsys battery set``.
    """

    percent: int | None = None
    status: str = ""
    plugged: tuple[str, ...] = ()
    temperature_c: float | None = None
    pretended: bool = False


@dataclass(frozen=True, slots=True)
class PhoneFacts:
    """A phone's facts; what could not be read is None or empty, and named in ``unread``.

    Attributes:
        phone: the first 12 hex digits of the SHA-256 of its serial number.
        serial_end: the serial number's last four characters, all that is kept of it.
        model: e.g. ``SM-J330F``.
        brand: the maker, e.g. ``samsung``.
        device: its code name, e.g. ``j3y17lte``.
        soc: the processor's name, e.g. ``exynos7570``.
        platform: ``ro.board.platform``.
        hardware: ``ro.hardware``.
        build: the build's fingerprint.
        android: release, e.g. ``7.0``.
        sdk: API level, e.g. 24.
        abis: it runs, best first, e.g. ``armeabi-v7a``.
        virtual: machine of the computer that pretends to be this phone; empty for a real one.
        cores: in order of their numbers.
        core_designs: e.g. ``Cortex-A53``, sorted, each once.
        instruction_sets: those that matter to inference, e.g. ``asimddp`` (dot product).
        memory_bytes: of RAM.
        available_bytes: of RAM that programs can still get.
        free_bytes: of storage where fer-opt's files go.
        battery: its state.
        thermal_c: degrees Celsius by sensor.
        thermal_status: Android's throttling status, 0 (none) to 6 (shutdown); from Android 10.
        screen_on: whether the screen is lit.
        low_power: whether battery saver is on.
        stay_awake: ``stay_on_while_plugged_in``: 1 AC, 2 USB, 4 wireless, 8 dock, added up.
        uptime_s: since it was started.
        boot_id: changes with every start.
        kernel: e.g. ``Linux 3.18.14``.
        unread: what could not be read, by name, and why.
    """

    phone: str
    serial_end: str
    model: str = ""
    brand: str = ""
    device: str = ""
    soc: str = ""
    platform: str = ""
    hardware: str = ""
    build: str = ""
    android: str = ""
    sdk: int | None = None
    abis: tuple[str, ...] = ()
    virtual: str = ""
    cores: tuple[Core, ...] = ()
    core_designs: tuple[str, ...] = ()
    instruction_sets: tuple[str, ...] = ()
    memory_bytes: int | None = None
    available_bytes: int | None = None
    free_bytes: int | None = None
    battery: Battery = field(default_factory=Battery)
    thermal_c: dict[str, float] = field(default_factory=dict)
    thermal_status: int | None = None
    screen_on: bool | None = None
    low_power: bool | None = None
    stay_awake: int | None = None
    uptime_s: float | None = None
    boot_id: str = ""
    kernel: str = ""
    unread: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Maker and model, e.g. ``Samsung SM-J330F``; says so where the phone is virtual."""
        brand = self.brand[:1].upper() + self.brand[1:]
        words = [brand, self.model or "phone"]
        if brand and self.model.lower().startswith(brand.lower()):
            words = [self.model]
        return " ".join(["virtual"] * bool(self.virtual) + [word for word in words if word])

    @property
    def label(self) -> str:
        """What a person would call it, with the end of its serial number."""
        return f"{self.title} (…{self.serial_end})" if self.serial_end else self.title


def clusters(facts: PhoneFacts) -> tuple[tuple[int | None, tuple[int, ...]], ...]:
    """Cores that are alike, fastest first: (highest clock in kHz or None, core numbers).

    A core that is switched off tells no clock; where all others agree, it is taken for one of
    them, otherwise it comes last.
    """
    known = {core.max_khz for core in facts.cores if core.max_khz is not None}
    usual = next(iter(known)) if len(known) == 1 else None
    clock_of = {core.number: core.max_khz or usual for core in facts.cores}
    order = sorted(set(clock_of.values()), key=lambda khz: khz or 0, reverse=True)
    return tuple(
        (khz, tuple(number for number, clock in clock_of.items() if clock == khz)) for khz in order
    )


def fingerprint(facts: PhoneFacts) -> str:
    """SHA-256 of what must agree before two records' times may be compared.

    Processor, build, ABIs, number of cores, the hardware's clocks, governors, and whether it is
    virtual. Neither the serial number (two phones of one model may be compared) nor anything of
    the moment: a core that is switched off tells no clock, so clocks count as a set.
    """
    chosen = {
        "soc": [facts.soc, facts.platform, facts.hardware],
        "build": facts.build,
        "abis": facts.abis,
        "cores": len(facts.cores),
        "clocks_khz": sorted({core.max_khz for core in facts.cores if core.max_khz is not None}),
        "floors_khz": sorted({core.min_khz for core in facts.cores if core.min_khz is not None}),
        "governors": sorted({core.governor for core in facts.cores if core.governor}),
        "virtual": facts.virtual,
    }
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
