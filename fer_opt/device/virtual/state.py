"""What changes on a virtual phone while it runs: settings, battery, boot, heat."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

from fer_opt.device.virtual.faults import Faults
from fer_opt.device.virtual.profile import Profile
from fer_opt.device.virtual.wire import Line

__all__ = ["PhoneState", "new_state"]

# What a phone fresh out of the box has, as far as a bench may touch it.
FIRST_SETTINGS: dict[str, dict[str, str]] = {
    "global": {"stay_on_while_plugged_in": "0", "low_power": "0", "adb_enabled": "1",
               "wifi_sleep_policy": "2", "animator_duration_scale": "1.0"},
    "system": {"screen_off_timeout": "30000", "screen_brightness": "120",
               "screen_brightness_mode": "1"},
    "secure": {"adb_port": "-1"},
}  # fmt: skip


@dataclass(slots=True)
class PhoneState:
    """Everything about the phone that can change; the services answer from it.

    Attributes:
        profile: what does not change.
        serial: the phone's serial number.
        line: its connections, with the faults in force.
        settings: of Android: namespace -> key -> value.
        screen_on: whether the screen is lit.
        battery: what ``dumpsys battery set`` has overridden, by key.
        thermal_status: what ``cmd thermalservice override-status`` set; None for the real one.
        boot_id: new with every boot.
        booted_at: monotonic seconds.
        clock_ticks: hundredths of a second spent at each clock, by cluster and kHz.
        ticked_at: monotonic seconds up to which they are counted.
        pushed_bytes: written by pushes since the phone started.
        pushed_since_faults: since the faults were set.
        used_when_set: bytes in ``/data/local/tmp`` when the faults were set.
        reboots: how often it rebooted.
        rebooting: whether it has been told to reboot.
    """

    profile: Profile
    serial: str
    line: Line
    settings: dict[str, dict[str, str]]
    properties: dict[str, str]
    screen_on: bool = True
    battery: dict[str, str] = field(default_factory=dict)
    thermal_status: int | None = None
    boot_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    booted_at: float = field(default_factory=time.monotonic)
    clock_ticks: dict[tuple[int, int], float] = field(default_factory=dict)
    ticked_at: float = field(default_factory=time.monotonic)
    pushed_bytes: int = 0
    pushed_since_faults: int = 0
    used_when_set: int = 0
    reboots: int = 0
    rebooting: bool = False

    @property
    def faults(self) -> Faults:
        """Those in force."""
        return self.line.faults

    @property
    def throttled(self) -> bool:
        """Whether it runs below its full speed."""
        return self.faults.speed < 1

    @property
    def battery_percent(self) -> int:
        """Charge of the battery."""
        asked = self.faults.battery_percent
        return self.profile.battery.percent if asked is None else asked

    @property
    def battery_c(self) -> float:
        """Temperature of the battery in degrees Celsius."""
        asked = self.faults.battery_c
        return self.profile.battery.temperature_c if asked is None else asked

    def temperatures(self) -> dict[str, float]:
        """Degrees Celsius by sensor."""
        hot = self.profile.throttled_c
        return {
            zone.type: self.battery_c if zone.type == "battery"
            else hot if self.throttled else zone.temperature_c
            for zone in self.profile.thermal
        }  # fmt: skip

    def free_bytes(self, used_bytes: int) -> int:
        """What df tells is left for files.

        Args:
            used_bytes: by the files of ``/data/local/tmp`` now.
        """
        free = self.profile.storage_free_kb * 1024 - used_bytes
        if self.faults.free_bytes is not None:
            free = min(free, self.faults.free_bytes + self.used_when_set - used_bytes)
        if self.faults.full_after_bytes is not None and not self.room_bytes(used_bytes, free):
            free = 0
        return max(0, free)

    def room_bytes(self, used_bytes: int, free_bytes: int | None = None) -> int:
        """How much a push may still write: what is free, less what turns out not to be."""
        room = self.free_bytes(used_bytes) if free_bytes is None else free_bytes
        if self.faults.full_after_bytes is not None:
            room = min(room, self.faults.full_after_bytes - self.pushed_since_faults)
        return max(0, room)

    @property
    def uptime_s(self) -> float:
        """Seconds since it booted."""
        return time.monotonic() - self.booted_at

    def clock_khz(self, cluster_index: int) -> int:
        """The clock of a cluster now: full, or what throttling leaves of it."""
        cluster = self.profile.clusters[cluster_index]
        wanted = cluster.limit_khz * min(1.0, self.faults.speed)
        return max((clock for clock in cluster.clocks_khz if clock <= wanted),
                   default=cluster.clocks_khz[0])  # fmt: skip

    def tick(self) -> None:
        """Count the time since the last tick to the clocks it was spent at."""
        now = time.monotonic()
        for index in range(len(self.profile.clusters)):
            key = (index, self.clock_khz(index))
            self.clock_ticks[key] = self.clock_ticks.get(key, 0) + (now - self.ticked_at) * 100
        self.ticked_at = now

    def boot(self) -> None:
        """Begin anew: what a reboot does not keep is forgotten."""
        self.boot_id = str(uuid.uuid4())
        self.booted_at = self.ticked_at = time.monotonic()
        self.clock_ticks.clear()
        self.battery.clear()
        self.thermal_status = None
        self.screen_on = True
        self.reboots += 1


def new_state(profile: Profile, serial: str, line: Line, machine: str) -> PhoneState:
    """A phone that has just been switched on.

    Args:
        profile: which phone.
        serial: its serial number.
        line: its connections.
        machine: of the computer, told as ``ro.fer_opt.virtual``.
    """
    settings = {namespace: dict(values) for namespace, values in FIRST_SETTINGS.items()}
    return PhoneState(profile, serial, line, settings, _properties(profile, serial, machine))


def _properties(profile: Profile, serial: str, machine: str) -> dict[str, str]:
    return {
        **profile.properties,
        "ro.build.version.release": profile.release,
        "ro.build.version.sdk": str(profile.sdk),
        "ro.product.cpu.abi": profile.abilist[0],
        "ro.product.cpu.abilist": ",".join(profile.abilist),
        "ro.product.cpu.abilist32": ",".join(abi for abi in profile.abilist if "64" not in abi),
        "ro.product.cpu.abilist64": ",".join(abi for abi in profile.abilist if "64" in abi),
        "ro.serialno": serial,
        "ro.boot.serialno": serial,
        "ro.debuggable": "0",
        "ro.secure": "1",
        "ro.adb.secure": "1",
        "ro.fer_opt.virtual": machine,
        "sys.boot_completed": "1",
        "init.svc.adbd": "running",
        "dev.bootcomplete": "1",
    }
