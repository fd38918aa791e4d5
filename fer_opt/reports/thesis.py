"""Tables laid out like the thesis's, with its published figures beside this run's."""

from __future__ import annotations

from fer_opt.convention import canonical_label
from fer_opt.reports.formats import count, percent
from fer_opt.reports.published import Value, published_table
from fer_opt.reports.summary import Summary, VariantSummary
from fer_opt.reports.tables import (
    NUMBERED,
    Cell,
    Column,
    Table,
    accuracy_cell,
    badges,
    latency_cell,
)

__all__ = ["NOT_A_RACE", "Stage", "stages", "thesis_tables"]

NOT_A_RACE = (
    "Published figures are the thesis’s, measured in 2018 on AffectNet and on other machines; "
    "figures measured here are of this run’s model, data and device, so the two stand side by "
    "side for orientation and are no race."
)

Stage = tuple[str, float]


def stages() -> tuple[Stage, ...]:
    """The thesis's five stages of classifying a photo and their total, mean ms (Table 8)."""
    return tuple((str(row["step"]), float(row["mean_ms"])) for row in published_table(8).records())


def thesis_tables(summary: Summary) -> tuple[Table, ...]:
    """Tables 5, 6 (when the model was trained here) and 7 (when a label is in both)."""
    found = (_models(summary), _training(summary), _labels(summary))
    return tuple(table for table in found if table is not None)


def _models(summary: Summary) -> Table:
    table = published_table(5)
    parameters = summary.record.model.parameters
    columns = (
        Column("Model"),
        Column("Accuracy", True),
        Column("Loss", True),
        Column("Parameters", True),
        Column("Time per prediction", True),
    )
    published = tuple(
        (
            Cell(str(row["model"])),
            Cell(percent(float(row["accuracy"]), 2)),
            Cell(_loss(row["loss"])),
            Cell(
                count(int(row["parameters"])),
                "misprint of 102,830,056" if row["name"] == "baseline" else "",
            ),
            Cell(f"{row['time_ms']}\u00a0ms"),
        )
        for row in table.records()
    )
    measured = tuple(
        (
            Cell(
                f"{summary.record.model.name}, {row.short}",
                badges=tuple(one for one in badges(summary, row) if "never" not in one[0]),
            ),
            accuracy_cell(row.accuracy),
            Cell(_loss(row.accuracy.cross_entropy) if row.accuracy else "–"),
            Cell(count(steps[-1].parameters if (steps := row.variant.steps) else parameters)),
            latency_cell(row.latency),
        )
        for row in summary.rows
    )
    device = summary.record.device
    here = f"Measured here: {summary.record.dataset.name}" + (f"; {device.name}" if device else "")
    return Table(
        "thesis-5",
        f"Like the thesis’s {table.where}: scores of the models",
        columns,
        (
            ("Published: AffectNet, 25K test samples; Intel Core i5", published),
            (here, measured),
        ),
        (table.notes[0], *((NUMBERED,) if any(row.key for row in summary.rows) else ())),
    )


def _loss(value: Value) -> str:
    return f"{float(value):.4f}"


def _training(summary: Summary) -> Table | None:
    history = summary.record.training
    if not history:
        return None
    table = published_table(6)
    rows = table.records()
    printed = {str(row["epoch"]): row for row in rows}
    columns = (
        Column("Epoch"),
        Column("Published: accuracy", True),
        Column("Published: loss", True),
        Column("Here: validation accuracy", True),
        Column("Here: validation loss", True),
        Column("Here: training accuracy", True),
        Column("Here: training loss", True),
    )
    here = {str(line.epoch): line for line in history}
    epochs = sorted({*here, *(name for name in printed if name.isdigit())}, key=int)
    body: list[tuple[Cell, ...]] = []
    for epoch in epochs:
        line, old = here.get(epoch), printed.get(epoch)
        body.append(
            (
                Cell(epoch),
                Cell(percent(float(old["accuracy"]), 2) if old else "–"),
                Cell(_loss(old["loss"]) if old else "–"),
                Cell(percent(line.validation_accuracy, 2) if line else "–"),
                Cell(_loss(line.validation_loss) if line else "–"),
                Cell(percent(line.accuracy, 2) if line else "–"),
                Cell(_loss(line.loss) if line else "–"),
            )
        )
    body.append(_test_row(printed["Test set"], summary))
    return Table(
        "thesis-6",
        f"Like the thesis’s {table.where}: training result",
        columns,
        (("", tuple(body)),),
        (
            "Published: X.Cao with 2 streams on pruned AffectNet; the figures of an epoch are of "
            "its validation data.",
            "The row “Test set” shows, for this run, the "
            f"{summary.short_reference} variant on {summary.record.dataset.name}.",
        ),
    )


def _test_row(printed: dict[str, Value], summary: Summary) -> tuple[Cell, ...]:
    row = summary.row(summary.reference) if summary.rows else None
    accuracy = row.accuracy if row else None
    return (
        Cell("Test set"),
        Cell(percent(float(printed["accuracy"]), 2)),
        Cell(_loss(printed["loss"])),
        Cell(percent(accuracy.accuracy, 2) if accuracy else "–"),
        Cell(_loss(accuracy.cross_entropy) if accuracy else "–"),
        Cell("–"),
        Cell("–"),
    )


def _labels(summary: Summary) -> Table | None:
    row = _shown(summary)
    if row is None or row.accuracy is None:
        return None
    table = published_table(7)
    printed = {canonical_label(str(line["label"])): line for line in table.records()}
    scores = row.accuracy.labels
    if not any(canonical_label(score.label) in printed for score in scores):
        return None
    columns = (
        Column("Label"),
        Column("Published: correct", True),
        Column("Published: misclassified", True),
        Column("Published: accuracy", True),
        Column("Here: correct", True),
        Column("Here: misclassified", True),
        Column("Here: accuracy", True),
    )
    body: list[tuple[Cell, ...]] = []
    for score in scores:
        old = printed.pop(canonical_label(score.label), None)
        never = bool(score.support) and not score.predicted
        body.append(
            (
                Cell(score.label),
                *_printed(old),
                Cell(count(score.correct)),
                Cell(count(score.support - score.correct)),
                Cell(
                    percent(score.accuracy),
                    "never predicted" if never else "",
                    "bad" if never else "",
                ),
            )
        )
    body.extend(
        (Cell(label), *_printed(old), Cell("–"), Cell("–"), Cell("not a label here", tone="muted"))
        for label, old in printed.items()
    )
    return Table(
        "thesis-7",
        f"Like the thesis’s {table.where}: accuracy per label",
        columns,
        (("", tuple(body)),),
        (
            "Published: X.Cao with 2 streams on 25K AffectNet images. Here: "
            f"{row.short} on {summary.record.dataset.name}.",
            *table.notes,
        ),
    )


def _printed(row: dict[str, Value] | None) -> tuple[Cell, Cell, Cell]:
    if row is None:
        return (Cell("–"), Cell("–"), Cell("–"))
    never = row["correct"] == 0
    return (
        Cell(count(int(row["correct"]))),
        Cell(count(int(row["misclassified"]))),
        Cell(
            f"{row['accuracy_percent']}\u00a0%",
            "never predicted" if never else "",
            "bad" if never else "",
        ),
    )


def _shown(summary: Summary) -> VariantSummary | None:
    """The recommended variant, else the reference, else the first with an accuracy."""
    scored = [row for row in summary.rows if row.accuracy is not None]
    chosen = summary.recommendation.chosen
    if chosen is not None:
        return chosen
    return next((row for row in scored if row.recipe == summary.reference), None) or (
        scored[0] if scored else None
    )
