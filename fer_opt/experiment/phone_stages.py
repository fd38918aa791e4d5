"""A part of a run: the five stages of classifying photos, timed on phones as far as they run there.

``stage_bench`` times bitmap, resize and grey of real photos; ``benchmark_model`` has timed the
classifiers by then, and times a TFLite detector. No program does all of it, so that a photo's total
is the sum of its stages, and a stage that cannot be run makes it "at least". Where faces are is
this computer's finding.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from fer_opt.device.adb import Link
from fer_opt.device.phone.identity import read_phone_id
from fer_opt.device.phone.photo_jobs import PhotoJob, PhotoSettings, TimedPhotos
from fer_opt.device.phone.photo_session import time_photos
from fer_opt.device.phone.results import PhoneRun
from fer_opt.device.phone.session import bench_phone
from fer_opt.device.protocol import TimingJob
from fer_opt.device.schedule import new_session
from fer_opt.device.stage_timing import PhotoSet, PipelineTimes, StagesRun
from fer_opt.errors import LinkLostError, MeasurementError, PhoneError, RunnerError
from fer_opt.experiment.phone import PhoneRequest, reachable_phones
from fer_opt.experiment.phone_passes import PreparedWay, phone_passes, phone_ways
from fer_opt.experiment.phone_timing import phone_request
from fer_opt.experiment.saving import Save
from fer_opt.experiment.specification import Experiment, PhotosSection
from fer_opt.experiment.stages import (
    HOST,
    Photos,
    gather_photos,
    is_of,
    photo_pipelines,
    with_stages,
)
from fer_opt.files import sha256_of, write_atomically
from fer_opt.progress import Progress
from fer_opt.reports.record import RunRecord
from fer_opt.stages import Pipeline, open_pipeline
from fer_opt.stages.bitmap import FullDecode
from fer_opt.stages.photo_set import describe_photos, name_photos
from fer_opt.stages.tflite_detector import TfliteDetector
from fer_opt.stages.timing import TimedPipeline

__all__ = ["measure_stages_on_phones"]

DETECTOR = "detector"
DETECTOR_INPUTS = 8
"""Photos that the detector is fed."""

NO_CASCADE = (
    "OpenCV’s cascade cannot be run on a phone without an app; name a TFLite detector with "
    "[photos] detector."
)
NOTES = (
    "Where faces are, and what they are called, is this computer’s finding.",
    "No program runs all stages on a phone: a photo’s total is the sum of stages that were timed "
    "one by one, and the classifier’s time is that of processes of its own, always warm.",
)


def measure_stages_on_phones(
    record: RunRecord,
    experiment: Experiment,
    base: Path,
    out: Path,
    save: Save,
    progress: Progress,
) -> RunRecord:
    """Time the stages on each phone that has timed the variants, leaving out what is known.

    Raises:
        PhoneError: a phone could not be used or was lost; the others are saved.
    """
    wanted = experiment.photos
    if not (wanted.wanted and experiment.phone.on and record.variants):
        return record
    photos = gather_photos(wanted, base, out)
    pipelines = photo_pipelines(record, wanted, base, out)
    request = phone_request(experiment.phone, base, "")
    models = [variant.sha256 for variant in record.variants]
    failed = []
    with reachable_phones(request, models, progress.say) as openers:
        prepared: tuple[PreparedWay, ...] = ()
        for on, opener in openers.items():
            try:
                phone = _phone_of(record, opener)
                if phone is None or _is_known(record, phone, photos, pipelines, wanted.seed):
                    continue
                prepared = prepared or _prepare(pipelines, wanted.threads, photos)
                run = _time_on(
                    opener, phone, prepared, photos, wanted, request, base, out, progress
                )
            except PhoneError as exc:
                failed.append(f"{on}: {exc}")
                continue
            record = with_stages(record, run)
            save(record)
    if failed:
        raise PhoneError(" ".join(failed))
    return record


def _phone_of(record: RunRecord, opener: Callable[[], Link]) -> PhoneRun | None:
    """What that phone has timed; None of one that has timed nothing."""
    with contextlib.closing(opener()) as link:
        phone = read_phone_id(link)
    return next((one for one in record.phones if one.phone == phone), None)


def _is_known(
    record: RunRecord,
    phone: PhoneRun,
    photos: Photos,
    pipelines: Sequence[TimedPipeline],
    seed: int,
) -> bool:
    return any(
        run.device.kind != HOST
        and run.device.name == phone.device.name
        and run.complete
        and is_of(run, photos, pipelines, seed)
        for run in record.stages
    )


def _prepare(
    pipelines: Sequence[TimedPipeline], threads: int, photos: Photos
) -> tuple[PreparedWay, ...]:
    """What each way finds in the photos, and what the phone is to time of it."""
    named = name_photos(photos.paths)
    prepared = []
    for timed in pipelines:
        pipeline = open_pipeline(timed.model, ways=timed.ways, threads=threads)
        found = {name: pipeline.classify(path) for name, path in named.items()}
        fused = any(way.within for way in pipeline.ways)
        jobs = tuple(
            PhotoJob(
                name=name,
                path=path,
                crop=found[name].faces[0] if len(found[name].faces) == 1 and not fused else None,
                scale=_scale(pipeline, path),
            )
            for name, path in named.items()
            if found[name].outcome != "unreadable"
        )
        prepared.append(PreparedWay(timed, pipeline, found, jobs))
    return tuple(prepared)


def _scale(pipeline: Pipeline, path: Path) -> int:
    """By how much the pipeline's decoder shrinks a photo: 1, 2, 4 or 8."""
    if isinstance(pipeline.bitmap, FullDecode):
        return 1
    bitmap = pipeline.bitmap.read(path)
    exact = max(bitmap.width, bitmap.height) / max(bitmap.pixels.shape[:2])
    return min((1, 2, 4, 8), key=lambda scale: abs(scale - exact))


