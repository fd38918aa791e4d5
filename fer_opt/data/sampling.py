"""Parts of a dataset that keep its proportions: the reduction and the split of section 3.3.1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fer_opt.data.dataset import Dataset
from fer_opt.errors import DatasetError

__all__ = ["reduce_dataset", "split_dataset", "stratified_sample"]

Counts = npt.NDArray[np.int64]


def reduce_dataset(dataset: Dataset, fraction: float = 0.1, seed: int = 0) -> Dataset:
    """A random part of ``dataset`` in which each label keeps its share (thesis section 2.3.2).

    Each label's count is within 1 of its share, and at least 1. The order of samples is kept.

    Raises:
        DatasetError: ``fraction`` is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise DatasetError(
            f"a dataset cannot be reduced to the fraction {fraction:g}; use one above 0, at most 1."
        )
    counts = _count(dataset)
    chosen = np.where(counts > 0, np.maximum(_shares(counts, fraction), 1), 0)
    return dataset.subset(
        _draw(dataset, chosen, np.random.default_rng(seed)),
        name=f"{dataset.name}, reduced to {_percent(fraction)}",
    )


def split_dataset(
    dataset: Dataset, test_fraction: float = 0.1, seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Training and test set, drawn at random with each label's share in both (section 3.3.1).

    The two are disjoint and together complete. Each label's count in the test set is within 1 of
    its share; a label with two samples or more is in both, one with a single sample in training.

    Raises:
        DatasetError: ``test_fraction`` is not between 0 and 1, or too few samples to divide.
    """
    if not 0 < test_fraction < 1:
        raise DatasetError(
            f"a test set cannot have the fraction {test_fraction:g} of the data; "
            "use one above 0 and below 1."
        )
    counts = _count(dataset)
    wanted = np.maximum(_shares(counts, test_fraction), 1)
    tested = _draw(
        dataset, np.clip(wanted, 0, np.maximum(counts - 1, 0)), np.random.default_rng(seed)
    )
    if tested.size == 0:
        raise DatasetError(
            f"{dataset.name} ({dataset.source}) has too few samples to hold any back for testing; "
            "two of a label are the least."
        )
    rest = np.setdiff1d(np.arange(len(dataset)), tested, assume_unique=True)
    return (
        dataset.subset(rest, name=f"{dataset.name}, {_percent(1 - test_fraction)} for training"),
        dataset.subset(tested, name=f"{dataset.name}, {_percent(test_fraction)} for testing"),
    )


def stratified_sample(dataset: Dataset, size: int, seed: int) -> Dataset:
    """``size`` random samples, as evenly spread over the labels as the supply allows.

    No label has two samples more than another unless the other has no more to give; which labels
    get the odd ones is drawn too. All samples come back when there are no more than ``size``.

    Raises:
        DatasetError: ``size`` is below 1.
    """
    if size < 1:
        raise DatasetError(f"a sample of {size} images cannot be drawn; ask for 1 or more.")
    random = np.random.default_rng(seed)
    counts = _count(dataset)
    chosen = np.zeros_like(counts)
    left = min(size, len(dataset))
    while left > 0:
        open_labels = np.flatnonzero(chosen < counts)
        if left < open_labels.size:
            open_labels = random.choice(open_labels, size=left, replace=False)
        each = max(1, min(left // open_labels.size, int((counts - chosen)[open_labels].min())))
        chosen[open_labels] += each
        left -= each * open_labels.size
    return dataset.subset(_draw(dataset, chosen, random))


def _count(dataset: Dataset) -> Counts:
    return np.bincount(dataset.label_indices(), minlength=len(dataset.labels)).astype(np.int64)


def _shares(counts: Counts, fraction: float) -> Counts:
    """Each label's share rounded down or up so that their sum is right (largest remainders)."""
    exact = counts * fraction
    floors = np.floor(exact)
    missing = round(float(exact.sum())) - int(floors.sum())
    order = np.argsort(-(exact - floors), kind="stable")
    shares: Counts = floors.astype(np.int64)
    shares[order[:missing]] += 1
    return shares


def _draw(dataset: Dataset, counts: Counts, random: np.random.Generator) -> Counts:
    """Indices, ascending, of ``counts[label]`` random samples of each label."""
    labels = dataset.label_indices()
    drawn = [
        random.choice(np.flatnonzero(labels == label), size=int(count), replace=False)
        for label, count in enumerate(counts)
        if count
    ]
    return np.sort(np.concatenate(drawn)) if drawn else np.zeros(0, np.int64)


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.3g} %"
