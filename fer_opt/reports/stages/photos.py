"""What one pipeline needed for each photo: the datum of every statistic over photos.

The unit is the photo. Passes of one process share its luck, and a process's photos share the
process's, so neither counts as an observation of its own: of one photo, each process counts by the
median of its passes, and the photo by the median of its processes. Every mean, deviation and
percentile is then over photos, as in the thesis's Table 8.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fer_opt.device.stage_timing import STAGES, PhotoPass, PhotoSet, PipelineTimes

__all__ = ["Phase", "PhotoTimes", "largest_gap", "photo_times", "total_of", "unusable"]

Phase = Literal["warm", "cold"]
"""``cold`` is the first pass of a fresh process over the photos, ``warm`` every later one."""


@dataclass(frozen=True, slots=True)
class PhotoTimes:
    """One photo's times in one pipeline, warm or cold.

    Attributes:
        photo: its name.
        faces: number of faces found in it.
        pixels: its width and height; None where unknown.
        stages_ms: of each stage it went through.
        total_ms: of the photo as a whole; the sum of its stages where no clock told it.
        process_totals_ms: the same of each process, in their order.
        lacks: stages it goes through that were not timed; its total is "at least" then.
    """

    photo: str
    faces: int
    pixels: tuple[int, int] | None
    stages_ms: dict[str, float]
    total_ms: float
    process_totals_ms: tuple[float, ...]
    lacks: tuple[str, ...]

    @property
    def megapixels(self) -> float | None:
        """Its size; None where unknown."""
        return self.pixels[0] * self.pixels[1] / 1e6 if self.pixels else None


def photo_times(pipeline: PipelineTimes, photos: PhotoSet, phase: Phase) -> tuple[PhotoTimes, ...]:
    """Each photo's times, in the order the photos first appear; none without passes of ``phase``.

    A photo of which no program timed anything has no datum and is left out. The times must be
    usable, see :func:`unusable`.
    """
    by_photo: dict[str, list[PhotoPass]] = {}
    for one in pipeline.passes:
        timed = one.stages_ms or one.total_ms is not None
        if timed and (one.pass_index == 0) == (phase == "cold"):
            by_photo.setdefault(one.photo, []).append(one)
    inside = {way.stage for way in pipeline.ways if way.within}
    return tuple(
        _of_photo(photo, made, photos.pixels.get(photo), inside) for photo, made in by_photo.items()
    )


def _of_photo(
    photo: str, made: Sequence[PhotoPass], pixels: tuple[int, int] | None, inside: set[str]
) -> PhotoTimes:
    processes: dict[int, list[PhotoPass]] = {}
    for one in made:
        processes.setdefault(one.process_index, []).append(one)
    groups = [processes[index] for index in sorted(processes)]
    stages_ms = _stages(groups)
    clocked = all(one.total_ms is not None for one in made)
    totals = tuple(
        statistics.median(one.total_ms for one in group if one.total_ms is not None)
        if clocked
        else sum(_stages([group]).values())
        for group in groups
    )
    faces = made[0].faces
    through = STAGES if faces == 1 else STAGES[:2]
    return PhotoTimes(
        photo=photo,
        faces=faces,
        pixels=pixels,
        stages_ms=stages_ms,
        total_ms=statistics.median(totals) if clocked else sum(stages_ms.values()),
        process_totals_ms=totals,
        lacks=tuple(s for s in through if s not in inside and s not in stages_ms),
    )


def _stages(groups: Sequence[Sequence[PhotoPass]]) -> dict[str, float]:
    """Each stage's median over processes of the median over a process's passes."""
    found: dict[str, float] = {}
    for stage in STAGES:
        medians = [
            statistics.median(times)
            for group in groups
            if (times := [one.stages_ms[stage] for one in group if stage in one.stages_ms])
        ]
        if medians:
            found[stage] = statistics.median(medians)
    return found


def total_of(one: PhotoPass) -> float:
    """A pass's total: its own clock's, else the sum of its stages."""
    return sum(one.stages_ms.values()) if one.total_ms is None else one.total_ms


def unusable(pipelines: Iterable[PipelineTimes]) -> str:
    """What is wrong with the first time that cannot be one, a sentence; empty where all can."""
    for pipeline in pipelines:
        for one in pipeline.passes:
            strange = [name for name in one.stages_ms if name not in STAGES]
            if strange:
                return f"{one.photo} has a time of an unknown stage, {strange[0]}; measure again."
            if not all(0 <= ms < float("inf") for ms in (*one.stages_ms.values(), total_of(one))):
                return (
                    f"{one.photo}, process {one.process_index}, pass {one.pass_index}: a time is "
                    "no number of milliseconds; measure it again."
                )
    return ""


def largest_gap(pipelines: Iterable[PipelineTimes]) -> tuple[float, float] | None:
    """How far stages are from adding up to the photo's own clock, in shares of it.

    Returns:
        The median pass's and the worst pass's; None where no pass has a clock of its own.
    """
    gaps = [
        abs(sum(one.stages_ms.values()) - one.total_ms) / one.total_ms
        for pipeline in pipelines
        for one in pipeline.passes
        if one.total_ms
    ]
    return (statistics.median(gaps), max(gaps)) if gaps else None
