"""A trained image classifier, whichever Keras it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf
from fer_opt.errors import ModelError
from fer_opt.reports.record import ModelFacts

__all__ = ["TrainedModel", "classifier_shape", "from_keras"]


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained image classifier, whichever Keras it came from.

    Attributes:
        name: its file's, without the ending, or the model's own.
        source: the file's name, or how the model came to be.
        format: e.g. ``Keras 2 HDF5``.
        sha256: of the file (of JSON and weights, or of all files of a folder, in name order).
        parameters: number of weights, trainable or not.
        input_shape: height, width (None where the model takes any), channels.
        classes: number of outputs.
        network: float32 tensor (n, height, width, channels) in, tensor (n, classes) out, in
            inference mode.
        keras: the Keras model; None for a SavedModel.
    """

    name: str
    source: str
    format: str
    sha256: str
    parameters: int
    input_shape: tuple[int | None, int | None, int]
    classes: int
    network: Callable[[Any], Any]
    keras: Any

    def predict(self, images: npt.NDArray[np.float32], batch: int = 64) -> npt.NDArray[np.float32]:
        """Outputs (n, classes) for ``images`` (n, height, width, channels), in batches."""
        call = tf.function(self.network, reduce_retracing=True)
        parts = [
            np.asarray(call(tf.constant(images[start : start + batch])), dtype=np.float32)
            for start in range(0, len(images), batch)
        ]
        return np.concatenate(parts) if parts else np.empty((0, self.classes), np.float32)

    def facts(self, height: int, width: int) -> ModelFacts:
        """The record's view of the model, at the input size it is used with."""
        return ModelFacts(
            name=self.name,
            source=self.source,
            format=self.format,
            sha256=self.sha256,
            parameters=self.parameters,
            input_shape=(height, width, self.input_shape[2]),
            classes=self.classes,
        )


def from_keras(
    model: Any, *, source: str, format_: str, sha256: str, name: str | None = None
) -> TrainedModel:
    """Wrap a live Keras 2 or Keras 3 model.

    Raises:
        ModelError: it has several inputs or outputs, or is no image classifier.
    """
    if not getattr(model, "built", True) or not getattr(model, "inputs", None):
        raise ModelError(
            f"{source} has no stated input shape; save it again after calling it on an image."
        )
    inputs, outputs = list(model.inputs), list(model.outputs)
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"{source} has {len(inputs)} inputs and {len(outputs)} outputs, so it is no image "
            "classifier; fer-opt takes models with one image in and one row of label scores out."
        )
    shape, classes = classifier_shape(tuple(inputs[0].shape), tuple(outputs[0].shape), source)
    return TrainedModel(
        name=name or str(model.name),
        source=source,
        format=format_,
        sha256=sha256,
        parameters=int(model.count_params()),
        input_shape=shape,
        classes=classes,
        network=lambda images: model(images, training=False),
        keras=model,
    )


def classifier_shape(
    input_shape: tuple[int | None, ...], output_shape: tuple[int | None, ...], source: str
) -> tuple[tuple[int | None, int | None, int], int]:
    """Height, width, channels and classes of a model whose tensors are those of a classifier."""
    classes = output_shape[-1] if len(output_shape) == 2 else None
    channels = input_shape[3] if len(input_shape) == 4 else None
    if channels is None or classes is None or classes < 2:
        raise ModelError(
            f"{source} maps {_shown(input_shape)} to {_shown(output_shape)}, so it is no image "
            "classifier; fer-opt takes (n, height, width, channels) in and (n, labels) out."
        )
    if channels not in (1, 3):
        raise ModelError(
            f"{source} wants {channels} channels; fer-opt feeds grey (1) or RGB (3) images, "
            "channels last."
        )
    return (input_shape[1], input_shape[2], channels), classes


def _shown(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if side is None else str(side) for side in shape) + ")"
