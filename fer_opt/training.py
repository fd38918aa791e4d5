"""Training as section 3.3 of the thesis does it, in steps that survive a kill.

Adam with its authors' defaults, categorical cross-entropy, batches, 10 epochs, and after each a
look at a small validation set that is taken from the test split (section 3.3.3).

Keras's own ``BackupAndRestore`` brings back weights and optimizer, but neither the order of images
nor the state of dropout, drops its files when training ends, and leaves the history to a CSV file
that a kill can tear. Hence the loop here, around Keras's own training step: a run that was killed
and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fer_opt.backend import tf, tf_keras
from fer_opt.data import Dataset, dataset_errors, reduce_dataset
from fer_opt.errors import ConventionError, DatasetError, ExperimentError, OutputError
from fer_opt.files import make_folder, write_atomically
from fer_opt.progress import Advance
from fer_opt.reports.record import TrainingEpoch

__all__ = ["TrainingSettings", "read_history", "train", "validation_set"]

SETTINGS_NAME = "training.json"
HISTORY_NAME = "history.json"
CHECKPOINTS_NAME = "checkpoints"


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Everything a training run depends on besides its model; a folder belongs to one of them.

    Attributes:
        epochs: passes over the training set; section 3.3.2 finds 10 enough.
        batch_size: images in one step, as the training set is batched.
        learning_rate: Adam's; this and the betas are its authors' defaults (section 2.1.1).
        beta_1: Adam's decay of the mean gradient.
        beta_2: Adam's decay of the mean squared gradient.
        seed: of the initial weights (``build(..., seed=)``), dropout and the order of images.
        data: what tells this training set from others, e.g. its fingerprint.
    """

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    seed: int = 0
    data: str = ""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or not self.learning_rate > 0:
            raise ExperimentError(
                f"epochs = {self.epochs}, batch size = {self.batch_size} and learning rate = "
                f"{self.learning_rate:g} cannot train a model; all three must be above 0."
            )


def validation_set(test: Dataset, fraction: float = 0.1, seed: int = 0) -> Dataset:
    """The "small validation set chosen from the test set" of section 3.3.3: stratified, seeded.

    Raises:
        DatasetError: ``fraction`` is not above 0 and at most 1.
    """
    return reduce_dataset(test, fraction, seed)


def train(
    model: Any,
    training: Any,
    validation: Any,
    settings: TrainingSettings,
    folder: Path,
    *,
    on_batch: Advance | None = None,
    on_epoch: Callable[[TrainingEpoch], None] | None = None,
) -> tuple[TrainingEpoch, ...]:
    """Train ``model``, or finish what an earlier call in ``folder`` began; return the history.

    After every epoch weights, optimizer and history are saved in ``folder``. The same call resumes
    after the last saved epoch, with dropout and the order of images as they would have been;
    finished training only brings its weights back. Python's, NumPy's and TensorFlow's global
    random states are seeded anew for each epoch.

    Args:
        model: a ``tf_keras.Model``, images in, probabilities out; compiled here. For a run that
            can be repeated it was built with ``settings.seed``.
        training: ``tf.data.Dataset`` of batches: images (n, height, width, channels) float32 and
            labels (n,) as integers (not one-hot: the sparse form of the same cross-entropy is
            used). Each iteration may bring a new order, as :func:`fer_opt.data.to_tf_data` does.
        validation: of the same kind.
        settings: how to train.
        folder: where the run is kept; made if missing.
        on_batch: told the number of images after each training step.
        on_epoch: told the figures of each epoch trained now (not of those resumed from).

    Raises:
        ConventionError: images or labels do not fit the model.
        DatasetError: a set is empty, or one of its samples cannot be read.
        ExperimentError: the folder holds other training or is damaged, memory ran out, or the
            loss is no number any more.
        OutputError: the folder cannot be written.
    """
    for stream, role in ((training, "training"), (validation, "validation")):
        _check_stream(model, stream, role)
    make_folder(folder)
    _claim(folder, model, settings)
    _compile(model, settings)
    manager, history = _restore(model, folder)
    # Each iterator draws the next epoch's order; nothing is read until it is asked for a batch.
    for _ in history:
        iter(training)
    for number in range(len(history) + 1, settings.epochs + 1):
        with _training_errors(number):
            epoch = _one_epoch(model, training, validation, number, settings.seed, on_batch)
        history = (*history, epoch)
        _save(manager, folder, history)
        if on_epoch is not None:
            on_epoch(epoch)
    return history


