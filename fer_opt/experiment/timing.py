"""The third part of a run: every variant timed in fresh processes, each saved as it is made."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np

from fer_opt.convention import InputConvention, InputKind
from fer_opt.data import Dataset, stratified_sample
from fer_opt.device.host import HostDevice
from fer_opt.device.measurement import Measurement
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.device.schedule import measure_session
from fer_opt.experiment.saving import Save
from fer_opt.experiment.settle import gather
from fer_opt.experiment.specification import Experiment, LatencySection
from fer_opt.files import write_atomically
from fer_opt.flatbuffer import read_convention
from fer_opt.progress import Progress
from fer_opt.reports.record import LatencySettings, RunRecord

__all__ = ["measure_latency", "timing_inputs", "timing_jobs", "timing_settings"]

TIMING_INPUTS = 32
"""Samples a timing process cycles through."""


def measure_latency(
    record: RunRecord,
    experiment: Experiment,
    evaluation: Dataset,
    out: Path,
    save: Save,
    progress: Progress,
) -> RunRecord:
    """Time every variant on this computer, leaving out what the record already holds.

    Raises:
        MeasurementError: a variant could not be timed; what was measured before is saved.
    """
    wanted = experiment.latency
    total = wanted.processes * len(record.variants)
    if len(record.measurements) >= total:
        return record
    jobs, count = timing_jobs(record, evaluation, out)
    device = HostDevice(timing_settings(wanted))
    facts = device.facts()
    if record.device is not None and record.device.fingerprint != facts.fingerprint:
        progress.say("This is another machine than the earlier times are from; timing anew.")
        record = dataclasses.replace(record, measurements=())
    record = dataclasses.replace(
        record,
        device=facts,
        latency=LatencySettings(
            processes=wanted.processes,
            runs=wanted.runs,
            threads=wanted.threads,
            cpus=wanted.cpus or (),
            seed=wanted.seed,
            inputs=f"{count} samples of {evaluation.name}",
        ),
    )
    with progress.stage("Timing", total) as advance:
        advance(len(record.measurements))

        def keep(measurement: Measurement) -> None:
            nonlocal record
            record = dataclasses.replace(
                record,
                measurements=(*record.measurements, measurement),
                latency=_with_cpus(record.latency, measurement),
            )
            save(record)
            advance(1)

        measure_session(
            device,
            jobs,
            wanted.processes,
            wanted.seed,
            already=record.measurements,
            on_measurement=keep,
        )
    return record


def timing_settings(section: LatencySection) -> TimingSettings:
    """The device's settings for what an experiment file asks."""
    return TimingSettings(
        runs=section.runs, threads=section.threads, cpus=tuple(section.cpus or ())
    )


def timing_jobs(record: RunRecord, evaluation: Dataset, out: Path) -> tuple[list[TimingJob], int]:
    """A job for every variant, with real inputs of the kind it takes, and how many there are."""
    taken: dict[InputKind, Path] = {}
    jobs, count = [], 0
    for variant in record.variants:
        own = read_convention(out / variant.path)
        kind: InputKind = "tensor" if own is None else own.input
        if kind not in taken:
            taken[kind] = out / ("timing_crops.npy" if kind == "crop" else "timing_inputs.npy")
            convention = dataclasses.replace(record.convention, input=kind)
            count = timing_inputs(evaluation, convention, taken[kind])
        jobs.append(TimingJob(variant.recipe, out / variant.path, variant.sha256, taken[kind]))
    return jobs, count


def timing_inputs(dataset: Dataset, convention: InputConvention, path: Path) -> int:
    """Write real inputs for the timing processes as .npy and return how many there are.

    Crops have the size of the model's input. Larger ones take hardly longer, since every size is
    resized to the same number of pixels; docs/compression.md has the figures.
    """
    drawn = stratified_sample(dataset, min(TIMING_INPUTS, len(dataset)), seed=0)
    images, _ = gather(drawn, convention)
    buffer = io.BytesIO()
    np.save(buffer, convention.crops(images) if convention.input == "crop" else images)
    write_atomically(path, buffer.getvalue())
    return len(images)


def _with_cpus(settings: LatencySettings | None, made: Measurement) -> LatencySettings | None:
    """The settings with the CPUs the device chose, where nobody stated them."""
    if settings is None or settings.cpus:
        return settings
    return dataclasses.replace(settings, cpus=made.cpus)
