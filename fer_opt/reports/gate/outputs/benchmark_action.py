"""github-action-benchmark's ``customSmallerIsBetter``: a list of names, units and values."""

from __future__ import annotations

import json

from fer_opt.reports.gate.outputs.timed import timed_outputs
from fer_opt.reports.gate.record import GateRecord

__all__ = ["benchmark_action_json"]


def benchmark_action_json(record: GateRecord) -> str:
    """Median time and size of every candidate, and of the baseline beside the first."""
    found = []
    for one in timed_outputs(record):
        summary = one.summary
        found.append(
            {
                "name": f"{one.title}: latency",
                "unit": "ms",
                "value": summary.median_ms,
                "range": f"{summary.low_ms:.4g} to {summary.high_ms:.4g}",
                "extra": f"median of {summary.processes} processes, "
                f"{summary.confidence:.1%} interval; SHA-256 {one.model.sha256[:12]}",
            }
        )
        found.append(
            {
                "name": f"{one.model.name}: file size",
                "unit": "bytes",
                "value": one.model.size_bytes,
            }
        )
    return json.dumps(found, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
