"""A face's crop to the label in one step: the file resizes, greys and scales it itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_opt.errors import ModelError
from fer_opt.flatbuffer import read_convention, read_tflite
from fer_opt.interpreter import dequantize, open_interpreter, probabilities_of

__all__ = ["CropClassifier"]

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class CropClassifier:
    """A .tflite file that takes 8-bit pixels of a face, of any size.

    Attributes:
        path: of the file.
        convention: what it makes of the pixels, and what its outputs are called.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """Load ``path``.

        Args:
            path: made by a recipe that ends in ``input=crop``.
            threads: of LiteRT.

        Raises:
            ModelError: no TFLite model, damaged, or it takes no crops.
        """
        content = read_tflite(path)
        convention = read_convention(path)
        if convention is None or convention.input != "crop":
            raise ModelError(
                f"{path} takes no crops, its preprocessing is not inside; convert the model again "
                'with a recipe that ends in input=crop, such as "int8(input=crop)".'
            )
        self.path, self.convention = path, convention
        self._interpreter = open_interpreter(
            path, content, threads=threads, advice="convert the model again"
        )
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self._shape = tuple(map(int, self._input["shape"]))
        labels = int(self._output["shape"][-1])
        if labels != len(convention.labels):
            raise ModelError(
                f"{path} has {labels} outputs and says that they are {len(convention.labels)} "
                "labels; convert the model again."
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the outputs, in the order of probabilities."""
        return self.convention.labels

    def classify(self, crop: Pixels) -> Floats:
        """Probability of each label (labels,), for uint8 RGB pixels (h, w, 3).

        Raises:
            ModelError: the crop is empty, or not of that kind.
        """
        return probabilities_of(self.outputs(crop)[np.newaxis])[0]  # type: ignore[no-any-return]

    def outputs(self, crop: Pixels) -> Floats:
        """What the file itself says (labels,), dequantized; not every file ends in a softmax.

        A crop of another size than the one before has LiteRT plan its memory anew, which costs a
        tenth of a millisecond; XNNPACK's kernels and weights stay.

        Raises:
            ModelError: the crop is empty, or not of that kind.
        """
        if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or not crop.size:
            raise ModelError(
                f"{self.path} cannot classify a crop of {crop.dtype} {crop.shape}; give 8-bit RGB "
                "pixels (height, width, 3) of at least one pixel."
            )
        shape = (1, *crop.shape)
        try:
            if shape != self._shape:
                self._interpreter.resize_tensor_input(self._input["index"], shape)
                self._interpreter.allocate_tensors()
                self._shape = shape
            self._interpreter.set_tensor(self._input["index"], crop[np.newaxis])
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as exc:
            raise ModelError(
                f"{self.path} cannot classify a crop of {crop.shape[1]}x{crop.shape[0]} pixels "
                f"({' '.join(str(exc).split())[:200]}); give a smaller one."
            ) from exc
        return dequantize(self._interpreter.get_tensor(self._output["index"]), self._output)[0]  # type: ignore[no-any-return]
