"""What compression did, step by step: the table, the notes, and the recipes that were left out."""

from __future__ import annotations

from dataclasses import dataclass

from fer_opt.reports.cautions import Warned, refusals
from fer_opt.reports.formats import (
    change,
    count,
    duration,
    interval,
    megabytes,
    percent,
    points,
    scaled,
)
from fer_opt.reports.gain import LEAST_GAIN, Gain, gains_of
from fer_opt.reports.names import listed, number_format
from fer_opt.reports.record import RunRecord, StepResult
from fer_opt.reports.summary import Summary, VariantSummary
from fer_opt.reports.tables import (
    Cell,
    Column,
    Table,
    Tone,
    badges,
    ratio_cell,
    shared_confidence,
)

__all__ = ["Compression", "compression_of", "steps_of"]


@dataclass(frozen=True, slots=True)
class Compression:
    """The section on compression.

    Attributes:
        table: a group of rows for each recipe; None where every recipe with steps was refused.
        notes: what the steps had to say.
        refused: recipes left out, and why.
    """

    table: Table | None
    notes: tuple[str, ...]
    refused: tuple[Warned, ...]


def compression_of(summary: Summary) -> Compression | None:
    """The section on compression; None where no recipe has steps and none was refused."""
    rows = [row for row in summary.rows if row.variant.steps]
    refused = tuple(refusals(summary.record))
    if not rows and not refused:
        return None
    return Compression(_table(summary, rows) if rows else None, _step_notes(rows), refused)


def _table(summary: Summary, rows: list[VariantSummary]) -> Table:
    columns = (
        Column("Step"),
        Column("Accuracy", True),
        Column("Change", True),
        Column("Parameters", True),
        Column("Multiply-accumulates", True),
        Column("Step took", True),
        Column("File", True),
        Column(f"Time / {summary.short_reference}", True),
    )
    gains = gains_of(summary)
    groups = tuple(
        (
            f"{row.key}: {row.recipe}" if row.key else row.recipe,
            (
                *_network_rows(summary.record.trained, row),
                _file_row(summary, row, gains.get(row.recipe)),
            ),
        )
        for row in rows
    )
    return Table("steps", "Step by step", columns, groups, _table_notes(summary, rows))


def _network_rows(trained: StepResult | None, row: VariantSummary) -> tuple[tuple[Cell, ...], ...]:
    first = () if trained is None else (trained,)
    return tuple(_network_row(result, trained) for result in (*first, *row.variant.steps))


def _network_row(result: StepResult, trained: StepResult | None) -> tuple[Cell, ...]:
    is_step = result is not trained
    base = trained if is_step else None
    return (
        Cell(result.step, result.title) if is_step else Cell(result.title),
        Cell(
            percent(result.accuracy),
            f"{interval(percent(result.low), percent(result.high))}, n = {count(result.samples)}",
        ),
        Cell(points(result.accuracy - base.accuracy) if base else "–"),
        Cell(count(result.parameters), change(result.parameters, base.parameters) if base else ""),
        Cell(scaled(result.macs), change(result.macs, base.macs) if base else ""),
        Cell(duration(result.took_s) if is_step else "–"),
        Cell("–", tone="muted"),
        Cell("–", tone="muted"),
    )


def _file_row(summary: Summary, row: VariantSummary, gain: Gain | None) -> tuple[Cell, ...]:
    variant, score, trained = row.variant, row.accuracy, summary.record.trained
    wanted = number_format(row.recipe, [step.step for step in variant.steps])
    blank = Cell("–", tone="muted")
    verdict: tuple[tuple[str, Tone], ...] = ()
    if gain is not None:
        tone: Tone = {"faster": "good", "not faster": "warn"}.get(gain.speed, "muted")  # type: ignore[assignment]
        verdict = ((gain.verdict, tone),)
    return (
        Cell(
            f"the file, {wanted}",
            gain.figures if gain else "",
            badges=(*badges(summary, row), *verdict),
        ),
        Cell("not measured", tone="muted")
        if score is None
        else Cell(
            percent(score.accuracy),
            f"{interval(percent(score.low), percent(score.high))}, n = {count(score.samples)}",
        ),
        Cell(points(score.accuracy - trained.accuracy) if score and trained else "–"),
        blank,
        blank,
        blank,
        Cell(megabytes(variant.size_bytes), f"gzip {megabytes(variant.gzip_bytes)}"),
        ratio_cell(row, summary.reference, shared_confidence(summary.rows)),
    )


def _table_notes(summary: Summary, rows: list[VariantSummary]) -> tuple[str, ...]:
    notes = [
        "Accuracy is the Keras network’s after a step, on n images, and then the file’s; "
        "intervals are Wilson’s, 95 %. Changes are against the trained network. "
        "Multiply-accumulates are of one image, zeros counted like any other weight. A step that "
        "several recipes begin with is carried out once.",
    ]
    if any(row.ratio for row in rows):
        notes.append(
            "A file is faster where the interval of its time over that of the plain variant of "
            "its number format, taken round by round, lies below 1 and begins at "
            f"{LEAST_GAIN:g} or less; not faster where all of it lies above {LEAST_GAIN:g}. "
            f"Smaller when zipped: by more than {percent(1 - LEAST_GAIN, 0)}."
        )
    if summary.reference != "float32":
        has = any(row.recipe == "float32" for row in summary.rows)
        why = "are compared with" if has else "cannot be compared with float32, which is not here;"
        notes.append(
            f"Times {why} {summary.short_reference}{', ' if has else ' is '}this run’s reference."
        )
    notes.extend(gain.excuse for gain in gains_of(summary).values() if gain.excuse)
    return tuple(notes)


def _step_notes(rows: list[VariantSummary]) -> tuple[str, ...]:
    """One line for each step that had something to say, equal ones of several recipes joined."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for row in rows:
        for result in row.variant.steps:
            if result.notes:
                names = found.setdefault((result.step, result.notes), [])
                if row.short not in names:
                    names.append(row.short)
    return tuple(
        f"{listed(names, most=9)}, {step}: {' '.join(notes)}"
        for (step, notes), names in found.items()
    )


def steps_of(record: RunRecord) -> tuple[tuple[str, int, StepResult], ...]:
    """Recipe, place and result of every step, the trained network first with an empty recipe."""
    first = () if record.trained is None else (("", 0, record.trained),)
    return (
        *first,
        *(
            (variant.recipe, place, result)
            for variant in record.variants
            for place, result in enumerate(variant.steps, start=1)
        ),
    )
