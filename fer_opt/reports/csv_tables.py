"""The record's numbers as CSV files, one line a variant, a label, a process, a step or a layer."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from fer_opt.device.measurement import Measurement
from fer_opt.reports.compression import steps_of
from fer_opt.reports.record import RunRecord
from fer_opt.reports.summary import Summary, VariantSummary, summarise

__all__ = [
    "MEASUREMENT_COLUMNS",
    "inert",
    "labels_csv",
    "layers_csv",
    "measurement_rows",
    "measurements_csv",
    "steps_csv",
    "variants_csv",
    "written",
    "yes",
]

Row = dict[str, Any]


def variants_csv(record: RunRecord) -> str:
    """One line a variant: size, accuracy (shares, 0 to 1), latency (ms), flags.

    The accuracy of each label has a column ``accuracy[<label>]``. Unknown values are empty.

    Raises:
        MeasurementError: measurements of one variant are unlike and cannot be pooled.
    """
    summary = summarise(record)
    rows = [_variant(summary, row) for row in summary.rows]
    label_columns = [f"accuracy[{label}]" for label in record.convention.labels]
    return written([*_VARIANT_COLUMNS, *label_columns], rows)


_VARIANT_COLUMNS = (
    "recipe", "title", "recommended", "flagged", "flags", "on_front", "size_bytes", "gzip_bytes",
    "samples", "accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "cross_entropy",
    "never_predicted", "mcnemar_p", "only_variant_right", "only_reference_right", "latency_ms",
    "latency_low_ms", "latency_high_ms", "latency_confidence", "latency_mean_ms",
    "latency_sd_ms", "latency_p90_ms", "latency_p95_ms", "latency_process_p95_ms",
    "latency_max_ms", "ratio", "ratio_low", "ratio_high", "ratio_confidence",
    "ratio_reference", "processes", "inferences",
    "initialisation_ms", "peak_memory_bytes", "label_agreement", "max_abs_difference", "sha256",
)  # fmt: skip


def _variant(summary: Summary, row: VariantSummary) -> Row:
    variant, accuracy, latency, ratio = row.variant, row.accuracy, row.latency, row.ratio
    line: Row = {
        "recipe": row.recipe,
        "title": variant.title,
        "recommended": yes(row is summary.recommendation.chosen),
        "flagged": yes(row.flagged),
        "flags": " ".join(variant.check.flags),
        "on_front": yes(row.on_front),
        "size_bytes": variant.size_bytes,
        "gzip_bytes": variant.gzip_bytes,
        "label_agreement": variant.check.label_agreement,
        "max_abs_difference": variant.check.max_abs_difference,
        "sha256": variant.sha256,
    }
    if accuracy is not None:
        line |= {
            "samples": accuracy.samples,
            "accuracy": accuracy.accuracy,
            "accuracy_low": accuracy.low,
            "accuracy_high": accuracy.high,
            "balanced_accuracy": accuracy.balanced_accuracy,
            "cross_entropy": accuracy.cross_entropy,
            "never_predicted": "; ".join(accuracy.never_predicted),
        }
        line |= {f"accuracy[{score.label}]": score.accuracy for score in accuracy.labels}
        if accuracy.versus_float is not None:
            line |= {
                "mcnemar_p": accuracy.versus_float.p_value,
                "only_variant_right": accuracy.versus_float.only_variant_right,
                "only_reference_right": accuracy.versus_float.only_reference_right,
            }
    if latency is not None:
        line |= {
            "latency_ms": latency.median_ms,
            "latency_low_ms": latency.low_ms,
            "latency_high_ms": latency.high_ms,
            "latency_confidence": latency.confidence,
            "latency_mean_ms": latency.mean_ms,
            "latency_sd_ms": latency.sd_ms,
            "latency_p90_ms": latency.p90_ms,
            "latency_p95_ms": latency.p95_ms,
            "latency_process_p95_ms": latency.process_p95_ms,
            "latency_max_ms": latency.max_ms,
            "processes": latency.processes,
            "inferences": latency.inferences,
            "initialisation_ms": latency.initialisation_ms,
            "peak_memory_bytes": latency.peak_memory_bytes,
        }
    if ratio is not None:
        line |= {
            "ratio": ratio.ratio,
            "ratio_low": ratio.low,
            "ratio_high": ratio.high,
            "ratio_confidence": ratio.confidence,
            "ratio_reference": ratio.reference,
        }
    return line


def labels_csv(record: RunRecord) -> str:
    """One line a variant and label: counts, accuracy with its interval, precision and F1."""
    columns = (
        "recipe", "label", "support", "predicted", "correct", "accuracy", "low", "high",
        "precision", "f1",
    )  # fmt: skip
    rows = [
        {"recipe": accuracy.recipe} | {column: getattr(score, column) for column in columns[1:]}
        for accuracy in record.accuracies
        for score in accuracy.labels
    ]
    return written(columns, rows)


def measurements_csv(record: RunRecord) -> str:
    """One line an inference, warm-up included, in the order they were made.

    A process's facts repeat on each of its lines, so that the file can be grouped by
    ``order_index`` without another one beside it. A process that tells only a summary of its
    counted inferences has one line for them, of phase ``summary``, whose ``ms`` is the datum.
    """
    rows = [row for one in record.measurements for row in measurement_rows(one)]
    return written(MEASUREMENT_COLUMNS, rows)


MEASUREMENT_COLUMNS = (
    "order_index", "recipe", "round", "session", "started_at", "phase", "inference", "ms",
    "initialisation_ms", "steady", "threads", "cpus", "delegate", "peak_memory_bytes",
    "load_1m_before", "load_1m_after", "cpu_mhz_before", "cpu_mhz_after",
    "temperature_c_before", "temperature_c_after", "limit_mhz_before", "limit_mhz_after",
    "battery_percent_before", "battery_percent_after", "battery_c_before", "battery_c_after",
    "attempt", "count", "mean_ms", "min_ms", "max_ms", "sd_ms", "median_ms", "p5_ms", "p95_ms",
)  # fmt: skip
CONDITIONS = ("load_1m", "cpu_mhz", "temperature_c", "limit_mhz", "battery_percent", "battery_c")


def measurement_rows(one: Measurement) -> list[Row]:
    """The lines of one process."""
    shared: Row = {
        "order_index": one.order_index,
        "recipe": one.model,
        "round": one.round_index,
        "session": one.session,
        "started_at": one.started_at,
        "initialisation_ms": one.initialisation_ms,
        "steady": yes(one.steady),
        "threads": one.threads,
        "cpus": " ".join(map(str, one.cpus)),
        "delegate": one.delegate,
        "peak_memory_bytes": one.peak_memory_bytes,
        "attempt": one.attempt,
    }
    for moment, state in (("before", one.before), ("after", one.after)):
        for field in CONDITIONS:
            shared[f"{field}_{moment}"] = getattr(state, field)
    rows = [
        {**shared, "phase": phase, "inference": index, "ms": ms}
        for phase, series in (("warm-up", one.warm_up_ms), ("counted", one.inference_ms))
        for index, ms in enumerate(series)
    ]
    if one.summary is not None:
        rows.append({**shared, "phase": "summary", "ms": one.datum_ms, **asdict(one.summary)})
    return rows


def steps_csv(record: RunRecord) -> str:
    """One line a step of a recipe, before conversion; accuracies are shares, 0 to 1.

    The trained network comes first, with an empty recipe and place 0.
    """
    columns = (
        "recipe", "place", "step", "title", "samples", "accuracy", "accuracy_low", "accuracy_high",
        "parameters", "macs", "took_s", "notes",
    )  # fmt: skip
    rows = [
        {
            "recipe": recipe,
            "place": place,
            "step": one.step,
            "title": one.title,
            "samples": one.samples,
            "accuracy": one.accuracy,
            "accuracy_low": one.low,
            "accuracy_high": one.high,
            "parameters": one.parameters,
            "macs": one.macs,
            "took_s": one.took_s,
            "notes": " ".join(one.notes),
        }
        for recipe, place, one in steps_of(record)
    ]
    return written(columns, rows)


def layers_csv(record: RunRecord) -> str:
    """One line a layer with a kernel after each step of a recipe, in the order of data flow.

    The trained network comes first, with an empty recipe and place 0.
    """
    fields = ("name", "kind", "channels", "weights", "macs", "sparsity", "distinct")
    rows = [
        {"recipe": recipe, "place": place, "step": one.step}
        | {field: getattr(facts, field) for field in fields}
        for recipe, place, one in steps_of(record)
        for facts in one.layers
    ]
    return written(("recipe", "place", "step", *fields), rows)


def yes(value: bool) -> str:
    """``yes`` or ``no``."""
    return "yes" if value else "no"


def written(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """``rows`` under ``columns`` as CSV; what a row lacks is empty."""
    target = io.StringIO()
    writer = csv.DictWriter(target, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: inert(value) for name, value in row.items()} for row in rows)
    return target.getvalue()


def inert(value: Any) -> Any:
    """Text a spreadsheet would take for a formula, made text by a leading apostrophe (CWE-1236)."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
