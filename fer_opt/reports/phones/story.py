"""A phone's verdict in a newcomer's words, the same in HTML, Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from fer_opt.device.phone.results import PhoneRun
from fer_opt.reports.cautions import Warned
from fer_opt.reports.formats import duration, interval, milliseconds, percent, significant, times
from fer_opt.reports.names import listed
from fer_opt.reports.phones.summary import PhoneModel, PhoneSummary
from fer_opt.reports.tables import Tone

__all__ = [
    "NO_LATENCY",
    "VIRTUAL",
    "PhoneStory",
    "against_target",
    "badge_of_kind",
    "kind_badge",
    "tell_phone",
    "trust_badge",
    "variant_on_phone",
]

VIRTUAL = (
    "Virtual phone: these are a computer’s times, not a phone’s. They show that everything works "
    "and say nothing about how fast a phone is."
)
NO_LATENCY = (
    "Emulated: no latency. The models ran under an emulator of another processor, whose times mean "
    "nothing, so none is shown. What they computed counts all the same."
)


@dataclass(frozen=True, slots=True)
class PhoneStory:
    """What a reader must know of one phone, in this order.

    Attributes:
        banner: that this is no real phone; empty for one.
        unfinished: what is still missing, and why; empty when nothing is.
        headline: the verdict in one sentence.
        reasons: why the times may not be believed, a sentence each; empty where they may.
        gain: the fastest model's time against the reference's; empty where it is the reference.
        how: how it was timed; empty where nothing was, and where no time is shown.
        warnings: models that failed, labels that differ, a phone that is not what it claims.
    """

    banner: str
    unfinished: str
    headline: str
    reasons: tuple[str, ...]
    gain: str
    how: str
    warnings: tuple[Warned, ...]


def tell_phone(summary: PhoneSummary) -> PhoneStory:
    """Put a phone's run into sentences."""
    return PhoneStory(
        banner={"virtual": VIRTUAL, "emulated": NO_LATENCY}.get(summary.kind, ""),
        unfinished=_unfinished(summary.run),
        headline=_headline(summary),
        reasons=() if summary.run.trust.trusted else summary.run.trust.reasons,
        gain=_gain(summary),
        how=_how(summary),
        warnings=tuple(_warnings(summary)),
    )


def kind_badge(summary: PhoneSummary) -> tuple[str, Tone] | None:
    """What must be said wherever a phone that is none is named; None for a real one."""
    return badge_of_kind(summary.kind)


def badge_of_kind(kind: str) -> tuple[str, Tone] | None:
    """The same by the kind of device."""
    said: dict[str, tuple[str, Tone]] = {
        "virtual": ("virtual phone: a computer’s times", "warn"),
        "emulated": ("emulated: no latency", "warn"),
    }
    return said.get(kind)


def trust_badge(summary: PhoneSummary) -> tuple[str, Tone] | None:
    """Whether a real phone's times may be believed; None where there is nothing to believe."""
    if not summary.real or not summary.timed:
        return None
    if summary.run.trust.trusted:
        return "✓ times may be believed", "good"
    return "✗ times not to be believed", "bad"


def _unfinished(run: PhoneRun) -> str:
    if run.complete and not run.error:
        return ""
    failed = {failure.model for failure in run.failures}
    wanted = run.settings.rounds * sum(model.name not in failed for model in run.models)
    missing = wanted - len(run.measurements)
    state = (
        f"{missing:,} of {wanted:,} timing processes are missing"
        if missing > 0
        else "not everything that was asked for is there"
    )
    why = f" {run.error}" if run.error else ""
    return (
        f"This bench is not finished: {state}.{why} The same command goes on with what is missing."
    )


def _headline(summary: PhoneSummary) -> str:
    name = summary.run.device.name
    if summary.emulated:
        return f"The models ran on {name}, emulated: no time is known."
    if not summary.timed:
        if summary.problem:
            return f"The times on {name} cannot be summarised."
        failed = len(summary.run.failures)
        if failed and failed == len(summary.rows):
            return f"No model could be timed on {name}."
        return f"Nothing has been timed on {name} yet."
    fastest = summary.timed[0]
    time = _time_of(fastest)
    if not summary.real:
        return f"{fastest.short} took {time} on a {name}: a computer’s time, not a phone’s."
    said = (
        f"{fastest.short} classifies a face in {time} on the {name}, "
        f"{against_target(fastest, summary.target_ms)}."
    )
    if not summary.run.trust.trusted:
        return f"Do not rely on these times yet. Taken at face value, {said}"
    return said


def _time_of(row: PhoneModel) -> str:
    return milliseconds(row.latency.median_ms if row.latency else None)


