"""The second part of a run: every variant's accuracy on the evaluation set."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_opt import accuracy as scoring
from fer_opt.convert import file_stem
from fer_opt.data import Dataset, batches
from fer_opt.errors import OutputError
from fer_opt.experiment.saving import Save
from fer_opt.files import make_folder
from fer_opt.interpreter import Classifier
from fer_opt.progress import Progress
from fer_opt.recipe import parse_recipe
from fer_opt.reports.record import Accuracy, RunRecord

__all__ = ["measure_accuracy"]

FLOAT = "float32"
"""The recipe every other variant is compared with."""

Floats = npt.NDArray[np.float32]


def measure_accuracy(
    record: RunRecord, evaluation: Dataset, out: Path, save: Save, progress: Progress
) -> RunRecord:
    """Run every variant over the evaluation set, float32 first where there is one."""
    make_folder(out / "predictions")
    done = {
        item.recipe: item for item in record.accuracies if (out / item.predictions_path).is_file()
    }
    variants = sorted(record.variants, key=lambda variant: variant.recipe != FLOAT)
    for variant in variants:
        if variant.recipe in done:
            continue
        classifier = Classifier(out / variant.path, batch=32)
        with progress.stage(f"Evaluating {variant.recipe}", len(evaluation)) as advance:
            outputs, truth = [], []
            for images, labels in batches(evaluation, record.convention, 128):
                outputs.append(classifier.predict(images, advance))
                truth.append(labels)
        done[variant.recipe] = _score(
            record, variant.recipe, np.concatenate(outputs), np.concatenate(truth), out
        )
        order = [item.recipe for item in record.variants if item.recipe in done]
        record = dataclasses.replace(record, accuracies=tuple(done[name] for name in order))
        save(record)
    return record


def _score(
    record: RunRecord, recipe: str, outputs: Floats, truth: npt.NDArray[np.int64], out: Path
) -> Accuracy:
    """Score one variant, keep its predictions, and pair it with float32."""
    probabilities = scoring.probabilities_of(outputs)
    relative = Path("predictions") / f"{file_stem(parse_recipe(recipe))}.npz"
    scored = scoring.score(
        recipe, probabilities, truth, record.convention.labels, relative.as_posix()
    )
    try:
        with (out / relative).open("wb") as handle:
            np.savez_compressed(handle, probabilities=probabilities, truth=truth)
    except OSError as exc:
        raise OutputError(f"{out / relative} cannot be written ({exc.strerror}).") from exc
    reference = next((item for item in record.accuracies if item.recipe == FLOAT), None)
    if reference is None:
        return scored
    with np.load(out / reference.predictions_path) as kept:
        reference_predicted = kept["probabilities"].argmax(axis=1)
    return scoring.compare(scored, probabilities.argmax(axis=1), FLOAT, reference_predicted, truth)
