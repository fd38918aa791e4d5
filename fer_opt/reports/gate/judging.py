"""From what was measured to the verdict: of one comparison, and of a gate as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.phone.trust import disturbances
from fer_opt.errors import MeasurementError
from fer_opt.reports.gate.budgets import (
    CONFIDENCE,
    BudgetVerdict,
    LatencyBudget,
    SizeBudget,
    judge_latency,
    judge_size,
)
from fer_opt.reports.gate.decision import GateSettings, Outcome, Verdict, decide
from fer_opt.reports.gate.holm import combined_outcome, holm_adjusted, holm_verdicts
from fer_opt.reports.gate.measured import candidate_processes, pair_count, paired_medians
from fer_opt.reports.gate.non_inferiority import FAIL_CONFIDENCE
from fer_opt.reports.gate.record import Comparison, GateOutcome, GateRecord
from fer_opt.reports.gate.samples import samples_of_measurements
from fer_opt.reports.order_statistics import ROUNDING

__all__ = ["is_decided", "judged", "looked", "settled"]

Budget = LatencyBudget | SizeBudget


def looked(
    comparison: Comparison, baseline: str, device: DeviceFacts, settings: GateSettings
) -> Comparison:
    """``comparison`` with the verdict of each look it has reached.

    Raises:
        MeasurementError: its pairs are nothing to judge by.
    """
    reached = [look for look in settings.looks if look <= pair_count(comparison)]
    looks: list[Verdict] = []
    for look in reached:
        medians = paired_medians(comparison, baseline, device, look)
        looks.append(decide(medians.baseline_ms, medians.candidate_ms, settings))
    return replace(comparison, looks=tuple(looks))


def is_decided(looks: Sequence[Verdict], settings: GateSettings, candidates: int) -> bool:
    """Whether no more pairs are needed.

    Of several candidates one fails for good where it would even if all others did not (level
    over their number); Holm's procedure only ever asks for less.
    """
    if not looks:
        return False
    last = looks[-1]
    if last.outcome == "fail":
        return last.final and (candidates * last.fail_p < settings.fail_level or not _more(last))
    return last.outcome == "pass" or not _more(last)


def _more(verdict: Verdict) -> bool:
    return verdict.pairs < verdict.looks[-1]


def judged(record: GateRecord, budgets: Sequence[Budget]) -> GateRecord:
    """``record`` with every verdict, from everything that was measured."""
    comparisons = [replace(one, budgets=_budgets(one, budgets)) for one in _validated(record)]
    return settled(replace(record, comparisons=tuple(comparisons)))


def settled(record: GateRecord) -> GateRecord:
    """``record`` with the single verdicts it holds corrected for their number, and the outcome."""
    level = record.settings.fail_level
    sound = {
        str(place): one.looks[-1]
        for place, one in enumerate(record.comparisons)
        if one.looks and not one.invalid
    }
    held = holm_verdicts(sound, level)
    comparisons = [
        replace(one, verdict=held.get(str(place))) for place, one in enumerate(record.comparisons)
    ]
    comparisons = _holm_budgets(comparisons)
    outcome = _outcome(comparisons, compares=record.baseline is not None)
    return replace(record, comparisons=tuple(comparisons), outcome=outcome)


def _validated(record: GateRecord) -> list[Comparison]:
    """Comparisons with the reasons that make their times nothing to judge by."""
    found = []
    for one in record.comparisons:
        reasons = list(one.invalid)
        if one.phone is not None:
            reasons += disturbances(one.phone)
            reasons += [failure.reason for failure in one.phone.failures]
        try:
            if record.baseline is not None and record.device is not None and not record.stored:
                one = looked(one, record.baseline.name, record.device, record.settings)
        except MeasurementError as exc:
            reasons.append(str(exc))
        found.append(replace(one, invalid=tuple(dict.fromkeys(reasons))))
    return found


def _budgets(comparison: Comparison, budgets: Sequence[Budget]) -> tuple[BudgetVerdict, ...]:
    verdicts = []
    for budget in budgets:
        if isinstance(budget, SizeBudget):
            verdicts.append(judge_size(budget, comparison.candidate.size_bytes))
        elif not comparison.invalid:
            samples = samples_of_measurements(candidate_processes(comparison))
            verdicts.append(judge_latency(budget, samples))
    return tuple(verdicts)


def _holm_budgets(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Latency budgets and accuracies of all candidates, each kind held to one level together."""
    level = 1 - CONFIDENCE + ROUNDING
    places = [
        (place, index)
        for place, one in enumerate(comparisons)
        for index, budget in enumerate(one.budgets)
        if budget.unit == "ms"
    ]
    adjusted = holm_adjusted([comparisons[p].budgets[i].fail_p for p, i in places])
    found = list(comparisons)
    for (place, index), p in zip(places, adjusted, strict=True):
        kept = list(found[place].budgets)
        kept[index] = replace(kept[index], fail_p=p, outcome=_held(kept[index].outcome, p, level))
        found[place] = replace(found[place], budgets=tuple(kept))
    return _holm_accuracies(found)


def _holm_accuracies(comparisons: Sequence[Comparison]) -> list[Comparison]:
    level = 1 - FAIL_CONFIDENCE + ROUNDING
    known = [one.accuracy for one in comparisons if one.accuracy is not None]
    adjusted = iter(holm_adjusted([one.fail_p for one in known]))
    found = []
    for one in comparisons:
        if one.accuracy is not None:
            p = next(adjusted)
            accuracy = replace(one.accuracy, outcome=_held(one.accuracy.outcome, p, level))
            one = replace(one, accuracy=accuracy)
        found.append(one)
    return found


def _held(outcome: Outcome, adjusted_p: float, level: float) -> Outcome:
    return "inconclusive" if outcome == "fail" and adjusted_p > level else outcome


def _outcome(comparisons: Iterable[Comparison], *, compares: bool) -> GateOutcome:
    """Of everything: what failed for sure fails, also beside times that are not valid."""
    parts: list[Outcome] = []
    invalid = False
    for one in comparisons:
        invalid = invalid or bool(one.invalid)
        if one.verdict is not None:
            parts.append(one.verdict.outcome)
        elif one.against is not None:
            parts.append(one.against.outcome)
        elif compares:
            parts.append("inconclusive")
        parts += [budget.outcome for budget in one.budgets]
        if one.accuracy is not None:
            parts.append(one.accuracy.outcome)
    whole = combined_outcome(parts)
    return "invalid" if invalid and whole != "fail" else whole
