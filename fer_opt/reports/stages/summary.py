"""A run of the five stages seen the way a reader asks: what a photo costs, and where.

What an emulator timed is dropped here, so that no rendering can show it by mistake.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from fer_opt.device.stage_timing import PipelineTimes, StagesRun
from fer_opt.reports.stages.figures import PhaseSummary, summarise_phase
from fer_opt.reports.stages.photos import Phase, photo_times, unusable
from fer_opt.reports.stages.verdict import Outcome
from fer_opt.reports.statistics import MedianInterval, median_interval

__all__ = ["PipelineSummary", "StagesSummary", "speed_up", "summarise_stages"]

TITLES = {"thesis": "the thesis’s way", "faster": "the faster way"}


@dataclass(frozen=True, slots=True)
class PipelineSummary:
    """One pipeline on one device.

    Attributes:
        pipeline: its passes, and how it carries out each stage.
        title: what sentences call it.
        warm: every pass but the first of each process; None without any.
        cold: the first pass of each process; None without any.
    """

    pipeline: PipelineTimes
    title: str
    warm: PhaseSummary | None
    cold: PhaseSummary | None

    @property
    def timed(self) -> bool:
        """Whether it has any times."""
        return self.warm is not None or self.cold is not None

    @property
    def main(self) -> PhaseSummary:
        """What tables, verdicts and pictures show: warm passes, or cold ones without any warm.

        Raises:
            ValueError: nothing was timed.
        """
        found = self.warm or self.cold
        if found is None:
            raise ValueError(f"{self.name} has no times")
        return found

    @property
    def heading(self) -> str:
        """Its title at the beginning of a sentence."""
        return f"{self.title[:1].upper()}{self.title[1:]}"

    @property
    def name(self) -> str:
        """As the record has it."""
        return self.pipeline.name

    @property
    def outcome(self) -> Outcome:
        """The verdict on a photo's total: the worse of that of photos with one face and of any.

        Raises:
            ValueError: nothing was timed.
        """
        found = {self.main.total.verdict.outcome, self.main.any_photo.verdict.outcome}
        worst: tuple[Outcome, ...] = ("fail", "open", "pass")
        return next(one for one in worst if one in found)


@dataclass(frozen=True, slots=True)
class StagesSummary:
    """One device's run.

    Attributes:
        run: it.
        number: of the run in its record, counted from 1.
        target_ms: the budget for one photo.
        pipelines: the thesis's way first.
        problem: why its times cannot be summarised, a sentence; empty where they can.
    """

    run: StagesRun
    number: int
    target_ms: float
    pipelines: tuple[PipelineSummary, ...]
    problem: str

    @property
    def kind(self) -> str:
        """``host``, ``phone``, ``virtual`` or ``emulated``."""
        return self.run.device.kind

    @property
    def emulated(self) -> bool:
        """Whether its times mean nothing at all."""
        return self.kind == "emulated"

    @property
    def judged(self) -> bool:
        """Whether its times are those of the machine it names, and so may be held to the budget."""
        return self.kind in ("host", "phone")

    @property
    def timed(self) -> tuple[PipelineSummary, ...]:
        """The pipelines that have times."""
        return tuple(one for one in self.pipelines if one.timed)

    @property
    def best(self) -> PipelineSummary | None:
        """The pipeline with the smallest median, complete ones before those that lack a stage."""

        def cost(one: PipelineSummary) -> tuple[bool, float]:
            total = one.main.total
            return total.verdict.at_least, total.median_ms

        return min(self.timed, key=cost, default=None)


def summarise_stages(runs: Iterable[StagesRun], target_ms: float) -> tuple[StagesSummary, ...]:
    """Summarise each run; a run whose times are unusable has none, and says why."""
    return tuple(_summarise(run, target_ms, index + 1) for index, run in enumerate(runs))


def _summarise(run: StagesRun, target_ms: float, number: int) -> StagesSummary:
    hidden = run.device.kind == "emulated"
    problem = "" if hidden else unusable(run.pipelines)

    def phase(pipeline: PipelineTimes, which: Phase) -> PhaseSummary | None:
        if hidden or problem:
            return None
        photos = photo_times(pipeline, run.photos, which)
        return summarise_phase(pipeline.ways, photos, which, target_ms)

    pipelines = tuple(
        PipelineSummary(
            pipeline=one,
            title=TITLES.get(one.name, one.name),
            warm=phase(one, "warm"),
            cold=phase(one, "cold"),
        )
        for one in run.pipelines
    )
    return StagesSummary(run, number, target_ms, pipelines, problem)


def speed_up(reference: PhaseSummary, candidate: PhaseSummary) -> MedianInterval | None:
    """How many times as long the reference takes, photo by photo: the median over photos.

    Photos that lack a stage in either pipeline are left out, because their totals are not of the
    same work.

    Returns:
        The median of the ratios with its interval; None without a photo in common.
    """
    base = {one.photo: one for one in reference.photos}
    logs = [
        math.log(base[one.photo].total_ms / one.total_ms)
        for one in candidate.photos
        if one.photo in base
        and not (one.lacks or base[one.photo].lacks)
        and one.total_ms > 0
        and base[one.photo].total_ms > 0
    ]
    if not logs:
        return None
    found = median_interval(logs)
    return MedianInterval(
        math.exp(found.median), math.exp(found.low), math.exp(found.high),
        found.confidence, found.size,
    )  # fmt: skip
