"""``@pytest.mark.latency_budget``: what a model may take, as the test states it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

__all__ = ["MARKER", "Budget", "marked_budgets"]

MARKER = "latency_budget"
STAGES = ("bitmap", "detect", "resize", "grey", "classify", "total")
"""Those of :data:`fer_opt.device.stage_timing.STAGES`, and the photo as a whole."""

PERCENTILES = {"median_ms": 50.0, "p95_ms": 95.0}


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit.

    Attributes:
        percentile: 50 for the median, or 95.
        limit_ms: that it may not exceed, in milliseconds.
        stage: whose time it is; ``classify`` is the model alone.
    """

    percentile: float
    limit_ms: float
    stage: str

    @property
    def words(self) -> str:
        """E.g. ``95th percentile of classify within 100 ms``."""
        of = "median" if self.percentile == 50 else f"{self.percentile:g}th percentile"
        return f"{of} of {self.stage} within {self.limit_ms:g} ms"


def marked_budgets(item: pytest.Item) -> tuple[Budget, ...]:
    """Every budget of a test, those of its class and module included.

    A misspelt marker fails the test.
    """
    return tuple(
        budget for mark in item.iter_markers(MARKER) for budget in _budgets(mark.args, mark.kwargs)
    )


def _budgets(args: tuple[Any, ...], stated: Mapping[str, Any]) -> list[Budget]:
    stage = stated.get("stage", "classify")
    limits = {name: stated[name] for name in PERCENTILES if stated.get(name) is not None}
    unknown = [name for name in stated if name not in (*PERCENTILES, "stage")]
    if args or unknown or not limits:
        what = unknown[0] if unknown else "a limit without a name" if args else "no limit"
        _refuse(f"has {what}; write median_ms=80, p95_ms=100, or both, and stage= where needed")
    if stage not in STAGES:
        _refuse(f"names the stage {stage!r}; write one of {', '.join(STAGES)}")
    for name, limit in limits.items():
        if not isinstance(limit, int | float) or not (math.isfinite(limit) and limit > 0):
            _refuse(f"has {name}={limit!r}, which is no number of milliseconds above 0")
    return [Budget(PERCENTILES[name], float(limit), stage) for name, limit in limits.items()]


def _refuse(why: str) -> None:
    pytest.fail(f"@pytest.mark.{MARKER} {why}.", pytrace=False)
