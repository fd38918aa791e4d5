"""Bencher Metric Format (https://bencher.dev/docs/reference/bencher-metric-format).

``latency`` is Bencher's own measure, in nanoseconds; its bounds are those of the median over
processes. ``latency-ratio`` is a candidate's time over the baseline's, with the gate's bounds.
"""

from __future__ import annotations

import json
import math

from fer_opt.reports.gate.outputs.timed import TimedOutput, timed_outputs
from fer_opt.reports.gate.record import GateRecord

__all__ = ["bencher_json"]

NS = 1e6
"""Nanoseconds in a millisecond."""

LONGEST_NAME = 1024
"""Of a benchmark, by the format."""


def bencher_json(record: GateRecord) -> str:
    """Each model's latency and size, and each candidate's ratio."""
    found = {one.title[:LONGEST_NAME]: _measures(one) for one in timed_outputs(record)}
    return json.dumps(found, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _measures(one: TimedOutput) -> dict[str, dict[str, float]]:
    measures = {
        "latency": {
            "value": one.summary.median_ms * NS,
            "lower_value": one.summary.low_ms * NS,
            "upper_value": one.summary.high_ms * NS,
        },
        "file-size": {"value": float(one.model.size_bytes)},
    }
    verdict = one.verdict
    if verdict is not None and math.isfinite(verdict.high):
        measures["latency-ratio"] = {
            "value": verdict.ratio,
            "lower_value": verdict.low,
            "upper_value": verdict.high,
        }
    return measures
