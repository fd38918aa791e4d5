"""A trained model as the flat functional network that compression steps work on."""

from __future__ import annotations

from typing import Any

from fer_opt.errors import ModelError
from fer_opt.keras_io.equality import refuse_difference
from fer_opt.keras_io.flattening import flatten
from fer_opt.keras_io.naming import TranslationError
from fer_opt.keras_io.trained import TrainedModel
from fer_opt.noise import quiet

__all__ = ["to_functional"]


def to_functional(model: TrainedModel, *, size: tuple[int, int] | None = None) -> Any:
    """The model as a flat functional ``tf_keras.Model`` in float32, whichever Keras it is of.

    Nested models are inlined and shared layers stay shared. Augmentation and noise, which do
    nothing in use, are dropped; dropout is kept, for later training. Layers keep their names where
    these are free. Every layer can be trained, and initializers, regularizers and constraints are
    Keras's own. The outputs are compared with the model's; see
    :data:`fer_opt.keras_io.equality.LIMITS`.

    Args:
        model: functional or sequential, of Keras 2 or 3.
        size: height and width of the input where the model leaves them open.

    Returns:
        A model of float32 (n, height, width, channels) in and (n, classes) out. The given one is
        not changed.

    Raises:
        ModelError: it is a SavedModel or subclassed, a layer, option or weight would be lost, its
            size is open or another, or the outputs differ.
    """
    if model.keras is None:
        raise ModelError(
            f"{model.source} is a SavedModel, a graph without layers, so that no compression step "
            "can work on it; give the .keras or HDF5 file it was made from, or convert it without "
            "compression steps."
        )
    shape = _input_shape(model, size)
    try:
        with quiet():
            network = flatten(model.keras, shape)
    except TranslationError as exc:
        raise ModelError(
            f"{model.source} cannot be rebuilt for compression, because {exc}; convert it without "
            "compression steps, which leaves it as it is, or train it without that."
        ) from exc
    refuse_difference(model, network)
    return network


def _input_shape(model: TrainedModel, size: tuple[int, int] | None) -> tuple[int, int, int]:
    height, width, channels = model.input_shape
    own, given = (height, width), size or (height, width)
    if given[0] is None or given[1] is None:
        raise ModelError(f"{model.source} takes images of any size; say which it is to be used at.")
    if any(side not in (None, wanted) for side, wanted in zip(own, given, strict=True)):
        raise ModelError(
            f"{model.source} takes images of {height}x{width}, not of {given[0]}x{given[1]}; give "
            "the size it was trained with."
        )
    return given[0], given[1], channels
