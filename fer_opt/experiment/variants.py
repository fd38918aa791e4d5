"""The first part of a run: every variant made, converted and checked."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_opt.convention import InputConvention
from fer_opt.convert import file_stem, make_variant
from fer_opt.data import Dataset, stratified_sample
from fer_opt.errors import ConversionError, ModelError, RecipeError
from fer_opt.experiment.compression import STEP_SAMPLES, Workshop, open_workshop
from fer_opt.experiment.evaluation import FLOAT
from fer_opt.experiment.saving import Save
from fer_opt.experiment.settle import gather
from fer_opt.experiment.sources import Sources
from fer_opt.experiment.specification import CalibrationSection, Experiment
from fer_opt.experiment.store import StepStore
from fer_opt.files import make_folder, sha256_of
from fer_opt.keras_io import TrainedModel
from fer_opt.progress import Progress
from fer_opt.recipe import parse_recipe
from fer_opt.reports.record import (
    RefusedRecipe,
    RepresentativeSet,
    RunRecord,
    StepResult,
    Variant,
)

__all__ = ["CHECK_SAMPLES", "draw_representative", "make_variants"]

CHECK_SAMPLES = 256
"""Samples on which Keras and TFLite are compared."""

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def make_variants(
    record: RunRecord,
    experiment: Experiment,
    model: TrainedModel,
    sources: Sources,
    out: Path,
    save: Save,
    progress: Progress,
    store: StepStore,
) -> RunRecord:
    """Make, convert and check every variant that is not yet there.

    A recipe that cannot be carried out on this model is written down with the reason, and the
    others go on; it is tried again when the run is, for its reason may be gone by then.

    Raises:
        RecipeError, ModelError, ConversionError: not one of the recipes can be carried out.
    """
    kept = {
        variant.recipe: variant
        for variant in record.variants
        if (out / variant.path).is_file() and sha256_of(out / variant.path) == variant.sha256
    }
    if len(kept) == len(experiment.recipes):
        return record
    before = {variant.recipe: variant.sha256 for variant in record.variants}
    refused: dict[str, RefusedRecipe] = {}
    make_folder(out / "models")
    recipes = [parse_recipe(text) for text in experiment.recipes]
    samples, _ = gather(
        stratified_sample(sources.evaluation, min(CHECK_SAMPLES, len(sources.evaluation)), seed=0),
        record.convention,
    )
    representative: Floats | None = None
    workshop: Workshop | None = None
    if any(recipe.needs_data or recipe.network_steps for recipe in recipes):
        drawn, facts = draw_representative(
            sources.calibration, record.convention, experiment.calibration
        )
        representative = drawn[0]
        record = dataclasses.replace(record, representative=facts)
    for recipe in recipes:
        if str(recipe) in kept:
            continue
        made: TrainedModel = model
        steps: tuple[StepResult, ...] = ()
        try:
            if recipe.network_steps:
                workshop = workshop or open_workshop(
                    model,
                    record.convention,
                    gather(
                        stratified_sample(
                            sources.evaluation, min(STEP_SAMPLES, len(sources.evaluation)), seed=0
                        ),
                        record.convention,
                    ),
                    sources.training,
                    drawn,
                    store,
                    progress,
                    batch=experiment.training.batch,
                    seed=experiment.training.seed,
                )
                record = dataclasses.replace(record, trained=workshop.trained().result)
                made, steps = workshop.carry_out(recipe)
            with progress.stage(f"Converting {recipe}", 1) as advance:
                path = f"models/{file_stem(recipe)}.tflite"
                variant = make_variant(
                    made, recipe, record.convention, representative, samples, out, path
                )
                advance(1)
        except (RecipeError, ModelError, ConversionError) as exc:
            refused[str(recipe)] = RefusedRecipe(str(recipe), str(exc))
            if len(refused) == len(recipes):
                raise
            progress.say(f"Left out: {recipe}. {exc}")
        else:
            kept[str(recipe)] = dataclasses.replace(variant, steps=steps)
            if before.get(variant.recipe) != variant.sha256:
                record = _without_results_of_others(record, variant)
        record = dataclasses.replace(
            record,
            variants=tuple(kept[text] for text in experiment.recipes if text in kept),
            refused=tuple(refused[text] for text in experiment.recipes if text in refused),
        )
        save(record)
    return record


def _without_results_of_others(record: RunRecord, made: Variant) -> RunRecord:
    """The record without what was measured on another file of the same recipe."""
    return dataclasses.replace(
        record,
        # Every other accuracy is paired with float32's.
        accuracies=()
        if made.recipe == FLOAT
        else tuple(item for item in record.accuracies if item.recipe != made.recipe),
        measurements=tuple(
            item
            for item in record.measurements
            if item.model != made.recipe or item.model_sha256 == made.sha256
        ),
    )


def draw_representative(
    dataset: Dataset, convention: InputConvention, wanted: CalibrationSection
) -> tuple[tuple[Floats, Labels], RepresentativeSet]:
    """Calibration images and labels, stratified and seeded, and what the record says of them."""
    drawn = stratified_sample(dataset, min(wanted.samples, len(dataset)), wanted.seed)
    images, labels = gather(drawn, convention)
    counts = np.bincount(labels, minlength=len(convention.labels))
    return (images, labels), RepresentativeSet(
        source=dataset.name,
        size=len(images),
        seed=wanted.seed,
        count_per_label=tuple(map(int, counts)),
        low=float(images.min()),
        high=float(images.max()),
        sha256=hashlib.sha256(images.tobytes()).hexdigest(),
    )
