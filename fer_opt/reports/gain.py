"""What the steps of a recipe gained over the mere number format, judged by paired times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fer_opt.reports.formats import interval, percent, times
from fer_opt.reports.names import number_format
from fer_opt.reports.statistics import PairedRatio, paired_ratios
from fer_opt.reports.summary import Summary, VariantSummary

__all__ = ["LEAST_GAIN", "Gain", "Speed", "gains_of", "judge_speed"]

LEAST_GAIN = 0.95
"""A time or size above this share of the other's counts as no gain."""

Speed = Literal["faster", "not faster", "unclear", "untimed"]


@dataclass(frozen=True, slots=True)
class Gain:
    """A variant with steps beside one without.

    Attributes:
        row: the variant.
        base: what it is compared with.
        same_format: whether ``base`` is the plain variant of the same number format; if not it is
            the run's reference.
        ratio: its time over the base's; None without pairs.
        speed: what the interval of that ratio says.
    """

    row: VariantSummary
    base: VariantSummary
    same_format: bool
    ratio: PairedRatio | None
    speed: Speed

    @property
    def zipped(self) -> float:
        """Its gzip size over the base's."""
        return self.row.variant.gzip_bytes / max(1, self.base.variant.gzip_bytes)

    @property
    def unzipped(self) -> float:
        """Its file size over the base's."""
        return self.row.variant.size_bytes / max(1, self.base.variant.size_bytes)

    @property
    def verdict(self) -> str:
        """A few words; they name the base where it has another number format."""
        if self.speed == "untimed":
            return "not timed"
        if self.speed == "unclear":
            return "faster or not: unclear"
        than = "" if self.same_format else f" than {self.base.short}"
        if self.speed == "faster":
            return f"faster{than}"
        if self.zipped < LEAST_GAIN:
            return f"smaller when zipped, not faster{than}"
        if self.unzipped < LEAST_GAIN:
            return f"smaller until zipped, not faster{than}"
        return f"neither smaller nor faster{than}"

    @property
    def figures(self) -> str:
        """Time and gzip size beside the base's."""
        if self.ratio is None:
            return f"{percent(self.zipped, 0)} of the gzip size of {self.base.short}"
        bounds = (
            f"{interval(times(self.ratio.low), times(self.ratio.high))}, "
            f"{percent(self.ratio.confidence, 0)} interval"
            if self.ratio.pairs > 1
            else "one pair, no interval"
        )
        return (
            f"{times(self.ratio.ratio)} the time of {self.base.short} ({bounds}) and "
            f"{percent(self.zipped, 0)} of its gzip size"
        )

    @property
    def excuse(self) -> str:
        """Why it is compared with another number format; empty where it is not."""
        if self.same_format:
            return ""
        wanted = number_format(self.row.recipe, [step.step for step in self.row.variant.steps])
        return (
            f"This run has no plain {wanted}, so {self.row.short} is compared with "
            f"{self.base.short}, and the number format has its part in the difference."
        )

    @property
    def sentence(self) -> str:
        """The verdict with its figures."""
        return f"{self.row.short}: {self.verdict}, with {self.figures}. {self.excuse}".rstrip()


def gains_of(summary: Summary) -> dict[str, Gain]:
    """The gain of every variant that has steps, by recipe, in the record's order.

    It is compared with the plain variant of the same number format in the same run, and with the
    run's reference where there is none; the reference itself, if it has steps, with nothing.
    """
    found = {}
    for row in summary.rows:
        if not row.variant.steps:
            continue
        plain = number_format(row.recipe, [step.step for step in row.variant.steps])
        bases = [one for one in summary.rows if one.recipe == plain and not one.variant.steps]
        base = bases[0] if bases else summary.row(summary.reference)
        if base is not row:
            found[row.recipe] = _gain(row, base, same_format=bool(bases))
    return found


def _gain(row: VariantSummary, base: VariantSummary, same_format: bool) -> Gain:
    ratio = None
    if row.measurements and base.measurements:
        pairs = paired_ratios((*base.measurements, *row.measurements), base.recipe)
        ratio = pairs[0] if pairs else None
    return Gain(row, base, same_format, ratio, judge_speed(ratio))


def judge_speed(ratio: PairedRatio | None) -> Speed:
    """What the interval of a ratio of times says; its median says nothing by itself."""
    if ratio is None:
        return "untimed"
    if ratio.pairs < 2:
        return "unclear"
    if ratio.low > LEAST_GAIN:
        return "not faster"
    return "faster" if ratio.high < 1 else "unclear"
