"""Points put into lines, one for each model on each machine."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fer_opt.reports.formats import change as changed_by
from fer_opt.reports.formats import milliseconds
from fer_opt.reports.history.changes import FEWEST, Change, find_changes
from fer_opt.reports.history.points import Machine, Point

__all__ = ["NEVER_A_VERDICT", "Trend", "frame_of", "tell_change", "trends_of"]

NEVER_A_VERDICT = (
    "This is a look back, never a verdict: records of different days differ by more than their "
    "models. Whether a model became slower, fer-opt gate decides, with both models side by side."
)


@dataclass(frozen=True, slots=True)
class Trend:
    """One model on one machine.

    Attributes:
        model: what it is called.
        machine: that timed it.
        points: the oldest first.
        changes: steps among those without doubts, as advice.
    """

    model: str
    machine: Machine
    points: tuple[Point, ...]
    changes: tuple[Change, ...]

    @property
    def first(self) -> Point:
        """The oldest."""
        return self.points[0]

    @property
    def latest(self) -> Point:
        """The newest."""
        return self.points[-1]

    @property
    def earlier_ms(self) -> float | None:
        """Median of all but the newest; None for a single point."""
        earlier = [one.median_ms for one in self.points[:-1]]
        return statistics.median(earlier) if earlier else None

    @property
    def sought(self) -> bool:
        """Whether there are enough points to seek steps in."""
        return len([one for one in self.points if not one.doubts]) >= FEWEST


def trends_of(points: Sequence[Point]) -> tuple[Trend, ...]:
    """The points as lines: phones first, then by machine and model."""
    frame = frame_of(points)
    frame["point"] = list(points)
    keys = ["model", *MACHINE]
    # Without dropna=False a group of an unknown value would vanish.
    lines = frame.sort_values("started_at", kind="stable").groupby(keys, dropna=False, sort=True)
    found = [_trend(tuple(group["point"])) for _, group in lines]
    return tuple(sorted(found, key=lambda one: (one.machine.kind != "phone", one.machine.words)))


MACHINE = ("kind", "name", "fingerprint", "phone", "runner", "threads", "cpus", "delegate")


def frame_of(points: Sequence[Point]) -> Any:
    """The points as a pandas DataFrame, a row each, for whatever else is to be done with them."""
    import pandas

    rows = []
    for point in points:
        row = asdict(point)
        machine = row.pop("machine")
        row["doubts"] = " ".join(point.doubts)
        rows.append({"model": row.pop("model"), **machine, **row})
    return pandas.DataFrame(rows)


def tell_change(trend: Trend, change: Change) -> str:
    """A step in a sentence."""
    levels = f"{milliseconds(change.before_ms)} → {milliseconds(change.after_ms)}"
    cause = (
        "the model’s file is another one there"
        if change.file_changed
        else "the model’s file is the same, so look at what else changed"
    )
    return (
        f"{trend.model} on {trend.machine.words}: "
        f"{changed_by(change.after_ms, change.before_ms)} from {change.after.started_at[:10]} on "
        f"({levels}); {cause} ({change.after.record})."
    )


def _trend(points: tuple[Point, ...]) -> Trend:
    believed = [point for point in points if not point.doubts]
    return Trend(points[0].model, points[0].machine, points, find_changes(believed))
