"""The state of this computer at one moment, as far as it can be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import psutil

from fer_opt.device.measurement import Conditions

__all__ = ["read_conditions"]

# psutil lacks functions on some systems (AttributeError), and sensors that exist may not answer.
UNREADABLE = (AttributeError, NotImplementedError, OSError, RuntimeError, psutil.Error)


def read_conditions(cpus: Collection[int] = ()) -> Conditions:
    """Load, clock and temperature now; never raises, what cannot be read is None.

    Args:
        cpus: whose clock is averaged; empty means all.
    """
    return Conditions(
        load_1m=_or_none(lambda: psutil.getloadavg()[0]),
        cpu_mhz=_or_none(lambda: _clock_mhz(cpus)),
        temperature_c=_or_none(_hottest_c),
    )


def _or_none(read: Callable[[], float | None]) -> float | None:
    try:
        value = read()
    except UNREADABLE:
        return None
    return round(value, 3) if value is not None and math.isfinite(value) else None


def _clock_mhz(cpus: Collection[int]) -> float | None:
    clocks = psutil.cpu_freq(percpu=True)
    # Some systems report one clock for all CPUs.
    chosen = [clocks[cpu].current for cpu in cpus if cpu < len(clocks)] if len(clocks) > 1 else []
    chosen = [clock for clock in chosen or [one.current for one in clocks] if clock > 0]
    return sum(chosen) / len(chosen) if chosen else None


def _hottest_c() -> float | None:
    sensors = psutil.sensors_temperatures()
    # A sensor that is not wired reads 0 or below.
    readings = [one.current for group in sensors.values() for one in group if one.current > 0]
    return max(readings, default=None)
