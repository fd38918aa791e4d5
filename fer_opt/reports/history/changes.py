"""Where a line of latencies may have stepped: change points, as advice.

PELT (Killick, Fearnhead and Eckley, Optimal detection of changepoints with a linear computational
cost, JASA 107, 2012), as the package ruptures has it, over logarithms of the medians, with the sum
of absolute deviations from each segment's median as cost: one odd record is no step. The penalty of
a step is 2.6 · σ · ln(n), with σ from the median absolute difference of neighbours, / (0.6745 √2)
for a normal spread, which a step hardly moves. By ``benchmarks/history_steps.py``, at most 1.8 % of
steady lines of 10 to 40 records are then given a step where the noise is independent, and 6.8 %
where one record in ten is disturbed by 10 to 50 % or neighbours are correlated (0.3); of steps of
10 % at 2 % noise, 98.5 % are found within a record in lines of 12.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from fer_opt.reports.history.points import Point

__all__ = ["FEWEST", "Change", "find_changes"]

FEWEST = 8
"""Records in which a step is sought."""

SHORTEST = 3
"""Records between two steps; fewer are an odd spell."""

PENALTY = 2.6

LEAST_SPREAD = 0.005
"""Equal neighbours must not make a step of every hair's breadth."""


@dataclass(frozen=True, slots=True)
class Change:
    """A step.

    Attributes:
        after: the first point behind it.
        before_ms: median of the points since the step before, or the beginning.
        after_ms: median of those until the next step, or the end.
        file_changed: whether the model's file is another one behind it.
    """

    after: Point
    before_ms: float
    after_ms: float
    file_changed: bool

    @property
    def ratio(self) -> float:
        """Level behind over level before; above 1 is slower."""
        return self.after_ms / self.before_ms


def find_changes(points: Sequence[Point]) -> tuple[Change, ...]:
    """Steps in one line's points, which are in order of time; none where they are too few."""
    if len(points) < FEWEST:
        return ()
    import numpy as np
    import ruptures

    logs = np.log([point.median_ms for point in points])
    spread = max(LEAST_SPREAD, float(np.median(np.abs(np.diff(logs)))) / (0.6745 * math.sqrt(2)))
    search = ruptures.Pelt(model="l1", min_size=SHORTEST, jump=1).fit(logs.reshape(-1, 1))
    ends = search.predict(pen=PENALTY * spread * math.log(len(points)))
    bounds = [0, *ends]
    levels = [
        statistics.median(point.median_ms for point in points[first:last])
        for first, last in zip(bounds, ends, strict=False)
    ]
    return tuple(
        Change(
            after=points[end],
            before_ms=levels[index],
            after_ms=levels[index + 1],
            file_changed=points[end].sha256 != points[end - 1].sha256,
        )
        for index, end in enumerate(ends[:-1])
    )
