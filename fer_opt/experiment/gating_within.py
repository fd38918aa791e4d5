"""Models of one record, judged by what it holds of them: nothing is measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.device.phone.results import PhoneRun, TimedModel
from fer_opt.device.phone.trust import disturbances
from fer_opt.device.stage_timing import STAGES, StagesRun
from fer_opt.errors import GateError, MeasurementError
from fer_opt.experiment.gating_stored import Stored
from fer_opt.reports.bench_record import BenchRecord
from fer_opt.reports.gate.budgets import (
    BudgetVerdict,
    LatencyBudget,
    SizeBudget,
    judge_latency,
    judge_size,
)
from fer_opt.reports.gate.decision import GateSettings, decide
from fer_opt.reports.gate.judging import settled
from fer_opt.reports.gate.non_inferiority import AccuracyVerdict, judge_accuracy
from fer_opt.reports.gate.pairs import pairs_of_measurements
from fer_opt.reports.gate.predictions import pair_answers, stored_answers
from fer_opt.reports.gate.record import Comparison, GateRecord
from fer_opt.reports.gate.samples import TimeSamples, samples_of_measurements
from fer_opt.reports.gate.stage_samples import TOTAL, samples_of_stage
from fer_opt.reports.record import RunRecord

__all__ = ["within_record"]

Budget = LatencyBudget | SizeBudget


@dataclass(frozen=True, slots=True)
class _Machine:
    """A machine of a record: its facts, what it timed, and the phone's run where it is one."""

    device: DeviceFacts
    measurements: tuple[Measurement, ...]
    run: PhoneRun | None


def within_record(
    template: GateRecord,
    stored: Stored,
    baseline: TimedModel | None,
    candidates: Sequence[TimedModel],
    budgets: Sequence[Budget],
    *,
    pipeline: str,
    max_drop: float | None = None,
) -> GateRecord:
    """``template`` with models of one run or bench judged by what it holds of them.

    Rounds of one session are pairs: there each model ran side by side with the others.

    Args:
        template: a gate's record that holds no comparisons.
        stored: the record.
        baseline: compared with; None judges budgets alone.
        candidates: models in question.
        budgets: for each of them; those of stages hold for the pipeline.
        pipeline: of the record's stages.
        max_drop: of accuracy, as a share; None does not judge it.

    Raises:
        GateError: the record lacks what is asked for.
        MeasurementError: its times are nothing to judge by.
    """
    record = stored.record
    assert not isinstance(record, GateRecord)
    staged = any(
        isinstance(one, LatencyBudget) and one.subject in (*STAGES, TOTAL) for one in budgets
    )
    stages = _stages(record, stored.machine) if staged else None
    needs_times = baseline is not None or any(
        isinstance(one, LatencyBudget) and not _is_staged(one, stages) for one in budgets
    )
    machine = _machine(stored) if needs_times else None
    comparisons = []
    for candidate in candidates:
        one = Comparison(candidate)
        if machine is not None and machine.run is not None:
            one = dataclasses.replace(one, invalid=disturbances(machine.run))
        if machine is not None and baseline is not None:
            one = _looked(one, baseline, machine, template.settings)
        # Times that are not valid are held to nothing; sizes and photos are not theirs.
        judged = tuple(
            _budget(budget, candidate, machine, stages, pipeline)
            for budget in budgets
            if not one.invalid or isinstance(budget, SizeBudget) or _is_staged(budget, stages)
        )
        accuracy = None
        if max_drop is not None and baseline is not None:
            accuracy = _accuracy(record, stored.path.parent, baseline, candidate, max_drop)
        comparisons.append(dataclasses.replace(one, budgets=judged, accuracy=accuracy))
    device = machine.device if machine is not None else stages.device if stages else None
    return settled(
        dataclasses.replace(
            template,
            device=device,
            baseline=baseline,
            stored=str(stored.path),
            comparisons=tuple(comparisons),
        )
    )


def _machine(stored: Stored) -> _Machine:
    record = stored.record
    assert not isinstance(record, GateRecord)
    found: dict[str, _Machine] = {}
    if isinstance(record, RunRecord) and record.device is not None and record.measurements:
        found["host"] = _Machine(record.device, record.measurements, None)
    for run in record.phones:
        if run.measurements:
            found[run.label] = _Machine(run.device, run.measurements, run)
    wanted = [one for name, one in found.items() if stored.machine in (None, name)]
    if len(wanted) != 1:
        raise GateError(
            f"{stored.path} has times of {', '.join(found) or 'no machine'}; say which with "
            "--machine."
        )
    if wanted[0].device.kind == "emulated":
        raise MeasurementError(
            f"the times of {stored.path} are an emulator's, which mean nothing; measure on a real "
            "device."
        )
    return wanted[0]


def _looked(
    one: Comparison, baseline: TimedModel, machine: _Machine, settings: GateSettings
) -> Comparison:
    """The verdict at the largest look that the record's rounds reach."""
    runner = machine.run.runner if machine.run is not None else None
    pairs = pairs_of_measurements(
        machine.measurements, baseline.name, one.candidate.name, machine.device, runner
    )
    count = len(pairs.baseline_ms)
    look = max((look for look in settings.looks if look <= count), default=count)
    # Nobody looked earlier, so there was one look.
    alone = dataclasses.replace(settings, looks=(look,)) if look >= 4 else settings
    verdict = decide(pairs.baseline_ms[:look], pairs.candidate_ms[:look], alone)
    return dataclasses.replace(one, looks=(verdict,))


def _budget(
    budget: Budget,
    candidate: TimedModel,
    machine: _Machine | None,
    stages: StagesRun | None,
    pipeline: str,
) -> BudgetVerdict:
    if isinstance(budget, SizeBudget):
        return judge_size(budget, candidate.size_bytes)
    if stages is not None and _is_staged(budget, stages):
        samples, at_least = samples_of_stage(stages, pipeline, budget.subject)
        return judge_latency(budget, samples, at_least=at_least)
    assert machine is not None
    return judge_latency(budget, _samples(machine, candidate, budget))


def _samples(machine: _Machine, candidate: TimedModel, budget: LatencyBudget) -> TimeSamples:
    if budget.subject not in ("classify", candidate.name):
        raise GateError(
            f"the record has no stages, so no time of {budget.subject}; write "
            f"--budget classify={budget.limit_ms:g}ms for the model's own time."
        )
    return samples_of_measurements(
        one for one in machine.measurements if one.model == candidate.name
    )


def _is_staged(budget: LatencyBudget, stages: StagesRun | None) -> bool:
    return stages is not None and budget.subject in (*STAGES, TOTAL)


def _stages(record: RunRecord | BenchRecord, machine: str | None) -> StagesRun | None:
    """The stages on the machine that is asked for; None where there are none."""
    found = [
        one
        for one in record.stages
        if machine in (None, "host" if one.device.kind == "host" else one.device.name)
    ]
    if len(found) > 1:
        names = ["host" if one.device.kind == "host" else one.device.name for one in found]
        raise GateError(
            f"the record has stages of several machines ({', '.join(names)}); say which with "
            "--machine."
        )
    return found[0] if found else None


def _accuracy(
    record: RunRecord | BenchRecord,
    folder: Path,
    baseline: TimedModel,
    candidate: TimedModel,
    max_drop: float,
) -> AccuracyVerdict:
    if isinstance(record, BenchRecord):
        raise GateError(
            "a bench's record has no accuracies; give a run's, or leave --max-accuracy-drop out."
        )
    answers = [stored_answers(record, folder, one.name) for one in (baseline, candidate)]
    return judge_accuracy(pair_answers(*answers), max_drop)
