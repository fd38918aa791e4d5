"""Confidence bounds of a quantile that assume no shape, and how many values they need.

With n values drawn independently from a continuous distribution, the number that lies at or below
its p-th quantile is binomial. So the order statistic x(r) is an upper confidence bound of the
quantile when P(Bin(n, p) <= r - 1) reaches the confidence, and x(l) a lower one when
P(Bin(n, p) >= l) does (Hahn and Meeker, Statistical Intervals, 1991, section 5.2; Conover,
Practical Nonparametric Statistics, 3rd ed., section 3.2). No shape is assumed, which matters for
times with a long tail. With ties the bounds hold no less.

An upper bound of the 95th percentile at 95 % confidence needs 59 values, because 0.95^58 > 0.05. A
lower bound of it always exists, so few values can fail but not pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

__all__ = ["ROUNDING", "percentile_bounds", "quantile_ranks", "values_needed"]

ROUNDING = 1e-12
"""P(Bin(1, 0.95) >= 1) is exactly 0.95, and floating point must not make it less."""


def percentile_bounds(
    values: Sequence[float], quantile: float, level: float
) -> tuple[float | None, float | None]:
    """Lower and upper one-sided confidence bound of a quantile, see the module.

    Args:
        values: one or more, in any order.
        quantile: 0.95 for the 95th percentile.
        level: confidence of each bound.

    Returns:
        The bounds, each one of the values; None for one that so few values do not have.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("0 values have no percentile")
    ordered = sorted(values)
    low, high = quantile_ranks(len(ordered), quantile, level)
    return (
        None if low is None else ordered[low - 1],
        None if high is None else ordered[high - 1],
    )


@cache
def quantile_ranks(size: int, quantile: float, level: float) -> tuple[int | None, int | None]:
    """Ranks of the two bounds among ``size`` values, counted from 1; None where there is none."""
    # Not scipy.stats, which takes a second to import.
    from scipy.special import bdtr, bdtrc

    ranks = range(1, size + 1)
    # bdtr(k, n, p) is P(Bin <= k) and bdtrc(k, n, p) is P(Bin > k).
    lower = [r for r in ranks if bdtrc(r - 1, size, quantile) >= level - ROUNDING]
    upper = [r for r in ranks if bdtr(r - 1, size, quantile) >= level - ROUNDING]
    return lower[-1] if lower else None, upper[0] if upper else None


@cache
def values_needed(over: int, quantile: float, level: float) -> int:
    """The fewest values that show a quantile within a limit although ``over`` of them exceed it.

    For the 95th percentile at 95 % confidence 59, 93, 124, 153, 181 and so on for 0, 1, 2, 3, 4,
    the sample sizes of one-sided tolerance bounds.
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
