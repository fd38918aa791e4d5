"""Numbers as a reader wants them: few digits, units, no-break spaces."""

from __future__ import annotations

import math

__all__ = [
    "count",
    "interval",
    "megabytes",
    "milliseconds",
    "p_value",
    "percent",
    "short_hash",
    "significant",
    "times",
]

NBSP = "\u00a0"
NONE = "–"


def count(value: int | None) -> str:
    """An integer with thousands separators."""
    return NONE if value is None else f"{value:,}"


def significant(value: float, digits: int = 3) -> str:
    """``value`` to that many significant digits, whole numbers kept whole, never 1e+03."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, decimals)}f}"


def milliseconds(value: float | None) -> str:
    """Three significant digits and the unit."""
    return NONE if value is None else f"{significant(value)}{NBSP}ms"


def percent(share: float | None, decimals: int = 1) -> str:
    """A share, 0 to 1, in per cent."""
    return NONE if share is None else f"{100 * share:.{decimals}f}{NBSP}%"


def megabytes(size_bytes: int | None) -> str:
    """Megabytes of 10^6 bytes; kilobytes below one of them."""
    if size_bytes is None:
        return NONE
    if size_bytes < 1_000_000:
        return f"{significant(size_bytes / 1e3)}{NBSP}kB"
    return f"{significant(size_bytes / 1e6)}{NBSP}MB"


def interval(low: str, high: str) -> str:
    """``low`` to ``high``, the unit said once."""
    head, separator, unit = low.rpartition(NBSP)
    if separator and high.endswith(separator + unit):
        return f"{head}–{high}"
    return f"{low}–{high}"


def times(ratio: float | None) -> str:
    """A ratio with a multiplication sign."""
    return NONE if ratio is None else f"{significant(ratio)}{NBSP}×"


def p_value(value: float) -> str:
    """Two significant digits, very small ones as a bound."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def short_hash(value: str) -> str:
    """The first twelve digits of a hash, enough to tell files apart by eye."""
    return value[:12]
