"""``fer-opt gate --against RECORD``: judged by what a record holds."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Any

from fer_opt.cli.console import Terminal
from fer_opt.cli.gate_request import Asked, budgets_of, gate_settings, measured_request
from fer_opt.errors import GateError

__all__ = ["ask_stored"]


def ask_stored(asked: Asked, terminal: Terminal) -> tuple[Any, Path]:
    """The judged record and where it is.

    A gate's record without a candidate is judged again as it is. Candidates that are files are
    measured now; those that are names of the record are judged by it.

    Raises:
        NoBaselineError: there is no such record, or no such model in it.
        FerOptError: it cannot be judged.
    """
    from fer_opt.experiment.gating_stored import open_stored
    from fer_opt.reports.gate.judging import judged
    from fer_opt.reports.gate.record import GateRecord

    assert asked.against is not None
    stored = open_stored(asked.against, asked.machine)
    files = [text for text in asked.candidates if Path(text).exists()]
    if files and len(files) < len(asked.candidates):
        raise GateError(
            "some candidates are files and some are names of the record; gate them one by one."
        )
    if files:
        return _measured(asked, stored, terminal)
    if isinstance(stored.record, GateRecord):
        if asked.candidates:
            raise GateError(
                f"{', '.join(asked.candidates)}: no such file; a gate's record is judged as a "
                "whole, without --candidate, or a file is held against it."
            )
        return judged(stored.record, budgets_of(asked)), stored.path
    return _within(asked, stored), stored.path


def _measured(asked: Asked, stored: Any, terminal: Terminal) -> tuple[Any, Path]:
    """Candidates measured now, against the stored baseline."""
    from fer_opt.experiment.gating import DEFAULT_FOLDER, gate
    from fer_opt.experiment.gating_stored import held_against
    from fer_opt.files import sha256_of
    from fer_opt.reports.gate.record import write_gate_record

    baseline = stored.reference(asked.baseline_name)
    stored.times(baseline.name)  # refused before anything is measured
    request = measured_request(dataclasses.replace(asked, baseline=None))
    request = dataclasses.replace(request, stored=baseline.sha256)
    folder = asked.out or DEFAULT_FOLDER
    record = gate(request, folder, command=_command(), fresh=asked.fresh, progress=terminal)
    if record.outcome == "invalid":
        return record, folder / "record.json"
    record = held_against(
        record,
        stored,
        baseline,
        may_decide=asked.stored_may_fail,
        baseline_sha256=sha256_of(asked.baseline) if asked.baseline else None,
    )
    write_gate_record(record, folder / "record.json")
    return record, folder / "record.json"


def _within(asked: Asked, stored: Any) -> Any:
    """Models of one record."""
    from fer_opt.device.stage_timing import STAGES
    from fer_opt.experiment.gating_within import within_record
    from fer_opt.reports.gate.budgets import LatencyBudget

    budgets = budgets_of(asked)
    staged = stored.record.stages and all(
        isinstance(one, LatencyBudget) and one.subject in (*STAGES, "total") for one in budgets
    )
    if asked.candidates:
        candidates = [stored.model(name) for name in asked.candidates]
        baseline = stored.reference(asked.baseline_name)
        if baseline in candidates:
            raise GateError(
                f"{baseline.name} would be compared with itself; name another --candidate or "
                "--baseline-name."
            )
    elif budgets and staged:
        candidates, baseline = [_model_of(stored, asked.pipeline)], None
    elif budgets:
        candidates, baseline = list(stored.models().values()), None
    else:
        raise GateError(
            f"nothing is asked of {stored.path}; name a --candidate (it has "
            f"{', '.join(stored.models())}) or a --budget."
        )
    drop = asked.max_drop_points
    return within_record(
        _template(asked, stored),
        stored,
        baseline,
        candidates,
        budgets,
        pipeline=asked.pipeline,
        max_drop=None if drop is None else drop / 100,
    )


def _model_of(stored: Any, pipeline: str) -> Any:
    """The classifier of a pipeline, under the pipeline's name."""
    from fer_opt.device.phone.results import TimedModel

    for run in stored.record.stages:
        for one in run.pipelines:
            if one.name == pipeline:
                # Its size is not asked for here.
                return TimedModel(f"{pipeline} pipeline", one.model, one.model_sha256, 0)
    raise GateError(
        f"{stored.path} has no pipeline named {pipeline}; choose another with --pipeline."
    )


def _template(asked: Asked, stored: Any) -> Any:
    """A gate's record without comparisons, about another record."""
    import fer_opt
    from fer_opt.reports.gate.record import GATE_KIND, GATE_SCHEMA_VERSION, GateRecord
    from fer_opt.reports.record import LatencySettings

    return GateRecord(
        schema_version=GATE_SCHEMA_VERSION,
        kind=GATE_KIND,
        created_at=stored.record.created_at,
        fer_opt_version=fer_opt.__version__,
        command=_command(),
        fingerprint="",
        on=asked.machine or "record",
        settings=gate_settings(asked),
        latency=LatencySettings(0, 0, 0, (), 0, "of the record"),
        device=None,
        baseline=None,
        comparisons=(),
    )


def _command() -> str:
    return shlex.join(["fer-opt", *sys.argv[1:]])
