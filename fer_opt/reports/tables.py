"""The report's tables as plain data, rendered alike into HTML and Markdown: variants and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fer_opt.reports.formats import (
    count,
    interval,
    megabytes,
    milliseconds,
    p_value,
    percent,
    times,
)
from fer_opt.reports.record import Accuracy, LabelScore
from fer_opt.reports.statistics import LatencySummary
from fer_opt.reports.summary import Summary, VariantSummary
from fer_opt.reports.timed import TimedRow

__all__ = [
    "NUMBERED",
    "Cell",
    "Column",
    "Table",
    "Tone",
    "accuracy_cell",
    "badges",
    "labels_table",
    "latency_cell",
    "percentile_cell",
    "ratio_cell",
    "shared_confidence",
    "variants_table",
]

Tone = Literal["", "good", "bad", "warn", "muted"]

NUMBERED = "Long recipes are numbered (R1, R2, …); the table of variants has them in full."


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        text: its value.
        detail: a second, smaller line, e.g. the value's interval.
        tone: what it means to the reader; never said by colour alone.
        badges: short words set off from the text, e.g. ``recommended``, with their tone.
        key: the short name of what ``text`` says in full; empty without one.
    """

    text: str
    detail: str = ""
    tone: Tone = ""
    badges: tuple[tuple[str, Tone], ...] = ()
    key: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, and whether it holds numbers."""

    title: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table; the first cell of each row names the row.

    Attributes:
        name: unique in the page, fit for an id.
        caption: what it shows.
        columns: left to right.
        groups: rows, each group with a heading over it, or with an empty one.
        notes: sentences under it.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[tuple[Cell, ...], ...]], ...]
    notes: tuple[str, ...] = ()


def variants_table(summary: Summary) -> Table:
    """What each variant costs and how good it is."""
    reference, shared = summary.reference, shared_confidence(summary.rows)
    name = summary.short_reference or "the reference"
    columns = (
        Column("Variant"),
        Column("File", True),
        Column("Accuracy", True),
        Column(f"Against {name}", True),
        Column("Balanced accuracy", True),
        Column("Cross-entropy", True),
        Column("Time of one image", True),
        Column(f"Time / {name}", True),
        Column("95th percentile", True),
        Column("Peak memory", True),
    )
    rows = tuple(
        (
            Cell(row.recipe, row.variant.title, badges=badges(summary, row), key=row.key),
            Cell(
                megabytes(row.variant.size_bytes),
                f"gzip {megabytes(row.variant.gzip_bytes)}",
            ),
            accuracy_cell(row.accuracy),
            _paired(row, reference),
            Cell(percent(row.accuracy.balanced_accuracy if row.accuracy else None)),
            Cell(f"{row.accuracy.cross_entropy:.4f}" if row.accuracy else "–"),
            latency_cell(row.latency, shared),
            ratio_cell(row, reference, shared),
            percentile_cell(row.latency),
            Cell(megabytes(row.latency.peak_memory_bytes if row.latency else None)),
        )
        for row in summary.rows
    )
    return Table("variants", "The variants", columns, (("", rows),), _variants_notes(summary))


def badges(summary: Summary, row: VariantSummary) -> tuple[tuple[str, Tone], ...]:
    """What must be said wherever a variant is named."""
    found: list[tuple[str, Tone]] = []
    if row.flagged:
        found.append(("⚑ flagged", "bad"))
    if row is summary.recommendation.chosen:
        found.append(("★ recommended", "good"))
    if row.accuracy and row.accuracy.never_predicted:
        hidden = row.accuracy.never_predicted
        what = hidden[0] if len(hidden) == 1 else f"{len(hidden)} labels"
        found.append((f"⚠ never predicts {what}", "bad"))
    return tuple(found)


def shared_confidence(rows: Sequence[TimedRow]) -> float | None:
    """The confidence all intervals of time and of ratios have, or None where they differ."""
    found = {row.latency.confidence for row in rows if row.latency} | {
        row.ratio.confidence for row in rows if row.ratio
    }
    return found.pop() if len(found) == 1 else None


def accuracy_cell(accuracy: Accuracy | None) -> Cell:
    """Accuracy with its interval."""
    if accuracy is None:
        return Cell("not measured", tone="muted")
    return Cell(percent(accuracy.accuracy), interval(percent(accuracy.low), percent(accuracy.high)))


def latency_cell(latency: LatencySummary | None, shared: float | None = None) -> Cell:
    """The median over processes with its interval, and its confidence unless all share one."""
    if latency is None:
        return Cell("not timed", tone="muted")
    bounds = interval(milliseconds(latency.low_ms), milliseconds(latency.high_ms))
    if latency.processes < 2:
        return Cell(milliseconds(latency.median_ms), "one process, no interval")
    stated = "" if shared is not None else f" ({percent(latency.confidence, 0)})"
    return Cell(milliseconds(latency.median_ms), f"{bounds}{stated}")


def percentile_cell(latency: LatencySummary | None) -> Cell:
    """The 95th percentile of all inferences, else the processes' own, else none."""
    if latency is None:
        return Cell("–")
    if latency.p95_ms is not None:
        return Cell(milliseconds(latency.p95_ms))
    if latency.process_p95_ms is not None:
        return Cell(milliseconds(latency.process_p95_ms), "median of the processes’")
    return Cell("not known", tone="muted")


