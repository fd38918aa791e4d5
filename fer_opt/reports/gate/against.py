"""Judging times against those of another day, from a record.

Nothing was paired here: what the machine was like on either day is in the difference and in no
interval. So such a comparison tells a trend. It may fail or pass only where the user asks for that
and everything matches that can be told: machine (SoC and build), runner, threads, delegate, and the
baseline's own file where it is at hand.

The statistic is Yuen's for two independent samples, over the logarithms of the processes' medians:
the difference of the trimmed means over √(SE₁² + SE₂²), with Welch's degrees of freedom
(SE₁² + SE₂²)² / (SE₁⁴ / (h₁ - 1) + SE₂⁴ / (h₂ - 1)) (K. K. Yuen, The two-sample trimmed t for
unequal population variances, Biometrika 61, 1974, 165-170). There is one look, so no level is
divided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fer_opt.errors import MeasurementError
from fer_opt.reports.gate.decision import NO_SPREAD, POWER, GateSettings, Outcome, Verdict
from fer_opt.reports.gate.fingerprint import differences
from fer_opt.reports.gate.stored import StoredTimes
from fer_opt.reports.gate.trimmed import LEAST_VALUES, trimmed_mean

__all__ = ["AgainstVerdict", "Trend", "compare_unpaired", "judge_against"]

Trend = Literal["slower", "not slower", "unclear"]


@dataclass(frozen=True, slots=True)
class AgainstVerdict:
    """What times say against those of another day.

    Attributes:
        outcome: ``pass`` or ``fail`` only where :attr:`binding`; ``inconclusive`` otherwise.
        trend: what the times would say if they could be relied on.
        binding: whether the comparison was asked to decide, and nothing speaks against it.
        comparison: the figures; its own outcome is that of the trend.
        reasons: why it does not decide, or what limits it, a sentence each.
    """

    outcome: Outcome
    trend: Trend
    binding: bool
    comparison: Verdict
    reasons: tuple[str, ...]


def judge_against(
    baseline: StoredTimes,
    candidate: StoredTimes,
    settings: GateSettings | None = None,
    *,
    may_decide: bool = False,
    baseline_sha256: str | None = None,
) -> AgainstVerdict:
    """Judge ``candidate`` against the stored ``baseline``.

    Args:
        baseline: an earlier record's times.
        candidate: times of another record or of today.
        settings: tolerance and levels; None takes the defaults. Looks are not used.
        may_decide: whether the user asked that it may pass or fail.
        baseline_sha256: of the baseline's file where it is at hand.

    Raises:
        MeasurementError: too few processes, a median that is no time, or no spread at all.
    """
    comparison = compare_unpaired(baseline.medians_ms, candidate.medians_ms, settings)
    against = _speaks_against(baseline, candidate, baseline_sha256)
    reasons = list(against)
    if not may_decide:
        reasons.append(
            "Times of another day tell a trend only, unless it is asked for that they decide."
        )
    binding = may_decide and not against
    if binding:
        reasons.append(
            "The two were not measured side by side: how the machine differed between the days is "
            "in the ratio and not in its bounds."
        )
    trends: dict[Outcome, Trend] = {
        "fail": "slower",
        "pass": "not slower",
        "inconclusive": "unclear",
    }
    return AgainstVerdict(
        outcome=comparison.outcome if binding else "inconclusive",
        trend=trends[comparison.outcome],
        binding=binding,
        comparison=comparison,
        reasons=tuple(reasons),
    )


def compare_unpaired(
    baseline_ms: Sequence[float],
    candidate_ms: Sequence[float],
    settings: GateSettings | None = None,
) -> Verdict:
    """Compare processes that were not paired, see the module.

    Args:
        baseline_ms: medians of its processes.
        candidate_ms: medians of its processes; they may be of another number.
        settings: tolerance and levels; None takes the defaults. Looks are not used.

    Returns:
        A verdict whose ``pairs`` is the smaller number of processes, and its only look.

    Raises:
        MeasurementError: too few processes, a median that is no time, or no spread at all.
    """
    from scipy.special import stdtr, stdtrit

    settings = settings or GateSettings()
    base, other = (
        trimmed_mean(_logs(name, medians))
        for name, medians in (("baseline", baseline_ms), ("candidate", candidate_ms))
    )
    squares = base.standard_error**2 + other.standard_error**2
    if math.sqrt(squares) < NO_SPREAD:
        raise MeasurementError(
            "the processes' medians do not differ at all, which no clock gives; time more "
            "inferences in each, or with a finer clock."
        )
    freedom = squares**2 / (
        base.standard_error**4 / (base.kept - 1) + other.standard_error**4 / (other.kept - 1)
    )
    error, mean, limit = math.sqrt(squares), other.mean - base.mean, math.log1p(settings.tolerance)
    fail_reach = float(stdtrit(freedom, 1 - settings.fail_level)) * error
    low, high = mean - fail_reach, mean + float(stdtrit(freedom, 1 - settings.pass_level)) * error
    outcome: Outcome = "fail" if low > limit else "pass" if high < limit else "inconclusive"
    fail_p = float(stdtr(freedom, (limit - mean) / error))
    power_reach = float(stdtrit(freedom, POWER)) * error
    processes = min(len(baseline_ms), len(candidate_ms))
    return Verdict(
        outcome=outcome,
        pairs=processes,
        ratio=math.exp(mean),
        low=math.exp(low),
        high=math.exp(high),
        tolerance=settings.tolerance,
        detectable=math.expm1(limit + fail_reach + power_reach),
        looks=(processes,),
        final=True,
        fail_p=fail_p,
        pass_p=1 - fail_p,
    )


def _logs(name: str, medians: Sequence[float]) -> list[float]:
    if len(medians) < LEAST_VALUES:
        raise MeasurementError(
            f"{len(medians)} processes of the {name} are too few to judge; measure {LEAST_VALUES} "
            "or more, better 8."
        )
    for median in medians:
        if not (math.isfinite(median) and median > 0):
            raise MeasurementError(
                f"a median of the {name} is {median}, not a time; measure it again."
            )
    return [math.log(median) for median in medians]


def _speaks_against(
    baseline: StoredTimes, candidate: StoredTimes, baseline_sha256: str | None
) -> tuple[str, ...]:
    """Why the two may not be held against each other, a sentence each."""
    found = [
        f"Not the same {clause}."
        for clause in differences(baseline.fingerprint, candidate.fingerprint)
    ]
    if baseline_sha256 is not None and baseline_sha256 != baseline.model_sha256:
        found.append(
            f"The record's {baseline.model} is another file (SHA-256 {baseline.model_sha256[:12]}) "
            f"than the baseline given ({baseline_sha256[:12]})."
        )
    for name, times in (("baseline", baseline), ("candidate", candidate)):
        found += [f"Of the {name}: {doubt}" for doubt in times.doubts]
        if times.kind == "virtual":
            found.append(f"Of the {name}: a virtual phone's times are this computer's.")
    return tuple(found)
