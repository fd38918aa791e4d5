"""The training that compression steps share: Adam, early stopping, distillation, kept structure."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_opt.backend import tf, tf_keras
from fer_opt.compress.graph import is_linear, rebuild
from fer_opt.compress.materials import Materials
from fer_opt.compress.structure import projection
from fer_opt.compress.wording import counted
from fer_opt.data import dataset_errors
from fer_opt.errors import RecipeError, first_line

__all__ = ["Tuning", "copied", "gives_probabilities", "tune"]

_SUM_TOLERANCE = 0.02
"""How far sums of probabilities may be from one: outputs rounded to 8 bits in training are each up
to 1/512 off."""


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
        keep_best: end with the weights of lowest validation loss, be they those before training,
            not with the last.
    """

    epochs: int
    learning_rate: float
    distill: float = 0.0
    temperature: float = 4.0
    patience: int = 0
    keep_best: bool = True


def copied(network: Any) -> Any:
    """The same network once more, sharing nothing with the one given."""
    return rebuild(network, lambda call, copy: call.apply(copy(call.layer)))


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
    network), both of the latter softened by the temperature (Hinton, Vinyals and Dean, "Distilling
    the knowledge in a neural network", 2015, section 2). Zeros and clusters that earlier steps made
    are kept. Only weights change: the network is not compiled. Python's, NumPy's and TensorFlow's
    global random states are seeded anew, so that equal seeds give equal weights.

    Args:
        network: images in, label scores (probabilities or logits) out.
        materials: with training and validation images, and the teacher where ``distill`` > 0.
        step: its name, for messages.
        settings: how to train.
        callbacks: of Keras, called besides; their ``model`` has the network's layers.
        keep_structure: False where the step itself changes the structure as it trains.

    Raises:
        DatasetError: an image cannot be read.
        RecipeError: there is nothing to train on, no teacher to learn from, images and network do
            not fit together, memory ran out, or the loss is no number any more.
    """
    if settings.epochs == 0:
        return ()
    # First, for the order of images depends on the global seed, too.
    tf_keras.utils.set_random_seed(materials.seed)
    training, validation = _streams(network, materials, step, settings)
    trainer = _compiled(network, materials, settings)
    steps = max(int(training.cardinality()), 0)  # negative where it is not known
    with (
        materials.progress.stage(f"{step}: training", settings.epochs * (steps or 1)) as advance,
        _training_errors(step),
    ):
        watch = _Watch(settings, projection(network) if keep_structure else None)
        if settings.keep_best or settings.patience:
            watch.before(trainer, trainer.evaluate(validation, verbose=0, return_dict=True))
        ticking = "on_train_batch_end" if steps else "on_epoch_end"
        trainer.fit(
            training,
            validation_data=validation,
            epochs=settings.epochs,
            verbose=0,
            callbacks=[
                watch,
                *callbacks,
                tf_keras.callbacks.LambdaCallback(**{ticking: lambda *_: advance(1)}),
            ],
        )
    if watch.lost:
        raise RecipeError(f"the loss of {step} is no number any more; lower its learning_rate.")
    if settings.keep_best:
        trainer.set_weights(watch.best_weights)
    return (_note(step, settings, watch),)


def gives_probabilities(network: Any, images: Any = None) -> bool:
    """Whether the network gives probabilities rather than logits.

    It does if it ends in a softmax. What merely passes probabilities on, as rounding or reshaping
    layers do, may follow the softmax. Anything else, as a mean of softmaxes, is told by what it
    gives for ``images``: nothing negative, and sums of one.

    Args:
        network: flat functional ``tf_keras.Model``.
        images: float32 (n, height, width, channels); without them only the softmax is looked for.
    """
    if _is_softmax(_last(network)):
        return True
    if images is None or not len(images):
        return False
    found = np.asarray(network(images, training=False))
    return bool(
        found.shape[-1] > 1
        and np.all(found >= 0)
        and np.all(np.abs(found.sum(axis=-1) - 1) < _SUM_TOLERANCE)
    )


def _last(network: Any) -> Any:
    """The last layer that does more than pass on what it is given, out of its wrapper."""
    tensor = network.outputs[0]
    while True:
        layer, node_index, _ = tensor._keras_history
        inner = layer.layer if isinstance(layer, tf_keras.layers.Wrapper) else layer
        sources = layer._inbound_nodes[node_index].keras_inputs
        computes = _is_softmax(inner) or not is_linear(inner) or inner.trainable_weights
        if computes or _is_sigmoid(inner) or len(sources) != 1 or sources[0] is tensor:
            return inner
        tensor = sources[0]


def _is_softmax(layer: Any) -> bool:
    return (
        isinstance(layer, tf_keras.layers.Softmax)
        or getattr(layer, "activation", None) is tf_keras.activations.softmax
        or getattr(layer, "symbol", "") == "nn.softmax"  # tf.nn.softmax called on a Keras tensor
    )


def _is_sigmoid(layer: Any) -> bool:
    return (
        getattr(layer, "activation", None) is tf_keras.activations.sigmoid
        or getattr(layer, "symbol", "") == "math.sigmoid"
    )


class _Watch(tf_keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps structure and best weights, and ends training that gains nothing or is lost."""

    def __init__(self, settings: Tuning, project: Any) -> None:
        super().__init__()
        self.settings, self.project = settings, project
        self.epochs = 0
        self.lost = False
        self.best_epoch, self.best_loss, self.best_accuracy = 0, math.inf, math.nan
        self.best_weights: Any = None
        self.last_accuracy = math.nan

    def before(self, model: Any, figures: dict[str, float]) -> None:
        """The network before training is a candidate, too."""
        self._compare(model, figures["loss"], figures["accuracy"])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Put zeros and clusters back."""
        if self.project:
            self.project()
        self._look_at(logs["loss"])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Remember the best epoch, and stop where there is no more gain."""
        self.epochs = epoch + 1
        self.last_accuracy = logs["val_accuracy"]
        self._look_at(logs["val_loss"])
        self._compare(self.model, logs["val_loss"], logs["val_accuracy"])
        if self.settings.patience and self.epochs - self.best_epoch >= self.settings.patience:
            self.model.stop_training = True

    def _look_at(self, loss: float) -> None:
        if not math.isfinite(loss):
            self.lost = self.model.stop_training = True

    def _compare(self, model: Any, loss: float, accuracy: float) -> None:
        # A network that pruning broke may give no number at all; any epoch is better than that.
        if loss < self.best_loss or self.best_weights is None:
            self.best_epoch, self.best_accuracy = self.epochs, accuracy
            self.best_loss = loss if math.isfinite(loss) else math.inf
            if self.settings.keep_best:
                self.best_weights = model.get_weights()


def _streams(network: Any, materials: Materials, step: str, settings: Tuning) -> tuple[Any, Any]:
    """Training and validation batches: images, and what the loss compares the outputs with."""
    streams = materials.streams(step)
    if not network.trainable_weights:
        raise RecipeError(
            f"{step} has nothing to train, because every layer is frozen; set trainable and save "
            "the model again."
        )
    if _is_sigmoid(_last(network)):
        raise RecipeError(
            f"{step} cannot train a network that ends in a sigmoid, for the loss takes its scores "
            "for logits or for probabilities that sum to one; end it in a softmax instead."
        )
    teacher = materials.teacher if settings.distill else None
    if settings.distill and teacher is None:
        raise RecipeError(
            f"{step} wants to distil, and there is no original network to learn from; leave out "
            "distill."
        )
    classes = int(network.outputs[0].shape[-1])
    if teacher is not None and int(teacher.outputs[0].shape[-1]) != classes:
        raise RecipeError(
            f"{step} wants to distil from a network of {teacher.outputs[0].shape[-1]} labels into "
            f"one of {classes}; leave out distill."
        )
    targets = _targets(teacher, classes, _few(materials))
    made = []
    for stream, seed, role in zip(
        streams, (materials.seed, None), ("training", "validation"), strict=True
    ):
        batches = stream(materials.batch, seed)
        given, wanted = batches.element_spec[0].shape, network.inputs[0].shape
        if not given.is_compatible_with(wanted):
            raise RecipeError(
                f"{step} cannot train on {role} images of shape {tuple(given[1:])}, because the "
                f"network takes {tuple(wanted[1:])}; prepare them for its input."
            )
        if int(batches.cardinality()) == 0:
            raise RecipeError(f"{step} cannot train: the {role} set is empty; give it more images.")
        made.append(batches.map(targets))
    return made[0], made[1]


def _few(materials: Materials) -> Any:
    """Images enough to see what a network gives."""
    return materials.representative[: materials.batch]


def _targets(teacher: Any, classes: int, images: Any) -> Any:
    """(images, labels) to (images, one-hot labels and the teacher's logits side by side)."""
    probabilities = teacher is not None and gives_probabilities(teacher, images)

    def targets(images: Any, labels: Any) -> tuple[Any, Any]:
        checks = [
            tf.debugging.assert_less(labels, tf.cast(classes, labels.dtype)),
            tf.debugging.assert_non_negative(labels),
        ]
        with tf.control_dependencies(checks):
            truth = tf.one_hot(labels, classes)
        if teacher is None:
            return images, truth
        given = _logits(teacher(images, training=False), probabilities)
        return images, tf.concat([truth, tf.cast(given, tf.float32)], axis=1)

    return targets


def _compiled(network: Any, materials: Materials, settings: Tuning) -> Any:
    """A model of the same layers to train with, so that the network itself is not compiled."""
    classes = int(network.outputs[0].shape[-1])
    trainer = tf_keras.Model(network.inputs, network.outputs)
    trainer.compile(
        optimizer=tf_keras.optimizers.Adam(settings.learning_rate),
        loss=_loss(settings, classes, gives_probabilities(network, _few(materials))),
        metrics=[_accuracy(classes)],
    )
    return trainer


def _loss(settings: Tuning, classes: int, probabilities: bool) -> Any:
    share, heat = settings.distill, settings.temperature

    def loss(targets: Any, outputs: Any) -> Any:
        truth, teacher = targets[:, :classes], targets[:, classes:]
        logits = _logits(outputs, probabilities)
        supervised = tf.nn.softmax_cross_entropy_with_logits(truth, logits)
        if not share:
            return supervised
        wanted = tf.nn.log_softmax(teacher / heat)
        given = tf.nn.log_softmax(logits / heat)
        divergence = tf.reduce_sum(tf.exp(wanted) * (wanted - given), axis=1)
        return (1 - share) * supervised + share * heat**2 * divergence

    return loss


def _logits(outputs: Any, probabilities: bool) -> Any:
    """Logits of the outputs of a network, inside a graph."""
    if not probabilities:
        return outputs
    # What went into the softmax, as Keras's own cross-entropy takes it: a probability that is wrong
    # and rounds to zero has no gradient.
    if outputs.op.type == "Softmax":
        return outputs.op.inputs[0]
    return tf.math.log(tf.clip_by_value(outputs, tf_keras.backend.epsilon(), 1.0))


def _accuracy(classes: int) -> Any:
    def accuracy(targets: Any, outputs: Any) -> Any:
        return tf.cast(
            tf.argmax(targets[:, :classes], axis=1) == tf.argmax(outputs, axis=1), tf.float32
        )

    return accuracy


def _note(step: str, settings: Tuning, watch: _Watch) -> str:
    trained = f"{step} trained {counted(watch.epochs, 'epoch')}"
    if settings.keep_best and watch.best_epoch == 0:
        return (
            f"{trained} without lowering the validation loss; the weights are those before it, "
            f"right on {watch.best_accuracy:.1%} of the validation images."
        )
    best = watch.best_epoch if settings.keep_best else watch.epochs
    accuracy = watch.best_accuracy if settings.keep_best else watch.last_accuracy
    return (
        f"{trained}; the weights are those of epoch {best}, right on {accuracy:.1%} of the "
        "validation images."
    )


@contextlib.contextmanager
def _training_errors(step: str) -> Iterator[None]:
    """Name what can go wrong inside TensorFlow in the user's terms."""
    try:
        with dataset_errors():
            yield
    except tf.errors.ResourceExhaustedError as exc:
        raise RecipeError(
            f"memory ran out while {step} trained the network; use a smaller batch or smaller "
            "images."
        ) from exc
    except tf.errors.InvalidArgumentError as exc:
        raise RecipeError(
            f"{step} cannot train. As a rule an image has a label the network has no output for, "
            "or another size than the rest; prepare the data for this network. TensorFlow says: "
            f"{_said(exc)}."
        ) from exc
    except ValueError as exc:
        cause = first_line(exc)
        raise RecipeError(f"{step} cannot train this network ({cause}); leave {step} out.") from exc


def _said(exc: Exception) -> str:
    """The line in which TensorFlow names the cause: before it stands where, after it the nodes."""
    lines = [line.strip() for line in str(exc).splitlines()]
    told = [line for line in lines if line and not line.startswith("[[")]
    return (told or [type(exc).__name__])[-1].rstrip(".:")
