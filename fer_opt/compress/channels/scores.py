"""How much each channel matters."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf_keras
from fer_opt.compress.channels.dependencies import Dependencies

__all__ = ["batch_norm_scores", "kernel_scores"]

Floats = npt.NDArray[np.float32]


def kernel_scores(network: Any, dependencies: Dependencies) -> dict[int, float]:
    """Sum of absolute weights with which a channel is made and read.

    Li et al., "Pruning filters for efficient ConvNets" (2017), rank filters by the former; where
    batch normalization follows the activation it says nothing, because normalization undoes any
    scale, hence the latter beside it. Each layer's are divided by their mean first, so that layers
    of unlike scale can be summed.
    """
    scores: dict[int, float] = defaultdict(float)
    for name, ids in dependencies.made.items():
        _add(scores, dependencies.roots(ids), _norms(network.get_layer(name), axis=-1))
    for name, ids in dependencies.read.items():
        _add(scores, dependencies.roots(ids), _norms(network.get_layer(name), axis=-2))
    return dict(scores)


def batch_norm_scores(network: Any, dependencies: Dependencies) -> dict[int, float]:
    """Absolute scale (gamma) of the batch normalization a channel passes.

    Liu et al., "Learning efficient convolutional networks through network slimming" (2017).
    Channels that pass none are missing.
    """
    scores: dict[int, float] = defaultdict(float)
    for name, ids in dependencies.seen.items():
        layer = network.get_layer(name)
        if isinstance(layer, tf_keras.layers.BatchNormalization) and layer.scale:
            _add(scores, dependencies.roots(ids), np.abs(layer.gamma.numpy()))
    return dict(scores)


def _norms(layer: Any, axis: int) -> Floats:
    kernels = [np.abs(item) for item in layer.get_weights() if item.ndim >= 2]
    if isinstance(layer, tf_keras.layers.SeparableConv2D) and axis == -2:
        return np.asarray(kernels[0].sum(axis=(0, 1, 3)), np.float32)
    kernel = kernels[-1]
    others = tuple(index for index in range(kernel.ndim) if index != kernel.ndim + axis)
    return np.asarray(kernel.sum(axis=others), np.float32)


def _add(scores: dict[int, float], roots: npt.NDArray[np.int64], values: Floats) -> None:
    # Places of a flattened channel are summed before the layer's mean is taken.
    found, place = np.unique(roots, return_inverse=True)
    sums = np.bincount(place, weights=values)
    for root, value in zip(found.tolist(), (sums / (sums.mean() + 1e-12)).tolist(), strict=True):
        scores[root] += value