def _paired(row: VariantSummary, reference: str) -> Cell:
    if row.accuracy is None:
        return Cell("–", tone="muted")
    test = row.accuracy.versus_float
    if test is None:
        return Cell("reference" if row.recipe == reference else "–", tone="muted")
    won, lost = test.only_variant_right, test.only_reference_right
    tone: Tone = "warn" if test.p_value < 0.05 and lost > won else ""
    word = " worse" if tone else ""
    return Cell(f"+{won:,} −{lost:,}{word}", p_value(test.p_value), tone)


def ratio_cell(row: TimedRow, reference: str, shared: float | None) -> Cell:
    """The row's time over the reference's with its interval."""
    if row.ratio is None:
        return Cell("reference" if row.recipe == reference else "–", tone="muted")
    ratio = row.ratio
    if ratio.pairs < 2:
        return Cell(times(ratio.ratio), "one pair, no interval")
    stated = "" if shared is not None else f" ({percent(ratio.confidence, 0)})"
    return Cell(times(ratio.ratio), f"{interval(times(ratio.low), times(ratio.high))}{stated}")


def _variants_notes(summary: Summary) -> tuple[str, ...]:
    notes = ["Sizes in units of 1000."]
    if any(row.accuracy for row in summary.rows):
        notes.append(
            "Accuracy: share predicted right, with Wilson's 95 % interval. Against "
            f"{summary.short_reference}: samples only the variant gets right (+) and only "
            f"{summary.short_reference} does (−), with McNemar's exact p."
        )
    if any(row.latency for row in summary.rows):
        shared = shared_confidence(summary.rows)
        stated = (
            f"{percent(shared, 0)} interval"
            if shared
            else "interval and, in brackets, the confidence that it really has"
        )
        notes.append(
            f"Time: median over processes of each process’s median, with its {stated}; the ratio "
            "is of pairs from the same round. Percentile and peak memory are over all inferences "
            "and processes."
        )
    unsteady = [
        f"{row.short} ({1 - row.latency.steady_share:.0%})"
        for row in summary.rows
        if row.latency and row.latency.steady_share < 1
    ]
    if unsteady:
        notes.append(
            f"Share of processes whose warm-up never became steady: {', '.join(unsteady)}."
        )
    return tuple(notes)


def labels_table(summary: Summary) -> Table | None:
    """Accuracy of each label by variant; None while no accuracy is known."""
    rows = [row for row in summary.rows if row.accuracy is not None]
    if not rows:
        return None
    scores = {
        row.recipe: {score.label: score for score in row.accuracy.labels}
        for row in rows
        if row.accuracy
    }
    labels = [score.label for score in rows[0].accuracy.labels] if rows[0].accuracy else []
    columns = (
        Column("Label"),
        Column("Samples", True),
        *(Column(f"{row.short}{' ⚑' if row.flagged else ''}", True) for row in rows),
    )
    body = tuple(
        (
            Cell(label, badges=_shout(summary, label)),
            Cell(count(scores[rows[0].recipe][label].support)),
            *(label_cell(scores[row.recipe].get(label)) for row in rows),
        )
        for label in labels
    )
    notes = (
        "Share of the label's samples predicted right (recall), with Wilson's 95 % interval.",
        *(("⚑ marks a flagged variant.",) if any(row.flagged for row in rows) else ()),
        *((NUMBERED,) if any(row.key for row in rows) else ()),
    )
    return Table("labels-table", "Accuracy per label", columns, (("", body),), notes)


def _shout(summary: Summary, label: str) -> tuple[tuple[str, Tone], ...]:
    return (("⚠ never predicted", "bad"),) if label in summary.never_predicted else ()


def label_cell(score: LabelScore | None) -> Cell:
    """One label's accuracy; loud where the label was never predicted."""
    if score is None or score.accuracy is None:
        return Cell("no samples", tone="muted")
    bounds = interval(percent(score.low), percent(score.high))
    if not score.predicted:
        return Cell(f"0 of {score.support:,}", "never predicted", "bad")
    return Cell(percent(score.accuracy), bounds)
