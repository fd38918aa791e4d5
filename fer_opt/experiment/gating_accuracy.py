"""How two .tflite files answer the same labelled images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_opt.data import Dataset, batches
from fer_opt.errors import ConventionError
from fer_opt.experiment.settle import settle_convention
from fer_opt.experiment.single import open_classifier, open_evaluation
from fer_opt.experiment.specification import DataSection, InputSection
from fer_opt.progress import Progress
from fer_opt.reports.gate.non_inferiority import PairedAnswers

__all__ = ["Answers", "answers_on", "opened_data"]


@dataclass(frozen=True, slots=True)
class Answers:
    """Which samples a model labels right.

    Attributes:
        labels: names, in any order; those of two models must be the same.
        right: (n,) for every sample of the dataset in its order.
    """

    labels: frozenset[str]
    right: npt.NDArray[np.bool_]

    def paired_with(self, candidate: Answers) -> PairedAnswers:
        """Both models side by side, this one as the baseline.

        Raises:
            ConventionError: they tell different labels apart.
        """
        if self.labels != candidate.labels or len(self.right) != len(candidate.right):
            raise ConventionError(
                "baseline and candidate tell different labels apart, so their accuracies cannot be "
                "compared; give --labels, or leave --max-accuracy-drop out."
            )
        mine, other = self.right, candidate.right
        return PairedAnswers(
            samples=len(mine),
            both_right=int(np.sum(mine & other)),
            only_baseline_right=int(np.sum(mine & ~other)),
            only_candidate_right=int(np.sum(~mine & other)),
        )


def opened_data(section: DataSection, progress: Progress) -> Dataset:
    """The dataset the command line names.

    Raises:
        DatasetError: missing, empty, or not what it claims to be.
    """
    return open_evaluation(section, progress)


def answers_on(path: Path, stated: InputSection, dataset: Dataset, progress: Progress) -> Answers:
    """What the model of a file says of every sample.

    Raises:
        ModelError: it is no image classifier.
        ConventionError: model, data and statement do not fit together.
        DatasetError: an image cannot be read.
    """
    network, known = open_classifier(path, stated)
    convention = settle_convention(network, known, dataset, progress)
    right: list[npt.NDArray[np.bool_]] = []
    with progress.stage(f"Evaluating {path.name}", len(dataset)) as advance:
        for images, labels in batches(dataset, convention, 128):
            right.append(network.predict(images).argmax(axis=1) == labels)
            advance(len(labels))
    return Answers(frozenset(convention.labels), np.concatenate(right))
