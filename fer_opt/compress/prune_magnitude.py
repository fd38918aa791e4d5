"""Magnitude pruning: the smallest weights of each kernel become zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.structure import kernels
from fer_opt.compress.tfmot import constant_sparsity, polynomial_decay, prunable, prune
from fer_opt.compress.wording import counted, listed
from fer_opt.errors import RecipeError
from fer_opt.recipe import make_step

__all__ = ["left_whole", "prune_magnitude", "zeros_reached"]

_PRUNED_IN = 0.5
"""Share of the training in which zeros are still chosen; the rest recovers from the last."""

_UPDATES = 20
"""How often the zeros are chosen anew: each time sorts every kernel, which takes 1.3 s of processor
time for 6.4 million weights."""


def prune_magnitude(
    network: Any,
    materials: Materials,
    *,
    sparsity: float = 0.5,
    schedule: str = "polynomial",
    epochs: int = 2,
    learning_rate: float = 3e-4,
) -> Outcome:
    """Set the smallest ``sparsity`` of the weights in each kernel to zero.

    The polynomial schedule raises the share of zeros during the first half of the training (Zhu and
    Gupta, 2017); the constant one chooses all of them in the first step. Zeros stay zero in
    training. Biases, batch normalization and depthwise kernels are left whole, as
    tensorflow-model-optimization leaves them.

    Args:
        network: flat functional ``tf_keras.Model``.
        materials: with training and validation images, unless ``epochs`` is 0.
        sparsity: share of zeros in each kernel, above 0 and below 1.
        schedule: ``polynomial`` or ``constant``.
        epochs: passes over the training images; 0 sets the zeros at once and trains nothing.
        learning_rate: Adam's.

    Raises:
        DatasetError: an image cannot be read.
        RecipeError: an option is out of its bounds, there is nothing to train on or nothing to
            prune, or the loss is no number any more.
    """
    make_step(
        "prune_magnitude",
        sparsity=sparsity,
        schedule=schedule,
        epochs=epochs,
        learning_rate=learning_rate,
    )
    layers = [layer.name for layer in network.layers if prunable(layer)]
    if not layers:
        raise RecipeError(
            "prune_magnitude finds no convolution or dense layer in this network; leave it out."
        )
    zeros = constant_sparsity(sparsity)
    if epochs and schedule == "polynomial":
        steps = max(round(_PRUNED_IN * epochs * _batches(materials)), 1)
        zeros = polynomial_decay(sparsity, steps, _UPDATES)
    result, notes = prune(
        network,
        materials,
        "prune_magnitude",
        layers,
        {"pruning_schedule": zeros},
        epochs=epochs,
        learning_rate=learning_rate,
    )
    return Outcome(result, (zeros_reached(result, layers), *left_whole(network, layers), *notes))


def zeros_reached(network: Any, layers: list[str]) -> str:
    """How many weights of the pruned kernels are zero."""
    weights = [item.numpy() for name in layers for item in prunable(network.get_layer(name))]
    size = sum(item.size for item in weights)
    zeros = size - sum(int(np.count_nonzero(item)) for item in weights)
    return f"{zeros / size:.1%} of the weights in {counted(len(weights), 'kernel')} are zero."


def left_whole(network: Any, layers: list[str]) -> tuple[str, ...]:
    """A note on the kernels that tensorflow-model-optimization does not prune."""
    left = []
    for layer in network.layers:
        pruned = {id(item) for item in prunable(layer)} if layer.name in layers else set()
        if any(id(item) not in pruned for item in kernels(layer)):
            left.append(layer.name)
    if not left:
        return ()
    return (
        f"{counted(len(left), 'layer')} kept depthwise or other kernels whole, which "
        f"tensorflow-model-optimization does not prune ({listed(left)}).",
    )


def _batches(materials: Materials) -> int:
    """Training steps in one epoch."""
    training, _ = materials.streams("prune_magnitude")
    stream = training(materials.batch, materials.seed)
    known = int(stream.cardinality())
    return known if known >= 0 else sum(1 for _ in stream)
