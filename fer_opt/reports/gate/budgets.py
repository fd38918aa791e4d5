"""Absolute budgets: a percentile of times within so many milliseconds, a file within so many bytes.

A percentile lies within its budget when its upper confidence bound does, and beyond when its lower
one is (:mod:`fer_opt.reports.order_statistics`); neither is inconclusive, and the verdict tells how
many values would do. Where inferences of one process are like each other they count for less
(:mod:`fer_opt.reports.gate.samples`). Each wrong verdict has a chance of 5 % at most.

A file's size is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from fer_opt.errors import GateError
from fer_opt.reports.gate.decision import Outcome
from fer_opt.reports.gate.samples import TimeSamples
from fer_opt.reports.order_statistics import ROUNDING, quantile_ranks, values_needed

__all__ = [
    "CONFIDENCE",
    "BudgetVerdict",
    "LatencyBudget",
    "SizeBudget",
    "judge_latency",
    "judge_size",
]

CONFIDENCE = 0.95
PERCENTILES = (50.0, 99.0)
ENDLESS = 1_000_000
"""More values than this nobody measures."""


@dataclass(frozen=True, slots=True)
class LatencyBudget:
    """What a percentile of times may be.

    Attributes:
        subject: whose times: a stage, a model, or ``total``.
        limit_ms: that may not be exceeded.
        percentile: of the times that is held to it, 50 to 99.

    Raises:
        GateError: a limit or percentile that nothing can be held to.
    """

    subject: str
    limit_ms: float
    percentile: float = 95.0

    def __post_init__(self) -> None:
        if not (self.limit_ms > 0 and math.isfinite(self.limit_ms)):
            raise GateError(
                f"a budget of {self.limit_ms:g} ms for {self.subject} is no time; give a positive "
                "number of milliseconds."
            )
        least, most = PERCENTILES
        if not least <= self.percentile <= most:
            raise GateError(
                f"percentile {self.percentile:g} is not between {least:g} and {most:g}; give 95 "
                "for the time that 19 of 20 keep within."
            )

    @property
    def name(self) -> str:
        """E.g. ``p95 of total``."""
        return f"p{self.percentile:g} of {self.subject}"


@dataclass(frozen=True, slots=True)
class SizeBudget:
    """How large a model's file may be.

    Raises:
        GateError: a limit that no file keeps.
    """

    limit_bytes: int

    def __post_init__(self) -> None:
        if self.limit_bytes < 1:
            raise GateError(
                f"a budget of {self.limit_bytes} bytes is no file's; give a positive size such as "
                "2MB."
            )

    @property
    def name(self) -> str:
        """What tables call it."""
        return "file size"


@dataclass(frozen=True, slots=True)
class BudgetVerdict:
    """Whether a budget is kept.

    Attributes:
        name: of the budget, e.g. ``p95 of total``.
        outcome: ``pass``, ``fail``, or ``inconclusive`` where the values are too few to say.
        unit: ``ms`` or ``bytes``.
        limit: the budget, in that unit.
        found: what was measured; None where processes tell no single times.
        low: lower confidence bound of it; None where there is none.
        high: upper confidence bound of it; None where there is none.
        confidence: of each bound; 1 for a size.
        values: times judged; 1 for a size.
        worth: how many independent values they are worth.
        over: of the times, exceed the limit (at most, where only summaries are known).
        needed: independent values that would pass with the same share in excess; None where that
            share is so large that no number would, or part of the work is missing.
        fail_p: p-value of the budget being kept; for several at once, see
            :mod:`fer_opt.reports.gate.holm`.
    """

    name: str
    outcome: Outcome
    unit: Literal["ms", "bytes"]
    limit: float
    found: float | None
    low: float | None
    high: float | None
    confidence: float
    values: int
    worth: int
    over: int
    needed: int | None
    fail_p: float


def judge_size(budget: SizeBudget, size_bytes: int) -> BudgetVerdict:
    """Judge a file's size, which needs no statistics."""
    kept = size_bytes <= budget.limit_bytes
    return BudgetVerdict(
        name=budget.name,
        outcome="pass" if kept else "fail",
        unit="bytes",
        limit=budget.limit_bytes,
        found=size_bytes,
        low=size_bytes,
        high=size_bytes,
        confidence=1.0,
        values=1,
        worth=1,
        over=int(not kept),
        needed=1,
        fail_p=1.0 if kept else 0.0,
    )


def judge_latency(
    budget: LatencyBudget, samples: TimeSamples, *, at_least: bool = False
) -> BudgetVerdict:
    """Judge whether the percentile of times lies within the budget.

    Args:
        budget: the limit.
        samples: the times.
        at_least: whether part of the work is missing from the times; they can fail then, but not
            pass.
    """
    from scipy.special import bdtr

    quantile, worth, count = budget.percentile / 100, samples.worth, samples.count
    least_over, most_over = samples.over(budget.limit_ms)
    # Counts within the limit, as so many independent values would show them; rounded to the side
    # that decides less.
    most_within = -(-worth * (count - least_over) // count)
    least_within = worth * (count - most_over) // count
    fail_p = float(bdtr(most_within, worth, quantile))
    shown = float(bdtr(least_within - 1, worth, quantile)) if least_within else 0.0
    outcome: Outcome = "inconclusive"
    if fail_p <= 1 - CONFIDENCE + ROUNDING:
        outcome = "fail"
    elif shown >= CONFIDENCE - ROUNDING and not at_least:
        outcome = "pass"
    low, high = _bounds(samples, quantile)
    return BudgetVerdict(
        name=budget.name,
        outcome=outcome,
        unit="ms",
        limit=budget.limit_ms,
        found=_percentile(samples, budget.percentile),
        low=low,
        high=None if at_least else high,
        confidence=CONFIDENCE,
        values=count,
        worth=worth,
        over=most_over,
        needed=None if at_least else _needed(most_over / count, worth, quantile),
        fail_p=fail_p,
    )


def _bounds(samples: TimeSamples, quantile: float) -> tuple[float | None, float | None]:
    """Order statistics at the places where those of as many independent values would stand."""
    if samples.times_ms is None:
        return None, None
    ordered, count = sorted(samples.times_ms), samples.count
    low, high = quantile_ranks(samples.worth, quantile, CONFIDENCE)
    # The first place past as large a share of the times, and the place that completes it.
    return (
        None if low is None else ordered[(low - 1) * count // samples.worth],
        None if high is None else ordered[-(-high * count // samples.worth) - 1],
    )


def _percentile(samples: TimeSamples, percentile: float) -> float | None:
    if samples.times_ms is None:
        return None
    import numpy as np

    return float(np.percentile(samples.times_ms, percentile))


def _needed(share_over: float, worth: int, quantile: float) -> int | None:
    """Independent values that would pass if the same share of them exceeded the limit."""
    if share_over >= 1 - quantile:
        return None
    needed = worth
    while needed < ENDLESS:
        more = values_needed(math.ceil(needed * share_over - 1e-9), quantile, CONFIDENCE)
        if more <= needed:
            return needed
        needed = more
    return None
