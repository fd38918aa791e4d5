"""Whether times lie within a budget, or are not enough to say.

The bounds are those of :mod:`fer_opt.reports.stages.verdict`, which assume no shape: order
statistics, 95 % confidence each way. What counts as one observation is a fresh process where the
model was timed alone, and a photo where photos were: single inferences of one process share its
luck, and pooling them would claim a certainty that is not there.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

from fer_opt.pytest_plugin.marker import MARKER, Budget
from fer_opt.pytest_plugin.options import Inconclusive
from fer_opt.pytest_plugin.said import Said
from fer_opt.pytest_plugin.timed import WITH_FACE, Timed
from fer_opt.reports.gate.decision import Outcome
from fer_opt.reports.stages.verdict import percentile_bounds, photos_needed

__all__ = ["BudgetVerdict", "hold_to", "judge_budget", "processes_needed"]

WORST: tuple[Outcome, ...] = ("fail", "inconclusive", "pass")


@dataclass(frozen=True, slots=True)
class BudgetVerdict:
    """What was found of one budget.

    Attributes:
        outcome: ``pass`` where the upper bound lies within the limit, ``fail`` where the lower one
            lies beyond, ``inconclusive`` where neither.
        budget: it.
        count: observations judged.
        over: of them, took longer than the limit.
        low_ms: lower confidence bound of the quantile; None where so few have none.
        high_ms: upper confidence bound of it; None likewise.
        median_ms: of the observations.
        needed: observations that would pass if no more than ``over`` of them take longer.
    """

    outcome: Outcome
    budget: Budget
    count: int
    over: int
    low_ms: float | None
    high_ms: float | None
    median_ms: float
    needed: int


def processes_needed(budget: Budget) -> int:
    """The fewest observations that can pass: 5 for a median, 59 for a 95th percentile."""
    return photos_needed(0, budget.quantile)


def judge_budget(times_ms: Sequence[float], budget: Budget) -> BudgetVerdict:
    """Judge one or more independent times, in any order."""
    low_ms, high_ms = _bounds(times_ms, budget.quantile)
    over = sum(time > budget.limit_ms for time in times_ms)
    outcome: Outcome = "inconclusive"
    if low_ms is not None and low_ms > budget.limit_ms:
        outcome = "fail"
    elif high_ms is not None and high_ms <= budget.limit_ms:
        outcome = "pass"
    return BudgetVerdict(
        outcome=outcome,
        budget=budget,
        count=len(times_ms),
        over=over,
        low_ms=low_ms,
        high_ms=high_ms,
        median_ms=statistics.median(times_ms),
        needed=photos_needed(over, budget.quantile),
    )


def _bounds(times_ms: Sequence[float], quantile: float) -> tuple[float | None, float | None]:
    try:
        return percentile_bounds(times_ms, quantile)
    except ValueError:  # a median of fewer than five has no bound either way
        return None, None


def hold_to(
    budgets: Iterable[Budget], timed: Timed, inconclusive: Inconclusive, said: Said, test: str
) -> None:
    """Pass, fail or skip the test; every verdict is said, and the worst decides.

    Args:
        budgets: of the test.
        timed: the times.
        inconclusive: what an open verdict becomes.
        said: gets a line for each.
        test: its node id.
    """
    worst: dict[Outcome, str] = {}
    for budget in budgets:
        if timed.invalid:
            pytest.fail(
                f"{timed.model}, {budget.words}: not judged, because the measurement is not valid "
                f"({timed.invalid.rstrip('.')}).",
                pytrace=False,
            )
        verdict = min(
            (judge_budget(times, budget) for times in _observations(budget, timed)),
            key=lambda one: WORST.index(one.outcome),
        )
        words = tell_budget(verdict, timed)
        said.lines.append(f"{test}: {words.splitlines()[0]}")
        worst.setdefault(verdict.outcome, words)
    if "fail" in worst or (inconclusive == "fail" and "inconclusive" in worst):
        pytest.fail(worst.get("fail") or worst["inconclusive"], pytrace=False)
    if inconclusive == "skip" and "inconclusive" in worst:
        pytest.skip(worst["inconclusive"].replace("\n", " "))


def _observations(budget: Budget, timed: Timed) -> list[Sequence[float]]:
    """The times to judge; of several lists, each must lie within the budget."""
    if not timed.photo_ms:
        if budget.stage == "classify":
            return [timed.process_ms]
        pytest.fail(
            f"@pytest.mark.{MARKER} names the stage {budget.stage}, which needs photos; call "
            "tflite_benchmark(path, photos=FOLDER), or leave stage= out for the model alone.",
            pytrace=False,
        )
    wanted = (budget.stage, WITH_FACE) if budget.stage == "total" else (budget.stage,)
    found = [times for stage in wanted if (times := timed.photo_ms.get(stage))]
    if not found:
        pytest.fail(
            f"no photo went through the stage {budget.stage} in a time of its own; choose another "
            "stage, such as total.",
            pytrace=False,
        )
    return list(found)


def tell_budget(verdict: BudgetVerdict, timed: Timed) -> str:
    """The verdict in plain words, the first line being enough for a summary."""
    unit = "photo" if timed.photo_ms else "process"
    units = f"{unit}s" if timed.photo_ms else f"{unit}es"
    says = {"pass": "PASS", "fail": "FAIL", "inconclusive": "NOT ENOUGH TO SAY"}[verdict.outcome]
    lines = [
        f"{says}: {timed.model} {timed.on}, {verdict.budget.words}; its bounds are "
        f"{_bound(verdict.low_ms)} to {_bound(verdict.high_ms)} ms.",
        f"{verdict.over} of {verdict.count} {units} took longer; their median is "
        f"{verdict.median_ms:.3g} ms. Each bound holds with 95 % confidence.",
    ]
    if verdict.outcome == "inconclusive":
        way = "more photos" if timed.photo_ms else f"--fer-opt-processes {verdict.needed}"
        more = verdict.needed > verdict.count
        lines.append(
            f"With no more than {verdict.over} over the limit, {verdict.needed} {units} would "
            f"pass: {way}."
            if more
            else f"Too many {units} are over the limit to pass, and too few to fail."
        )
    return "\n".join(lines)


def _bound(ms: float | None) -> str:
    return "?" if ms is None else f"{ms:.3g}"
