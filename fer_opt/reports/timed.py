"""What tables and charts of time ask of a row, be it a run's variant or a model on a phone."""

from __future__ import annotations

from typing import Protocol

from fer_opt.device.measurement import Measurement
from fer_opt.reports.statistics import LatencySummary, PairedRatio

__all__ = ["TimedRow"]


class TimedRow(Protocol):
    """Something that may have been timed."""

    @property
    def recipe(self) -> str:
        """Its name in full."""
        ...

    @property
    def short(self) -> str:
        """Its name in charts."""
        ...

    @property
    def flagged(self) -> bool:
        """Whether its name carries a flag."""
        ...

    @property
    def latency(self) -> LatencySummary | None:
        """None while not timed."""
        ...

    @property
    def ratio(self) -> PairedRatio | None:
        """Its time over the reference's; None for the reference itself or without pairs."""
        ...

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Its processes, in the order they ran."""
        ...
