"""What to change first: the stage that eats the budget, and what a faster way of it saves."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from fer_opt.device.stage_timing import STAGES, PipelineTimes
from fer_opt.reports.stages.figures import StageRow
from fer_opt.reports.stages.photos import PhotoTimes
from fer_opt.reports.stages.summary import PipelineSummary, StagesSummary

__all__ = ["WAYS_TO_TRY", "Change", "Faster", "change_first"]

WAYS_TO_TRY = {
    "bitmap": "decode at a scale (JPEG’s own 1/2, 1/4 or 1/8), as small as detection and the crop "
    "allow",
    "detect": "seek in a smaller image or larger faces only, or detect with a small network such "
    "as BlazeFace (any TFLite detector)",
    "resize": "fuse it into the classifier’s graph",
    "grey": "fuse it into the classifier’s graph, where the scaling of an int8 model costs nothing",
    "classify": "an int8 variant, or an int8 variant with channels removed",
}


@dataclass(frozen=True, slots=True)
class Faster:
    """What another pipeline of the same run needs for the same work.

    Attributes:
        pipeline: what sentences call it.
        stages: that are compared together, because a fused stage has no time of its own.
        ways: how the other pipeline carries them out.
        before_ms: mean over the photos both timed.
        after_ms: the same of the other pipeline.
        photos: both timed.
    """

    pipeline: str
    stages: tuple[str, ...]
    ways: tuple[str, ...]
    before_ms: float
    after_ms: float
    photos: int

    @property
    def saved_ms(self) -> float:
        """Per photo, on average; negative where the other way is slower."""
        return self.before_ms - self.after_ms


@dataclass(frozen=True, slots=True)
class Change:
    """Where one pipeline loses the most.

    Attributes:
        pipeline: what sentences call it.
        row: the stage with the largest share.
        faster: the best other way measured in the same run; None where there is none faster.
        to_try: which way to try where none was measured.
        lacks: stages that were not timed, and may take more.
    """

    pipeline: str
    row: StageRow
    faster: Faster | None
    to_try: str
    lacks: tuple[str, ...]


def change_first(summary: StagesSummary) -> tuple[Change, ...]:
    """For the thesis's way and, where another is faster, for that: what to change first."""
    timed = summary.timed
    if not timed:
        return ()
    wanted = dict.fromkeys((0, timed.index(summary.best) if summary.best else 0))
    return tuple(found for place in wanted if (found := _change(timed[place], timed)) is not None)


def _change(own: PipelineSummary, all_: Sequence[PipelineSummary]) -> Change | None:
    row = own.main.largest
    if row is None:
        return None
    stage = row.way.stage
    found = [
        one
        for other in all_
        if other is not own and (one := _faster(own, other, stage)) and one.saved_ms > 0
    ]
    best = max(found, key=lambda one: one.saved_ms, default=None)
    return Change(own.title, row, best, "" if best else WAYS_TO_TRY[stage], own.main.lacks)


def _faster(own: PipelineSummary, other: PipelineSummary, stage: str) -> Faster | None:
    if own.main.phase != other.main.phase:
        return None
    stages = _together(stage, own.pipeline, other.pipeline)
    before, after = _spent(own.main.photos, stages), _spent(other.main.photos, stages)
    both = [photo for photo in before if photo in after]
    if not both or _done(own.pipeline, stages) == _done(other.pipeline, stages):
        return None
    return Faster(
        pipeline=other.title,
        stages=stages,
        ways=_done(other.pipeline, stages),
        before_ms=statistics.fmean(before[photo] for photo in both),
        after_ms=statistics.fmean(after[photo] for photo in both),
        photos=len(both),
    )


def _together(stage: str, *pipelines: PipelineTimes) -> tuple[str, ...]:
    """The stages that must be compared as one, because some pipeline fuses them."""
    found: set[str] = set()
    grown = {stage}
    while grown != found:
        found = set(grown)
        for pipeline in pipelines:
            hosts = {way.stage: way.within or way.stage for way in pipeline.ways}
            wanted = {hosts.get(one, one) for one in grown}
            grown |= {one for one, host in hosts.items() if host in wanted}
    return tuple(one for one in STAGES if one in found)


def _done(pipeline: PipelineTimes, stages: Sequence[str]) -> tuple[str, ...]:
    return tuple(way.way for way in pipeline.ways if way.stage in stages)


def _spent(photos: Sequence[PhotoTimes], stages: Sequence[str]) -> dict[str, float]:
    """Time in those stages, of each photo that has any and lacks none of them."""
    return {
        one.photo: sum(one.stages_ms.get(stage, 0.0) for stage in stages)
        for one in photos
        if any(stage in one.stages_ms for stage in stages)
        and not any(stage in one.lacks for stage in stages)
    }
