"""Fine-tuning: training on, with or without the original network as teacher."""

from __future__ import annotations

from typing import Any

from fer_opt.compress.graph import rebuild
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.tuning import Tuning, tune

__all__ = ["fine_tune"]


def fine_tune(
    network: Any,
    materials: Materials,
    *,
    epochs: int = 3,
    learning_rate: float = 3e-4,
    distill: float = 0.0,
    temperature: float = 4.0,
    patience: int = 0,
) -> Outcome:
    """Train a copy of the network; zeros and clusters that earlier steps made are kept.

    Args:
        network: flat functional model.
        materials: with training and validation images.
        epochs: passes over the training images at most.
        learning_rate: Adam's.
        distill: share of the loss that follows the original network's outputs.
        temperature: of the distillation.
        patience: epochs without a lower validation loss before training stops; 0 never stops.

    Raises:
        RecipeError: there is nothing to train on, or the loss is no number any more.
        DatasetError: an image cannot be read.
    """
    copy = rebuild(network, lambda call, copy: call.apply(copy(call.layer)))
    settings = Tuning(epochs, learning_rate, distill, temperature, patience)
    return Outcome(copy, tune(copy, materials, "fine_tune", settings))
