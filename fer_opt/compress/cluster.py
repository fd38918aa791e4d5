"""Weight clustering: each kernel keeps a few distinct values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.structure import WEIGHTS_PER_VALUE, kernels, structure_of
from fer_opt.compress.tuning import Tuning, copied, tune
from fer_opt.compress.wording import counted, listed
from fer_opt.errors import RecipeError
from fer_opt.recipe import make_step

__all__ = ["cluster", "first_values", "nearest"]

Floats = npt.NDArray[np.float32]

_KERNEL_NAMES = ("kernel", "pointwise_kernel")
"""Attributes of the kernels to cluster. Depthwise ones are not among them, nor are they for
tensorflow-model-optimization: "non-clusterable due to big unrecoverable accuracy loss"."""

_MOST_ITERATIONS = 300
"""Of k-means, scikit-learn's default."""

_SAMPLE = 4096
"""Weights, evenly taken from the sorted ones, that tell their density well enough."""


def cluster(
    network: Any,
    materials: Materials,
    *,
    clusters: int = 16,
    init: str = "kmeans",
    epochs: int = 1,
    learning_rate: float = 1e-4,
) -> Outcome:
    """Give each kernel at most ``clusters`` distinct values, then train the values.

    Each weight becomes the nearest of the values, which training then moves while their members
    stay theirs (Han, Mao and Dally, "Deep compression", 2016, section 3). Zeros of a pruned kernel
    stay, and count as one of the values; the others are shared out between its negative and its
    positive weights, as tensorflow-model-optimization (tfmot) does to preserve sparsity.

    The values are found here and not by tfmot, because it compares each weight with each value at
    once: for 6272 x 1024 weights, 64 values took 15 s and 5.7 GB (memory grows with their product,
    so that 256 would take some 20), against 3 s and 1 GB here. Its ``KMEANS_PLUS_PLUS`` only draws
    first values and leaves the mean squared error 17 % larger than k-means does, and its
    ``DENSITY_BASED`` found 4 distinct values when asked for 16.

    Args:
        network: flat functional ``tf_keras.Model``.
        materials: with training and validation images, unless ``epochs`` is 0.
        clusters: most distinct values of a kernel, 2 to 256; 3 or more where it is sparse.
        init: how the values are first chosen: ``kmeans`` gives the least squared error,
            ``linear`` spreads them evenly between the smallest and the largest weight, ``density``
            gives each as many weights.
        epochs: passes over the training images; 0 leaves the values as they were chosen.
        learning_rate: Adam's.

    Raises:
        DatasetError: an image cannot be read.
        RecipeError: an option is out of its bounds, there is nothing to train on or nothing to
            cluster, or the loss is no number any more.
    """
    make_step("cluster", clusters=clusters, init=init, epochs=epochs, learning_rate=learning_rate)
    result = copied(network)
    clustered, small, other = [], [], []
    for layer in result.layers:
        ours = [getattr(layer, name) for name in _KERNEL_NAMES if hasattr(layer, name)]
        for kernel in ours:
            if kernel.shape.num_elements() < WEIGHTS_PER_VALUE * clusters:
                small.append(layer.name)
                continue
            kernel.assign(_clustered(kernel.numpy(), clusters, init, layer.name))
            clustered.append(layer.name)
        if any(all(item is not kernel for kernel in ours) for item in kernels(layer)):
            other.append(layer.name)
    if not clustered:
        raise RecipeError(
            f"cluster finds no kernel of {WEIGHTS_PER_VALUE * clusters} or more weights in this "
            f"network, and fewer cannot share {clusters} values; lower clusters or leave it out."
        )
    notes = tune(result, materials, "cluster", Tuning(epochs, learning_rate))
    done = f"{counted(len(clustered), 'kernel')} have at most {clusters} distinct values each."
    return Outcome(result, (done, *_left(small, other, clusters), *notes))


