"""Timing one model for a test: on this computer, or on the phone that the options name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fer_opt.device.host import HostDevice
from fer_opt.device.phone.results import PhoneRun, PhoneSettings
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.device.schedule import measure_session
from fer_opt.errors import MeasurementError, PhoneError
from fer_opt.experiment.phone import PhoneRequest, bench_on
from fer_opt.files import sha256_of
from fer_opt.flatbuffer import read_tflite
from fer_opt.pytest_plugin.options import PluginOptions
from fer_opt.pytest_plugin.said import Said
from fer_opt.pytest_plugin.timed import Timed

__all__ = ["bench_phone_run", "host_settings", "phone_request", "time_model", "timing_job"]

RUNS_HERE = 20


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
    settings = host_settings(options)
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
    )


def timing_job(name: str, path: Path, inputs: Path | None = None) -> TimingJob:
    """A model to be timed, once it is known to be one.

    Raises:
        ModelError: the file is missing, or no TFLite model.
    """
    read_tflite(path)
    return TimingJob(name, path, sha256_of(path), inputs)


def host_settings(options: PluginOptions) -> TimingSettings:
    """How a process on this computer times its model."""
    if not options.timing:
        return TimingSettings(runs=1, threads=options.threads)
    return TimingSettings(runs=options.runs or RUNS_HERE, threads=options.threads)


def phone_request(options: PluginOptions, rounds: int, said: Said) -> PhoneRequest:
    """Which phone, and how it times; a virtual one is started once for all tests.

    Raises:
        PhoneError: several phones are asked for, or the virtual one cannot start.
    """
    if options.on == "all":
        raise PhoneError(
            "--fer-opt-on all names several phones, and a test is timed on one; name it."
        )
    settings = PhoneSettings(
        rounds=rounds,
        runs=1 if not options.timing else options.runs or PhoneSettings().runs,
        threads=options.threads,
        outputs=0,
    )
    on = _virtual(said) if options.on == "virtual" else options.on
    return PhoneRequest((on,), None, options.via, options.runner, settings)


def bench_phone_run(
    request: PhoneRequest, jobs: list[TimingJob], already: tuple[PhoneRun, ...] = ()
) -> PhoneRun:
    """What one phone measured of all ``jobs``, or what is missing of it.

    Raises:
        MeasurementError: a model was not timed.
        PhoneError: the phone cannot be reached or used.
    """
    (outcome,) = bench_on(request, jobs, already, lambda run: None)
    if outcome.run is None or outcome.error:
        raise PhoneError(outcome.error)
    if outcome.run.failures:
        raise MeasurementError(outcome.run.failures[0].reason)
    return outcome.run


def _on_phone(job: TimingJob, processes: int, options: PluginOptions, said: Said) -> Timed:
    request = phone_request(options, processes, said)
    run = bench_phone_run(request, [job])
    return Timed(
        model=job.model,
        model_sha256=job.sha256,
        device=run.device,
        label=run.label,
        process_ms=tuple(one.datum_ms for one in run.measurements),
        raw={
            "settings": dataclasses.asdict(request.settings),
            "inputs": _inputs(job, request.settings.inputs),
            "runner": run.runner and dataclasses.asdict(run.runner),
            "checks": [dataclasses.asdict(one) for one in run.checks],
            "measurements": [dataclasses.asdict(one) for one in run.measurements],
        },
        reasons=run.trust.reasons,
    )


def _inputs(job: TimingJob, otherwise: str) -> str:
    return otherwise if job.inputs is None else job.inputs.name


def _virtual(said: Said) -> str:
    if not said.virtual:
        from fer_opt.device.virtual import start_virtual_phone

        said.virtual = said.ends.enter_context(start_virtual_phone()).address
    return said.virtual
