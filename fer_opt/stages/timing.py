"""Timing pipelines over a set of photos on this computer, in fresh processes.

A process is the unit: its passes share its luck. In every round each pipeline has one process, in
a random order, so that a machine that slows down slows all of them; a process makes one cold pass
over all photos and then warm ones, each in a random order that is the same for every pipeline.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

import fer_opt
from fer_opt.convention import InputConvention
from fer_opt.device.cpus import choose_cpus
from fer_opt.device.host_facts import host_facts
from fer_opt.device.schedule import PlanEntry, new_session, plan_order
from fer_opt.device.stage_timing import PhotoPass, PipelineTimes, StagesRun
from fer_opt.device.worker_process import run_worker
from fer_opt.errors import MeasurementError
from fer_opt.files import sha256_of
from fer_opt.progress import SILENT, Progress
from fer_opt.stages.agreement import compare_pipelines
from fer_opt.stages.photo_set import describe_photos, name_photos
from fer_opt.stages.pipeline import open_pipeline
from fer_opt.stages.result import PhotoResult
from fer_opt.stages.ways import PipelineWays
from fer_opt.stages.worker import StageAnswer, StageJob

__all__ = ["StageSettings", "TimedPipeline", "time_pipelines"]

_PASSES = TypeAdapter(tuple[PhotoPass, ...])

NOTE = (
    "A cold pass is a process's first: its memory and threads are new, the photos are in the "
    "page cache."
)


@dataclass(frozen=True, slots=True)
class TimedPipeline:
    """A pipeline to time.

    Attributes:
        ways: its name and its parts.
        model: its classifier's file.
        called: what the classifier is called in the rest of the record.
        stated: what the classifier expects; None believes what its file says of itself.
    """

    ways: PipelineWays
    model: Path
    called: str
    stated: InputConvention | None = None


@dataclass(frozen=True, slots=True)
class StageSettings:
    """How pipelines are timed.

    Attributes:
        processes: fresh processes for each pipeline.
        warm_passes: over all photos in each process, after the cold one.
        threads: of OpenCV, detector and classifier.
        cpus: to pin to; empty chooses as for models.
        seed: of the random orders.
        timeout_s: after which a process is stopped.
    """

    processes: int = 5
    warm_passes: int = 3
    threads: int = 1
    cpus: tuple[int, ...] = ()
    seed: int = 0
    timeout_s: float = 3600.0


def time_pipelines(
    pipelines: Sequence[TimedPipeline],
    photos: Sequence[Path],
    settings: StageSettings,
    *,
    source: str,
    already: StagesRun | None = None,
    save: Callable[[StagesRun], None] | None = None,
    progress: Progress = SILENT,
) -> StagesRun:
    """Compare what the pipelines find, then time them.

    Args:
        pipelines: the reference first.
        photos: files; unreadable ones are left out and named.
        settings: see there.
        source: what the set of photos is called.
        already: an earlier, unfinished run of the same; what it holds is not timed again.
        save: called with the run so far after every process.
        progress: is shown how it goes on.

    Raises:
        MeasurementError: a process failed, no photo can be read, two pipelines share a name, or
            ``already`` is of other photos, pipelines or settings.
        ModelError: a classifier or detector cannot be read or is not one.
        ConventionError: what a classifier expects is unknown.
    """
    plan = plan_order([one.ways.name for one in pipelines], settings.processes, settings.seed)
    cpus = choose_cpus(settings.threads, settings.cpus)
    named = name_photos(photos)
    run = _survey(pipelines, named, settings, source, progress)
    if already is not None:
        run = _taken_up(run, already, settings.warm_passes)
    readable = [(name, os.fspath(named[name].absolute())) for name in run.photos.pixels]
    with progress.stage("Timing the stages", len(plan)) as advance:
        for entry in plan:
            if not _done(run, entry):
                number = [one.ways.name for one in pipelines].index(entry.model)
                answer = _ask(pipelines[number], readable, settings, cpus, entry.round_index)
                run = _with(run, number, answer)
                if save is not None:
                    save(run)
            advance(1)
    run = replace(run, complete=True)
    if save is not None:
        save(run)
    return run


def _survey(
    pipelines: Sequence[TimedPipeline],
    named: dict[str, Path],
    settings: StageSettings,
    source: str,
    progress: Progress,
) -> StagesRun:
    """A run without times: what every pipeline is, and what it finds in the photos."""
    found: dict[str, list[PhotoResult]] = {}
    described = []
    with progress.stage("Comparing what pipelines find", len(pipelines) * len(named)) as advance:
        for one in pipelines:
            pipeline = open_pipeline(
                one.model, ways=one.ways, threads=settings.threads, stated=one.stated
            )
            results = found[one.ways.name] = []
            for name, path in named.items():
                results.append(replace(pipeline.classify(path), photo=name))
                advance(1)
            described.append(
                PipelineTimes(one.ways.name, pipeline.ways, (), one.called, sha256_of(one.model))
            )
    reference, *others = (one.ways.name for one in pipelines)
    photos = describe_photos(named, found[reference], source)
    if not photos.count:
        raise MeasurementError(f"none of the photos can be read: {photos.unreadable[0]}")
    return StagesRun(
        device=host_facts(),
        photos=photos,
        pipelines=tuple(described),
        agreements=tuple(
            compare_pipelines(reference, name, found[reference], found[name]) for name in others
        ),
        seed=settings.seed,
        threads=settings.threads,
        session=new_session(),
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        notes=(NOTE,),
    )


def _taken_up(run: StagesRun, already: StagesRun, warm_passes: int) -> StagesRun:
    """``already``, if it is an earlier part of ``run``."""

    def identity(one: StagesRun) -> tuple[object, ...]:
        parts = [replace(pipeline, passes=(), start_ms=()) for pipeline in one.pipelines]
        return (one.photos, parts, one.seed, one.threads, one.device.fingerprint)

    times = [one for pipeline in already.pipelines for one in pipeline.passes]
    last = max((one.pass_index for one in times), default=warm_passes)
    if identity(run) != identity(already) or last != warm_passes:
        raise MeasurementError(
            "the stages timed before are of other photos, pipelines, settings or another "
            "computer; time into a new record."
        )
    return replace(already, complete=False)


def _done(run: StagesRun, entry: PlanEntry) -> bool:
    timed = next(one for one in run.pipelines if one.name == entry.model)
    return any(one.process_index == entry.round_index for one in timed.passes)


def _ask(
    pipeline: TimedPipeline,
    photos: list[tuple[str, str]],
    settings: StageSettings,
    cpus: tuple[int, ...],
    process_index: int,
) -> StageAnswer:
    job: StageJob = {
        "model": os.fspath(pipeline.model.absolute()),
        "ways": {**asdict(pipeline.ways), "detector": _detector(pipeline.ways)},
        "stated": None if pipeline.stated is None else asdict(pipeline.stated),
        "photos": photos,
        "threads": settings.threads,
        "cpus": list(cpus),
        "warm_passes": settings.warm_passes,
        "seed": settings.seed,
        "process_index": process_index,
    }
    home = os.fspath(Path(fer_opt.__file__).parent.parent)
    places = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    ended = run_worker(
        ["-P", "-m", "fer_opt.stages.worker"],
        job,
        settings.timeout_s,
        pipeline.ways.name,
        {"PYTHONPATH": os.pathsep.join(places)},
    )
    subject = f"{pipeline.ways.name} ({pipeline.model})"
    if ended.timed_out:
        raise MeasurementError(
            f"{subject} was not timed: its process had not ended after {settings.timeout_s:g} s "
            "and was stopped; give fewer photos or passes."
        )
    if not ended.answered:
        raise MeasurementError(f"{subject} was not timed: {ended.how('convert the model again')}")
    answer: StageAnswer = json.loads(ended.answer)
    if answer["refusal"]:
        raise MeasurementError(answer["refusal"])
    return answer


def _detector(ways: PipelineWays) -> str:
    return "haar" if ways.detector == "haar" else os.fspath(Path(ways.detector).absolute())


def _with(run: StagesRun, number: int, answer: StageAnswer) -> StagesRun:
    """The run with one more process of its pipeline ``number``."""
    timed = run.pipelines[number]
    more = replace(
        timed,
        passes=timed.passes + _PASSES.validate_python(answer["passes"]),
        start_ms=(*timed.start_ms, answer["start_ms"]),
    )
    return replace(run, pipelines=(*run.pipelines[:number], more, *run.pipelines[number + 1 :]))
