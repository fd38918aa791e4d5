"""What the tables promise, and the rows that break it."""

from __future__ import annotations

from collections.abc import Sequence

from compression_rows import Row
from compression_tables import Matrix, paired_difference

from fer_opt.device.measurement import Measurement
from fer_opt.recipe import parse_recipe
from fer_opt.reports.statistics import paired_ratios

ALL_INTEGER = ("int8 PTQ", "int8 QAT", "PCQAT")
"""Ways that leave no operator on floats."""
AGREEING = ("int8 PTQ", "int8 QAT")
AGREEMENT = 0.98
"""Least share of labels on which these files and the networks they were made of agree."""

FAST = {name: str(parse_recipe(name)) for name in ("patient", "light")}
"""Recipes of the shelf of which at least one keeps the promise; which of them depends on the
processor."""
TIME, TIMES_SMALLER, POINTS = 1 / 4, 8, 1.0
"""Of float32: most time, least factor of the size, most points of accuracy it may have lost."""


def broken_in_matrix(matrix: Matrix) -> list[str]:
    """A sentence for each row that breaks a promise."""
    broken = []
    for name, rows in matrix.items():
        for way in ALL_INTEGER:
            row = rows[way]
            if isinstance(row, str):
                broken.append(f"{name}, {way}: refused: {row}")
                continue
            if row.float_operators:
                broken.append(f"{name}, {way}: {row.float_operators} operators work on floats")
            if way in AGREEING and row.agreement is not None and row.agreement < AGREEMENT:
                broken.append(f"{name}, {way}: agrees on {row.agreement:.1%} of labels")
    return broken


def broken_in_headline(rows: Sequence[Row], measurements: Sequence[Measurement]) -> list[str]:
    """A sentence for each fast recipe that breaks the promise; none where one of them keeps it."""
    by_name = {row.name: row for row in rows}
    ratios = {item.model: item.ratio for item in paired_ratios(measurements, "float32")}
    broken = []
    for name, recipe in FAST.items():
        told = _broken(by_name["float32"], by_name[recipe], ratios[recipe])
        if not told:
            return []
        broken.append(f"{name} {' and '.join(told)}")
    return broken


def _broken(plain: Row, fast: Row, ratio: float) -> list[str]:
    smaller = plain.size_bytes / fast.size_bytes
    low, _, _ = paired_difference(fast.right, plain.right)
    told = {
        f"takes {ratio:.2f} of float32's time": ratio > TIME,
        f"is {smaller:.1f} times smaller than float32": smaller < TIMES_SMALLER,
        f"may have lost {-low:.2f} points of accuracy": low < -POINTS,
    }
    return [sentence for sentence, is_broken in told.items() if is_broken]
