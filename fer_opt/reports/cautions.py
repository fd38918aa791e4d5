"""What a reader must not miss, and what else there is to know: warnings and remarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fer_opt.reports.formats import count, percent
from fer_opt.reports.gain import gains_of
from fer_opt.reports.names import listed
from fer_opt.reports.record import RunRecord
from fer_opt.reports.summary import Summary, VariantSummary
from fer_opt.reports.tables import Tone

__all__ = ["Warned", "refusals", "remarks_on", "warnings_of"]


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the reader must not miss: a short headline, and a sentence or two."""

    headline: str
    detail: str
    tone: Tone = "bad"


def warnings_of(summary: Summary) -> Iterable[Warned]:
    """Everything of that kind, the loudest first."""
    yield from _never_predicted(summary)
    for row in summary.rows:
        if row.flagged:
            yield Warned(
                f"{row.short} is flagged and never recommended", " ".join(row.variant.check.flags)
            )
    record = summary.record
    yield from refusals(record)
    if record.convention.guessed:
        fields = listed(list(record.convention.guessed))
        yield Warned(
            f"Guessed: {fields}",
            "Nobody stated this part of the input convention, so fer-opt chose it; a wrong guess "
            "costs accuracy without any other sign.",
            "warn",
        )
    if record.dataset.skipped:
        number = len(record.dataset.skipped)
        yield Warned(
            f"{count(number)} sample{'s' if number > 1 else ''} left out",
            "They could not be used; the list stands under “To repeat this run”.",
            "warn",
        )


def refusals(record: RunRecord) -> Iterable[Warned]:
    """Recipes that could not be carried out, and why."""
    for item in record.refused:
        yield Warned(f"Left out: {item.recipe}", item.reason, "warn")


def _never_predicted(summary: Summary) -> Iterable[Warned]:
    scored = [row for row in summary.rows if row.accuracy is not None]
    by_variants: dict[tuple[str, ...], list[str]] = {}
    for label, recipes in summary.never_predicted.items():
        by_variants.setdefault(recipes, []).append(label)
    for recipes, labels in by_variants.items():
        names = [summary.names.get(recipe, recipe) for recipe in recipes]
        who = (
            "every variant"
            if len(recipes) == len(scored) > 1
            else f"the variant{'s' if len(recipes) > 1 else ''} {listed(names)}"
        )
        support = sum(_support(scored, label) for label in labels)
        best = max(row.accuracy.accuracy for row in scored if row.accuracy)
        yield Warned(
            f"Never predicted: {listed(labels)}",
            f"By {who}: 0 of {support:,} such samples right. An overall accuracy of "
            f"{percent(best)} hides it; in the thesis, 75\u00a0% hid 0 of 317 for contempt.",
        )


def _support(rows: Sequence[VariantSummary], label: str) -> int:
    return next(
        score.support
        for row in rows
        if row.accuracy
        for score in row.accuracy.labels
        if score.label == label
    )


def remarks_on(summary: Summary) -> Iterable[str]:
    """What the record and its checks note, and which steps gained no time."""
    yield from summary.record.notes
    by_note: dict[str, list[str]] = {}
    for row in summary.rows:
        for note in row.variant.check.notes:
            by_note.setdefault(note, []).append(row.short)
    for note, names in by_note.items():
        yield f"{listed(names)}: {note}"
    for gain in gains_of(summary).values():
        if gain.speed == "not faster":
            yield gain.sentence
