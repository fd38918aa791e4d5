"""From a face's crop to the label, with resize and grey as steps of their own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fer_opt.convention import InputConvention
from fer_opt.data.pipeline import prepare
from fer_opt.data.preprocessing import INTERPOLATIONS
from fer_opt.errors import ConventionError
from fer_opt.flatbuffer import read_convention
from fer_opt.interpreter import Classifier, probabilities_of

__all__ = ["SeparateSteps"]

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class SeparateSteps:
    """The thesis's order: crop, resize to the model's input, then grey and a float tensor.

    Attributes:
        convention: what the model expects.
        labels: of its outputs.
    """

    def __init__(
        self, model: Path, *, threads: int = 1, stated: InputConvention | None = None
    ) -> None:
        """Load the classifier.

        Args:
            model: any .tflite variant.
            threads: of LiteRT.
            stated: what the model expects; None believes what the file says of itself.

        Raises:
            ModelError: no TFLite model, damaged, or no image classifier.
            ConventionError: the file does not say what it expects and nobody stated it, or what
                was stated does not fit.
        """
        self._classifier = Classifier(model, threads=threads)
        convention = stated or read_convention(model)
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
        self.labels = convention.labels
        self._size = (convention.width, convention.height)
        self._flag = INTERPOLATIONS[convention.interpolation]

    def resize(self, crop: Pixels) -> Pixels:
        """The crop in the model's size; as it is where the model's preprocessing comes first."""
        if self.convention.preprocessing:
            return crop
        return cv2.resize(crop, self._size, interpolation=self._flag)  # type: ignore[return-value]

    def to_tensor(self, face: Pixels) -> Floats:
        """(1, height, width, channels) float32: grey or RGB, in the model's range."""
        return prepare(face, self.convention)[np.newaxis]

    def classify(self, tensor: Floats) -> Floats:
        """Probability of each label."""
        return probabilities_of(self._classifier.predict(tensor))[0]  # type: ignore[no-any-return]
