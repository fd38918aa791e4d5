"""Whether a phone is in a state in which its times would mean something."""

from __future__ import annotations

from fer_opt.device.phone.phone_facts import PhoneFacts
from fer_opt.device.phone.results import PhoneSettings
from fer_opt.errors import PhoneError

__all__ = ["readiness"]

HOT_BATTERY_C = 38.0
"""Charging phones begin to slow down somewhat above this; at rest a battery is below 35."""


def readiness(facts: PhoneFacts, settings: PhoneSettings) -> tuple[str, ...]:
    """Cautions about the phone's state, a sentence each.

    Args:
        facts: of the phone, read just now.
        settings: how it is to be timed; their ``least_battery_percent`` decides.

    Raises:
        PhoneError: its battery is too low to start.
    """
    battery = facts.battery
    least = settings.least_battery_percent
    if battery.percent is not None and battery.percent < least:
        raise PhoneError(
            f"{facts.label} has {battery.percent} % battery, and below {least} % phones slow down "
            "to save it; charge it, or ask for a lower limit."
        )
    slow = [
        core.number
        for core in facts.cores
        if core.limit_khz is not None and core.max_khz is not None and core.limit_khz < core.max_khz
    ]
    offline = [core.number for core in facts.cores if not core.online]
    cautions = {
        "The battery's charge is unknown.": battery.percent is None,
        "The battery's state is frozen by dumpsys battery set; its charge and temperature mean "
        "nothing (adb shell dumpsys battery reset ends that).": battery.pretended,
        f"The battery is hot ({battery.temperature_c} °C); let the phone cool down.": (
            battery.temperature_c is not None and battery.temperature_c > HOT_BATTERY_C
        ),
        "The phone is not plugged in: it may save energy, and does not stay awake.": (
            battery.percent is not None and not battery.plugged
        ),
        "The phone is plugged in and yet discharges.": (
            bool(battery.plugged) and battery.status == "discharging"
        ),
        "Battery saver is on and slows the phone down; switch it off.": facts.low_power is True,
        "The screen is off, when phones clock lower and sleep; switch it on.": (
            facts.screen_on is False
        ),
        f"CPU {_numbers(slow)} may not reach the hardware's clock at the moment.": bool(slow),
        f"CPU {_numbers(offline)} is switched off at the moment.": bool(offline),
        f"Android says that heat slows it down (thermal status {facts.thermal_status}).": (
            facts.thermal_status is not None and facts.thermal_status > 0
        ),
    }
    return tuple(sentence for sentence, applies in cautions.items() if applies)


def _numbers(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
