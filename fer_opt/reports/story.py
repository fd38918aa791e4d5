"""The report's sentences: what a reader must know first, the same in HTML and Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from fer_opt.reports.cautions import Warned, remarks_on, warnings_of
from fer_opt.reports.formats import interval, megabytes, milliseconds, percent, significant
from fer_opt.reports.names import listed
from fer_opt.reports.phones.story import variant_on_phone
from fer_opt.reports.phones.summary import summarise_phones
from fer_opt.reports.published import published_table
from fer_opt.reports.record import RunRecord
from fer_opt.reports.stages.story import in_a_sentence
from fer_opt.reports.stages.summary import summarise_stages
from fer_opt.reports.summary import RULE, Recommendation, Summary
from fer_opt.reports.thesis import stages

__all__ = ["Figure", "Story", "tell"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the verdict's large numbers: what it is, its value, and its interval or context."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class Story:
    """The first screen.

    Attributes:
        unfinished: what is still missing of a partial record; empty when it is complete.
        headline: the verdict in one sentence.
        full_recipe: what the headline's short name stands for; empty where it is the recipe.
        figures: the recommended variant's numbers.
        budget: its time against the target, a sentence; empty when it was not timed.
        reason: why this variant.
        catch: what is wrong with it all the same; empty when nothing is.
        rule: how a variant is chosen.
        timed: how variants were timed, a sentence; empty when nothing was.
        on_phones: what each real phone says of the recommended variant, a sentence or two each.
        on_stages: what all five stages take on this computer and on each real phone, as far as they
            were timed; a sentence or two each.
        a_phones: whether some real phone's times are told.
        device_caveat: that this device's time is not the phone's.
        stages_caveat: that the classifier is one of five stages.
        warnings: labels never predicted, flags, refused recipes, guesses, the loudest first.
        remarks: the record's notes, those of the checks, and which steps gained no time.
    """

    unfinished: str
    headline: str
    full_recipe: str
    figures: tuple[Figure, ...]
    budget: str
    reason: str
    catch: str
    rule: str
    timed: str
    on_phones: tuple[str, ...]
    on_stages: tuple[str, ...]
    a_phones: bool
    device_caveat: str
    stages_caveat: str
    warnings: tuple[Warned, ...]
    remarks: tuple[str, ...]


def tell(summary: Summary) -> Story:
    """Put a record's verdict and warnings into sentences."""
    record, advice = summary.record, summary.recommendation
    return Story(
        unfinished=_unfinished(summary),
        headline=_headline(record, advice),
        full_recipe=advice.chosen.recipe if advice.chosen and advice.chosen.key else "",
        figures=_figures(summary),
        budget=_budget(record, advice),
        reason=advice.reason,
        catch=_catch(advice),
        rule=RULE,
        timed=_timed(record),
        on_phones=(on_phones := _on_phones(summary)),
        on_stages=_on_stages(record),
        a_phones=(a_phones := bool(on_phones) or _staged_on_phone(record)),
        device_caveat=_device_caveat(record, a_phones),
        stages_caveat=_stages_caveat(record, bool(on_phones)),
        warnings=tuple(warnings_of(summary)),
        remarks=tuple(remarks_on(summary)),
    )


def here(record: RunRecord) -> str:
    """Where the variants were timed, as a sentence says it."""
    if record.device is None or record.device.kind == "host":
        return "on this computer"
    return "on the phone" if record.device.kind == "phone" else "on an emulated device"


def _unfinished(summary: Summary) -> str:
    record = summary.record
    if record.complete:
        return ""
    missing = []
    unscored = [row.short for row in summary.rows if row.accuracy is None]
    if unscored:
        missing.append(f"accuracy of {listed(unscored)}")
    if record.latency is not None:
        wanted = record.latency.processes * len(record.variants)
        made = len(record.measurements)
        if made < wanted:
            missing.append(f"{wanted - made:,} of {wanted:,} timing processes")
    lacking = listed(missing) if missing else "part of what the experiment asks for"
    return (
        f"This run is not finished: {lacking} "
        f"{'is' if len(missing) < 2 and 'processes' not in lacking else 'are'} missing. "
        "Everything below is provisional; run the same command again to go on where it stopped."
    )


def _headline(record: RunRecord, advice: Recommendation) -> str:
    chosen = advice.chosen
    if chosen is None:
        return f"No variant is recommended. {advice.reason}"
    verb = "Provisionally, take" if not record.complete else "Take"
    if chosen.latency is None:
        return f"{verb} {chosen.short}."
    time = milliseconds(chosen.latency.median_ms)
    verdict = {
        "within": "well within" if chosen.latency.high_ms < record.target_ms / 2 else "within",
        "beyond": "beyond",
        "unclear": "too close to call against",
        "untimed": "",
    }[advice.budget]
    return (
        f"{verb} {chosen.short}: it classifies a face in {time} {here(record)}, "
        f"{verdict} the {significant(record.target_ms)}\u00a0ms an image may take."
    )


