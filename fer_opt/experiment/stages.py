"""A part of a run: all five stages of classifying photos, timed on this computer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_opt.data.scenes import write_scenes
from fer_opt.device.stage_timing import StagesRun
from fer_opt.errors import ExperimentError
from fer_opt.experiment.saving import Save
from fer_opt.experiment.specification import Experiment, PhotosSection
from fer_opt.files import make_folder
from fer_opt.progress import Progress
from fer_opt.recipe import parse_recipe
from fer_opt.reports.record import RunRecord, Variant
from fer_opt.stages import FASTER, THESIS, PipelineWays
from fer_opt.stages.photo_set import name_photos
from fer_opt.stages.photos.finding import find_photos
from fer_opt.stages.tflite_detector import TfliteDetector
from fer_opt.stages.timing import StageSettings, TimedPipeline, time_pipelines

__all__ = [
    "HOST",
    "Photos",
    "check_photos",
    "gather_photos",
    "is_of",
    "measure_stages",
    "photo_pipelines",
    "with_stages",
]

HOST = "host"


@dataclass(frozen=True, slots=True)
class Photos:
    """The photos of a run.

    Attributes:
        paths: of the files.
        source: what the set is called.
    """

    paths: tuple[Path, ...]
    source: str


def measure_stages(
    record: RunRecord,
    experiment: Experiment,
    base: Path,
    out: Path,
    save: Save,
    progress: Progress,
) -> RunRecord:
    """Take the experiment's photos through the thesis's way and a faster one, on this computer.

    Raises:
        ExperimentError, DatasetError: there are no photos.
        MeasurementError: a process failed; what was measured before is saved.
        ModelError: the detector cannot be read or is none.
    """
    wanted = experiment.photos
    if not wanted.wanted or not record.variants:
        return record
    photos = gather_photos(wanted, base, out)
    pipelines = photo_pipelines(record, wanted, base, out)
    known = next((run for run in record.stages if run.device.kind == HOST), None)
    if known is not None and not (
        is_of(known, photos, pipelines, wanted.seed) and _is_timed_so(known, wanted)
    ):
        progress.say("The stages were timed with other photos or classifiers; timing anew.")
        known = None
    if known is not None and known.complete:
        return record

    def keep(run: StagesRun) -> None:
        nonlocal record
        record = with_stages(record, run)
        save(record)

    run = time_pipelines(
        pipelines,
        photos.paths,
        StageSettings(
            processes=wanted.processes,
            warm_passes=wanted.warm_passes,
            threads=wanted.threads,
            cpus=wanted.cpus or (),
            seed=wanted.seed,
        ),
        source=photos.source,
        already=known,
        save=keep,
        progress=progress,
    )
    return with_stages(record, run)


def check_photos(section: PhotosSection, base: Path) -> None:
    """Refuse photos and a detector that cannot be used, before anything takes long.

    Raises:
        DatasetError: a path does not exist, or holds no photo.
        ModelError: the detector cannot be read or is none.
    """
    if section.path is not None:
        find_photos((base / section.path,))
    if section.wanted and section.detector != "haar":
        TfliteDetector(base / section.detector)


def gather_photos(section: PhotosSection, base: Path, out: Path) -> Photos:
    """The photos of ``[photos]``; the built-in ones are composed in the run folder.

    Raises:
        DatasetError: a path does not exist, or holds no photo.
        OutputError: the built-in ones cannot be written.
    """
    if section.kind == "scenes":
        folder = make_folder(out / "photos")
        scenes = write_scenes(folder, seed=section.seed)
        paths = tuple(folder / scene.name for scene in scenes)
        return Photos(paths, f"built-in composed scenes, seed {section.seed}")
    assert section.path is not None
    return Photos(tuple(find_photos((base / section.path,)).photos), section.path)


def photo_pipelines(
    record: RunRecord, section: PhotosSection, base: Path, out: Path
) -> tuple[TimedPipeline, TimedPipeline]:
    """The thesis's way and the faster one, each with its classifier.

    Raises:
        ExperimentError: a recipe that was named could not be carried out.
    """
    thesis = _variant(record, section.thesis, ("float32",))
    crops = [
        variant.recipe
        for variant in reversed(record.variants)
        if parse_recipe(variant.recipe).format.keywords.get("input") == "crop"
    ]
    faster = _variant(record, section.faster, (*crops, "int8", thesis.recipe))
    haar = section.detector == "haar"
    faster_ways = FASTER if haar else _with_detector(base / section.detector)
    return (
        TimedPipeline(THESIS, out / thesis.path, thesis.recipe),
        TimedPipeline(faster_ways, out / faster.path, faster.recipe),
    )


def with_stages(record: RunRecord, run: StagesRun) -> RunRecord:
    """The record with ``run`` in the place of what was known of that device, or at the end."""

    def device(one: StagesRun) -> tuple[str, str]:
        return (one.device.kind, "" if one.device.kind == HOST else one.device.name)

    known = [device(one) for one in record.stages]
    if device(run) not in known:
        return dataclasses.replace(record, stages=(*record.stages, run))
    stages = tuple(run if device(one) == device(run) else one for one in record.stages)
    return dataclasses.replace(record, stages=stages)


def _variant(record: RunRecord, named: str | None, instead: Sequence[str]) -> Variant:
    """The variant of the recipe that was named, else the first of ``instead`` that was made."""
    made = {variant.recipe: variant for variant in record.variants}
    if named is not None:
        if named not in made:
            raise ExperimentError(
                f"[photos] names the recipe {named}, which could not be carried out on this model; "
                "name another."
            )
        return made[named]
    return next((made[recipe] for recipe in instead if recipe in made), record.variants[0])


def _with_detector(path: Path) -> PipelineWays:
    return dataclasses.replace(FASTER, detector=path, detect_side=None)


def is_of(known: StagesRun, photos: Photos, pipelines: Sequence[TimedPipeline], seed: int) -> bool:
    """Whether a run is of these photos, ways and classifiers, as far as names tell."""
    names = set(name_photos(photos.paths))
    return (
        set(known.photos.pixels) <= names
        and len(known.photos.pixels) + len(known.photos.unreadable) == len(names)
        and known.photos.source == photos.source
        and [(one.name, one.model) for one in known.pipelines]
        == [(one.ways.name, one.called) for one in pipelines]
        and known.seed == seed
    )


def _is_timed_so(known: StagesRun, section: PhotosSection) -> bool:
    """Whether a run on this computer was timed as the section asks, as far as it has got."""
    last = max(
        (one.pass_index for timed in known.pipelines for one in timed.passes),
        default=section.warm_passes,
    )
    processes = [len(one.start_ms) for one in known.pipelines]
    return (
        (known.threads, last) == (section.threads, section.warm_passes)
        and max(processes) <= section.processes
        and (not known.complete or min(processes) == section.processes)
    )
