"""The first part of a run: every variant converted and checked."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_opt.convention import InputConvention
from fer_opt.convert import file_stem, make_variant
from fer_opt.data import Dataset, stratified_sample
from fer_opt.experiment.saving import Save
from fer_opt.experiment.settle import gather
from fer_opt.experiment.sources import Sources
from fer_opt.experiment.specification import CalibrationSection, Experiment
from fer_opt.files import make_folder, sha256_of
from fer_opt.keras_io import TrainedModel
from fer_opt.progress import Progress
from fer_opt.recipe import parse_recipe
from fer_opt.reports.record import RepresentativeSet, RunRecord

__all__ = ["CHECK_SAMPLES", "draw_representative", "make_variants"]

CHECK_SAMPLES = 256
"""Samples on which Keras and TFLite are compared."""

Floats = npt.NDArray[np.float32]


def make_variants(
    record: RunRecord,
    experiment: Experiment,
    model: TrainedModel,
    sources: Sources,
    out: Path,
    save: Save,
    progress: Progress,
) -> RunRecord:
    """Convert and check every variant that is not yet there."""
    kept = {
        variant.recipe: variant
        for variant in record.variants
        if (out / variant.path).is_file() and sha256_of(out / variant.path) == variant.sha256
    }
    if len(kept) == len(experiment.recipes):
        return record
    make_folder(out / "models")
    recipes = [parse_recipe(text) for text in experiment.recipes]
    samples, _ = gather(
        stratified_sample(sources.evaluation, min(CHECK_SAMPLES, len(sources.evaluation)), seed=0),
        record.convention,
    )
    representative: Floats | None = None
    if any(recipe.needs_data for recipe in recipes):
        representative, facts = draw_representative(
            sources.calibration, record.convention, experiment.calibration
        )
        record = dataclasses.replace(record, representative=facts)
    with progress.stage("Converting", len(recipes)) as advance:
        for recipe in recipes:
            if str(recipe) not in kept:
                kept[str(recipe)] = make_variant(
                    model,
                    recipe,
                    record.convention,
                    representative,
                    samples,
                    out,
                    f"models/{file_stem(recipe)}.tflite",
                )
                order = [text for text in experiment.recipes if text in kept]
                record = dataclasses.replace(record, variants=tuple(kept[text] for text in order))
                save(record)
            advance(1)
    return record


def draw_representative(
    dataset: Dataset, convention: InputConvention, wanted: CalibrationSection
) -> tuple[Floats, RepresentativeSet]:
    """The calibration images, stratified and seeded, and what the record says of them."""
    drawn = stratified_sample(dataset, min(wanted.samples, len(dataset)), wanted.seed)
    images, labels = gather(drawn, convention)
    counts = np.bincount(labels, minlength=len(convention.labels))
    return images, RepresentativeSet(
        source=dataset.name,
        size=len(images),
        seed=wanted.seed,
        count_per_label=tuple(map(int, counts)),
        low=float(images.min()),
        high=float(images.max()),
        sha256=hashlib.sha256(images.tobytes()).hexdigest(),
    )