def read_history(folder: Path) -> tuple[TrainingEpoch, ...]:
    """The epochs saved in ``folder`` so far; none where nothing was trained.

    Raises:
        ExperimentError: the history is damaged.
    """
    checkpoint = _latest_checkpoint(folder)
    if checkpoint is None:
        return ()
    # The history is written first, so that it may be one epoch ahead of the weights.
    done = int(checkpoint.name.rpartition("-")[2])
    path = folder / HISTORY_NAME
    try:
        history = _HISTORY.validate_json(path.read_bytes())[:done]
    except (OSError, ValidationError) as exc:
        raise _damaged(path) from exc
    if len(history) != done:
        raise _damaged(path)
    return history


_HISTORY = TypeAdapter(tuple[TrainingEpoch, ...])


def _latest_checkpoint(folder: Path) -> Path | None:
    """The prefix of the files of the last saved epoch, ``epoch-3`` after the third."""
    listed = folder / CHECKPOINTS_NAME / "checkpoint"
    if not listed.exists():
        return None
    try:
        state = tf.train.get_checkpoint_state(str(listed.parent))
    except ValueError as exc:  # bytes that are no text
        raise _damaged(listed) from exc
    if state is None:
        raise _damaged(listed)
    latest = Path(state.model_checkpoint_path)
    if not latest.with_name(f"{latest.name}.index").exists():
        raise _damaged(latest)
    return latest


def _check_stream(model: Any, stream: Any, role: str) -> None:
    images, labels = stream.element_spec
    wanted = model.input_shape[1:]
    if images.shape.rank != 4 or not images.shape[1:].is_compatible_with(wanted):
        raise ConventionError(
            f"the {role} images are of shape {tuple(images.shape[1:])}, but the model takes "
            f"{wanted}; prepare them for the model's input."
        )
    if labels.shape.rank != 1 or not labels.dtype.is_integer:
        raise ConventionError(
            f"the {role} labels must be one integer an image, not {labels.dtype.name} of shape "
            f"{tuple(labels.shape)}; turn one-hot rows into indices."
        )
    if int(stream.cardinality()) == 0:
        raise _empty(role)


def _claim(folder: Path, model: Any, settings: TrainingSettings) -> None:
    """Write down what the folder is for, or refuse it when it is for something else."""
    wanted = {**asdict(settings), "model": model.name, "layers": _layers_fingerprint(model)}
    path = folder / SETTINGS_NAME
    if not path.exists():
        write_atomically(path, json.dumps(wanted, indent=1) + "\n")
        return
    try:
        present = json.loads(path.read_bytes())
        differences = [
            f"{key} {present.get(key)!r} there, {value!r} here"
            for key, value in wanted.items()
            if present.get(key) != value
        ]
    except (OSError, ValueError, AttributeError) as exc:
        raise _damaged(path) from exc
    if differences:
        raise ExperimentError(
            f"{folder} holds training with other settings ({'; '.join(differences)}); "
            "choose another folder, or delete this one to start over."
        )


def _layers_fingerprint(model: Any) -> str:
    """A hash of each layer's kind, output and weight shapes; Keras's counted names left out."""
    layers = [
        (type(layer).__name__, str(layer.output_shape), [tuple(w.shape) for w in layer.weights])
        for layer in model.layers
    ]
    return hashlib.sha256(repr(layers).encode()).hexdigest()[:16]


