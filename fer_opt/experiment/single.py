"""One model outside a run: what ``evaluate``, ``bench`` and ``convert`` need of it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_opt import accuracy as scoring
from fer_opt.convention import InputConvention
from fer_opt.convert import file_stem, make_variant
from fer_opt.data import Dataset, batches, split_dataset, stratified_sample
from fer_opt.errors import ConversionError
from fer_opt.experiment.compression import open_workshop
from fer_opt.experiment.settle import Network, assume_convention, gather, settle_convention
from fer_opt.experiment.sources import TEST_FRACTION, data_spec, open_split
from fer_opt.experiment.specification import CalibrationSection, DataSection, InputSection
from fer_opt.experiment.store import default_store
from fer_opt.experiment.variants import CHECK_SAMPLES, draw_representative
from fer_opt.flatbuffer import read_convention
from fer_opt.interpreter import Classifier
from fer_opt.keras_io import TrainedModel, load_model
from fer_opt.progress import SILENT, Progress
from fer_opt.recipe import Recipe
from fer_opt.reports.record import Accuracy, Variant

__all__ = ["convert_file", "evaluate_file", "open_classifier", "open_evaluation", "stated_for"]


RANDOM_SAMPLES = 32
BATCH = 32
"""Images in a training step of a recipe."""


def open_evaluation(section: DataSection, progress: Progress = SILENT) -> Dataset:
    """The dataset the command line names; paths are relative to the working directory.

    Raises:
        DatasetError: missing, empty, or not what it claims to be.
    """
    return open_split(section, data_spec(section, Path()), progress)


def open_classifier(
    path: Path,
    stated: InputSection,
    *,
    weights: Path | None = None,
    allow_code: bool = False,
    threads: int | None = None,
) -> tuple[Network, InputSection]:
    """A TFLite or Keras classifier, and what is stated of its input.

    A .tflite file made by fer-opt states its own input; what the caller states goes first, but for
    the range of a file that takes pixels and scales them itself.

    Raises:
        ModelError: it cannot be read, or is no image classifier.
    """
    with contextlib.suppress(OSError), path.open("rb") as handle:
        if path.suffix == ".tflite" or handle.read(8)[4:] == b"TFL3":
            return Classifier(path, batch=32, threads=threads), stated_for(path, stated)
    return load_model(path, weights, allow_code=allow_code), stated


def stated_for(path: Path, stated: InputSection) -> InputSection:
    """What is stated of a .tflite file's input, by the caller or by the file itself."""
    known = read_convention(path)
    if known is None:
        return stated
    return dataclasses.replace(
        stated,
        range=(known.low, known.high)
        if known.input == "crop"
        else stated.range or (known.low, known.high),
        labels=stated.labels or known.labels,
        interpolation=stated.interpolation or known.interpolation,
        preprocessing=stated.preprocessing or known.preprocessing,
    )


def evaluate_file(
    network: Network, stated: InputSection, dataset: Dataset, title: str, progress: Progress
) -> tuple[Accuracy, InputConvention]:
    """Accuracy of one model on a dataset, and the input convention it was measured with.

    Raises:
        ConventionError: model, data and statement do not fit together.
        DatasetError: an image cannot be read.
    """
    convention = settle_convention(network, stated, dataset, progress)
    outputs, truth = [], []
    with progress.stage(f"Evaluating {title}", len(dataset)) as advance:
        for images, labels in batches(dataset, convention, 128):
            outputs.append(network.predict(images))
            truth.append(labels)
            advance(len(labels))
    probabilities = scoring.probabilities_of(np.concatenate(outputs))
    return scoring.score(
        title, probabilities, np.concatenate(truth), convention.labels, ""
    ), convention


def convert_file(
    model: TrainedModel,
    recipes: Sequence[Recipe],
    stated: InputSection,
    dataset: Dataset | None,
    calibration: CalibrationSection,
    out: Path,
    progress: Progress,
) -> tuple[tuple[Variant, ...], InputConvention]:
    """Make ``out/RECIPE.tflite`` of one model for each recipe, and check every file.

    Without a dataset the check runs on random values, and what steps did to accuracy is unknown.
    With one, and a step that learns from it, a tenth is held out, and the accuracy of steps is that
    on this tenth; steps train on nine tenths of the others and stop early by what is left.

    Raises:
        ConversionError: a recipe needs a dataset and there is none, or the converter refused.
        ConventionError: model, data and statement do not fit together.
        RecipeError: a step cannot be carried out on this model.
    """
    training: Dataset | None = None
    if dataset is None:
        if hungry := [str(recipe) for recipe in recipes if recipe.needs_data]:
            raise ConversionError(
                f"{', '.join(hungry)} needs images to work with; name them with --data, or "
                "leave it out."
            )
        convention = assume_convention(model, stated, progress)
        span = np.float32(convention.high - convention.low)
        shape = (RANDOM_SAMPLES, *convention.input_shape)
        samples = np.random.default_rng(0).random(shape, np.float32) * span + convention.low
        drawn = looked_at = (samples, np.zeros(len(samples), np.int64))
    else:
        convention = settle_convention(model, stated, dataset, progress)
        samples, truth = gather(
            stratified_sample(dataset, min(CHECK_SAMPLES, len(dataset)), seed=0), convention
        )
        looked_at = (samples, truth)
        if any(recipe.learns for recipe in recipes):
            training, held_out = split_dataset(dataset, TEST_FRACTION, seed=0)
            looked_at = gather(held_out, convention)
        drawn, _ = draw_representative(training or dataset, convention, calibration)
    workshop = None
    if any(recipe.network_steps for recipe in recipes):
        workshop = open_workshop(
            model,
            convention,
            looked_at,
            training,
            drawn,
            default_store(),
            progress,
            batch=BATCH,
            seed=0,
        )
    variants = []
    for recipe in recipes:
        made, steps = workshop.carry_out(recipe) if workshop else (model, ())
        with progress.stage(f"Converting {recipe}", 1) as advance:
            name = f"{file_stem(recipe)}.tflite"
            variant = make_variant(made, recipe, convention, drawn[0], samples, out, name)
            # Without a dataset there are no labels, so a step's accuracy would mean nothing.
            variants.append(dataclasses.replace(variant, steps=steps if dataset else ()))
            advance(1)
    return tuple(variants), convention
