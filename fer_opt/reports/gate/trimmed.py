"""Yuen's trimmed mean of paired differences, with its standard error.

Of n sorted values the g smallest and the g largest are cut off; h = n - 2g are left, and their
mean is the estimate. Its standard error comes from the winsorised sample, in which the values cut
off are replaced by the nearest ones kept:

    SE = s_w · √(n - 1) / √(h · (h - 1))

where s_w is the winsorised sample's standard deviation (n - 1). (mean - μ) / SE follows Student's
t with h - 1 degrees of freedom, nearly (Tukey and McLaughlin, Sankhya A 25, 1963; K. K. Yuen, The
two-sample trimmed t for unequal population variances, Biometrika 61, 1974, 165-170, of which this
is the one-sample form for differences of pairs; R. R. Wilcox, Introduction to Robust Estimation
and Hypothesis Testing, section 4.3). A process that was disturbed is cut off, not averaged in.

g = max(1, round(n / 8)): at least one pair of each side, an eighth otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LEAST_VALUES", "TrimmedMean", "student_t", "trimmed_mean"]

LEAST_VALUES = 4
"""Of fewer, trimming leaves less than the two values a spread needs."""


@dataclass(frozen=True, slots=True)
class TrimmedMean:
    """A trimmed mean and how sure it is.

    Attributes:
        mean: of the values kept.
        standard_error: of it, see the module; 0 where the winsorised values are all equal.
        kept: how many values were averaged, h.
    """

    mean: float
    standard_error: float
    kept: int

    def reach(self, probability: float) -> float:
        """How far the one-sided bound of that confidence lies from the mean."""
        return student_t(probability, self.kept - 1) * self.standard_error

    def p_above(self, limit: float) -> float:
        """One-sided p-value of the true mean being ``limit`` or less; small speaks for more."""
        from scipy.special import stdtr

        return float(stdtr(self.kept - 1, (limit - self.mean) / self.standard_error))


def trimmed_mean(values: Sequence[float]) -> TrimmedMean:
    """The trimmed mean of four or more finite values; of their negatives, exactly the negative.

    Raises:
        ValueError: there are fewer than :data:`LEAST_VALUES`, or one is not finite.
    """
    size = len(values)
    if size < LEAST_VALUES or not all(map(math.isfinite, values)):
        raise ValueError(f"trimmed_mean needs {LEAST_VALUES} or more finite values")
    ordered = sorted(values)
    cut = max(1, round(size / 8))
    inner = ordered[cut : size - cut]
    kept = len(inner)
    winsorised = [inner[0]] * cut + inner + [inner[-1]] * cut
    # fsum rounds once whatever the order, so swapped labels give the same figures negated.
    centre = math.fsum(winsorised) / size
    squares = math.fsum((value - centre) ** 2 for value in winsorised)
    # s_w · √(n - 1) is the root of the winsorised sum of squares.
    return TrimmedMean(
        mean=math.fsum(inner) / kept,
        standard_error=math.sqrt(squares / (kept * (kept - 1))),
        kept=kept,
    )


def student_t(probability: float, freedom: int) -> float:
    """Student's t below which that probability lies, with ``freedom`` degrees of freedom."""
    # Not scipy.stats, which takes a second to import.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
