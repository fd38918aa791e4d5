"""What a gate found, in plain words: what changed, by how much, how sure, what would be surer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fer_opt.device.measurement import DeviceFacts
from fer_opt.reports.gate.against import AgainstVerdict
from fer_opt.reports.gate.budgets import BudgetVerdict
from fer_opt.reports.gate.decision import GateSettings, Verdict
from fer_opt.reports.gate.non_inferiority import AccuracyVerdict
from fer_opt.reports.gate.plain import plain
from fer_opt.reports.gate.record import Comparison, GateOutcome, GateRecord

__all__ = ["Finding", "GateStory", "mark_of", "tell_gate"]

WORDS: dict[GateOutcome, str] = {
    "pass": "PASS",
    "fail": "FAIL",
    "inconclusive": "INCONCLUSIVE",
    "invalid": "NOT VALID",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was judged.

    Attributes:
        subject: the candidate's name.
        what: ``latency``, ``file size``, ``p95 of classify``, ``accuracy`` or ``measurement``.
        outcome: of it.
        said: what was found and how sure that is, sentences.
        surer: what would make it surer; empty where nothing is to be done.
    """

    subject: str
    what: str
    outcome: GateOutcome
    said: str
    surer: str = ""


@dataclass(frozen=True, slots=True)
class GateStory:
    """A gate in words.

    Attributes:
        outcome: of everything together.
        word: the same, as it is shown.
        headline: one sentence.
        machine: what a person would call it; empty where nothing was timed.
        mark: what is said beside every time that is no phone's; empty for a phone.
        findings: in the order of the candidates.
        notes: what else the reader should know, a sentence each.
    """

    outcome: GateOutcome
    word: str
    headline: str
    machine: str
    mark: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def tell_gate(record: GateRecord) -> GateStory:
    """Put a judged gate into words."""
    outcome: GateOutcome = record.outcome or "inconclusive"
    findings = tuple(finding for one in record.comparisons for finding in _findings(record, one))
    return GateStory(
        outcome=outcome,
        word=WORDS[outcome],
        headline=_headline(outcome, findings),
        machine=_machine(record),
        mark=mark_of(record.device),
        findings=findings,
        notes=record.notes,
    )


def mark_of(device: DeviceFacts | None) -> str:
    """What has to stand beside this machine's times; empty for a phone, and for no machine."""
    if device is None or device.kind == "phone":
        return ""
    if device.kind == "virtual":
        return "a virtual phone: a computer's times, not a phone's"
    return "a computer's times, not a phone's"


def _machine(record: GateRecord) -> str:
    phones = [one.phone for one in record.comparisons if one.phone is not None]
    if phones:
        return plain(phones[0].label)
    return "" if record.device is None else plain(record.device.name)


def _headline(outcome: GateOutcome, findings: tuple[Finding, ...]) -> str:
    worst = [one for one in findings if one.outcome == outcome]
    names = list(dict.fromkeys(f"{one.what} of {one.subject}" for one in worst))
    listed = (
        names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more" if names else ""
    )
    match outcome:
        case "pass":
            return "Nothing regressed."
        case "fail":
            return f"Regressed: {listed}."
        case "invalid":
            return f"Nothing can be judged by this measurement: {listed}."
        case _:
            return f"Not decided: {listed or 'nothing was judged'}."


def _findings(record: GateRecord, one: Comparison) -> Iterator[Finding]:
    name = one.candidate.name
    for reason in one.invalid:
        yield Finding(
            name, "measurement", "invalid", reason,
            "Put right what is named here, let the machine come to rest, and gate again.",
        )  # fmt: skip
    if one.verdict is not None and record.baseline is not None:
        how = "two fresh processes each" if one.phone is not None else "each in a fresh process"
        yield _latency(name, record.baseline.name, one.verdict, record.settings, how)
    if one.against is not None and record.baseline is not None:
        yield _against(name, record.baseline.name, one.against, record.settings)
    for budget in one.budgets:
        yield _size(name, budget) if budget.unit == "bytes" else _budget(name, budget)
    if one.accuracy is not None:
        yield _accuracy(name, one.accuracy)


