"""What a virtual phone claims to be, as data."""

from __future__ import annotations

import platform
import tomllib
from dataclasses import field
from pathlib import Path

import psutil
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from fer_opt.errors import PhoneError

__all__ = ["Battery", "Cluster", "Profile", "ThermalZone", "load_profile", "profile_names"]

STRICT = ConfigDict(extra="forbid")
FOLDER = Path(__file__).with_name("profiles")
ABIS = {
    "x86_64": ("x86_64", "x86"),
    "aarch64": ("arm64-v8a", "armeabi-v7a", "armeabi"),
    "arm64": ("arm64-v8a",),
}
USUAL_KHZ = 2_000_000  # of a computer that does not tell its clock


@dataclass(frozen=True, slots=True, config=STRICT)
class Cluster:
    """Cores that share a clock.

    Attributes:
        cores: their numbers.
        clocks_khz: those there are, rising.
        limit_khz: the highest allowed.
        governor: that chooses.
        part: the core's part number, as in /proc/cpuinfo.
    """

    cores: tuple[int, ...]
    clocks_khz: tuple[int, ...]
    limit_khz: int
    governor: str
    part: str = ""


@dataclass(frozen=True, slots=True, config=STRICT)
class ThermalZone:
    """A sensor: its name, its reading at rest, and how many of its units make a degree."""

    type: str
    temperature_c: float
    unit: int


@dataclass(frozen=True, slots=True, config=STRICT)
class Battery:
    """The battery's charge, temperature and voltage."""

    percent: int
    temperature_c: float
    voltage_mv: int


@dataclass(frozen=True, slots=True, config=STRICT)
class Profile:
    """Everything that is fixed about a virtual phone.

    Attributes:
        title: what a person would call it.
        release: of Android, as text.
        sdk: its API level, which decides which tools and services there are.
        kernel: its release.
        machine: what ``uname -m`` says; empty means this computer's.
        abilist: ABIs of its userland, best first; empty means this computer's.
        features: of its ADB daemon; all of them are really there.
        memory_kb: of RAM; 0 means this computer's.
        storage_kb: of /data.
        storage_free_kb: of that, at start.
        throttled_c: temperature of its processor while throttled, in degrees Celsius.
        properties: of the build, for getprop.
        clusters: of cores; none means this computer's, all alike.
        thermal: sensors.
        battery: at start.
    """

    title: str
    release: str
    sdk: int
    kernel: str
    machine: str
    abilist: tuple[str, ...]
    features: tuple[str, ...]
    memory_kb: int
    storage_kb: int
    storage_free_kb: int
    throttled_c: float
    properties: dict[str, str]
    battery: Battery
    thermal: tuple[ThermalZone, ...] = ()
    clusters: tuple[Cluster, ...] = field(default=())

    @property
    def cores(self) -> int:
        """How many there are."""
        return sum(len(cluster.cores) for cluster in self.clusters)


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that ship with fer-opt."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_profile(name: str) -> Profile:
    """A profile by its name, what it leaves to this computer filled in.

    Raises:
        PhoneError: there is none of that name.
    """
    if name not in profile_names():
        raise PhoneError(
            f"there is no virtual phone {name!r}; choose one of {', '.join(profile_names())}."
        )
    return read_profile((FOLDER / f"{name}.toml").read_text("utf-8"), name)


def read_profile(text: str, name: str) -> Profile:
    """A profile from its TOML text.

    Raises:
        PhoneError: it is not a profile.
    """
    try:
        values = tomllib.loads(text)
        machine = platform.machine()
        values["machine"] = values["machine"] or machine
        values["abilist"] = values["abilist"] or ABIS.get(machine, (machine,))
        values["memory_kb"] = values["memory_kb"] or psutil.virtual_memory().total // 1024
        values.setdefault("clusters", (_computer_cluster(),))
        return TypeAdapter(Profile).validate_python(values)
    except (tomllib.TOMLDecodeError, KeyError, ValidationError) as exc:
        raise PhoneError(f"the virtual phone's profile {name} cannot be read ({exc}).") from exc


def _computer_cluster() -> Cluster:
    cores = psutil.cpu_count() or 1
    try:
        clock = psutil.cpu_freq()
        highest_khz = int((clock.max or clock.current) * 1000) if clock else 0
    except (AttributeError, NotImplementedError, OSError, RuntimeError):
        highest_khz = 0
    highest_khz = highest_khz or USUAL_KHZ
    clocks = tuple(highest_khz * step // 4 for step in (1, 2, 3, 4))
    return Cluster(tuple(range(cores)), clocks, highest_khz, "schedutil")
