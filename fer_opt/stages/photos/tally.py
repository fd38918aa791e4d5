"""What a heap of results comes to: how many of what, how long each stage took."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass

import numpy as np

from fer_opt.device.stage_timing import STAGES
from fer_opt.stages.photos.naming import filed_under
from fer_opt.stages.result import PhotoResult

__all__ = ["StageSummary", "Tally"]

NAMED = 5
"""Unreadable photos that are named; the files hold them all."""


@dataclass(frozen=True, slots=True)
class StageSummary:
    """Times of one stage, or of ``total``, over the photos that went through it.

    Attributes:
        stage: its name.
        photos: that went through it.
        mean_ms: arithmetic mean.
        sd_ms: standard deviation of the sample; None of a single photo.
        median_ms: the middle.
        p95_ms: 95 % of the photos took no longer.
        max_ms: the longest.
    """

    stage: str
    photos: int
    mean_ms: float
    sd_ms: float | None
    median_ms: float
    p95_ms: float
    max_ms: float


class Tally:
    """Counts results as they come; keeps eight bytes for each time, and no results."""

    def __init__(self) -> None:
        self.labels: Counter[str] = Counter()
        self.unreadable: list[PhotoResult] = []
        self._times = {stage: array("d") for stage in (*STAGES, "total")}

    @property
    def photos(self) -> int:
        """Number of results."""
        return self.labels.total()

    def add(self, result: PhotoResult) -> None:
        """Count one more."""
        self.labels[filed_under(result)] += 1
        if result.outcome == "unreadable":
            if len(self.unreadable) < NAMED:
                self.unreadable.append(result)
            return
        for stage, ms in result.stages_ms.items():
            self._times[stage].append(ms)
        self._times["total"].append(result.total_ms)

    def stages(self) -> tuple[StageSummary, ...]:
        """Times of each stage that a photo went through, and of the total, over readable photos."""
        return tuple(_summary(stage, times) for stage, times in self._times.items() if times)


def _summary(stage: str, times: array[float]) -> StageSummary:
    values = np.frombuffer(times)
    return StageSummary(
        stage=stage,
        photos=len(values),
        mean_ms=float(values.mean()),
        sd_ms=float(values.std(ddof=1)) if len(values) > 1 else None,
        median_ms=float(np.median(values)),
        p95_ms=float(np.quantile(values, 0.95)),
        max_ms=float(values.max()),
    )