def _latency(
    name: str, baseline: str, verdict: Verdict, settings: GateSettings, how: str
) -> Finding:
    said = (
        f"{name} takes {verdict.ratio:.3f} times as long as {baseline} ({_change(verdict.ratio)}): "
        f"{_bounds(verdict, settings)} {verdict.pairs} pairs, {how}; they would have shown a "
        f"slowdown of {_percent(verdict.detectable)} 95 times in 100."
    )
    surer = ""
    if verdict.outcome == "inconclusive":
        surer = (
            "More inferences in each process (--runs), more pairs (--looks 24,32,48), or a quieter "
            "machine."
        )
    return Finding(name, "latency", verdict.outcome, said, surer)


def _bounds(verdict: Verdict, settings: GateSettings) -> str:
    """The bounds that decided, how sure they are, and what they are held against."""
    limit = f"{verdict.limit:.3g} is allowed"
    if verdict.outcome == "fail":
        return f"at least {verdict.low:.3f} with {1 - settings.fail_level:.0%} confidence, {limit}."
    if verdict.outcome == "pass":
        return f"at most {verdict.high:.3f} with {1 - settings.pass_level:.0%} confidence, {limit}."
    return f"somewhere from {verdict.low:.3f} to {verdict.high:.3f}, {limit}."


def _against(name: str, baseline: str, found: AgainstVerdict, settings: GateSettings) -> Finding:
    one = found.comparison
    said = (
        f"{name} takes {one.ratio:.3f} times as long as the stored {baseline} "
        f"({_change(one.ratio)}): from {one.low:.3f} to {one.high:.3f}, {one.limit:.3g} is allowed;"
        f" {'a verdict' if found.binding else 'only a trend'}: {found.trend}. "
        f"{' '.join(found.reasons)}"
    )
    surer = (
        "" if found.outcome != "inconclusive" else "Measure both models in one session: --baseline."
    )
    return Finding(name, "latency", found.outcome, said, surer)


def _budget(name: str, budget: BudgetVerdict) -> Finding:
    found = "unknown" if budget.found is None else f"{budget.found:.4g} ms"
    least = "" if budget.low is None else f"at least {budget.low:.4g} ms"
    most = "" if budget.high is None else f"at most {budget.high:.4g} ms"
    bounds = ", ".join(filter(None, [least, most]))
    sure = f" ({bounds}, {budget.confidence:.0%} confidence each)" if bounds else ""
    said = (
        f"{found}{sure}; {budget.limit:g} ms is the budget, which {budget.over} of "
        f"{budget.values} times exceed."
    )
    surer = ""
    if budget.outcome == "inconclusive":
        surer = (
            "So large a share exceeds the budget that more processes alone will not pass it."
            if budget.needed is None
            else f"{budget.needed} independent times would do; these are worth {budget.worth}: "
            "more processes (--looks 24,32,48)."
        )
    return Finding(name, budget.name, budget.outcome, said, surer)


def _size(name: str, budget: BudgetVerdict) -> Finding:
    assert budget.found is not None
    said = f"The file has {budget.found:,.0f} bytes; {budget.limit:,.0f} are allowed."
    return Finding(name, budget.name, budget.outcome, said)


def _accuracy(name: str, found: AccuracyVerdict) -> Finding:
    answers = found.answers
    said = (
        f"{answers.candidate_accuracy:.2%} right, the baseline {answers.baseline_accuracy:.2%} on "
        f"the same {answers.samples:,} samples: {100 * answers.change:+.2f} points; at least "
        f"{100 * found.low:+.2f} (95% confidence), at most {100 * found.high:+.2f} (99%); a drop "
        f"of {100 * found.max_drop:g} is allowed."
    )
    surer = "More samples." if found.outcome == "inconclusive" else ""
    return Finding(name, "accuracy", found.outcome, said, surer)


def _change(ratio: float) -> str:
    if round(100 * abs(ratio - 1), 1) == 0:
        return "no change"
    return f"{_percent(abs(ratio - 1))} {'slower' if ratio > 1 else 'faster'}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"
