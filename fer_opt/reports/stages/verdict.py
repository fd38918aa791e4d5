"""Whether a percentile lies within a budget, or the photos are too few to say.

With n photos drawn independently from a continuous distribution, the number that lies at or below
its p-th quantile is binomial. So the order statistic x(r) is an upper confidence bound of the
quantile when P(Bin(n, p) <= r - 1) reaches the confidence, and x(l) a lower one when
P(Bin(n, p) >= l) does (Hahn and Meeker, Statistical Intervals, 1991, section 5.2; Conover,
Practical Nonparametric Statistics, 3rd ed., section 3.2). No shape is assumed, which matters for
times with a long tail. With ties the bounds hold no less.

An upper bound of the 95th percentile at 95 % confidence needs 59 photos, because 0.95^58 > 0.05. A
lower bound always exists, so few photos can fail but not pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

__all__ = [
    "CONFIDENCE",
    "PERCENTILE",
    "Outcome",
    "Verdict",
    "judge",
    "percentile_bounds",
    "photos_needed",
]

PERCENTILE = 0.95
CONFIDENCE = 0.95
ROUNDING = 1e-12
"""P(Bin(1, 0.95) >= 1) is exactly 0.95, and floating point must not make it less."""

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
    low_ms, high_ms = percentile_bounds(times_ms)
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
        fails_at=len(times_ms) - _ranks(len(times_ms), PERCENTILE, CONFIDENCE)[0] + 1,
        at_least=at_least,
    )


def percentile_bounds(
    values: Sequence[float], quantile: float = PERCENTILE, level: float = CONFIDENCE
) -> tuple[float, float | None]:
    """Lower and upper one-sided confidence bound of a quantile, see the module.

    Args:
        values: one or more, in any order.
        quantile: 0.95 for the 95th percentile; at least ``level`` for the lower bound to exist.
        level: confidence of each bound.

    Returns:
        The bounds, each one of the values; None for an upper bound that so few values do not have.

    Raises:
        ValueError: no values, or so few that even the lower bound does not exist.
    """
    ordered = sorted(values)
    low, high = _ranks(len(ordered), quantile, level)
    return ordered[low - 1], None if high is None else ordered[high - 1]


@cache
def _ranks(size: int, quantile: float, level: float) -> tuple[int, int | None]:
    """Ranks of the two bounds, counted from 1; the upper one may not exist."""
    # Not scipy.stats, which takes a second to import.
    from scipy.special import bdtr, bdtrc

    ranks = range(1, size + 1)
    # bdtr(k, n, p) is P(Bin <= k) and bdtrc(k, n, p) is P(Bin > k).
    lower = [r for r in ranks if bdtrc(r - 1, size, quantile) >= level - ROUNDING]
    upper = [r for r in ranks if bdtr(r - 1, size, quantile) >= level - ROUNDING]
    if not lower:
        raise ValueError(f"{size} values have no lower bound of quantile {quantile}")
    return lower[-1], upper[0] if upper else None


@cache
def photos_needed(over: int, quantile: float = PERCENTILE, level: float = CONFIDENCE) -> int:
    """The fewest photos that pass although ``over`` of them take longer than the budget.

    59, 93, 124, 153, 181 and so on for 0, 1, 2, 3, 4, the sample sizes of one-sided tolerance
    bounds for 95 % of a population at 95 % confidence.
    """
    from scipy.special import bdtr

    def passes(size: int) -> bool:
        return bool(bdtr(size - over - 1, size, quantile) >= level - ROUNDING)

    low, high = over, 2 * over + 64
    while not passes(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high
