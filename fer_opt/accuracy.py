"""Accuracy of a .tflite file on labelled images: overall, per label, and paired with float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
)

from fer_opt.interpreter import probabilities_of
from fer_opt.reports.record import Accuracy, LabelScore, McNemar

__all__ = ["compare", "cross_entropy", "probabilities_of", "score", "wilson_interval"]

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

CLIP = 1e-7
"""Keras's epsilon: probabilities are clipped to it before the logarithm."""


def score(
    recipe: str, probabilities: Floats, truth: Labels, labels: Sequence[str], predictions_path: str
) -> Accuracy:
    """Every accuracy figure of one variant.

    Args:
        recipe: of the variant.
        probabilities: (n, labels), rows summing to one.
        truth: (n,) index of the true label.
        labels: names, in the order of the model's outputs.
        predictions_path: where the probabilities are kept, relative to the record.
    """
    predicted = probabilities.argmax(axis=1)
    indices = list(range(len(labels)))
    confusion = confusion_matrix(truth, predicted, labels=indices)
    correct = int(np.trace(confusion))
    low, high = wilson_interval(correct, len(truth))
    rows = _label_scores(confusion, truth, predicted, labels)
    present = np.flatnonzero(confusion.sum(axis=1))
    return Accuracy(
        recipe=recipe,
        samples=len(truth),
        accuracy=correct / len(truth),
        low=low,
        high=high,
        balanced_accuracy=_balanced(confusion, truth, predicted, present),
        cross_entropy=cross_entropy(probabilities, truth),
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        labels=rows,
        never_predicted=tuple(row.label for row in rows if row.support and not row.predicted),
        versus_float=None,
        predictions_path=predictions_path,
    )


def compare(
    accuracy: Accuracy,
    predicted: Labels,
    reference: str,
    reference_predicted: Labels,
    truth: Labels,
) -> Accuracy:
    """``accuracy`` with McNemar's exact test against a reference on the same samples added.

    Under the null hypothesis the discordant pairs split evenly: a binomial test with p = 1/2
    (McNemar 1947; the exact form is preferred for few discordant pairs, Agresti, Categorical Data
    Analysis, section 11.1).
    """
    right, reference_right = predicted == truth, reference_predicted == truth
    only_variant = int(np.sum(right & ~reference_right))
    only_reference = int(np.sum(~right & reference_right))
    discordant = only_variant + only_reference
    p_value = float(binomtest(only_variant, discordant).pvalue) if discordant else 1.0
    return replace(
        accuracy,
        versus_float=McNemar(
            reference=reference,
            only_reference_right=only_reference,
            only_variant_right=only_variant,
            p_value=p_value,
        ),
    )


def cross_entropy(probabilities: Floats, truth: Labels) -> float:
    """Mean of -ln(probability of the true label): the thesis's loss, Equation (1)."""
    chosen = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(np.mean(-np.log(np.clip(chosen, CLIP, 1 - CLIP))))


def _balanced(
    confusion: npt.NDArray[np.int64], truth: Labels, predicted: Labels, present: Labels
) -> float:
    """Mean recall over the labels that have samples."""
    if len(present) == confusion.shape[0]:
        return float(balanced_accuracy_score(truth, predicted))
    # scikit-learn warns when a label without samples was predicted; leave such labels out aloud.
    recalls = confusion[present, present] / confusion[present].sum(axis=1)
    return float(recalls.mean())


def _label_scores(
    confusion: npt.NDArray[np.int64], truth: Labels, predicted: Labels, labels: Sequence[str]
) -> tuple[LabelScore, ...]:
    precision, _, f1, _ = precision_recall_fscore_support(
        truth, predicted, labels=list(range(len(labels))), zero_division=0.0
    )
    rows = []
    for index, label in enumerate(labels):
        support, seen = int(confusion[index].sum()), int(confusion[:, index].sum())
        correct = int(confusion[index, index])
        low, high = wilson_interval(correct, support) if support else (None, None)
        rows.append(
            LabelScore(
                label=label,
                support=support,
                predicted=seen,
                correct=correct,
                accuracy=correct / support if support else None,
                low=low,
                high=high,
                precision=float(precision[index]) if seen else None,
                f1=float(f1[index]) if support else None,
            )
        )
    return tuple(rows)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion."""
    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
