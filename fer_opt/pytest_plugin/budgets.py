"""A test's budgets, held against its times by the budgets of ``fer-opt gate``."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from fer_opt.pytest_plugin.marker import MARKER, Budget
from fer_opt.pytest_plugin.options import Inconclusive
from fer_opt.pytest_plugin.said import Said
from fer_opt.pytest_plugin.timed import Timed
from fer_opt.pytest_plugin.words import tell_budget
from fer_opt.reports.gate.budgets import CONFIDENCE, LatencyBudget, judge_latency
from fer_opt.reports.gate.decision import Outcome
from fer_opt.reports.gate.samples import TimeSamples
from fer_opt.reports.order_statistics import values_needed

__all__ = ["hold_to", "processes_needed"]


def processes_needed(budget: Budget) -> int:
    """Processes that can pass however alike a process's inferences are: 59 for p95, 5 for a median.

    Inferences that are less alike count for more, and fewer processes would do.
    """
    return values_needed(0, budget.percentile / 100, CONFIDENCE)


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
    found: dict[Outcome, str] = {}
    for budget in budgets:
        samples = _samples(budget, timed)
        limit = LatencyBudget(budget.stage, budget.limit_ms, budget.percentile)
        verdict = judge_latency(limit, samples)
        words = tell_budget(verdict, budget, timed)
        said.lines.append(f"{test}: {words.splitlines()[0]}")
        found.setdefault(verdict.outcome, words)
    if "fail" in found:
        pytest.fail(found["fail"], pytrace=False)
    if "inconclusive" in found and inconclusive == "fail":
        pytest.fail(found["inconclusive"], pytrace=False)
    if "inconclusive" in found and inconclusive == "skip":
        pytest.skip(" ".join(found["inconclusive"].split()))


def _samples(budget: Budget, timed: Timed) -> TimeSamples:
    """The times the budget is of; where there are none, the test fails."""
    if timed.invalid:
        pytest.fail(
            f"{timed.model}, {budget.words}: nothing can be judged by this measurement. "
            f"{timed.invalid}",
            pytrace=False,
        )
    if (samples := timed.samples.get(budget.stage)) is not None:
        return samples
    if timed.by_photo:
        pytest.fail(
            f"no photo has a time of its own for {budget.stage}; choose another stage, such as "
            "total, or photos with a face.",
            pytrace=False,
        )
    pytest.fail(
        f"@pytest.mark.{MARKER} names the stage {budget.stage}, which needs photos; call "
        "tflite_benchmark(path, photos=FOLDER), or leave stage= out for the model alone.",
        pytrace=False,
    )
