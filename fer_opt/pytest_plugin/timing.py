"""Timing one model for a test: on this computer, or on the phone that the options name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fer_opt.device.host import HostDevice
from fer_opt.device.phone.results import PhoneSettings
from fer_opt.device.phone.trust import disturbances
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.device.schedule import measure_session
from fer_opt.errors import MeasurementError, PhoneError
from fer_opt.experiment.phone import PhoneRequest, bench_on
from fer_opt.files import sha256_of
from fer_opt.flatbuffer import read_tflite
from fer_opt.pytest_plugin.options import PluginOptions
from fer_opt.pytest_plugin.said import Said
from fer_opt.pytest_plugin.timed import Timed
from fer_opt.reports.gate.samples import samples_of_measurements

__all__ = ["place_of", "time_model", "timing_job"]

RUNS_HERE = 20

ALONE = "classify"
"""The stage that a model alone is."""


def time_model(
    path: Path, inputs: Path | None, processes: int, options: PluginOptions, said: Said
) -> Timed:
    """Time a model alone, each datum in a fresh process.

    Args:
        path: of the .tflite file.
        inputs: .npy file of its inputs; None feeds random values.
        processes: fresh ones.
        options: where, and how.
        said: remembers the virtual phone.

    Raises:
        ModelError: the file is no TFLite model.
        MeasurementError: it was not timed.
        PhoneError: the phone cannot be reached or used.
    """
    job = timing_job(path.name, path, inputs)
    if not options.here:
        return _on_phone(job, processes, options, said)
    runs = (options.runs or RUNS_HERE) if options.timing else 1
    settings = TimingSettings(runs=runs, threads=options.threads)
    device = HostDevice(settings)
    measured = measure_session(device, [job], processes, seed=0)
    return Timed(
        model=job.model,
        model_sha256=job.sha256,
        device=(facts := device.facts()),
        label=facts.name,
        process_ms=tuple(one.datum_ms for one in measured),
        raw={
            "settings": dataclasses.asdict(settings),
            "inputs": _inputs(job, settings.random_inputs),
            "measurements": [dataclasses.asdict(one) for one in measured],
        },
        samples={ALONE: samples_of_measurements(measured)},
    )


def timing_job(name: str, path: Path, inputs: Path | None = None) -> TimingJob:
    """A model to be timed, once it is known to be one.

    Raises:
        ModelError: the file is missing, or no TFLite model.
    """
    read_tflite(path)
    return TimingJob(name, path, sha256_of(path), inputs)


def place_of(options: PluginOptions, said: Said) -> str:
    """Where to time, as the rest of fer-opt calls it; a virtual phone serves all tests.

    Raises:
        PhoneError: several phones are asked for, or the virtual one cannot start.
    """
    if options.on == "all":
        raise PhoneError(
            "--fer-opt-on all names several phones, and a test is timed on one; name it."
        )
    if options.on != "virtual":
        return options.on
    if not said.virtual:
        from fer_opt.device.virtual import start_virtual_phone

        said.virtual = said.ends.enter_context(start_virtual_phone()).address
    return said.virtual


def _on_phone(job: TimingJob, processes: int, options: PluginOptions, said: Said) -> Timed:
    settings = PhoneSettings(
        rounds=processes,
        runs=(options.runs or PhoneSettings().runs) if options.timing else 1,
        threads=options.threads,
        outputs=0,
    )
    place = place_of(options, said)
    request = PhoneRequest((place,), None, options.via, options.runner, settings)
    (outcome,) = bench_on(request, [job], (), lambda run: None)
    run = outcome.run
    if run is None or outcome.error:
        raise PhoneError(outcome.error)
    if run.failures:
        raise MeasurementError(run.failures[0].reason)
    return Timed(
        model=job.model,
        model_sha256=job.sha256,
        device=run.device,
        label=run.label,
        process_ms=tuple(one.datum_ms for one in run.measurements),
        raw={
            "settings": dataclasses.asdict(settings),
            "inputs": _inputs(job, settings.inputs),
            "runner": run.runner and dataclasses.asdict(run.runner),
            "checks": [dataclasses.asdict(one) for one in run.checks],
            "measurements": [dataclasses.asdict(one) for one in run.measurements],
        },
        samples={ALONE: samples_of_measurements(run.measurements)},
        reasons=disturbances(run) if run.device.kind == "phone" else run.trust.reasons,
    )


def _inputs(job: TimingJob, otherwise: str) -> str:
    return otherwise if job.inputs is None else job.inputs.name