def _time_on(
    opener: Callable[[], Link],
    phone: PhoneRun,
    prepared: Sequence[PreparedWay],
    photos: Photos,
    section: PhotosSection,
    request: PhoneRequest,
    base: Path,
    out: Path,
    progress: Progress,
) -> StagesRun:
    """All stages of all ways on one phone.

    Raises:
        PhoneError: it is gone, or cannot be used.
    """
    notes, device = dict.fromkeys(NOTES), phone.device
    pipelines = []
    for one in prepared:
        times, why = _photo_times(opener, one, section, base, progress)
        detect_ms, no_detector = _detector_times(opener, one, request, out, progress)
        if times is not None:
            device = times.device
            notes |= dict.fromkeys(times.notes)
            notes |= {f"{bad.photo} {bad.reason}.": None for bad in times.untimed}
        classify_ms = _classifier_times(phone, one.timed.called)
        pipelines.append(
            PipelineTimes(
                name=one.timed.ways.name,
                ways=phone_ways(one, why, no_detector, bool(classify_ms)),
                passes=phone_passes(one, times, detect_ms, classify_ms),
                model=one.timed.called,
                model_sha256=sha256_of(one.timed.model),
            )
        )
    return StagesRun(
        device=device,
        photos=_photo_set(prepared[0], photos),
        pipelines=tuple(pipelines),
        seed=section.seed,
        threads=request.settings.threads,
        session=new_session(),
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        notes=tuple(notes),
        complete=True,
    )


def _photo_times(
    opener: Callable[[], Link],
    one: PreparedWay,
    section: PhotosSection,
    base: Path,
    progress: Progress,
) -> tuple[TimedPhotos | None, str]:
    """What ``stage_bench`` measures; or None, and why it could not be run."""
    expects = one.pipeline.steps.convention
    settings = PhotoSettings(
        rounds=section.processes,
        passes=1 + section.warm_passes,
        width=expects.width,
        height=expects.height,
        channels=expects.channels,
        low=expects.low,
        high=expects.high,
        seed=section.seed,
    )
    build = base / section.stage_bench if section.stage_bench else None
    try:
        return time_photos(opener, one.jobs, settings, stage_bench=build, progress=progress), ""
    except LinkLostError:
        raise
    except (RunnerError, MeasurementError) as exc:
        return None, str(exc)


def _detector_times(
    opener: Callable[[], Link],
    one: PreparedWay,
    request: PhoneRequest,
    out: Path,
    progress: Progress,
) -> tuple[tuple[float, ...], str]:
    """Each process's median of the detector's inference, in ms; or none, and why not."""
    detector = one.pipeline.detector
    if not isinstance(detector, TfliteDetector):
        return (), NO_CASCADE
    inputs = out / "detector_inputs.npy"
    _write_detector_inputs(one, detector, inputs)
    job = TimingJob(DETECTOR, detector.path, sha256_of(detector.path), inputs)
    try:
        run = bench_phone(opener, [job], request.settings, runner=request.runner, progress=progress)
    except LinkLostError:
        raise
    except (RunnerError, MeasurementError) as exc:
        return (), str(exc)
    if run.failures:
        return (), run.failures[0].reason
    return tuple(measured.datum_ms for measured in run.measurements), ""


def _write_detector_inputs(one: PreparedWay, detector: TfliteDetector, path: Path) -> None:
    images = [
        detector.tensor(one.pipeline.bitmap.read(job.path).pixels)
        for job in one.jobs[:DETECTOR_INPUTS]
    ]
    buffer = io.BytesIO()
    np.save(buffer, np.stack(images))
    write_atomically(path, buffer.getvalue())


def _classifier_times(phone: PhoneRun, model: str) -> tuple[float, ...]:
    return tuple(one.datum_ms for one in phone.measurements if one.model == model)


def _photo_set(one: PreparedWay, photos: Photos) -> PhotoSet:
    named = name_photos(photos.paths)
    return describe_photos(named, [one.found[name] for name in named], photos.source)
