"""``fer-opt bench --on PHONE``: times of .tflite files on phones, a record and a report of them."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fer_opt.cli.console import Bars, Terminal, print_json, print_table, print_text, say

__all__ = ["bench_on_phones", "print_phone", "refuse_failures"]


def bench_on_phones(
    jobs: Any, request: Any, out: Path | None, *, target_ms: float, fresh: bool, json: bool
) -> None:
    """Bench, print what came of it and write the report; complain of phones and models that failed.

    Raises:
        PhoneError: a phone failed, after everything else has been done and written.
        MeasurementError: a model failed, likewise.
    """
    from fer_opt.errors import PhoneError
    from fer_opt.experiment.bench import bench_files, bench_folder
    from fer_opt.reports.phones.summary import summarise_phones
    from fer_opt.reports.write import write_bench_reports

    folder = out or bench_folder(jobs, request)
    command = shlex.join(["fer-opt", *sys.argv[1:]])
    several = len(request.on) > 1 or "all" in request.on
    terminal, bars = Terminal(), Bars()
    with bars.drawn(wanted=several) as progress_of:
        record, outcomes = bench_files(
            jobs, request, folder, command=command, target_ms=target_ms, fresh=fresh,
            progress=terminal, progress_of=progress_of,
        )  # fmt: skip
    asked = {outcome.run.phone for outcome in outcomes if outcome.run is not None}
    if record.phones:
        paths = write_bench_reports(record, folder)
        summaries = summarise_phones(record.phones, record.target_ms)
        if json:
            _print_json(folder, record, summaries)
        else:
            for summary in summaries:
                if summary.run.phone in asked and (summary.timed or not summary.run.error):
                    print_phone(summary)
        say(f"The report is {paths[0]}; {folder / 'record.json'} holds every number.")
    failed = [(outcome.on, outcome.error) for outcome in outcomes if outcome.error]
    if len(failed) == 1 == len(outcomes):
        raise PhoneError(failed[0][1])
    if failed:
        raise PhoneError(" ".join(f"{on}: {error}" for on, error in failed))
    refuse_failures(outcome.run for outcome in outcomes if outcome.run is not None)


def refuse_failures(runs: Iterable[Any]) -> None:
    """Complain where not every model was timed; the reasons have been told by then.

    Raises:
        MeasurementError: a model failed on a phone.
    """
    from fer_opt.errors import MeasurementError

    failed = [
        f"{', '.join(one.model for one in run.failures)} could not be timed on {run.label}"
        for run in runs
        if run.failures
    ]
    if failed:
        raise MeasurementError(f"{'; '.join(failed)}; the report says why.")


def print_phone(summary: Any) -> None:
    """Print one phone's verdict and table."""
    from fer_opt.reports.phones.story import tell_phone

    story = tell_phone(summary)
    said = [story.banner, story.unfinished, story.headline, story.gain]
    print_text("")
    if summary.rows:
        print_table(summary.run.label, *_table(summary))
    print_text("\n".join(filter(None, said)))
    for item in story.warnings:
        say(f"WARNING: {item.headline}: {item.detail}")
    if summary.real:
        for reason in story.reasons:
            say(f"WARNING: {reason}")


def _table(summary: Any) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of one phone's models; an emulated phone's have no times."""
    columns = ["model", "outputs"]
    if not summary.emulated:
        columns = ["model", "median ms", "interval ms", "added MB", "outputs"]
        if len(summary.rows) > 1:
            columns.insert(3, _ratio_column(summary))
    return columns, [_row(summary, row, columns) for row in summary.rows]


def _row(summary: Any, row: Any, columns: list[str]) -> list[str]:
    cells = {"model": row.recipe.replace(" > ", " >\n"), "outputs": _outputs(row.outputs)}
    latency, ratio = row.latency, row.ratio
    if latency is not None:
        added = latency.peak_memory_bytes
        cells |= {
            "median ms": f"{latency.median_ms:.3g}",
            "interval ms": f"{latency.low_ms:.3g}–{latency.high_ms:.3g}"
            if latency.processes > 1
            else "-",
            "added MB": "?" if added is None else f"{added / 1e6:.0f}",
            _ratio_column(summary): "1"
            if ratio is None
            else f"{ratio.ratio:.2f} ({ratio.low:.2f}–{ratio.high:.2f})",
        }
    elif row.failure is not None:
        cells["median ms"] = "FAILED"
    return [cells.get(column, "-") for column in columns]


def _ratio_column(summary: Any) -> str:
    return f"times {summary.short_reference}"


def _outputs(outputs: Any) -> str:
    if outputs is None:
        return "not compared"
    if outputs.label_flips:
        return f"{outputs.label_flips} of {outputs.samples} labels differ"
    return "equal" if not outputs.max_abs_difference else "same labels"


def _print_json(folder: Path, record: Any, summaries: Any) -> None:
    """Print what scripts want to know."""
    print_json(
        {
            "record": str(folder / "record.json"),
            "complete": record.complete,
            "phones": [_facts(summary) for summary in summaries],
        }
    )


def _facts(summary: Any) -> dict[str, Any]:
    def maybe(value: Any) -> Any:
        return None if value is None else dataclasses.asdict(value)

    def latency(row: Any) -> Any:
        facts = maybe(row.latency)
        if facts is not None:
            facts["added_memory_bytes"] = facts.pop("peak_memory_bytes")
        return facts

    run = summary.run
    return {
        "label": run.label,
        "kind": summary.kind,
        "complete": run.complete,
        "trusted": run.trust.trusted,
        "reasons": list(run.trust.reasons),
        "pushed_bytes": run.pushed_bytes,
        "kept_bytes": run.kept_bytes,
        "error": run.error,
        "models": [
            {
                "model": row.recipe,
                "latency": latency(row),
                "ratio": maybe(row.ratio),
                "against_target": row.budget if summary.real else "not judged",
                "outputs": maybe(row.outputs),
                "failure": row.failure.reason if row.failure else "",
            }
            for row in summary.rows
        ],
    }