def against_target(row: PhoneModel, target_ms: float) -> str:
    """Where a model's time lies against the target, in words that follow the time."""
    latency = row.latency
    assert latency is not None
    verdict = {
        "within": "well within" if latency.high_ms < target_ms / 2 else "within",
        "beyond": f"{latency.median_ms / target_ms:.1f} times"
        if latency.median_ms >= 1.05 * target_ms
        else "just beyond",
    }.get(row.budget, "too close to call against")
    return f"{verdict} the {significant(target_ms)}\u00a0ms an image may take"


def variant_on_phone(summary: PhoneSummary, recipe: str, unfit: Collection[str]) -> str:
    """What a real phone says of one variant of a run; empty where it says nothing of it.

    Args:
        summary: the phone's run.
        recipe: the variant's name.
        unfit: variants that are not worth naming beside it, because they are flagged.
    """
    if not summary.real:
        return ""
    row = next((row for row in summary.timed if row.recipe == recipe), None)
    if row is None or row.latency is None:
        return ""
    bounds = interval(milliseconds(row.latency.low_ms), milliseconds(row.latency.high_ms))
    said = (
        f"On the {summary.run.device.name}, {row.short} takes {_time_of(row)} ({bounds}), "
        f"{against_target(row, summary.target_ms)}."
    )
    fastest = next(one for one in summary.timed if one is row or one.recipe not in unfit)
    if fastest is not row:
        said += f" The fastest there is {fastest.short} with {_time_of(fastest)}."
    if not summary.run.trust.trusted:
        said += f" Do not rely on this yet: {' '.join(summary.run.trust.reasons)}"
    return said


def _gain(summary: PhoneSummary) -> str:
    """How the fastest model compares with the reference."""
    if not summary.timed or summary.timed[0].ratio is None:
        return ""
    ratio = summary.timed[0].ratio
    said = f"That is {times(ratio.ratio)} the time of {summary.short_reference}"
    if ratio.pairs < 2:
        return f"{said}."
    bounds = interval(times(ratio.low), times(ratio.high))
    return f"{said} ({bounds}, {percent(ratio.confidence, 0)} interval)."


def _how(summary: PhoneSummary) -> str:
    run = summary.run
    if not summary.timed:
        return ""
    settings = run.settings
    threads = "1 thread" if settings.threads == 1 else f"{settings.threads} threads"
    cpus = sorted({cpu for one in run.measurements for cpu in one.cpus})
    pinned = (
        f"pinned to CPU{'s' if len(cpus) > 1 else ''} {', '.join(map(str, cpus))}"
        if cpus
        else "not pinned to any CPU"
    )
    runner = run.runner.name if run.runner else "an unknown runner"
    return (
        f"Timed by {runner}: {settings.rounds} fresh processes for each model, {settings.runs} "
        f"inferences in each after {settings.warm_up_runs} to warm up, {threads}, {pinned}; the "
        f"order was drawn at random anew for each round. {_canary(run)}Inputs: {settings.inputs}."
    )


def _canary(run: PhoneRun) -> str:
    if not run.checks:
        return ""
    hot = sum(check.throttled for check in run.checks)
    limit = percent(run.settings.canary_limit - 1, 0)
    found = (
        "the phone held its speed throughout"
        if not hot
        else f"{hot} of {len(run.checks)} blocks ran on a phone slower than that"
        f" (after a pause of {duration(run.settings.cool_down_s)} each was measured again, at most "
        f"{run.settings.tries} times in all)"
    )
    return (
        "A small fixed model timed before and after each block may be at most "
        f"{limit} slower than at the start: {found}. "
    )


def _warnings(summary: PhoneSummary) -> Iterable[Warned]:
    if summary.problem:
        yield Warned("Times that do not belong together", summary.problem)
    for row in summary.rows:
        if row.failure is not None:
            yield Warned(f"{row.short} could not be timed", row.failure.reason)
    yield from _other_labels(summary)
    if summary.run.settings.outputs and summary.timed and not summary.run.outputs:
        yield Warned(
            "Outputs were not compared with this computer’s",
            "So the accuracy measured here is assumed on the phone, not known.",
            "warn",
        )
    if summary.run.warnings:
        count = len(summary.run.warnings)
        yield Warned(
            f"{count} things to know of this phone" if count > 1 else "To know of this phone",
            " ".join(summary.run.warnings),
            "warn",
        )


def _other_labels(summary: PhoneSummary) -> Iterable[Warned]:
    other = [(row, row.outputs) for row in summary.rows if row.outputs and row.outputs.label_flips]
    if not other:
        return
    counts = [
        f"{outputs.label_flips:,} of {outputs.samples:,} samples by {row.short}"
        for row, outputs in other
    ]
    where = "on the phone" if summary.real else "there"
    yield Warned(
        f"Other labels {where} than on this computer: {listed([row.short for row, _ in other])}",
        f"The most likely label differs for {listed(counts)}, so the accuracy measured on this "
        "computer is not the phone’s.",
    )
