"""Tables of what stands behind the figures: converted files, mistakes, samples, facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fer_opt.reports.formats import count, percent
from fer_opt.reports.record import Accuracy, RunRecord
from fer_opt.reports.summary import Summary
from fer_opt.reports.tables import Cell, Column, Table

__all__ = [
    "checks_table",
    "dataset_table",
    "facts_tables",
    "files_table",
    "frequent_confusions",
]


def checks_table(summary: Summary) -> Table:
    """What a look at each converted file found."""
    columns = (
        Column("Variant"),
        Column("Input"),
        Column("Output"),
        Column("Same label as Keras", True),
        Column("Largest difference", True),
        Column("Operators"),
        Column("Float operators left"),
    )
    rows = tuple(
        (
            Cell(
                row.recipe,
                badges=(("⚑ flagged", "bad"),) if row.flagged else (),
                key=row.key,
            ),
            _tensor(row.variant.input.dtype, row.variant.input.shape, row.variant.input.scale,
                    row.variant.input.zero_point),
            _tensor(row.variant.output.dtype, row.variant.output.shape, row.variant.output.scale,
                    row.variant.output.zero_point),
            Cell(
                percent(row.variant.check.label_agreement),
                f"of {row.variant.check.compared:,} samples",
            ),
            Cell(f"{row.variant.check.max_abs_difference:.2g}"),
            Cell(_operators(row.variant.check.operators), tone="muted"),
            Cell(
                _operators(row.variant.check.float_operators) or "none",
                tone="warn" if row.variant.check.float_operators else "muted",
            ),
        )
        for row in summary.rows
    )  # fmt: skip
    notes = (
        "Largest difference: of any output probability from that of the Keras network it "
        "was converted from, on the same samples. Float operators are counted where the variant is "
        "meant to be integer.",
    )
    return Table(
        "checks", "What a look at the converted files found", columns, (("", rows),), notes
    )


def _tensor(dtype: str, shape: Iterable[int], scale: float | None, zero_point: int | None) -> Cell:
    quantized = "" if scale is None else f"scale {scale:.4g}, zero point {zero_point}"
    return Cell(f"{dtype} {'×'.join(str(side) for side in shape)}", quantized)


def _operators(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}\u00a0{number}" for name, number in sorted(counts.items()))


def frequent_confusions(accuracy: Accuracy, most: int = 15) -> Table | None:
    """The commonest mistakes, for models with too many labels for a matrix to be read."""
    names = [score.label for score in accuracy.labels]
    mistakes = sorted(
        (
            (number, names[row], names[column])
            for row, line in enumerate(accuracy.confusion)
            for column, number in enumerate(line)
            if row != column and number
        ),
        key=lambda mistake: (-mistake[0], mistake[1], mistake[2]),
    )[:most]
    if not mistakes:
        return None
    support = {score.label: score.support for score in accuracy.labels}
    body = tuple(
        (Cell(true), Cell(predicted), Cell(count(number)), Cell(percent(number / support[true])))
        for number, true, predicted in mistakes
    )
    columns = (
        Column("True label"), Column("Taken for"), Column("Samples", True),
        Column("of the label's", True),
    )  # fmt: skip
    return Table("confusions", f"Commonest mistakes of {accuracy.recipe}", columns, (("", body),))


def dataset_table(record: RunRecord) -> Table:
    """How many samples each label has, in the dataset and in the representative set."""
    representative = record.representative
    drawn = (
        dict(zip(record.convention.labels, representative.count_per_label, strict=False))
        if representative
        else {}
    )
    columns = (Column("Label"), Column("Samples", True), Column("For calibration", True))
    body = tuple(
        (Cell(label), Cell(count(number)), Cell(count(drawn.get(label))))
        for label, number in zip(
            record.dataset.labels, record.dataset.count_per_label, strict=False
        )
    )
    return Table("dataset", "Samples by label", columns, (("", body),))


def facts_tables(facts: Sequence[tuple[str, dict[str, str]]]) -> tuple[Table, ...]:
    """Name and value, a table for each heading that has any."""
    columns = (Column("What"), Column("Value"))
    return tuple(
        Table(
            f"facts-{index}",
            heading,
            columns,
            (("", tuple((Cell(name), Cell(value)) for name, value in values.items())),),
        )
        for index, (heading, values) in enumerate(facts)
        if values
    )


def files_table(summary: Summary) -> Table:
    """Where each variant's file is and how to know it."""
    columns = (Column("Variant"), Column("File"), Column("Bytes", True), Column("SHA-256"))
    body = tuple(
        (
            Cell(row.recipe, key=row.key),
            Cell(row.variant.path),
            Cell(count(row.variant.size_bytes)),
            Cell(row.variant.sha256),
        )
        for row in summary.rows
    )
    return Table("files", "Files", columns, (("", body),))
