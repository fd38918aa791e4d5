"""A record seen the way a reader asks: per variant what it costs, and which one to take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fer_opt.device.measurement import Measurement
from fer_opt.reports.names import listed, short_names
from fer_opt.reports.record import Accuracy, RunRecord, Variant
from fer_opt.reports.statistics import (
    LatencySummary,
    PairedRatio,
    paired_ratios,
    summarise_latency,
)

__all__ = [
    "RULE",
    "Budget",
    "Recommendation",
    "Summary",
    "VariantSummary",
    "budget_of",
    "summarise",
]

ALPHA = 0.05

RULE = (
    "Flagged variants are out. Of the others, the most accurate one sets the bar; a variant ties "
    "with it when its accuracy lies within the 95 % interval of the best and the paired test does "
    "not find it worse than the reference (McNemar, p < 0.05). Among those that tie, the fastest "
    "here is recommended; of those as fast within noise (the interval of the ratio of times, taken "
    "round by round, reaches 1), the smallest file."
)

Budget = Literal["within", "beyond", "unclear", "untimed"]


@dataclass(frozen=True, slots=True)
class VariantSummary:
    """Everything the record knows of one variant.

    Attributes:
        variant: the file.
        short: what charts, headings and sentences call it: its recipe, or a number if that is long.
        accuracy: None while not measured.
        latency: None while not timed.
        ratio: its time over the reference's; None for the reference itself or without pairs.
        measurements: its processes, in the order they ran.
        on_front: unflagged, and no other unflagged variant is at least as accurate, as fast and
            as small, and better in one of the three (Pareto); False where one of them is unknown.
    """

    variant: Variant
    short: str
    accuracy: Accuracy | None
    latency: LatencySummary | None
    ratio: PairedRatio | None
    measurements: tuple[Measurement, ...]
    on_front: bool

    @property
    def recipe(self) -> str:
        """The variant's name within the record."""
        return self.variant.recipe

    @property
    def key(self) -> str:
        """Its short name where that is not its recipe, else empty."""
        return "" if self.short == self.recipe else self.short

    @property
    def flagged(self) -> bool:
        """Whether its check found it unfit to be recommended."""
        return bool(self.variant.check.flags)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Which variant to take.

    Attributes:
        chosen: None when there is none to recommend.
        tied: variants that could not be told apart in accuracy, the chosen one among them.
        reason: why this one, or why none; one sentence.
        budget: where the interval of its time lies against the target.
    """

    chosen: VariantSummary | None
    tied: tuple[VariantSummary, ...]
    reason: str
    budget: Budget


@dataclass(frozen=True, slots=True)
class Summary:
    """What every rendering of a record starts from.

    Attributes:
        record: it.
        rows: its variants, in the experiment's order.
        reference: recipe the others are compared with.
        recommendation: which one to take.
        never_predicted: per label that some variant never predicted, the recipes that did not,
            in the model's order of labels.
    """

    record: RunRecord
    rows: tuple[VariantSummary, ...]
    reference: str
    recommendation: Recommendation
    never_predicted: dict[str, tuple[str, ...]]

    def row(self, recipe: str) -> VariantSummary:
        """The variant of that name."""
        return next(row for row in self.rows if row.recipe == recipe)

    @property
    def short_reference(self) -> str:
        """The reference's short name; empty without variants."""
        return self.row(self.reference).short if self.rows else ""

    @property
    def names(self) -> dict[str, str]:
        """The short name of each variant, by recipe."""
        return {row.recipe: row.short for row in self.rows}


def summarise(record: RunRecord) -> Summary:
    """Join a record's parts by variant and choose among them.

    Raises:
        MeasurementError: measurements of one variant are unlike and cannot be pooled.
    """
    reference = _reference(record)
    rows = _join(record, reference)
    return Summary(
        record=record,
        rows=rows,
        reference=reference,
        recommendation=_recommend(rows, record.target_ms),
        never_predicted=_never_predicted(record),
    )


def _reference(record: RunRecord) -> str:
    """What McNemar's tests name, else float32, else the first variant."""
    named = [a.versus_float.reference for a in record.accuracies if a.versus_float]
    recipes = [variant.recipe for variant in record.variants]
    candidates = [name for name in (*named, "float32", *recipes) if name in recipes]
    return candidates[0] if candidates else ""


def _join(record: RunRecord, reference: str) -> tuple[VariantSummary, ...]:
    accuracies = {accuracy.recipe: accuracy for accuracy in record.accuracies}
    latencies = {latency.model: latency for latency in summarise_latency(record.measurements)}
    ratios = (
        {ratio.model: ratio for ratio in paired_ratios(record.measurements, reference)}
        if reference in latencies
        else {}
    )
    measures = {
        variant.recipe: _measures(
            variant, accuracies.get(variant.recipe), latencies.get(variant.recipe)
        )
        for variant in record.variants
        if not variant.check.flags
    }
    complete = [found for found in measures.values() if found]
    short = short_names(variant.recipe for variant in record.variants)
    return tuple(
        VariantSummary(
            variant=variant,
            short=short[variant.recipe],
            accuracy=accuracies.get(variant.recipe),
            latency=latencies.get(variant.recipe),
            ratio=ratios.get(variant.recipe),
            measurements=tuple(m for m in record.measurements if m.model == variant.recipe),
            on_front=_on_front(measures.get(variant.recipe), complete),
        )
        for variant in record.variants
    )


