"""Timing all five stages of classifying photos for a test, on this computer."""

from __future__ import annotations

import dataclasses
import statistics
from pathlib import Path
from typing import Literal

from fer_opt.device.stage_timing import STAGES, PipelineTimes, StagesRun
from fer_opt.errors import GateError, MeasurementError, PhoneError
from fer_opt.pytest_plugin.options import PluginOptions
from fer_opt.pytest_plugin.timed import Timed
from fer_opt.reports.gate.samples import TimeSamples
from fer_opt.reports.gate.stage_samples import TOTAL, samples_of_stage
from fer_opt.reports.stages.photos import unusable
from fer_opt.stages import FASTER, THESIS
from fer_opt.stages.photos.finding import find_photos
from fer_opt.stages.timing import StageSettings, TimedPipeline, time_pipelines

__all__ = ["time_photos"]

PROCESSES = 5
WARM_PASSES = 1


def time_photos(
    path: Path, photos: Path, way: Literal["thesis", "faster"], options: PluginOptions
) -> Timed:
    """Time the stages over every photo, in fresh processes.

    Args:
        path: of the classifier's .tflite file.
        photos: a photo, or a folder of some.
        way: how the stages are carried out.
        options: how to time.

    Raises:
        PhoneError: it is to happen on a phone.
        DatasetError, ModelError, ConventionError: photos or classifier cannot be used.
        MeasurementError: a process failed.
    """
    if not options.here:
        raise PhoneError(
            f"stages of photos are timed on this computer in a test, not on {options.on}; leave "
            "photos= out, or time them on a phone with an experiment's [photos] and [phone]."
        )
    found = tuple(find_photos((photos,)).photos)
    pipeline = TimedPipeline({"thesis": THESIS, "faster": FASTER}[way], path, path.name)
    settings = StageSettings(
        processes=(options.processes or PROCESSES) if options.timing else 1,
        warm_passes=WARM_PASSES,
        threads=options.threads,
    )
    run = time_pipelines([pipeline], found, settings, source=photos.name)
    (times,) = run.pipelines
    if problem := unusable(run.pipelines):
        raise MeasurementError(problem)
    return Timed(
        model=path.name,
        model_sha256=times.model_sha256,
        device=run.device,
        label=run.device.name,
        process_ms=_process_ms(times),
        samples=_samples(run, times.name),
        by_photo=True,
        raw={"settings": dataclasses.asdict(settings), "stages": dataclasses.asdict(run)},
    )


def _process_ms(times: PipelineTimes) -> tuple[float, ...]:
    """Each process's median photo, warm."""
    totals: dict[int, list[float]] = {}
    for one in times.passes:
        if one.pass_index and one.total_ms is not None:
            totals.setdefault(one.process_index, []).append(one.total_ms)
    return tuple(statistics.median(totals[index]) for index in sorted(totals))


def _samples(run: StagesRun, pipeline: str) -> dict[str, TimeSamples]:
    """What budgets are held against, for each stage that has times of its own."""
    found = {}
    for stage in (*STAGES, TOTAL):
        try:
            # On a computer no stage is missing from a total.
            found[stage], _ = samples_of_stage(run, pipeline, stage)
        except GateError:
            continue
    return found
