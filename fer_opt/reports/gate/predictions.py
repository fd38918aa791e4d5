"""How two models of records answered the same samples."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_opt.errors import GateError, RecordError
from fer_opt.reports.gate.non_inferiority import PairedAnswers
from fer_opt.reports.record import RunRecord

__all__ = ["StoredAnswers", "pair_answers", "stored_answers"]

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StoredAnswers:
    """A model's answers to a dataset.

    Attributes:
        recipe: of the variant.
        dataset: fingerprint over every sample's source and label.
        labels: names, in the order of the model's outputs.
        truth: (n,) index of the true label.
        predicted: (n,) index of the most likely one.
    """

    recipe: str
    dataset: str
    labels: tuple[str, ...]
    truth: Labels
    predicted: Labels


def stored_answers(record: RunRecord, folder: Path, recipe: str) -> StoredAnswers:
    """The answers of a variant that its run kept.

    Args:
        record: of the run.
        folder: the record's.
        recipe: of the variant.

    Raises:
        GateError: the record has no accuracy of that variant.
        RecordError: the file of its predictions is missing or damaged.
    """
    accuracy = next((one for one in record.accuracies if one.recipe == recipe), None)
    if accuracy is None:
        have = ", ".join(one.recipe for one in record.accuracies) or "none"
        raise GateError(
            f"{folder} has no accuracy of {recipe} (it has {have}); run its experiment to the end, "
            "or choose one of those."
        )
    path = folder / accuracy.predictions_path
    probabilities, truth = _load(path)
    labels = record.convention.labels
    if (
        probabilities.shape != (accuracy.samples, len(labels))
        or truth.shape != (accuracy.samples,)
        or not np.isfinite(probabilities).all()
        or (accuracy.samples and not (truth.min() >= 0 and truth.max() < len(labels)))
    ):
        raise RecordError(
            f"{path} does not hold the predictions its record tells of; run the experiment again."
        )
    return StoredAnswers(
        recipe, record.dataset.fingerprint, labels, truth, probabilities.argmax(axis=1)
    )


def pair_answers(baseline: StoredAnswers, candidate: StoredAnswers) -> PairedAnswers:
    """Both models' answers side by side.

    Raises:
        GateError: they are not of the same samples in the same order, or the labels differ.
    """
    if baseline.labels != candidate.labels:
        raise GateError(
            f"{baseline.recipe} and {candidate.recipe} tell different labels apart "
            f"({', '.join(baseline.labels)}; {', '.join(candidate.labels)}); their accuracies "
            "cannot be compared."
        )
    same = baseline.dataset == candidate.dataset
    if not same or not np.array_equal(baseline.truth, candidate.truth):
        raise GateError(
            f"{baseline.recipe} and {candidate.recipe} were evaluated on different samples "
            f"({len(baseline.truth)} and {len(candidate.truth)}); evaluate both on one dataset."
        )
    base_right = baseline.predicted == baseline.truth
    other_right = candidate.predicted == candidate.truth
    return PairedAnswers(
        samples=len(base_right),
        both_right=int(np.sum(base_right & other_right)),
        only_baseline_right=int(np.sum(base_right & ~other_right)),
        only_candidate_right=int(np.sum(~base_right & other_right)),
    )


def _load(path: Path) -> tuple[npt.NDArray[np.float64], Labels]:
    again = "run the experiment again"
    try:
        # NumPy leaves a file open that it opened itself and cannot read.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as kept:
            return kept["probabilities"].astype(np.float64), kept["truth"].astype(np.int64)
    except OSError as exc:
        raise RecordError(f"{path} cannot be read ({exc.strerror or exc}); {again}.") from exc
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as exc:
        raise RecordError(f"{path} is damaged or holds no predictions; {again}.") from exc
