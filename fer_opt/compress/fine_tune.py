"""Fine-tuning: training on, with or without the original network as teacher."""

from __future__ import annotations

from typing import Any

from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.tuning import Tuning, copied, tune
from fer_opt.recipe import make_step

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

    It ends with the weights of lowest validation loss, those before training included, so that it
    never gives back something worse on the validation images. The loss is that of
    :func:`fer_opt.compress.tuning.tune`.

    Args:
        network: flat functional ``tf_keras.Model``.
        materials: with training and validation images, and the teacher where ``distill`` > 0.
        epochs: passes over the training images at most.
        learning_rate: Adam's.
        distill: share of the loss that follows the teacher's outputs, 0 to 1.
        temperature: of the distillation.
        patience: epochs without a lower validation loss before training stops; 0 never stops.

    Raises:
        DatasetError: an image cannot be read.
        RecipeError: an option is out of its bounds, there is nothing to train on, no teacher to
            learn from, or the loss is no number any more.
    """
    make_step(
        "fine_tune",
        epochs=epochs,
        learning_rate=learning_rate,
        distill=distill,
        temperature=temperature,
        patience=patience,
    )
    tuned = copied(network)
    settings = Tuning(epochs, learning_rate, distill, temperature, patience)
    return Outcome(tuned, tune(tuned, materials, "fine_tune", settings))
