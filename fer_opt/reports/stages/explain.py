"""Why it takes that long, what to change first, and how it was timed: the smaller sentences."""

from __future__ import annotations

from collections.abc import Iterable

from fer_opt.reports.formats import milliseconds, percent, significant
from fer_opt.reports.names import listed
from fer_opt.reports.stages.change import Change, change_first
from fer_opt.reports.stages.photos import largest_gap
from fer_opt.reports.stages.summary import PipelineSummary, StagesSummary
from fer_opt.reports.stages.tail import Tail, tail_of
from fer_opt.reports.stages.words import STAGE_WORDS, published_stages, share_of

__all__ = ["changes", "how", "notes", "tails"]

ADDS_UP_WITHIN = 0.02
REPEATS_FROM = 0.8


def changes(summary: StagesSummary) -> tuple[str, ...]:
    """What to change first, a sentence or two for each pipeline."""
    return tuple(_change(one, summary.target_ms) for one in change_first(summary))


def _change(one: Change, target_ms: float) -> str:
    stage, share = STAGE_WORDS[one.row.way.stage], percent(one.row.share, 0)
    of = "the timed part of a photo" if one.lacks else "a photo’s time"
    where = f"In {one.pipeline}, {stage} takes the most, {share} of {of}."
    if one.lacks:
        where += f" First of all, have {listed([STAGE_WORDS[name] for name in one.lacks])} timed."
    better = one.faster
    if better is None:
        return f"{where} No faster way of it was measured here; to try: {one.to_try}."
    whole = [STAGE_WORDS[name] for name in better.stages]
    together = f"{listed(whole)} together" if len(whole) > 1 else "it"
    photos = f"{better.photos:,} photo{'s' if better.photos > 1 else ''}"
    return (
        f"{where} Change it first: {together} took {milliseconds(better.after_ms)} instead of "
        f"{milliseconds(better.before_ms)} with {better.pipeline} ({listed(better.ways)}), on "
        f"average over {photos}. That saves {milliseconds(better.saved_ms)} a photo, "
        f"{share_of(better.saved_ms, target_ms)} of the budget."
    )


def tails(summary: StagesSummary) -> tuple[str, ...]:
    """Why some photos take much longer than others, a sentence or more for each pipeline."""
    return tuple(map(_tail, summary.timed))


def _tail(one: PipelineSummary) -> str:
    if len(one.main.photos) < 2:
        return f"{one.heading}: a single photo has no tail."
    found = tail_of(one.main)
    mean_ms, sd_ms = published_stages()["total"]
    spread = (
        ""
        if found.spread is None
        else f" (standard deviation {significant(found.spread, 2)} of the mean; the thesis’s "
        f"{significant(sd_ms / mean_ms, 2)})"
    )
    slowest = f"the slowest photo takes {significant(found.ratio)} times the median{spread}"
    if not found.long:
        return f"{one.heading} has no long tail: {slowest}."
    where = f", most of it in {STAGE_WORDS[found.stage]}" if found.stage else ""
    return f"{one.heading} has a long tail: {slowest}{where}. {_cause(found)}"


def _cause(found: Tail) -> str:
    """What the tail goes with: the photo itself, its size, or neither."""
    if found.again is None:
        repeats = "One process cannot tell whether it is the photos or the machine."
    else:
        blame = "it is the photos" if found.again >= REPEATS_FROM else "part of it is the machine"
        repeats = f"Its photos were as slow in {percent(found.again, 0)} of processes, so {blame}."
    size = found.size
    if size is None:
        return repeats
    told = (
        f"rank correlation with the number of pixels {size.correlation:.2f}, over "
        f"{size.photos:,} photos"
    )
    if size.holds:
        return f"{repeats} Larger photos take longer ({told})."
    return f"{repeats} Their size does not explain it ({told})."


def how(summary: StagesSummary) -> str:
    """How it was timed; empty without times."""
    if not summary.timed:
        return ""
    run, first = summary.run, summary.timed[0]
    passes = first.pipeline.passes
    processes = len({one.process_index for one in passes})
    often = 1 + max(one.pass_index for one in passes)
    warm = f"once cold and {_times(often - 1)} warm" if often > 1 else "once, cold"
    threads = "1 thread" if run.threads == 1 else f"{run.threads:,} threads"
    return (
        f"Photos: {run.photos.source}; {_split(first)}. For each pipeline, {processes:,} fresh "
        f"process{'es' if processes != 1 else ''} went through all of them {warm}, in a random "
        f"order each time; {threads} for detector and classifier. {_adds_up(summary)}"
    )


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def _split(one: PipelineSummary) -> str:
    """The photos by number of faces, as the thesis tells its 25."""
    faces = [photo.faces for photo in one.main.photos]
    kinds = {
        "one face": sum(number == 1 for number in faces),
        "none": sum(number == 0 for number in faces),
        "several": sum(number > 1 for number in faces),
    }
    return listed([f"{number:,} with {kind}" for kind, number in kinds.items() if number])


def _adds_up(summary: StagesSummary) -> str:
    gap = largest_gap(one.pipeline for one in summary.timed)
    if gap is None:
        return "Different programs ran the stages; a total is their sum."
    middle, worst = gap
    told = (
        f"The stages add up to the clock of the whole photo within {percent(middle, 2)} in the "
        f"median pass and {percent(worst, 2)} in the worst"
    )
    return f"{told}." if middle <= ADDS_UP_WITHIN else f"{told}, which is too much to trust."


def notes(summary: StagesSummary, most: int = 5) -> Iterable[str]:
    """The run's own notes, and photos that were left out."""
    yield from summary.run.notes
    left_out = summary.run.photos.unreadable
    if left_out:
        more = f" And {len(left_out) - most:,} more, in record.json." if left_out[most:] else ""
        photos = f"{len(left_out):,} photo{'s' if len(left_out) > 1 else ''}"
        yield f"Left out, {photos} that cannot be read: {' '.join(left_out[:most])}{more}"
