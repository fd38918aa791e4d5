"""What all inferences of several processes say together, whether each was told or a summary."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from fer_opt.device.measurement import InferenceSummary, Measurement

__all__ = ["percentiles", "pooled", "process_p95", "spread_of"]

FEWEST_FOR_P95 = 20
"""Below, a 95th percentile lies beyond the second slowest inference."""


def spread_of(measurement: Measurement) -> InferenceSummary:
    """What the process tells of its inferences, or the same worked out from their times.

    Raises:
        ValueError: it holds no times at all.
    """
    times = measurement.inference_ms
    if not times:
        if measurement.summary is None:
            raise ValueError(f"{measurement.model}, round {measurement.round_index}: no times")
        return measurement.summary
    import numpy as np

    p5, p95 = np.percentile(times, (5, 95))
    return InferenceSummary(
        count=len(times),
        mean_ms=float(np.mean(times)),
        min_ms=min(times),
        max_ms=max(times),
        sd_ms=float(np.std(times)),
        median_ms=measurement.datum_ms,
        p5_ms=float(p5),
        p95_ms=float(p95),
    )


def pooled(spreads: Sequence[InferenceSummary]) -> tuple[float, float | None]:
    """Mean and standard deviation (n - 1) of all inferences.

    The sum of squares about the common mean is that within processes plus that between them.
    """
    count = sum(one.count for one in spreads)
    mean_ms = math.fsum(one.count * one.mean_ms for one in spreads) / count
    if count < 2:
        return mean_ms, None
    squares = math.fsum(
        one.count * (one.sd_ms**2 + (one.mean_ms - mean_ms) ** 2) for one in spreads
    )
    return mean_ms, math.sqrt(squares / (count - 1))


def percentiles(group: Sequence[Measurement]) -> tuple[float | None, float | None]:
    """90th and 95th percentile of all inferences, where every single one is known."""
    import numpy as np

    if not all(one.inference_ms for one in group):
        return None, None
    p90, p95 = np.percentile([time for one in group for time in one.inference_ms], (90, 95))
    return float(p90), float(p95)


def process_p95(spreads: Sequence[InferenceSummary]) -> float | None:
    """Median over processes of each one's 95th percentile; None where it means nothing."""
    told = [one.p95_ms for one in spreads if one.count >= FEWEST_FOR_P95 and one.p95_ms is not None]
    return statistics.median(told) if len(told) == len(spreads) else None
