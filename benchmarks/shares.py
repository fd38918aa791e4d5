"""The confidence bounds of a share that was counted."""

from __future__ import annotations

from scipy.stats import beta

LEVEL = 0.95


def bounds(count: int, of: int) -> tuple[float, float]:
    """Clopper and Pearson's bounds of a share, each of 95 % confidence (Biometrika 26, 1934)."""
    low = float(beta.ppf(1 - LEVEL, count, of - count + 1)) if count else 0.0
    high = float(beta.ppf(LEVEL, count + 1, of - count)) if count < of else 1.0
    return low, high
