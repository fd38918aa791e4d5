"""What a model expects of its input, stated once and used alike everywhere.

Training, calibration, accuracy, timing and the phone all read the same :class:`InputConvention`,
because a mismatch is silent: a representative set in 0-255 for a model that expects 0-1 costs
80 % of the accuracy without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fer_opt.errors import ConventionError

__all__ = [
    "AFFECTNET_LABELS",
    "FER2013_LABELS",
    "InputConvention",
    "InputKind",
    "Interpolation",
    "canonical_label",
    "match_labels",
]

Interpolation = Literal["nearest", "bilinear", "bicubic", "area"]

InputKind = Literal["tensor", "crop"]
"""What is fed: the model's own input, or 8-bit pixels of a face whose preprocessing the file does.
"""

FER2013_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Kaggle's order of the FER2013 labels (thesis Table 1)."""

AFFECTNET_LABELS = (
    "neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt",
)  # fmt: skip
"""AffectNet's order of its eight expressions (thesis Table 2, codes 0 to 7)."""

_SYNONYMS = {
    "angry": "anger",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "disgusted": "disgust",
    "contemptuous": "contempt",
}


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class InputConvention:
    """What a classifier's input tensor holds and what its outputs are called.

    Attributes:
        height: input height in pixels.
        width: input width in pixels.
        channels: 1 (grey) or 3 (RGB).
        low: the value a black pixel (0) becomes.
        high: the value a white pixel (255) becomes.
        labels: name of each output, in the order of the model's outputs.
        interpolation: how an image of another size is resized.
        preprocessing: steps of the thesis's Table 4 such as ``equalize``, ``dog(1, 2)`` or
            ``gamma(0.75)``, applied in this order to the 8-bit image before resizing; what they
            mean is in :mod:`fer_opt.data.preprocessing`.
        guessed: names of the fields nobody stated and fer-opt chose; said aloud wherever shown.
        input: what the file takes: ``tensor`` of float or quantized values as stated above, or a
            ``crop``, uint8 (1, any height, any width, 3) RGB, that it resizes, turns grey and
            scales to them itself.
    """

    height: int
    width: int
    channels: int
    low: float
    high: float
    labels: tuple[str, ...]
    interpolation: Interpolation = "bilinear"
    preprocessing: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()
    input: InputKind = "tensor"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ConventionError(
                f"an input of {self.width}x{self.height} pixels is not an image; give both sides."
            )
        if self.channels not in (1, 3):
            raise ConventionError(
                f"{self.channels} channels are neither grey (1) nor RGB (3); "
                "fer-opt feeds only such models."
            )
        if not self.low < self.high:
            raise ConventionError(
                f"the input range {self.low:g} to {self.high:g} is empty; write it as LOW,HIGH."
            )
        if len(set(self.labels)) != len(self.labels):
            raise ConventionError("two labels have the same name; every output needs its own.")

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (self.height, self.width, self.channels)

    def scale(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Map pixel values 0..255 (any shape) linearly to ``low``..``high`` as float32."""
        span = np.float32((self.high - self.low) / 255.0)
        return images.astype(np.float32) * span + np.float32(self.low)

    def crops(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """The 8-bit RGB pixels (n, h, w, 3) that :meth:`scale` made images (n, h, w, c) of.

        A grey value stands in all three channels; values between two pixels' are rounded.
        """
        steps = (images - np.float32(self.low)) * np.float32(255.0 / (self.high - self.low))
        pixels = np.clip(np.rint(steps), 0, 255).astype(np.uint8)
        return np.broadcast_to(pixels, (*pixels.shape[:-1], 3))


def canonical_label(label: str) -> str:
    """One spelling for each expression: ``Happiness``, ``happy`` and `` HAPPY`` are the same."""
    name = label.strip().lower().replace("_", " ").replace("-", " ")
    return _SYNONYMS.get(name, name)


def match_labels(dataset: Sequence[str], model: Sequence[str]) -> tuple[int, ...]:
    """For each of the dataset's labels, the index of the model's output of that name.

    Raises:
        ConventionError: a label of the dataset is not among the model's.
    """
    where = {canonical_label(name): index for index, name in enumerate(model)}
    missing = [name for name in dataset if canonical_label(name) not in where]
    if missing:
        raise ConventionError(
            f"the data has the label{'s' if len(missing) > 1 else ''} {', '.join(missing)}, "
            f"which the model's labels ({', '.join(model)}) lack; "
            "state the model's labels in the order of its outputs."
        )
    return tuple(where[canonical_label(name)] for name in dataset)
