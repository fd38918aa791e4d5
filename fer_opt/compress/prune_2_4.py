"""2:4 sparsity: two of every four neighbouring weights become zero."""

from __future__ import annotations

from typing import Any

from fer_opt.backend import tf_keras
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.prune_magnitude import zeros_reached
from fer_opt.compress.structure import kernels
from fer_opt.compress.tfmot import constant_sparsity, prunable, prune
from fer_opt.compress.wording import counted, listed
from fer_opt.errors import RecipeError
from fer_opt.recipe import make_step

__all__ = ["prune_2_4"]


def prune_2_4(
    network: Any, materials: Materials, *, epochs: int = 2, learning_rate: float = 3e-4
) -> Outcome:
    """Set the two smallest of every four weights to zero.

    Four weights belong together that stand side by side in a TensorFlow Lite file: those of
    neighbouring input channels, at one position of the kernel, for one output channel (Mishra et
    al., "Accelerating sparse deep neural networks", 2021, section 3). Where the number of input
    channels is no multiple of four, the last group is filled up with zeros: of three channels one
    becomes zero, of one or two none.

    The zeros are chosen once, in the first training step. Dense layers, convolutions and the
    pointwise half of separable convolutions are pruned.

    Args:
        network: flat functional ``tf_keras.Model``.
        materials: with training and validation images, unless ``epochs`` is 0.
        epochs: passes over the training images; 0 sets the zeros and trains nothing.
        learning_rate: Adam's.

    Raises:
        DatasetError: an image cannot be read.
        RecipeError: an option is out of its bounds, there is nothing to train on or nothing to
            prune, or the loss is no number any more.
    """
    make_step("prune_2_4", epochs=epochs, learning_rate=learning_rate)
    layers = [layer.name for layer in network.layers if _has_groups(layer)]
    if not layers:
        raise RecipeError(
            "prune_2_4 finds no convolution or dense layer of three or more input channels in this "
            "network; leave it out."
        )
    result, notes = prune(
        network,
        materials,
        "prune_2_4",
        layers,
        {"pruning_schedule": constant_sparsity(0.5), "sparsity_m_by_n": (2, 4)},
        epochs=epochs,
        learning_rate=learning_rate,
    )
    return Outcome(result, (zeros_reached(result, layers), *_left_whole(network, layers), *notes))


def _grouped(layer: Any) -> list[Any]:
    """Kernels (..., input channels, output channels), the layout tfmot takes for granted."""
    known = (tf_keras.layers.Dense, tf_keras.layers.Conv2D, tf_keras.layers.SeparableConv2D)
    return prunable(layer) if type(layer) in known else []


def _has_groups(layer: Any) -> bool:
    return any(item.shape[-2] > 2 for item in _grouped(layer))


def _left_whole(network: Any, layers: list[str]) -> tuple[str, ...]:
    narrow, other = [], []
    for layer in network.layers:
        grouped = {id(item) for item in _grouped(layer)}
        if grouped and layer.name not in layers:
            narrow.append(layer.name)
        if any(id(item) not in grouped for item in kernels(layer)):
            other.append(layer.name)
    notes = []
    if narrow:
        notes.append(
            f"{counted(len(narrow), 'layer')} of one or two input channels had no four weights to "
            f"choose from ({listed(narrow)})."
        )
    if other:
        notes.append(
            f"{counted(len(other), 'layer')} kept depthwise or other kernels whole, which "
            f"tensorflow-model-optimization does not prune ({listed(other)})."
        )
    return tuple(notes)
