"""From a face's crop to its label: resize and grey as steps of their own, or inside the file."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from fer_opt.convention import InputConvention
from fer_opt.data.pipeline import prepare
from fer_opt.data.preprocessing import INTERPOLATIONS
from fer_opt.device.stage_timing import StageWay
from fer_opt.errors import ConventionError
from fer_opt.flatbuffer import read_convention, take_census
from fer_opt.interpreter import Classifier, probabilities_of
from fer_opt.stages.clock import Laps
from fer_opt.stages.crop_classifier import CropClassifier

__all__ = ["FusedSteps", "SeparateSteps", "Steps", "open_steps"]

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

RUNNER = "Python"


class Steps(Protocol):
    """The stages ``resize``, ``grey`` and ``classify``."""

    @property
    def convention(self) -> InputConvention:
        """What the classifier expects and what its outputs are called."""
        ...

    @property
    def ways(self) -> tuple[StageWay, StageWay, StageWay]:
        """How each of the three is carried out."""
        ...

    def classify(self, crop: Pixels, laps: Laps) -> Floats:
        """Probability of each label, for uint8 (h, w, 3) RGB of at least one pixel."""
        ...


def open_steps(model: Path, *, threads: int, stated: InputConvention | None = None) -> Steps:
    """Load the classifier.

    Args:
        model: any .tflite variant; one that takes crops does the other two steps itself.
        threads: of LiteRT.
        stated: what the model expects; None believes what the file says of itself.

    Raises:
        ModelError: no TFLite model, damaged, or no image classifier.
        ConventionError: the file does not say what it expects and nobody stated it, or what was
            stated does not fit.
    """
    convention = read_convention(model)
    if convention is not None and convention.input == "crop":
        return FusedSteps(model, threads=threads)
    return SeparateSteps(model, stated or convention, threads=threads)


class SeparateSteps:
    """The thesis's order: crop, resize to the model's input, then grey and a float tensor."""

    def __init__(self, model: Path, convention: InputConvention | None, *, threads: int) -> None:
        """Load the classifier; see :func:`open_steps`."""
        self._classifier = Classifier(model, threads=threads)
        if convention is None:
            raise ConventionError(
                f"{model} does not say what its input holds and what its outputs are called; state "
                "its range and labels, or convert the Keras model with fer-opt."
            )
        if convention.input_shape != self._classifier.input_shape:
            raise ConventionError(
                f"{model} takes {self._classifier.input_shape} (height, width, channels), not the "
                f"stated {convention.input_shape}; state what it takes."
            )
        if len(convention.labels) != self._classifier.classes:
            raise ConventionError(
                f"{model} has {self._classifier.classes} outputs, not the stated "
                f"{len(convention.labels)} labels; state one label for each."
            )
        self.convention = convention
        self._kind = _kind(model)
        self._size = (convention.width, convention.height)
        self._flag = INTERPOLATIONS[convention.interpolation]

    @property
    def ways(self) -> tuple[StageWay, StageWay, StageWay]:
        """See :class:`Steps`."""
        colour = "grey" if self.convention.channels == 1 else "RGB"
        return (
            StageWay("resize", f"crop, {self.convention.interpolation}", RUNNER),
            StageWay("grey", f"{colour}, float tensor", RUNNER),
            StageWay("classify", self._kind, RUNNER),
        )

    def classify(self, crop: Pixels, laps: Laps) -> Floats:
        """See :class:`Steps`."""
        # The model's own preprocessing comes before its resize, so "grey" does both then.
        if not self.convention.preprocessing:
            crop = cv2.resize(crop, self._size, interpolation=self._flag)  # type: ignore[assignment]
        laps.lap("resize")
        tensor = prepare(crop, self.convention)[np.newaxis]
        laps.lap("grey")
        probabilities = probabilities_of(self._classifier.predict(tensor))[0]
        laps.lap("classify")
        return probabilities  # type: ignore[no-any-return]


class FusedSteps:
    """All three in the classifier's graph, from 8-bit pixels of any size."""

    def __init__(self, model: Path, *, threads: int) -> None:
        """Load the classifier; see :func:`open_steps`."""
        self._classifier = CropClassifier(model, threads=threads)
        self.convention = self._classifier.convention
        self._kind = _kind(model)

    @property
    def ways(self) -> tuple[StageWay, StageWay, StageWay]:
        """See :class:`Steps`."""
        return (
            StageWay("resize", "in the classifier's graph", RUNNER, within="classify"),
            StageWay("grey", "in the classifier's graph", RUNNER, within="classify"),
            StageWay("classify", f"{self._kind}, takes the crop", RUNNER),
        )

    def classify(self, crop: Pixels, laps: Laps) -> Floats:
        """See :class:`Steps`."""
        probabilities = self._classifier.classify(crop)
        laps.lap("classify")
        return probabilities


WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators that do nearly all of the work."""


def _kind(model: Path) -> str:
    """``float`` or ``integer`` arithmetic, or both, as the operators with weights say."""
    census = take_census(model)
    total = sum(census.operators.get(name, 0) for name in WEIGHTED)
    floats = sum(census.float_operators.get(name, 0) for name in WEIGHTED)
    if not floats:
        return "integer"
    return "float" if floats == total else "float and integer"
