"""A phone's state around processes, read no more often than it has news."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection

from fer_opt.device.adb.link import Link
from fer_opt.device.phone.conditions import PhoneState, read_state

__all__ = ["States"]

FRESH_S = 0.5
"""Age of a state that may stand for the present one, between two processes."""

DUMPED_S = 10.0
"""Age of a battery's values, and of temperatures from dumpsys, that may stand for the present."""


class States:
    """Reads the phone's state; what was read just after a process is the next one's before.

    The battery, which Android itself hears of every few seconds at best, and temperatures that the
    kernel does not tell are read less often: dumpsys takes a slow phone 0.1 s.
    """

    def __init__(self) -> None:
        self._latest: PhoneState | None = None
        self._read_at_s = 0.0
        self._dumped: PhoneState | None = None
        self._dumped_at_s = 0.0

    def before(self, link: Link, cpus: Collection[int]) -> PhoneState:
        """The state now, or a moment ago."""
        latest = self._latest
        if latest is None or time.monotonic() - self._read_at_s > FRESH_S:
            latest = self._read(link, cpus)
        self.forget()
        return latest

    def after(self, link: Link, cpus: Collection[int]) -> PhoneState:
        """The state now."""
        self._latest, self._read_at_s = self._read(link, cpus), time.monotonic()
        return self._latest

    def forget(self) -> None:
        """Something has happened since."""
        self._latest = None

    def _read(self, link: Link, cpus: Collection[int]) -> PhoneState:
        if self._dumped is None or time.monotonic() - self._dumped_at_s > DUMPED_S:
            self._dumped, self._dumped_at_s = read_state(link, cpus), time.monotonic()
            return self._dumped
        state, known = read_state(link, cpus, dumps=False), self._dumped.conditions
        conditions = dataclasses.replace(
            state.conditions, battery_percent=known.battery_percent, battery_c=known.battery_c
        )
        if conditions.temperature_c is None:
            conditions = dataclasses.replace(conditions, temperature_c=known.temperature_c)
        return dataclasses.replace(state, conditions=conditions)
