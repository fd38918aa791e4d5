"""What phones timed as CSV files: one line a phone and model, a process, an operator, a check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fer_opt.reports.csv_tables import MEASUREMENT_COLUMNS, measurement_rows, written, yes
from fer_opt.reports.phones.summary import PhoneModel, PhoneSummary

__all__ = ["phone_csvs"]

Row = dict[str, Any]


def phone_csvs(phones: Sequence[PhoneSummary]) -> dict[str, str]:
    """The content of each file by name; those without a line are left out.

    ``phones.csv`` has a line for each phone and model, ``phone_measurements.csv`` for each process
    (or inference, where the runner tells each), ``phone_canary.csv`` for each attempt of a block,
    ``phone_operators.csv`` for each node of a profile. An emulated phone has lines in the first
    only, without times.
    """
    if not phones:
        return {}
    shown = [phone for phone in phones if not phone.emulated]
    rows = {
        "phones.csv": (_COLUMNS, [_model(p, row) for p in phones for row in p.rows]),
        "phone_measurements.csv": (
            ("phone", "kind", *map(_on_phone, MEASUREMENT_COLUMNS)),
            [
                _of(p) | {_on_phone(name): value for name, value in line.items()}
                for p in shown
                for one in p.run.measurements
                for line in measurement_rows(one)
            ],
        ),
        "phone_canary.csv": (
            ("phone", "kind", "round_index", "attempt", "baseline_ms", "before_ms", "after_ms",
             "throttled"),
            [
                _of(p) | asdict(check) | {"throttled": yes(check.throttled)}
                for p in shown
                for check in p.run.checks
            ],
        ),
        "phone_operators.csv": (
            ("phone", "kind", "model", "place", "operator", "name", "mean_ms", "share"),
            [
                {**asdict(one), "operator": one.kind, **_of(p)}
                for p in shown
                for one in p.run.operators
            ],
        ),
    }  # fmt: skip
    return {name: written(columns, lines) for name, (columns, lines) in rows.items() if lines}


def _of(phone: PhoneSummary) -> Row:
    return {"phone": phone.run.label, "kind": phone.kind}


_COLUMNS = (
    "phone", "kind", "phone_id", "trusted", "reasons", "model", "latency_ms", "latency_low_ms",
    "latency_high_ms", "latency_confidence", "latency_mean_ms", "latency_sd_ms", "latency_p95_ms",
    "latency_process_p95_ms", "latency_max_ms", "budget", "target_ms", "ratio", "ratio_low",
    "ratio_high", "ratio_confidence", "ratio_reference", "processes", "inferences",
    "initialisation_ms", "added_memory_bytes", "size_bytes", "samples_compared",
    "max_abs_difference", "label_flips", "failure", "sha256",
)  # fmt: skip


def _on_phone(column: str) -> str:
    """A phone's runner tells only by how much the model raised its process's peak."""
    return "added_memory_bytes" if column == "peak_memory_bytes" else column


def _model(phone: PhoneSummary, row: PhoneModel) -> Row:
    latency, ratio, outputs = row.latency, row.ratio, row.outputs
    line = _of(phone) | {
        "phone_id": phone.run.phone,
        "trusted": yes(phone.run.trust.trusted),
        "reasons": " ".join(phone.run.trust.reasons),
        "model": row.recipe,
        "size_bytes": row.model.size_bytes,
        "sha256": row.model.sha256,
        "failure": row.failure.reason if row.failure else "",
        "target_ms": phone.target_ms,
    }
    if latency is not None:
        line |= {
            "latency_ms": latency.median_ms,
            "latency_low_ms": latency.low_ms,
            "latency_high_ms": latency.high_ms,
            "latency_confidence": latency.confidence,
            "latency_mean_ms": latency.mean_ms,
            "latency_sd_ms": latency.sd_ms,
            "latency_p95_ms": latency.p95_ms,
            "latency_process_p95_ms": latency.process_p95_ms,
            "latency_max_ms": latency.max_ms,
            "budget": row.budget if phone.real else "not judged",
            "processes": latency.processes,
            "inferences": latency.inferences,
            "initialisation_ms": latency.initialisation_ms,
            "added_memory_bytes": latency.peak_memory_bytes,
        }
    if ratio is not None:
        line |= {
            "ratio": ratio.ratio,
            "ratio_low": ratio.low,
            "ratio_high": ratio.high,
            "ratio_confidence": ratio.confidence,
            "ratio_reference": ratio.reference,
        }
    if outputs is not None:
        line |= {
            "samples_compared": outputs.samples,
            "max_abs_difference": outputs.max_abs_difference,
            "label_flips": outputs.label_flips,
        }
    return line
