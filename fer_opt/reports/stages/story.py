"""What all five stages cost, in sentences, the same in HTML and Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from fer_opt.reports.formats import interval, milliseconds, percent, significant
from fer_opt.reports.names import listed
from fer_opt.reports.phones.story import NO_LATENCY, VIRTUAL
from fer_opt.reports.stages.explain import changes, how, notes, tails
from fer_opt.reports.stages.summary import PipelineSummary, StagesSummary, speed_up
from fer_opt.reports.stages.verdict import Verdict
from fer_opt.reports.stages.words import STAGE_WORDS, on_device, share_of

__all__ = ["StagesStory", "in_a_sentence", "tell_stages"]


@dataclass(frozen=True, slots=True)
class StagesStory:
    """What a reader must know of one run, in this order.

    Attributes:
        banner: that this is no real phone; empty for one, and for this computer.
        unfinished: what is still missing; empty when nothing is.
        headline: the fastest pipeline's time and the verdict, one sentence.
        budget: which stage takes the most, in the thesis's way and the fastest; empty without
            times.
        gain: how much faster than the thesis's way; empty where there is no other.
        changes: what to change first, a sentence or two for each pipeline.
        tail: why some photos take longer, a sentence or two for each pipeline.
        how: how it was timed; empty without times.
        notes: the run's own, and photos left out.
    """

    banner: str
    unfinished: str
    headline: str
    budget: str
    gain: str
    changes: tuple[str, ...]
    tail: tuple[str, ...]
    how: str
    notes: tuple[str, ...]


def tell_stages(summary: StagesSummary) -> StagesStory:
    """Put a run of the stages into sentences."""
    return StagesStory(
        banner={"virtual": VIRTUAL, "emulated": NO_LATENCY}.get(summary.kind, ""),
        unfinished=""
        if summary.run.complete
        else "Not every pipeline has all its passes yet; run the same command again to go on.",
        headline=_headline(summary),
        budget=_budget(summary),
        gain=_gain(summary),
        changes=changes(summary),
        tail=tails(summary),
        how=how(summary),
        notes=tuple(notes(summary)),
    )


def in_a_sentence(summary: StagesSummary) -> str:
    """The run for the report's first screen: the verdict, and the stage that eats the budget."""
    best = summary.best
    if best is None:
        return ""
    verdict = f"; {_in_short(best, summary.target_ms)}" if summary.judged else ""
    least = _least(best)
    p95 = f"95th percentile {least}{milliseconds(best.main.total.p95_ms)}"
    first = summary.timed[0]
    return f"{_took(summary, best)} ({p95}{verdict}). {_eaten(first, alone=first is best)}".strip()


def _took(summary: StagesSummary, one: PipelineSummary) -> str:
    """Where and how long a photo takes one way: the beginning of a sentence."""
    where = on_device(summary.run.device)
    photo = "a photo with one face" if one.main.one_face else "a photo (none has just one face)"
    by = one.title if one.title.startswith("the ") else f"by {one.title}"
    time = milliseconds(one.main.total.median_ms)
    return f"{where[0].upper()}{where[1:]}, {photo} takes {_least(one)}{time} {by}"


def _least(one: PipelineSummary) -> str:
    return "at least " if one.main.total.verdict.at_least else ""


def _lacking(one: PipelineSummary) -> str:
    """The stages it goes through that were not timed; empty where there are none."""
    return listed([STAGE_WORDS[stage] for stage in one.main.lacks]) if one.main.lacks else ""


def _in_short(one: PipelineSummary, target_ms: float) -> str:
    target = f"{significant(target_ms)}\u00a0ms"
    if one.outcome == "open" and one.main.lacks:
        return f"without {_lacking(one)}"
    return {
        "pass": f"95\u00a0% stay within {target}",
        "fail": f"too many exceed {target}",
        "open": f"not enough photos to say whether 95\u00a0% stay within {target}",
    }[one.outcome]


