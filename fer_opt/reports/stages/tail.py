"""Why some photos take much longer: which, in which stage, again and again or once, and their size.

The thesis's standard deviation was twice its mean, and it could only say that some images "get
stuck".
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fer_opt.reports.stages.figures import PhaseSummary
from fer_opt.reports.stages.photos import PhotoTimes

__all__ = ["SizeEffect", "Tail", "TailPhoto", "rank_correlation", "tail_of"]

LONG_FROM = 1.5
"""Times the median from which the slowest photo makes a tail long."""

LEAST_FOR_CORRELATION = 8
HOLDS_FROM = 0.5
HOLDS_BELOW_P = 0.01


@dataclass(frozen=True, slots=True)
class TailPhoto:
    """One photo that took longer than nine in ten.

    Attributes:
        times: it.
        ratio: its total over the median photo's.
        stage: in which it exceeds that stage's median the most; empty where in none.
        excess_ms: by how much.
        processes: that timed it.
        again: of them, took longer for it than nine in ten photos take.
    """

    times: PhotoTimes
    ratio: float
    stage: str
    excess_ms: float
    processes: int
    again: int


@dataclass(frozen=True, slots=True)
class SizeEffect:
    """Whether larger photos take longer.

    Attributes:
        stage: whose time it is; empty for the total.
        correlation: Spearman's rank correlation of the time with the number of pixels.
        photos: with both.
        holds: whether it is strong (0.5 or more) and no chance (p < 0.01, t approximation).
    """

    stage: str
    correlation: float
    photos: int
    holds: bool


@dataclass(frozen=True, slots=True)
class Tail:
    """What makes the slowest photos slow.

    Attributes:
        long: whether the slowest photo takes 1.5 times the median or more.
        ratio: of the slowest photo's total to the median.
        spread: standard deviation of the totals over their mean; None for a single photo.
        slowest: photos beyond the 90th percentile, the slowest first.
        stage: in which most of them lose the most; empty without a long tail.
        again: share of processes, over those photos, in which they are as slow; None where a single
            process timed each, which cannot tell the photo from the machine.
        size: whether a photo's size explains that stage's time; None where it cannot be told.
    """

    long: bool
    ratio: float
    spread: float | None
    slowest: tuple[TailPhoto, ...]
    stage: str
    again: float | None
    size: SizeEffect | None


def tail_of(phase: PhaseSummary) -> Tail:
    """Explain the totals of all photos of one phase."""
    figures = phase.any_photo
    medians = {
        row.way.stage: row.figures.median_ms for row in phase.stages if row.figures is not None
    }
    ranked = sorted(phase.photos, key=lambda one: -one.total_ms)
    slowest = tuple(
        _slow(one, figures.median_ms, figures.p90_ms, medians)
        for one in ranked
        if one.total_ms > figures.p90_ms
    )
    ratio = figures.max_ms / figures.median_ms if figures.median_ms else 1.0
    long = ratio >= LONG_FROM
    counted = Counter(one.stage for one in slowest if one.stage)
    stage = counted.most_common(1)[0][0] if long and counted else ""
    return Tail(
        long=long,
        ratio=ratio,
        spread=figures.sd_ms / figures.mean_ms if figures.sd_ms is not None else None,
        slowest=slowest,
        stage=stage,
        again=_again(slowest),
        size=_size_effect(phase.photos, stage),
    )


def _again(slowest: Sequence[TailPhoto]) -> float | None:
    if max((one.processes for one in slowest), default=0) < 2:
        return None
    return sum(one.again for one in slowest) / sum(one.processes for one in slowest)


def _slow(one: PhotoTimes, median_ms: float, p90_ms: float, medians: dict[str, float]) -> TailPhoto:
    excess = {stage: ms - medians[stage] for stage, ms in one.stages_ms.items()}
    stage = max(excess, key=lambda name: excess[name], default="")
    if stage and excess[stage] <= 0:
        stage = ""
    return TailPhoto(
        times=one,
        ratio=one.total_ms / median_ms if median_ms else 1.0,
        stage=stage,
        excess_ms=excess.get(stage, 0.0),
        processes=len(one.process_totals_ms),
        again=sum(total > p90_ms for total in one.process_totals_ms),
    )


def _size_effect(photos: Sequence[PhotoTimes], stage: str) -> SizeEffect | None:
    pairs = [
        (size, one.stages_ms.get(stage, 0.0) if stage else one.total_ms)
        for one in photos
        if (size := one.megapixels) is not None and (not stage or stage in one.stages_ms)
    ]
    if len(pairs) < LEAST_FOR_CORRELATION:
        return None
    sizes, times = zip(*pairs, strict=True)
    correlation = rank_correlation(sizes, times)
    if correlation is None:
        return None
    return SizeEffect(
        stage=stage,
        correlation=correlation,
        photos=len(pairs),
        holds=correlation >= HOLDS_FROM and _chance(correlation, len(pairs)) < HOLDS_BELOW_P,
    )


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Spearman's: Pearson's correlation of the ranks, ties sharing theirs.

    Returns:
        None where all values of one side are equal, or fewer than two are given.
    """
    if len(a) < 2 or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    return statistics.correlation(_ranks(a), _ranks(b))


def _ranks(values: Sequence[float]) -> list[float]:
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values)):
        places.setdefault(value, []).append(place)
    return [statistics.fmean(places[value]) for value in values]


def _chance(correlation: float, size: int) -> float:
    """Two-sided p of Spearman's correlation: t with n - 2 degrees of freedom (Conover, 5.4)."""
    from scipy.special import stdtr

    if abs(correlation) >= 1:
        return 0.0
    t = correlation * math.sqrt((size - 2) / (1 - correlation**2))
    return 2 * float(stdtr(size - 2, -abs(t)))
