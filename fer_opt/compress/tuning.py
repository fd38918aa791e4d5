"""The training that compression steps share: Adam, early stopping, distillation, kept structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_opt.backend import tf, tf_keras
from fer_opt.compress.materials import Materials
from fer_opt.compress.structure import projection
from fer_opt.data import dataset_errors
from fer_opt.errors import RecipeError
from fer_opt.noise import quiet

__all__ = ["Tuning", "gives_probabilities", "tune"]


@dataclass(frozen=True, slots=True)
class Tuning:
    """How to train.

    Attributes:
        epochs: passes over the training images at most; 0 trains nothing.
        learning_rate: Adam's.
        distill: share of the loss that is the distance to the teacher's outputs, 0 to 1; the rest
            is the cross-entropy with the labels.
        temperature: of the distillation; 4 lies in the range Hinton et al. found to work.
        patience: epochs without a lower validation loss before training stops; 0 never stops.
        keep_best: end with the weights of the epoch of lowest validation loss, not the last.
    """

    epochs: int
    learning_rate: float
    distill: float = 0.0
    temperature: float = 4.0
    patience: int = 0
    keep_best: bool = True


def tune(
    network: Any,
    materials: Materials,
    step: str,
    settings: Tuning,
    *,
    callbacks: Sequence[Any] = (),
    keep_structure: bool = True,
) -> tuple[str, ...]:
    """Train ``network`` in place and return what the reader should know of it.

    The loss is (1 - distill) * cross-entropy(labels) + distill * temperature^2 * KL(teacher ||
    network), both softened by the temperature (Hinton, Vinyals and Dean, "Distilling the knowledge
    in a neural network", 2015, section 2). Zeros and clusters that earlier steps made are kept.

    Args:
        network: images in, label scores (probabilities or logits) out.
        materials: with training and validation images, and the teacher where ``distill`` > 0.
        step: its name, for messages.
        settings: how to train.
        callbacks: of Keras, called besides.
        keep_structure: False where the step itself changes the structure as it trains.

    Raises:
        DatasetError: an image cannot be read.
        RecipeError: there is nothing to train on, no teacher to learn from, or the loss is no
            number any more.
    """
    if settings.epochs == 0:
        return ()
    training, validation = materials.streams(step)
    if settings.distill and materials.teacher is None:
        raise RecipeError(
            f"{step} wants to distil, and there is no original network to learn from."
        )
    tf_keras.utils.set_random_seed(materials.seed)
    classes = int(network.outputs[0].shape[-1])
    targets = _targets(materials.teacher if settings.distill else None, classes)
    network.compile(
        optimizer=tf_keras.optimizers.Adam(settings.learning_rate),
        loss=_loss(settings, classes, gives_probabilities(network)),
        metrics=[_accuracy(classes)],
    )
    project = projection(network) if keep_structure else None
    with (
        materials.progress.stage(f"{step}: training", settings.epochs) as advance,
        dataset_errors(),
        quiet(),
    ):
        stopping = tf_keras.callbacks.EarlyStopping(
            "val_loss",
            patience=settings.patience or settings.epochs,
            restore_best_weights=settings.keep_best,
        )
        # Keras restores the best weights itself only where it stopped early.
        history = network.fit(
            training(materials.batch, materials.seed).map(targets),
            validation_data=validation(materials.batch, None).map(targets),
            epochs=settings.epochs,
            verbose=0,
            callbacks=[
                stopping,
                tf_keras.callbacks.LambdaCallback(
                    on_train_batch_end=lambda *_: project() if project else None,
                    on_epoch_end=lambda *_: advance(1),
                ),
                *callbacks,
            ],
        ).history
    if settings.keep_best and stopping.best_weights is not None:
        network.set_weights(stopping.best_weights)
    if not np.isfinite(history["loss"]).all():
        raise RecipeError(f"the loss of {step} is no number any more; lower its learning_rate.")
    done = len(history["loss"])
    best = int(np.argmin(history["val_loss"])) if settings.keep_best else done - 1
    return (
        f"{step} trained {done} epoch{'s' if done > 1 else ''}; the weights are those of epoch "
        f"{best + 1}, right on {history['val_accuracy'][best]:.1%} of the validation images.",
    )


def gives_probabilities(network: Any) -> bool:
    """Whether the network ends in a softmax rather than in logits."""
    last = network.layers[-1]
    while getattr(last, "activation", None) is None and len(last._inbound_nodes) == 1:
        before = last._inbound_nodes[0].inbound_layers
        if isinstance(before, list):
            break
        if isinstance(last, tf_keras.layers.Softmax):
            return True
        last = before
    return isinstance(last, tf_keras.layers.Softmax) or (
        getattr(last, "activation", None) is tf_keras.activations.softmax
    )


def _targets(teacher: Any, classes: int) -> Any:
    """(images, labels) to (images, one-hot labels and the teacher's outputs side by side)."""

    def targets(images: Any, labels: Any) -> tuple[Any, Any]:
        truth = tf.one_hot(labels, classes)
        wanted = truth if teacher is None else _probabilities(teacher(images, training=False))
        return images, tf.concat([truth, tf.cast(wanted, tf.float32)], axis=1)

    def _probabilities(outputs: Any) -> Any:
        return outputs if gives_probabilities(teacher) else tf.nn.softmax(outputs)

    return targets


def _loss(settings: Tuning, classes: int, probabilities: bool) -> Any:
    share, heat = settings.distill, settings.temperature

    def loss(targets: Any, outputs: Any) -> Any:
        truth, teacher = targets[:, :classes], targets[:, classes:]
        tiny = tf_keras.backend.epsilon()
        scores = tf.math.log(tf.clip_by_value(outputs, tiny, 1.0)) if probabilities else outputs
        supervised = tf.nn.softmax_cross_entropy_with_logits(truth, scores)
        if not share:
            return supervised
        wanted = tf.nn.softmax(tf.math.log(tf.clip_by_value(teacher, tiny, 1.0)) / heat)
        given = tf.nn.log_softmax(scores / heat)
        divergence = tf.reduce_sum(wanted * (tf.math.log(wanted) - given), axis=1)
        return (1 - share) * supervised + share * heat**2 * divergence

    return loss


def _accuracy(classes: int) -> Any:
    def accuracy(targets: Any, outputs: Any) -> Any:
        return tf.cast(
            tf.argmax(targets[:, :classes], axis=1) == tf.argmax(outputs, axis=1), tf.float32
        )

    return accuracy
