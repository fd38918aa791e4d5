"""How many independent times a set of measurements is worth, and how many exceed a limit.

Inferences of one process resemble each other, so a hundred of them in ten processes say less than
a hundred processes would. Survey statistics knows this as the design effect: with m values in each
of the clusters, and an intraclass correlation ρ, N values are worth N / (1 + (m - 1)·ρ) (Kish,
Survey Sampling, 1965, section 5.4), and an exact binomial bound is taken over that number instead
(Korn and Graubard, Survey Methodology 24, 1998, 193-201).

ρ = b² / (b² + w²) comes from what processes tell of themselves whether or not they tell single
times: w is the median distance of a process's 5th percentile below its median, over 1.645, the
normal distribution's; b² is the variance of the processes' medians less what w alone gives a median
of m values, (π/2)·w²/m. The lower half is used because disturbances make times longer only: a few
slow inferences would hide the likeness of the rest. Where it errs it makes ρ too large and so asks
for more processes. One process alone is worth one value, and so is each one whose spread is untold.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fer_opt.device.measurement import InferenceSummary, Measurement
from fer_opt.errors import MeasurementError
from fer_opt.reports.pooling import spread_of

__all__ = ["TimeSamples", "samples_of_measurements", "samples_of_times"]

P5_DISTANCE = 1.6449
"""Standard deviations from a normal distribution's 5th percentile to its median."""


@dataclass(frozen=True, slots=True)
class TimeSamples:
    """Times to be held to a budget.

    Attributes:
        groups: what each process tells of its times; a time that stands for itself, as a photo's,
            is a group of one.
        times_ms: every single time, in no order; None where some process tells a summary only.
        worth: how many independent values they are worth, see the module.
    """

    groups: tuple[InferenceSummary, ...]
    times_ms: tuple[float, ...] | None
    worth: int

    @property
    def count(self) -> int:
        """Number of times."""
        return sum(one.count for one in self.groups)

    def over(self, limit_ms: float) -> tuple[int, int]:
        """How many times exceed the limit: at least, and at most; equal where all are known."""
        if self.times_ms is not None:
            known = sum(time > limit_ms for time in self.times_ms)
            return known, known
        bounds = [_over(one, limit_ms) for one in self.groups]
        return sum(least for least, _ in bounds), sum(most for _, most in bounds)


def samples_of_times(times_ms: Sequence[float]) -> TimeSamples:
    """Times that are independent of each other: one for each photo, or for each process.

    Raises:
        MeasurementError: there are none, or one is no time.
    """
    groups = tuple(
        InferenceSummary(1, time, time, time, 0.0, time, time, time) for time in times_ms
    )
    _refuse_unusable(groups)
    return TimeSamples(groups, tuple(times_ms), len(groups))


def samples_of_measurements(measurements: Iterable[Measurement]) -> TimeSamples:
    """The counted inferences of one model's processes.

    Raises:
        MeasurementError: there are none, a time is none, or they are of several
            files, numbers of threads or delegates.
    """
    made = tuple(measurements)
    if len({(one.model_sha256, one.threads, one.delegate) for one in made}) > 1:
        raise MeasurementError(
            "a budget holds for one model file with one number of threads and one delegate, and "
            "these measurements are of several; judge each on its own."
        )
    groups = tuple(spread_of(one) for one in made if one.inference_ms or one.summary is not None)
    _refuse_unusable(groups)
    told = all(one.inference_ms for one in made)
    times = tuple(time for one in made for time in one.inference_ms) if told else None
    return TimeSamples(groups, times, _worth(groups))


def _refuse_unusable(groups: Sequence[InferenceSummary]) -> None:
    if not groups:
        raise MeasurementError("there are no times to hold to a budget; measure first.")
    for one in groups:
        if one.count < 1 or not all(
            math.isfinite(time) and time >= 0 for time in (one.min_ms, one.mean_ms, one.max_ms)
        ):
            raise MeasurementError(
                f"{one.min_ms:g} to {one.max_ms:g} ms are no times; measure that process again."
            )


def _worth(groups: Sequence[InferenceSummary]) -> int:
    count = sum(one.count for one in groups)
    if count == len(groups):
        return count
    # Kish: with unequal processes m is the size of the process a random inference is from.
    size = sum(one.count**2 for one in groups) / count
    return max(1, math.floor(count / (1 + (size - 1) * _likeness(groups)) + 1e-9))


def _likeness(groups: Sequence[InferenceSummary]) -> float:
    """The intraclass correlation ρ, see the module."""
    told = [
        (one.median_ms, one.median_ms - one.p5_ms)
        for one in groups
        if one.median_ms is not None and one.p5_ms is not None
    ]
    if len(told) < len(groups) or len(groups) < 2:
        return 1.0
    within = (statistics.median(distance for _, distance in told) / P5_DISTANCE) ** 2
    size = statistics.harmonic_mean([one.count for one in groups])
    medians = statistics.variance(median for median, _ in told)
    between = max(0.0, medians - math.pi / 2 * within / size)
    return between / (between + within) if between + within > 0 else 1.0


def _over(one: InferenceSummary, limit_ms: float) -> tuple[int, int]:
    """How many of a process's times exceed the limit at least and at most, from its summary."""
    least = one.count if one.min_ms > limit_ms else int(one.max_ms > limit_ms)
    most = one.count
    if one.max_ms <= limit_ms:
        most = 0
    elif one.p95_ms is not None and one.p95_ms <= limit_ms:
        most = math.ceil(0.05 * one.count)
    elif one.median_ms is not None and one.median_ms <= limit_ms:
        most = one.count // 2
    if one.median_ms is not None and one.median_ms > limit_ms:
        least = max(least, math.ceil(one.count / 2))
    return least, max(least, most)
