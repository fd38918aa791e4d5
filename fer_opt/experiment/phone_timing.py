"""The fourth part of a run: every variant timed on the phones that were asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from fer_opt.data import Dataset
from fer_opt.device.phone.results import PhoneRun, PhoneSettings
from fer_opt.errors import PhoneError
from fer_opt.experiment.phone import PhoneRequest, bench_on, merged
from fer_opt.experiment.saving import Save
from fer_opt.experiment.specification import Experiment, PhoneSection
from fer_opt.experiment.timing import timing_jobs
from fer_opt.progress import Progress
from fer_opt.reports.record import RunRecord

__all__ = ["measure_on_phones", "phone_request"]


def measure_on_phones(
    record: RunRecord,
    experiment: Experiment,
    evaluation: Dataset,
    base: Path,
    out: Path,
    save: Save,
    progress: Progress,
    progress_of: Callable[[str], Progress] | None = None,
) -> RunRecord:
    """Time every variant on each phone the experiment names, leaving out what is known already.

    Raises:
        PhoneError: a phone could not be used or was lost; what was measured is saved.
    """
    wanted = experiment.phone
    if not wanted.on:
        return record
    jobs, count = timing_jobs(record, evaluation, out)

    def keep(run: PhoneRun) -> None:
        nonlocal record
        record = dataclasses.replace(record, phones=merged(record.phones, run), complete=False)
        save(record)

    request = phone_request(wanted, base, f"{count} samples of {evaluation.name}")
    outcomes = bench_on(request, jobs, record.phones, keep, progress, progress_of)
    for outcome in outcomes:
        if outcome.run is not None:
            keep(outcome.run)
    if failed := [outcome.error for outcome in outcomes if outcome.error]:
        raise PhoneError(" ".join(failed))
    return record


def phone_request(section: PhoneSection, base: Path, inputs: str) -> PhoneRequest:
    """Which phones an experiment asks for, and how they time; ``inputs`` says what they are fed."""
    return PhoneRequest(
        on=section.on,
        serial=section.serial,
        via=section.via,
        runner=base / section.runner if section.runner else None,
        settings=PhoneSettings(
            rounds=section.rounds,
            runs=section.runs,
            threads=section.threads,
            cpus=section.cpus or (),
            xnnpack=section.xnnpack,
            operator_profile=section.operator_profile,
            outputs=section.outputs,
            cool_down_s=section.cool_down_s,
            seed=section.seed,
            inputs=inputs,
        ),
    )