def _figures(summary: Summary) -> tuple[Figure, ...]:
    chosen = summary.recommendation.chosen
    if chosen is None:
        return ()
    found = []
    if chosen.latency is not None:
        latency = chosen.latency
        bounds = interval(milliseconds(latency.low_ms), milliseconds(latency.high_ms))
        detail = (
            f"{bounds}, {percent(latency.confidence, 0)} interval over "
            f"{latency.processes} processes"
            if latency.processes > 1
            else "one process, no interval"
        )
        found.append(
            Figure(f"classifier {here(summary.record)}", milliseconds(latency.median_ms), detail)
        )
    if chosen.accuracy is not None:
        score = chosen.accuracy
        bounds = interval(percent(score.low), percent(score.high))
        found.append(
            Figure(
                "predicted right",
                percent(score.accuracy),
                f"{bounds}, 95\u00a0% interval of {score.samples:,} samples",
            )
        )
        found.append(
            Figure("mean over labels", percent(score.balanced_accuracy), "balanced accuracy")
        )
    size = chosen.variant.size_bytes
    base = summary.row(summary.reference).variant.size_bytes
    against = (
        f"{100 * size / base:.0f}\u00a0% of {summary.short_reference}"
        if base and chosen.recipe != summary.reference
        else f"{megabytes(chosen.variant.gzip_bytes)} with gzip"
    )
    found.append(Figure("file", megabytes(size), against))
    return tuple(found)


def _budget(record: RunRecord, advice: Recommendation) -> str:
    latency = advice.chosen.latency if advice.chosen else None
    if latency is None:
        return ""
    share = latency.median_ms / record.target_ms
    text = percent(share, 0 if share >= 0.1 else 1) if share >= 0.0005 else "less than 0.1\u00a0%"
    return f"The classifier alone takes {text} of the budget {here(record)}."


def _catch(advice: Recommendation) -> str:
    accuracy = advice.chosen.accuracy if advice.chosen else None
    if accuracy is None or not accuracy.never_predicted:
        return ""
    return f"But it never predicts {listed(accuracy.never_predicted)}."


def _timed(record: RunRecord) -> str:
    settings = record.latency
    if settings is None or not record.measurements:
        return ""
    threads = "1 thread" if settings.threads == 1 else f"{settings.threads} threads"
    pinned = (
        f"pinned to CPU{'s' if len(settings.cpus) > 1 else ''} {', '.join(map(str, settings.cpus))}"
        if settings.cpus
        else "not pinned to any CPU"
    )
    device = f" on {record.device.name}" if record.device else ""
    sessions = len({one.session for one in record.measurements})
    return (
        f"{settings.processes} fresh processes for each variant, {settings.runs} inferences in "
        f"each after warm-up, {threads}, {pinned}{device}; the order was drawn at random anew "
        f"for each round; {'one session' if sessions == 1 else f'{sessions} sessions'}. "
        f"Inputs: {settings.inputs}."
    )


def _on_phones(summary: Summary) -> tuple[str, ...]:
    chosen = summary.recommendation.chosen
    if chosen is None:
        return ()
    unfit = {row.recipe for row in summary.rows if row.flagged}
    phones = summarise_phones(summary.record.phones, summary.record.target_ms)
    told = (variant_on_phone(phone, chosen.recipe, unfit) for phone in phones)
    return tuple(filter(None, told))


def _on_stages(record: RunRecord) -> tuple[str, ...]:
    runs = summarise_stages(record.stages, record.target_ms)
    return tuple(filter(None, (in_a_sentence(run) for run in runs if run.judged)))


def _staged_on_phone(record: RunRecord) -> bool:
    return any(run.device.kind == "phone" and run.pipelines for run in record.stages)


def _device_caveat(record: RunRecord, phones: bool) -> str:
    if phones:
        return (
            "The verdict beside is by this computer’s times; where they differ, believe the phone."
        )
    if record.device is None:
        return "Nothing was timed: whether the target is met is open."
    if record.device.kind == "virtual":
        return "These times are of an emulated device and mean nothing for a real one."
    if record.device.kind == "phone":
        return f"Times are of one phone, {record.device.name}; another phone's differ."
    return (
        "A computer’s time is not a phone’s: a cheap phone is slower, and variants may even rank "
        "differently on it."
    )


def _stages_caveat(record: RunRecord, phones: bool) -> str:
    found = dict(stages())
    rest = found["Total"] - found["Classifying"]
    detection = found["Face detection"]
    target = f"{significant(record.target_ms)}\u00a0ms"
    if _staged_on_phone(record):
        consequence = "Here they were timed on a phone, as far as each could be."
    elif phones:
        consequence = "So a whole photo takes longer on a phone than the classifier’s time above."
    else:
        consequence = (
            "So this run says which variant to carry to a phone; it cannot say that a photo is "
            f"classified within {target} on one."
        )
    return (
        f"And the classifier is one of five stages. By the thesis’s {published_table(8).where}, "
        f"its phone spent {detection:,.1f}\u00a0ms in face detection alone: with a classifier "
        f"that takes no time at all, a photo would still have taken {rest:,.0f}\u00a0ms there. "
        f"{consequence}"
    )
