"""What a set of latency measurements says, one datum per process.

Inferences of one process share its luck (memory layout, clock, neighbours), so pooling them makes
intervals far too narrow. Each process therefore counts once, by its median, and every interval is
over processes.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from fer_opt.device.measurement import Measurement
from fer_opt.errors import MeasurementError
from fer_opt.reports.pooling import percentiles, pooled, process_p95, spread_of

__all__ = [
    "LatencySummary",
    "MedianInterval",
    "PairedRatio",
    "median_interval",
    "paired_ratios",
    "summarise_latency",
]


@dataclass(frozen=True, slots=True)
class MedianInterval:
    """A sample's median with a confidence interval for the population's.

    Attributes:
        median: of the sample.
        low: lower bound, one of the sample's values.
        high: upper bound, one of the sample's values.
        confidence: the interval's true coverage, 0 to 1; below the level asked for when the
            sample is too small to reach it (5 values reach 0.9375, a single one 0).
        size: of the sample.
    """

    median: float
    low: float
    high: float
    confidence: float
    size: int


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """One model's latency.

    Attributes:
        model: the name under which it was measured.
        processes: how many timed it; each process's median inference time is a datum.
        inferences: counted ones of all processes.
        median_ms: median over processes.
        low_ms: lower bound of the median's interval over processes.
        high_ms: upper bound of it.
        confidence: true coverage of that interval, see :class:`MedianInterval`.
        mean_ms: mean of all inferences, as in the thesis's Table 8; exact also where processes
            tell only summaries of theirs.
        sd_ms: their standard deviation (n - 1), as in the thesis's Table 8, likewise exact; None
            for a single one.
        p90_ms: 90th percentile of all inferences; None where some process tells no single times,
            because percentiles of summaries cannot be pooled.
        p95_ms: 95th percentile of all inferences; None likewise.
        process_p95_ms: median over processes of each process's own 95th percentile; None where a
            process does not tell it or made fewer than 20 inferences, whose 95th percentile is
            little else than the slowest.
        max_ms: slowest inference.
        initialisation_ms: median over processes.
        peak_memory_bytes: largest of any process; None where no process knew.
        steady_share: share of processes whose warm-up reached a steady state.
        sessions: how many uninterrupted runs of fer-opt they come from.
    """

    model: str
    processes: int
    inferences: int
    median_ms: float
    low_ms: float
    high_ms: float
    confidence: float
    mean_ms: float
    sd_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    process_p95_ms: float | None
    max_ms: float
    initialisation_ms: float
    peak_memory_bytes: int | None
    steady_share: float
    sessions: int


@dataclass(frozen=True, slots=True)
class PairedRatio:
    """How a model's time relates to the reference's, pair by pair.

    Attributes:
        model: the model.
        reference: the model it is compared with.
        pairs: rounds in which the same session timed both.
        ratio: median of the model's time over the reference's (geometric mean of the two middle
            ones when their number is even); below 1 the model is faster.
        low: lower bound of the median's interval.
        high: upper bound of it.
        confidence: true coverage of that interval, see :class:`MedianInterval`.
    """

    model: str
    reference: str
    pairs: int
    ratio: float
    low: float
    high: float
    confidence: float


def median_interval(values: Sequence[float], level: float = 0.95) -> MedianInterval:
    """The sample's median with the distribution-free interval between two order statistics.

    For continuous independent values, [x(k), x(n+1-k)] covers the population's median with
    probability 1 - 2·P(Bin(n, 1/2) <= k-1) (Conover, Practical Nonparametric Statistics, 3rd ed.,
    section 3.2; David and Nagaraja, Order Statistics, 3rd ed., section 7.1). The largest k that
    still reaches ``level`` is taken, and k = 1 when none does. With ties coverage is no less.

    Args:
        values: one or more finite numbers, in any order.
        level: coverage wanted, strictly between 0 and 1.

    Raises:
        ValueError: no values, one that is not finite, or a level outside (0, 1).
    """
    # Not scipy.stats, which takes a second to import.
    from scipy.special import bdtr

    if not values or not all(map(math.isfinite, values)):
        raise ValueError("median_interval needs one or more finite values")
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not strictly between 0 and 1")
    ordered = sorted(values)
    size = len(ordered)

    def coverage(rank: int) -> float:
        return max(0.0, 1.0 - 2.0 * float(bdtr(rank - 1, size, 0.5)))

    reaching = [rank for rank in range(1, size // 2 + 1) if coverage(rank) >= level]
    rank = max(reaching, default=1)
    return MedianInterval(
        median=statistics.median(ordered),
        low=ordered[rank - 1],
        high=ordered[size - rank],
        confidence=coverage(rank),
        size=size,
    )


def summarise_latency(
    measurements: Iterable[Measurement], level: float = 0.95
) -> tuple[LatencySummary, ...]:
    """Summarise each model's measurements, in the order the models first appear.

    Args:
        measurements: of any number of models.
        level: coverage wanted of the intervals.

    Raises:
        MeasurementError: measurements of one name are unlike (another file, number of threads or
            of CPUs, or delegate), the same round was measured twice, or a time is not positive.
    """
    groups = _by_model(measurements)
    return tuple(_summary(model, group, level) for model, group in groups.items())


def paired_ratios(
    measurements: Iterable[Measurement], reference: str, level: float = 0.95
) -> tuple[PairedRatio, ...]:
    """Each model's time relative to ``reference``'s in the same round, the reference left out.

    The datum of a pair is ln(datum of the model's process) - ln(datum of the reference's). A
    round that was interrupted and finished by a later session gives no pair, because its two
    processes did not run side by side; a model without any pair is left out.

    Args:
        measurements: of any number of models.
        reference: name of the model compared with.
        level: coverage wanted of the intervals.

    Raises:
        MeasurementError: there are no measurements of ``reference``, or measurements of one name
            are unlike, see :func:`summarise_latency`.
    """
    groups = _by_model(measurements)
    if reference not in groups:
        raise MeasurementError(
            f"{reference} was not timed, so nothing can be compared with it; "
            f"choose among {', '.join(groups) or 'no models'}."
        )

    def logs(group: Sequence[Measurement]) -> dict[tuple[str, int], float]:
        return {(one.session, one.round_index): math.log(one.datum_ms) for one in group}

    base = logs(groups.pop(reference))
    ratios = []
    for model, group in groups.items():
        own = logs(group)
        differences = [own[key] - base[key] for key in own if key in base]
        if differences:
            found = median_interval(differences, level)
            ratios.append(
                PairedRatio(
                    model=model,
                    reference=reference,
                    pairs=found.size,
                    ratio=math.exp(found.median),
                    low=math.exp(found.low),
                    high=math.exp(found.high),
                    confidence=found.confidence,
                )
            )
    return tuple(ratios)


def _summary(model: str, group: Sequence[Measurement], level: float) -> LatencySummary:
    over_processes = median_interval([one.datum_ms for one in group], level)
    spreads = [spread_of(one) for one in group]
    inferences = sum(spread.count for spread in spreads)
    mean_ms, sd_ms = pooled(spreads)
    p90_ms, p95_ms = percentiles(group)
    peaks = [one.peak_memory_bytes for one in group if one.peak_memory_bytes is not None]
    return LatencySummary(
        model=model,
        processes=len(group),
        inferences=inferences,
        median_ms=over_processes.median,
        low_ms=over_processes.low,
        high_ms=over_processes.high,
        confidence=over_processes.confidence,
        mean_ms=mean_ms,
        sd_ms=sd_ms,
        p90_ms=p90_ms,
        p95_ms=p95_ms,
        process_p95_ms=process_p95(spreads),
        max_ms=max(spread.max_ms for spread in spreads),
        initialisation_ms=statistics.median(one.initialisation_ms for one in group),
        peak_memory_bytes=max(peaks, default=None),
        steady_share=sum(one.steady for one in group) / len(group),
        sessions=len({one.session for one in group}),
    )


def _by_model(measurements: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    groups: defaultdict[str, list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        groups[measurement.model].append(measurement)
    for model, group in groups.items():
        _refuse_unusable(model, group)
        _refuse_unlike(model, group)
    return dict(groups)


def _refuse_unusable(model: str, group: Sequence[Measurement]) -> None:
    for one in group:
        if not _usable(one):
            raise MeasurementError(
                f"{model}, round {one.round_index}: the times of a process must be positive "
                "numbers, one or more; measure it again."
            )
    rounds = [one.round_index for one in group]
    if len(set(rounds)) != len(rounds):
        twice = next(index for index in rounds if rounds.count(index) > 1)
        raise MeasurementError(
            f"{model} was timed twice in round {twice}; these are measurements of two plans, "
            "summarise each on its own."
        )


def _usable(measurement: Measurement) -> bool:
    times, summary = measurement.inference_ms, measurement.summary
    if not times and summary is not None:
        if summary.count < 1 or not (math.isfinite(summary.sd_ms) and summary.sd_ms >= 0):
            return False
        times = (summary.mean_ms, summary.max_ms, measurement.datum_ms)
    return bool(times) and all(math.isfinite(time) and time > 0 for time in times)


def _refuse_unlike(model: str, group: Sequence[Measurement]) -> None:
    kinds: dict[str, Collection[object]] = {
        "files": {one.model_sha256 for one in group},
        "numbers of threads": {one.threads for one in group},
        "numbers of CPUs": {len(one.cpus) for one in group},
        "delegates": {one.delegate for one in group},
    }
    for what, found in kinds.items():
        if len(found) > 1:
            raise MeasurementError(
                f"{model} was timed with {len(found)} different {what}, and unlike measurements "
                "are never pooled; measure into a new record."
            )