Measures = tuple[float, float, int]


def _measures(
    variant: Variant, accuracy: Accuracy | None, latency: LatencySummary | None
) -> Measures | None:
    """Error, time and size: smaller is better in each."""
    if accuracy is None or latency is None:
        return None
    return (1 - accuracy.accuracy, latency.median_ms, variant.size_bytes)


def _on_front(own: Measures | None, others: list[Measures]) -> bool:
    if own is None:
        return False
    return not any(
        other != own and all(a <= b for a, b in zip(other, own, strict=True)) for other in others
    )


def _recommend(rows: tuple[VariantSummary, ...], target_ms: float) -> Recommendation:
    def none(reason: str) -> Recommendation:
        return Recommendation(None, (), reason, "untimed")

    if not rows:
        return none("The record holds no variant yet.")
    fit = [row for row in rows if not row.flagged]
    if not fit:
        return none("Every variant is flagged, so none can be recommended.")
    scored = [(row.accuracy, row) for row in fit if row.accuracy is not None]
    if not scored:
        return none("Accuracy has not been measured, so there is nothing to choose by.")
    best, best_row = max(scored, key=lambda pair: pair[0].accuracy)
    tied = tuple(
        row
        for accuracy, row in scored
        if row is best_row or (accuracy.accuracy >= best.low and not _worse(accuracy))
    )
    return _cheapest(tied, best_row, target_ms, unrivalled=len(scored) == 1)


def _worse(accuracy: Accuracy) -> bool:
    test = accuracy.versus_float
    return (
        test is not None
        and test.p_value < ALPHA
        and test.only_reference_right > test.only_variant_right
    )


def _cheapest(
    tied: tuple[VariantSummary, ...], best: VariantSummary, target_ms: float, unrivalled: bool
) -> Recommendation:
    timed = any(row.latency is not None for row in tied)
    level = _fastest(tied) if timed else tied
    chosen = min(level, key=lambda row: row.variant.size_bytes)
    return Recommendation(
        chosen,
        tied,
        _reason(chosen, best, tied, timed=timed, unrivalled=unrivalled),
        budget_of(chosen.latency, target_ms),
    )


def _fastest(rows: tuple[VariantSummary, ...]) -> tuple[VariantSummary, ...]:
    """The fastest variant and those as fast within noise."""
    timed = [(row.latency, row) for row in rows if row.latency is not None]
    first, fastest = min(timed, key=lambda pair: pair[0].median_ms)
    together = [one for _, row in timed for one in row.measurements]
    ratios = {one.model: one for one in paired_ratios(together, fastest.recipe)}

    def as_fast(latency: LatencySummary, row: VariantSummary) -> bool:
        ratio = ratios.get(row.recipe)
        # Without a round in common only the intervals of the two medians are left to go by.
        return latency.low_ms <= first.high_ms if ratio is None else ratio.low <= 1

    return tuple(row for latency, row in timed if row is fastest or as_fast(latency, row))


def _reason(
    chosen: VariantSummary,
    best: VariantSummary,
    tied: tuple[VariantSummary, ...],
    timed: bool,
    unrivalled: bool,
) -> str:
    if unrivalled:
        return "It is the only unflagged variant whose accuracy is known."
    if len(tied) == 1:
        return "It is the most accurate unflagged variant, and no other comes within noise of it."
    others = [row.short for row in tied if row is not chosen]
    names = listed(others) if len(others) <= 4 else f"{len(others)} other variants"
    first = (
        f"It is the most accurate unflagged variant, though {names} cannot be told from it"
        if chosen is best
        else f"Its accuracy cannot be told from that of the best, {best.short}"
    )
    if not timed:
        return f"{first}; nothing was timed, so the smallest file decides."
    fastest = min((row.latency.median_ms for row in tied if row.latency is not None), default=None)
    if chosen.latency is not None and chosen.latency.median_ms == fastest:
        return f"{first}; it is the fastest of them here."
    return f"{first}; it is as fast as the fastest of them within noise, and smaller."


def budget_of(latency: LatencySummary | None, target_ms: float) -> Budget:
    """Where the interval of a time lies against the target."""
    if latency is None:
        return "untimed"
    if latency.high_ms <= target_ms:
        return "within"
    return "beyond" if latency.low_ms > target_ms else "unclear"


def _never_predicted(record: RunRecord) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for accuracy in record.accuracies:
        for label in accuracy.never_predicted:
            found.setdefault(label, []).append(accuracy.recipe)
    order = {label: index for index, label in enumerate(record.convention.labels)}
    return {
        label: tuple(found[label])
        for label in sorted(found, key=lambda x: order.get(x, len(order)))
    }