def _eaten(one: PipelineSummary, *, alone: bool) -> str:
    """Which stage takes the most, in short."""
    row = one.main.largest
    if row is None:
        return ""
    subject = "It" if alone else one.heading
    took = f"takes {_least(one)}{milliseconds(one.main.total.median_ms)} and " if not alone else ""
    return (
        f"{subject} {took}spends {percent(row.share, 0)} of its "
        f"{'timed part' if one.main.lacks else 'time'} in {STAGE_WORDS[row.way.stage]}."
    )


def _headline(summary: StagesSummary) -> str:
    best = summary.best
    if best is None:
        if summary.emulated:
            return "The stages ran emulated: no time is known."
        if summary.problem:
            return f"The times cannot be summarised: {summary.problem}"
        return "No stage has been timed yet."
    said = f"{_took(summary, best)} {_percentiles(best)}"
    return f"{said}: {_judged(best, summary.target_ms)}." if summary.judged else f"{said}."


def _percentiles(one: PipelineSummary) -> str:
    total = one.main.total
    if total.photos < 2:
        return "(a single photo)"
    return f"(median; 95th percentile {_least(one)}{milliseconds(total.p95_ms)})"


def _judged(one: PipelineSummary, target_ms: float) -> str:
    """The verdict of the worse of the totals, in words that follow the time."""
    target = f"{significant(target_ms)}\u00a0ms"
    totals = [one.main.total.verdict, one.main.any_photo.verdict]
    verdict = next(found for found in totals if found.outcome == one.outcome)
    of_any = "" if verdict is totals[0] else " of any kind"
    if one.outcome == "pass":
        return f"95\u00a0% of such photos stay within the {target} one may take"
    if one.outcome == "fail":
        return (
            f"more than 5\u00a0% of such photos{of_any} take longer than the {target} one may take "
            f"({verdict.over:,} of {verdict.photos:,} did)"
        )
    stayed = f"{_within(verdict)}{of_any} stayed within the {target} one may take"
    return f"{stayed}{_why_open(verdict, _lacking(one))}"


def _within(verdict: Verdict) -> str:
    if verdict.photos == 1:
        return "the one photo" if verdict.over == 0 else "not the one photo"
    if verdict.over == 0:
        return f"all {verdict.photos:,} photos"
    return f"{verdict.photos - verdict.over:,} of {verdict.photos:,} photos"


def _why_open(verdict: Verdict, lacks: str) -> str:
    if verdict.at_least:
        return f", but that is without {lacks} and cannot pass"
    if verdict.over > 0.05 * verdict.photos:
        return f"; not enough photos to say, {verdict.fails_at:,} longer ones would fail"
    return (
        ", but that is not enough photos to say that 95\u00a0% of such photos do; "
        f"{verdict.needed:,} would be"
    )


def _budget(summary: StagesSummary) -> str:
    """Which stage eats the time of the first pipeline, and of the best one."""
    told = dict.fromkeys(
        _largest(one, summary.target_ms)
        for one in (*summary.timed[:1], summary.best)
        if one is not None
    )
    return " ".join(filter(None, told))


def _largest(one: PipelineSummary, target_ms: float) -> str:
    row = one.main.largest
    if row is None or row.figures is None:
        return ""
    lacks = _lacking(one)
    missing = f" Not run here: {lacks}." if lacks else ""
    return (
        f"{one.heading} spends {percent(row.share, 0)} of its {'timed part' if lacks else 'time'} "
        f"in {STAGE_WORDS[row.way.stage]}: {milliseconds(row.figures.mean_ms)} on average, "
        f"{share_of(row.figures.mean_ms, target_ms)} of the budget.{missing}"
    )


def _gain(summary: StagesSummary) -> str:
    told = []
    for other in summary.timed[1:]:
        first = summary.timed[0]
        same_phase = first.main.phase == other.main.phase
        found = speed_up(first.main, other.main) if same_phase else None
        if found is None:
            continue
        bounds = (
            f"; {percent(found.confidence, 0)} interval "
            f"{interval(significant(found.low), significant(found.high))}"
            if found.size > 1
            else ""
        )
        photos = f"{found.size:,} photo{'s' if found.size > 1 else ''}"
        told.append(
            f"Photo by photo, {first.title} takes {significant(found.median)} times as long as "
            f"{other.title} (median of {photos}{bounds})."
        )
    return " ".join(told)
