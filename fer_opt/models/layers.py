"""The pieces the thesis's own architectures are made of.

What the parameter counts of Table 5 give away (its figures are not in the text): every
convolution is 3x3 with same padding; batch normalization follows each convolution's ReLU, and one
more stands between the last dense layer and the softmax.

Pools are same-padded, which changes nothing at 224 pixels and keeps odd sizes from losing a row.
"""

from __future__ import annotations

from typing import Any

from fer_opt.backend import tf_keras

__all__ = [
    "FIRST_DROPOUT",
    "LAST_DROPOUT",
    "NORMALIZATION_MOMENTUM",
    "convolution",
    "dropout",
    "head",
    "image_input",
    "label_output",
    "normalization",
    "pool",
]

FIRST_DROPOUT = 0.25
"""Section 3.2.2: in "the first part of the convolutional layer"."""

LAST_DROPOUT = 0.5
"""Section 3.2.2: "at the last layers"; also of the one between the dense layers."""

NORMALIZATION_MOMENTUM = 0.9
"""Of the moving statistics. Keras's 0.99 remembers some hundred batches, more than a small dataset
has in an epoch: the statistics of xcao's layers then trail the weights so far that a model right
63 % of the time in training was right 24 % of the time in use (4,000 faces, epoch 7)."""


def image_input(shape: tuple[int, int, int]) -> Any:
    """The input ``image``: (n, height, width, channels), float32."""
    return tf_keras.Input(shape, name="image", dtype="float32")


def convolution(tensor: Any, channels: int, name: str, *, normalize: bool = True) -> Any:
    """3x3 convolution, same padding, ReLU; then batch normalization, as section 3.2.2 puts it."""
    tensor = tf_keras.layers.Conv2D(
        channels, 3, padding="same", activation="relu", name=f"{name}_conv"
    )(tensor)
    if not normalize:
        return tensor
    return normalization(tensor, f"{name}_bn")


def normalization(tensor: Any, name: str) -> Any:
    """Batch normalization; 4 parameters a channel."""
    return tf_keras.layers.BatchNormalization(momentum=NORMALIZATION_MOMENTUM, name=name)(tensor)


def pool(tensor: Any, name: str, factor: int = 2) -> Any:
    """Max pool that divides both sides by ``factor``, rounding up."""
    return tf_keras.layers.MaxPooling2D(factor, padding="same", name=f"{name}_pool")(tensor)


def dropout(tensor: Any, rate: float, name: str) -> Any:
    """Dropout, active in training only."""
    return tf_keras.layers.Dropout(rate, name=f"{name}_dropout")(tensor)


def head(tensor: Any, units: int, classes: int, *, enhanced: bool = True) -> Any:
    """Flatten, a dense layer of ``units``, one of ``classes``, softmax.

    ``enhanced`` adds section 3.2.2's dropout between the dense layers and its batch normalization
    before the softmax (4 parameters a label).
    """
    tensor = tf_keras.layers.Flatten(name="features")(tensor)
    tensor = tf_keras.layers.Dense(units, activation="relu", name="dense")(tensor)
    if enhanced:
        tensor = dropout(tensor, LAST_DROPOUT, "dense")
    tensor = tf_keras.layers.Dense(classes, name="logits")(tensor)
    if enhanced:
        tensor = normalization(tensor, "logits_bn")
    return label_output(tensor)


def label_output(tensor: Any) -> Any:
    """The output ``label``: softmax over (n, classes), float32."""
    return tf_keras.layers.Activation("softmax", name="label", dtype="float32")(tensor)
