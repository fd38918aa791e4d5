"""Numbers as a reader wants them: few digits, units, no-break spaces."""

from __future__ import annotations

import math

__all__ = [
    "NBSP",
    "change",
    "count",
    "duration",
    "interval",
    "megabytes",
    "milliseconds",
    "p_value",
    "percent",
    "points",
    "scaled",
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


def change(value: float, base: float) -> str:
    """``value`` against ``base`` in per cent, signed."""
    if value == base:
        return "unchanged"
    return _signed(100 * (value / base - 1), f"{NBSP}%") if base else NONE


def points(difference: float) -> str:
    """A difference of two shares, in signed percentage points."""
    return _signed(100 * difference, f"{NBSP}points")


def _signed(value: float, unit: str) -> str:
    shown = f"{abs(value):.1f}"
    sign = "±" if float(shown) == 0 else "+" if value > 0 else "−"
    return f"{sign}{shown}{unit}"


def scaled(value: int) -> str:
    """Three significant digits with the SI prefix of a large number."""
    for factor, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        # 999,500 would be shown as 1,000 k.
        if value >= 0.9995 * factor:
            return f"{significant(float(f'{value / factor:.3g}'))}{NBSP}{prefix}"
    return count(value)


def duration(seconds: float) -> str:
    """Seconds, or hours and minutes where there are many."""
    if seconds < 59.5:
        return f"{significant(seconds, 2)}{NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min {rest}{NBSP}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{NBSP}h {minutes}{NBSP}min"


def p_value(value: float) -> str:
    """Two significant digits, very small ones as a bound."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def short_hash(value: str) -> str:
    """The first twelve digits of a hash, enough to tell files apart by eye."""
    return value[:12]
