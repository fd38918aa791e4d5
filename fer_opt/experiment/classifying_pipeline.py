"""Opening a pipeline by what the command line says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fer_opt.convention import InputConvention
from fer_opt.device.cpus import choose_cpus
from fer_opt.errors import ConventionError, ModelError
from fer_opt.experiment.settle import assume_convention
from fer_opt.experiment.specification import InputSection
from fer_opt.flatbuffer import read_convention
from fer_opt.interpreter import Classifier
from fer_opt.noise import quiet
from fer_opt.progress import Progress
from fer_opt.recipe.steps import near
from fer_opt.stages import FASTER, THESIS, Pipeline, PipelineWays, open_pipeline
from fer_opt.stages.photos.made_with import MadeWith, describe

__all__ = ["choose_ways", "open_described"]

WAYS = {ways.name: ways for ways in (THESIS, FASTER)}


def choose_ways(way: str, detector: str) -> PipelineWays:
    """The ready ways of that name, with that detector: ``haar`` or a TFLite detector's file.

    Raises:
        ModelError: there are no such ways, or there is no such file.
    """
    if way not in WAYS:
        raise ModelError(f"--way {way} is unknown; {near(way, WAYS)}.")
    if detector == "haar":
        return replace(WAYS[way], detector="haar")
    if not Path(detector).is_file():
        raise ModelError(
            f"--detector {detector} does not exist; write haar, or name a face detector's .tflite "
            "file."
        )
    return replace(WAYS[way], detector=Path(detector))


def open_described(
    model: Path, ways: PipelineWays, threads: int, stated: InputSection, progress: Progress
) -> tuple[Pipeline, MadeWith]:
    """A pipeline, and what its results depend on.

    Args:
        model: the classifier.
        ways: how the stages are carried out.
        threads: of detector and classifier.
        stated: what the user says of the classifier's input; goes before what its file says.
        progress: is told what was assumed.

    Raises:
        ModelError: classifier or detector cannot be read or is not one.
        ConventionError: what the classifier expects is unknown, or what was stated does not fit.
        MeasurementError: there are fewer CPUs than threads.
    """
    choose_cpus(threads)  # refuses more threads than there are CPUs
    convention = _convention(model, stated, progress)
    with quiet():
        pipeline = open_pipeline(model, ways=ways, threads=threads, stated=convention)
    return pipeline, describe(model, pipeline.labels, ways, threads, convention)


def _convention(model: Path, stated: InputSection, progress: Progress) -> InputConvention | None:
    """What the user says of the model's input, and its file of the rest; None for nothing said."""
    if stated == InputSection():
        return None
    known = read_convention(model)
    if known is not None:
        stated = replace(
            stated,
            range=stated.range or (known.low, known.high),
            labels=stated.labels or known.labels,
            interpolation=stated.interpolation or known.interpolation,
            preprocessing=stated.preprocessing or known.preprocessing,
        )
    if stated.range is None or stated.labels is None:
        raise ConventionError(
            f"{model} does not say what its input holds and what its outputs are called; "
            "state both --range and --labels."
        )
    return assume_convention(Classifier(model), stated, progress)
