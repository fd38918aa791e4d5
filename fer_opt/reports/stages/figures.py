"""One stage, or a whole photo, over all photos: the numbers of a row of Table 8."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from fer_opt.device.stage_timing import STAGES, StageWay
from fer_opt.reports.stages.photos import Phase, PhotoTimes
from fer_opt.reports.stages.verdict import Verdict, judge

__all__ = ["Figures", "PhaseSummary", "StageRow", "figures_of", "summarise_phase"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Times over photos, one datum for each.

    Attributes:
        photos: number of them.
        mean_ms: as in Table 8.
        sd_ms: standard deviation over photos (n - 1), as in Table 8; None for a single photo.
        median_ms: the middle.
        p90_ms: 90th percentile, between the two nearest photos.
        p95_ms: 95th percentile, likewise.
        max_ms: the slowest photo.
        verdict: on the 95th percentile.
    """

    photos: int
    mean_ms: float
    sd_ms: float | None
    median_ms: float
    p90_ms: float
    p95_ms: float
    max_ms: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage of a pipeline.

    Attributes:
        way: how it is carried out.
        figures: over the photos that went through it; None where none has a time of it.
        share: of the timed part of a photo with one face (of any photo where none has one); None
            without times.
    """

    way: StageWay
    figures: Figures | None
    share: float | None

    @property
    def apart(self) -> bool:
        """Whether it was not timed photo by photo, and every photo has the same time of it.

        ``benchmark_model`` times a network on a few inputs; a network's work does not depend on
        them, so each photo is given the process's time. Such times tell nothing over photos.
        """
        one_time = self.figures is not None and not self.figures.sd_ms
        return self.way.runner == "benchmark_model" and one_time


@dataclass(frozen=True, slots=True)
class PhaseSummary:
    """One pipeline's passes of one phase.

    Attributes:
        phase: warm or cold.
        photos: each photo's times.
        stages: in the order a photo goes through them.
        one_face: totals of photos with one face, which go through every stage, as the thesis's
            total does; None without any.
        any_photo: totals of all photos.
    """

    phase: Phase
    photos: tuple[PhotoTimes, ...]
    stages: tuple[StageRow, ...]
    one_face: Figures | None
    any_photo: Figures

    @property
    def total(self) -> Figures:
        """The one that stands for the phase: of photos with one face, else of any."""
        return self.one_face or self.any_photo

    @property
    def classified(self) -> tuple[PhotoTimes, ...]:
        """The photos with one face; all where none has one."""
        return tuple(one for one in self.photos if one.faces == 1) or self.photos

    @property
    def lacks(self) -> tuple[str, ...]:
        """Stages that some photo goes through and that were not timed."""
        found = {stage for one in self.photos for stage in one.lacks}
        return tuple(stage for stage in STAGES if stage in found)

    @property
    def apart(self) -> tuple[str, ...]:
        """Stages that were not timed photo by photo, see :attr:`StageRow.apart`."""
        return tuple(row.way.stage for row in self.stages if row.apart)

    @property
    def largest(self) -> StageRow | None:
        """The stage with the largest share; None where no stage has a time."""
        timed = [(row.share, row) for row in self.stages if row.share is not None]
        return max(timed, key=lambda pair: pair[0])[1] if timed else None


def figures_of(
    times_ms: Sequence[float], target_ms: float, *, at_least: bool = False
) -> Figures | None:
    """The numbers of a row; None without times."""
    if not times_ms:
        return None
    import numpy as np

    p90_ms, p95_ms = (float(value) for value in np.percentile(times_ms, (90, 95)))
    return Figures(
        photos=len(times_ms),
        mean_ms=math.fsum(times_ms) / len(times_ms),
        sd_ms=statistics.stdev(times_ms) if len(times_ms) > 1 else None,
        median_ms=statistics.median(times_ms),
        p90_ms=p90_ms,
        p95_ms=p95_ms,
        max_ms=max(times_ms),
        verdict=judge(times_ms, target_ms, at_least=at_least),
    )


def summarise_phase(
    ways: Sequence[StageWay], photos: tuple[PhotoTimes, ...], phase: Phase, target_ms: float
) -> PhaseSummary | None:
    """Put photos' times into rows; None without photos."""
    any_photo = _totals(photos, target_ms)
    if any_photo is None:
        return None
    classified = [one for one in photos if one.faces == 1] or list(photos)
    whole_ms = math.fsum(one.total_ms for one in classified)

    def row(way: StageWay) -> StageRow:
        times = [one.stages_ms[way.stage] for one in photos if way.stage in one.stages_ms]
        spent_ms = math.fsum(one.stages_ms.get(way.stage, 0.0) for one in classified)
        share = spent_ms / whole_ms if times and whole_ms else None
        return StageRow(way, figures_of(times, target_ms), share)

    return PhaseSummary(
        phase=phase,
        photos=photos,
        stages=tuple(map(row, ways)),
        one_face=_totals([one for one in photos if one.faces == 1], target_ms),
        any_photo=any_photo,
    )


def _totals(photos: Sequence[PhotoTimes], target_ms: float) -> Figures | None:
    return figures_of(
        [one.total_ms for one in photos],
        target_ms,
        at_least=any(one.lacks for one in photos),
    )
