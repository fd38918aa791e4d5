"""pytest-benchmark's JSON, which its ``compare``, github-action-benchmark and Bencher read.

Times are in seconds; a datum is one process's median, so a round is a process, and it has one
iteration. The figures are pytest-benchmark's own (pytest_benchmark/stats.py, version 5): its kind
of quartiles, outliers by one standard deviation and by 1.5 times the interquartile range.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from typing import Any

from fer_opt.reports.gate.outputs.timed import TimedOutput, timed_outputs
from fer_opt.reports.gate.record import GateRecord
from fer_opt.reports.gate.story import mark_of

__all__ = ["benchmark_stats", "pytest_benchmark_json"]

FORMAT = "5.0.0"
"""The version of pytest-benchmark whose format this is."""


def pytest_benchmark_json(record: GateRecord) -> str:
    """Every model that was timed as a benchmark."""
    device = record.device
    machine = {
        "node": "" if device is None else device.name,
        "processor": "" if device is None else device.name,
        "machine": "" if device is None else device.kind,
        "system": "" if device is None else device.facts.get("os", ""),
        "fingerprint": "" if device is None else device.fingerprint,
        "cpu": {},
        "times": mark_of(device) or "a phone's",
    }
    found = {
        "machine_info": machine,
        "commit_info": {},
        "benchmarks": [_benchmark(one, record) for one in timed_outputs(record)],
        "datetime": record.created_at,
        "version": FORMAT,
    }
    return json.dumps(found, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _benchmark(one: TimedOutput, record: GateRecord) -> dict[str, Any]:
    verdict = one.verdict
    return {
        "group": "fer-opt gate",
        "name": one.title,
        "fullname": f"fer-opt gate::{one.title}",
        "params": None,
        "param": None,
        "extra_info": {
            "sha256": one.model.sha256,
            "size_bytes": one.model.size_bytes,
            "machine": "" if record.device is None else record.device.name,
            "times": mark_of(record.device) or "a phone's",
            "outcome": None if verdict is None else verdict.outcome,
            "ratio": None if verdict is None else verdict.ratio,
        },
        "options": {
            "disable_gc": True,
            "timer": "process median",
            "min_rounds": 1,
            "max_time": 0.0,
            "min_time": 0.0,
            "warmup": True,
        },
        "stats": benchmark_stats([process.datum_ms / 1000 for process in one.processes]),
    }


def benchmark_stats(times_s: Sequence[float]) -> dict[str, Any]:
    """What pytest-benchmark says of that many rounds, in seconds."""
    ordered = sorted(times_s)
    mean, median = statistics.fmean(ordered), statistics.median(ordered)
    deviation = statistics.stdev(ordered) if len(ordered) > 1 else 0.0
    q1, q3 = _quartiles(ordered)
    iqr = q3 - q1
    beyond = sum(not mean - deviation <= time <= mean + deviation for time in ordered)
    fences = q1 - 1.5 * iqr, q3 + 1.5 * iqr
    inside = [time for time in ordered if fences[0] <= time <= fences[1]]
    far = len(ordered) - len(inside)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": len(ordered),
        "median": median,
        "iqr": iqr,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": far,
        "stddev_outliers": beyond,
        "outliers": f"{beyond};{far}",
        "ld15iqr": min(inside, default=ordered[0]),
        "hd15iqr": max(inside, default=ordered[-1]),
        "ops": 1 / mean,
        "total": math.fsum(ordered),
        "data": list(times_s),
        "iterations": 1,
    }


def _quartiles(ordered: Sequence[float]) -> tuple[float, float]:
    """Medians of the halves of an even number; of an odd one, the means of both ways to halve it.

    (Wikipedia, Quartile, methods 2 and 3.)
    """
    if len(ordered) == 1:
        return ordered[0], ordered[0]
    if len(ordered) % 2 == 0:
        half = len(ordered) // 2
        return statistics.median(ordered[:half]), statistics.median(ordered[half:])
    fourth, rest = divmod(len(ordered), 4)
    inner, outer = (0.75, 0.25) if rest == 1 else (0.25, 0.75)
    place = fourth - 1 if rest == 1 else fourth
    return (
        outer * ordered[place] + inner * ordered[place + 1],
        inner * ordered[-place - 2] + outer * ordered[-place - 1],
    )
