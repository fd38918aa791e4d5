"""Whether a percentile lies within a budget, or the photos are too few to say.

The photo's times bound the percentile as :mod:`fer_opt.reports.order_statistics` says: 59 photos
are needed to pass, while few can fail already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fer_opt.reports.order_statistics import percentile_bounds, quantile_ranks, values_needed

__all__ = [
    "CONFIDENCE",
    "PERCENTILE",
    "Outcome",
    "Verdict",
    "judge",
    "photos_needed",
]

PERCENTILE = 0.95
CONFIDENCE = 0.95

Outcome = Literal["pass", "fail", "open"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the 95th percentile lies within the budget.

    Attributes:
        outcome: ``pass`` where its upper confidence bound does, ``fail`` where its lower bound
            lies beyond, ``open`` where neither.
        photos: judged.
        over: of them, took longer than the budget.
        low_ms: lower confidence bound of the 95th percentile.
        high_ms: upper confidence bound of it; None where the photos are too few for one, and where
            a stage is missing from the times, which are then lower bounds themselves.
        needed: photos that would pass if no more than ``over`` of them take longer.
        fails_at: how many of these photos would have to take longer to fail.
        at_least: whether a stage is missing from the times; they can fail then, but not pass.
    """

    outcome: Outcome
    photos: int
    over: int
    low_ms: float
    high_ms: float | None
    needed: int
    fails_at: int
    at_least: bool = False


def judge(times_ms: Sequence[float], target_ms: float, *, at_least: bool = False) -> Verdict:
    """Judge whether the 95th percentile of one or more times lies within ``target_ms``.

    Each of the two bounds has 95 % confidence. They cannot both decide, so each wrong verdict has a
    chance of 5 % at most.

    Args:
        times_ms: one time for each photo.
        target_ms: the budget.
        at_least: whether a stage is missing from the times.
    """
    low_ms, high_ms = percentile_bounds(times_ms, PERCENTILE, CONFIDENCE)
    low_rank, _ = quantile_ranks(len(times_ms), PERCENTILE, CONFIDENCE)
    # One value has a lower bound already, because the percentile is no less than the confidence.
    assert low_ms is not None
    assert low_rank is not None
    high_ms = None if at_least else high_ms
    over = sum(time > target_ms for time in times_ms)
    outcome: Outcome = "open"
    if low_ms > target_ms:
        outcome = "fail"
    elif high_ms is not None and high_ms <= target_ms:
        outcome = "pass"
    return Verdict(
        outcome=outcome,
        photos=len(times_ms),
        over=over,
        low_ms=low_ms,
        high_ms=high_ms,
        needed=photos_needed(over),
        fails_at=len(times_ms) - low_rank + 1,
        at_least=at_least,
    )


def photos_needed(over: int) -> int:
    """The fewest photos that pass although ``over`` of them take longer than the budget."""
    return values_needed(over, PERCENTILE, CONFIDENCE)
