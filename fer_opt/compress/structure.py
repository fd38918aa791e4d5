"""The structure earlier steps gave to weights, read off the weights, kept by later training.

A kernel with many exact zeros was pruned, one with few distinct values was clustered; nobody has to
remember it. Training that follows projects each kernel back after every step: zeros stay zero, the
members of a cluster keep one common value (their mean), as sparsity- and cluster-preserving
training of tensorflow-model-optimization does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf

__all__ = ["KernelStructure", "kernels", "projection", "structure_of"]

SPARSE_FROM = 0.1
"""Share of exact zeros from which a kernel counts as pruned; training never leaves that many."""

CLUSTERED_UP_TO = 256
"""Most distinct values of a clustered kernel; a trained kernel has about one for each weight."""


@dataclass(frozen=True, slots=True)
class KernelStructure:
    """What is worth keeping in one kernel.

    Attributes:
        mask: where it is not zero; None where it was not pruned.
        cluster: index of each weight's value among ``distinct``; None where not clustered.
        distinct: number of distinct values, the zero included.
        sparsity: share of exact zeros.
    """

    mask: npt.NDArray[np.bool_] | None
    cluster: npt.NDArray[np.int64] | None
    distinct: int
    sparsity: float


def structure_of(kernel: npt.NDArray[np.float32]) -> KernelStructure:
    """Read the structure off a kernel of any shape."""
    values, index = np.unique(kernel, return_inverse=True)
    sparsity = float(np.mean(kernel == 0))
    clustered = len(values) <= min(CLUSTERED_UP_TO, kernel.size // 4)
    return KernelStructure(
        mask=kernel != 0 if SPARSE_FROM <= sparsity < 1 else None,
        cluster=index.reshape(kernel.shape) if clustered else None,
        distinct=len(values),
        sparsity=sparsity,
    )


def kernels(layer: Any) -> list[Any]:
    """A layer's kernels: trainable variables of two dimensions or more."""
    return [item for item in layer.trainable_weights if len(item.shape) >= 2]


def projection(network: Any) -> Callable[[], None] | None:
    """A function that puts the present structure back into the kernels, for after each step.

    None where no kernel has any.
    """
    kept = []
    for layer in network.layers:
        for variable in kernels(layer):
            found = structure_of(variable.numpy())
            if found.mask is not None or found.cluster is not None:
                kept.append((variable, found))
    if not kept:
        return None

    def project() -> None:
        for variable, found in kept:
            value = tf.convert_to_tensor(variable)
            if found.cluster is not None:
                flat, index = tf.reshape(value, [-1]), found.cluster.reshape(-1)
                means = tf.math.unsorted_segment_mean(flat, index, found.distinct)
                value = tf.reshape(tf.gather(means, index), variable.shape)
            if found.mask is not None:
                value = tf.where(found.mask, value, tf.zeros_like(value))
            variable.assign(value)

    compiled = tf.function(project)
    return lambda: compiled()