def _compile(model: Any, settings: TrainingSettings) -> None:
    """Section 3.2.1: categorical cross-entropy, Adam, accuracy."""
    model.compile(
        optimizer=tf_keras.optimizers.Adam(
            settings.learning_rate, beta_1=settings.beta_1, beta_2=settings.beta_2
        ),
        loss=tf_keras.losses.SparseCategoricalCrossentropy(),
        metrics=[tf_keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    model.optimizer.build(model.trainable_variables)


def _restore(model: Any, folder: Path) -> tuple[Any, tuple[TrainingEpoch, ...]]:
    """Bring back the last saved epoch, if there is one."""
    history = read_history(folder)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    manager = tf.train.CheckpointManager(
        checkpoint, str(folder / CHECKPOINTS_NAME), max_to_keep=1, checkpoint_name="epoch"
    )
    latest = _latest_checkpoint(folder)
    if latest is not None:
        try:
            checkpoint.restore(str(latest)).assert_existing_objects_matched()
        except (tf.errors.OpError, AssertionError, LookupError, ValueError) as exc:
            raise _damaged(latest) from exc
    return manager, history


def _one_epoch(
    model: Any, training: Any, validation: Any, number: int, seed: int, on_batch: Advance | None
) -> TrainingEpoch:
    """One pass over the training set, and a look at the validation set."""
    # Dropout's state lies in the traced step, out of a checkpoint's reach: start it afresh from
    # the epoch's own seed, so that an epoch does not depend on whether the last was a resumed one.
    tf_keras.utils.set_random_seed(seed + number)
    step = tf.function(model.train_step, input_signature=[training.element_spec])
    model.reset_metrics()
    figures = None
    for images, labels in training:
        figures = step((images, labels))
        if on_batch is not None:
            on_batch(int(images.shape[0]))
    if figures is None:
        raise _empty("training")
    trained = {key: float(value) for key, value in figures.items()}
    checked = model.evaluate(validation, verbose=0, return_dict=True)
    if not checked:
        raise _empty("validation")
    if not math.isfinite(trained["loss"]) or not math.isfinite(checked["loss"]):
        raise ExperimentError(
            f"the loss is no number any more in epoch {number}; lower the learning rate, and check "
            "the range of the images."
        )
    return TrainingEpoch(
        epoch=number,
        accuracy=trained["accuracy"],
        loss=trained["loss"],
        validation_accuracy=float(checked["accuracy"]),
        validation_loss=float(checked["loss"]),
    )


def _save(manager: Any, folder: Path, history: tuple[TrainingEpoch, ...]) -> None:
    """History first, weights second: a kill in between repeats the epoch, and loses nothing."""
    write_atomically(folder / HISTORY_NAME, _HISTORY.dump_json(history, indent=1) + b"\n")
    try:
        manager.save(checkpoint_number=len(history))
    except tf.errors.OpError as exc:
        raise OutputError(
            f"{folder / CHECKPOINTS_NAME} cannot be written (disk full?); make room and run the "
            "same command again."
        ) from exc


@contextlib.contextmanager
def _training_errors(number: int) -> Iterator[None]:
    """Name what can go wrong inside TensorFlow in the user's terms."""
    try:
        with dataset_errors():
            yield
    except tf.errors.ResourceExhaustedError as exc:
        raise ExperimentError(
            f"memory ran out in epoch {number}; use a smaller batch size or smaller images."
        ) from exc
    except tf.errors.InvalidArgumentError as exc:
        raise ConventionError(
            "a training or validation sample has a label the model has no output for, or an image "
            "of another size; prepare the data for this model."
        ) from exc


def _empty(role: str) -> DatasetError:
    return DatasetError(f"the {role} set is empty; give it at least one image.")


def _damaged(path: Path) -> ExperimentError:
    return ExperimentError(
        f"{path} is damaged or missing; delete {path.name} and what stands beside it to train anew."
    )