def first_values(weights: Floats, number: int, init: str) -> Floats:
    """The values to share out among weights.

    Args:
        weights: (n,), in any order.
        number: of values wanted.
        init: see :func:`cluster`.

    Returns:
        At most ``number`` distinct values, ascending.
    """
    ordered = np.sort(weights).astype(np.float64)
    distinct = np.unique(ordered)
    if len(distinct) <= number:
        values = distinct
    elif init == "linear":
        values = np.linspace(ordered[0], ordered[-1], number)
    elif init == "density":
        # The middle one of each of so many equal parts.
        values = ordered[(2 * np.arange(number) + 1) * len(ordered) // (2 * number)]
    else:
        values = _k_means(ordered, np.unique(_well_spread(ordered, number)))
    return np.unique(values.astype(np.float32))


def nearest(weights: Floats, values: Floats) -> Floats:
    """Each weight replaced by the nearest of some ascending values."""
    return values[np.searchsorted((values[1:] + values[:-1]) / 2, weights)]


def _well_spread(ordered: npt.NDArray[np.float64], number: int) -> Any:
    """Where k-means begins: as densely as the cube root of the density of the weights.

    That is how the values of the least squared error lie when there are many (Panter and Dite,
    "Quantization distortion in pulse-count modulation with nonuniform spacing of levels", 1951).
    Between neighbours a gap apart the density is 1 / gap, and its cube root sums to gap^(2/3).
    From here k-means ends as well as scikit-learn's best of five; from equal parts of the weights,
    or evenly spread values, its error is up to five times as large.
    """
    sample = ordered[np.linspace(0, len(ordered) - 1, min(len(ordered), _SAMPLE)).astype(np.int64)]
    reached = np.concatenate([[0.0], np.cumsum(np.cbrt(np.diff(sample)) ** 2)])
    return np.interp((np.arange(number) + 0.5) / number * reached[-1], reached, sample)


def _k_means(ordered: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> Any:
    """Lloyd's algorithm in one dimension: sorted, a cluster is a stretch between two places."""
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    places = np.zeros(0, np.int64)
    for _ in range(_MOST_ITERATIONS):
        middles = (values[1:] + values[:-1]) / 2
        found = np.concatenate([[0], np.searchsorted(ordered, middles), [len(ordered)]])
        if np.array_equal(found, places):
            break
        places = found
        sizes = np.diff(places)
        means = np.diff(sums[places]) / np.maximum(sizes, 1)
        values = np.where(sizes > 0, means, values)
    return values


def _clustered(kernel: Floats, clusters: int, init: str, name: str) -> Floats:
    """A kernel of any shape with at most so many distinct values."""
    found = structure_of(kernel)
    if found.distinct <= clusters:
        return kernel
    if found.mask is None:
        flat = kernel.reshape(-1)
        return nearest(flat, first_values(flat, clusters, init)).reshape(kernel.shape)
    if clusters < 3:
        raise RecipeError(
            f"cluster cannot give {name} {clusters} distinct values, because it was pruned: zero "
            "is one of them, and negative and positive weights need one each; use 3 or more."
        )
    result = np.zeros_like(kernel)
    negative, positive = kernel < 0, kernel > 0
    share = np.sum(negative) / np.sum(found.mask)
    below = int(np.clip(np.round(share * (clusters - 1)), share > 0, clusters - 1 - (share < 1)))
    for where, number in ((negative, below), (positive, clusters - 1 - below)):
        if number:
            result[where] = nearest(kernel[where], first_values(kernel[where], number, init))
    return result


def _left(small: list[str], other: list[str], clusters: int) -> tuple[str, ...]:
    notes = []
    if small:
        notes.append(
            f"{counted(len(small), 'kernel')} of fewer than {WEIGHTS_PER_VALUE * clusters} weights "
            f"kept their own values ({listed(small)})."
        )
    if other:
        notes.append(
            f"{counted(len(other), 'layer')} kept depthwise or other kernels whole, because "
            f"clustering costs those too much accuracy ({listed(other)})."
        )
    return tuple(notes)
