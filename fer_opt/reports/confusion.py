"""Confusion matrices as the report shows them: shaded by row, drawn only where they can be read."""

from __future__ import annotations

from dataclasses import dataclass

from fer_opt.reports.fact_tables import frequent_confusions
from fer_opt.reports.formats import percent
from fer_opt.reports.record import Accuracy
from fer_opt.reports.summary import Summary, VariantSummary
from fer_opt.reports.tables import Table, Tone, badges

__all__ = ["Confusions", "Matrix", "MatrixCell", "confusions_of"]

NUMBERED_LABELS = 12
"""Up to so many labels a cell has room for its number."""

SHADED_LABELS = 40
"""Up to so many labels a matrix is shown at all."""

SHADED_CELLS = 20_000
"""More cells than this make the page heavy; the variants that matter most come first."""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One cell: its count, its share of the row (0 to 1), and what a pointer over it says."""

    number: int
    share: float
    hint: str
    diagonal: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """One variant's matrix.

    Attributes:
        recipe: of the variant.
        key: its short name where that is not the recipe, else empty.
        badges: what must be said wherever it is named.
        labels: of rows (true) and columns (predicted).
        never: those of ``labels`` that have samples and were never predicted.
        rows: the cells.
    """

    recipe: str
    key: str
    badges: tuple[tuple[str, Tone], ...]
    labels: tuple[str, ...]
    never: frozenset[str]
    rows: tuple[tuple[MatrixCell, ...], ...]


@dataclass(frozen=True, slots=True)
class Confusions:
    """All matrices that can be shown.

    Attributes:
        matrices: side by side, in the experiment's order.
        numbered: whether cells show their number.
        wide: whether numbers or labels need more room than a third of the page.
        remark: what is not shown, and why; empty when all is.
        mistakes: the commonest mistakes, where cells show no numbers.
    """

    matrices: tuple[Matrix, ...]
    numbered: bool
    wide: bool
    remark: str
    mistakes: tuple[Table, ...]


def confusions_of(summary: Summary) -> Confusions:
    """The matrices of every variant with an accuracy, or of those that fit the page."""
    scored = [(row, row.accuracy) for row in summary.rows if row.accuracy is not None]
    if not scored:
        return Confusions((), False, False, "", ())
    size = len(scored[0][1].labels)
    numbered = size <= NUMBERED_LABELS
    mistakes: tuple[Table, ...] = ()
    if not numbered:
        _, accuracy = min(scored, key=lambda pair: _rank(summary, pair[0]))
        table = frequent_confusions(accuracy)
        mistakes = (table,) if table else ()
    if size > SHADED_LABELS:
        return Confusions(
            (),
            False,
            False,
            f"A matrix of {size:,} labels cannot be read on a page, so none is drawn; "
            "record.json has them all.",
            mistakes,
        )
    most = max(1, SHADED_CELLS // size**2)
    kept = sorted(scored, key=lambda pair: _rank(summary, pair[0]))[:most]
    shown = [pair for pair in scored if pair in kept]
    parts = []
    if not numbered:
        parts.append(f"With {size} labels a cell has no room for its number; point at it to see.")
    if len(shown) < len(scored):
        parts.append(f"{len(shown)} of {len(scored)} variants are drawn; record.json has all.")
    return Confusions(
        tuple(_matrix(summary, row, accuracy) for row, accuracy in shown),
        numbered,
        size > 8 or max(max(map(max, one.confusion)) for _, one in shown) > 999,
        " ".join(parts),
        mistakes,
    )


def _rank(summary: Summary, row: VariantSummary) -> tuple[bool, bool, bool]:
    chosen = summary.recommendation.chosen
    return (row is not chosen, row.recipe != summary.reference, not row.on_front)


def _matrix(summary: Summary, row: VariantSummary, accuracy: Accuracy) -> Matrix:
    labels = tuple(score.label for score in accuracy.labels)
    rows = []
    for index, line in enumerate(accuracy.confusion):
        total = sum(line)
        cells = []
        for column, number in enumerate(line):
            share = number / total if total else 0.0
            hint = (
                f"{labels[index]} taken for {labels[column]}: {number:,} of {total:,}, "
                f"{percent(share)}"
            )
            cells.append(MatrixCell(number, share, hint, index == column))
        rows.append(tuple(cells))
    return Matrix(
        row.recipe,
        row.key,
        tuple(badge for badge in badges(summary, row) if "never" not in badge[0]),
        labels,
        frozenset(accuracy.never_predicted),
        tuple(rows),
    )
