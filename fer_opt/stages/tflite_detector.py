"""A face detector from a .tflite file the user has, of a layout that is understood."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from fer_opt.device.host_worker import quantize
from fer_opt.errors import ModelError, first_line
from fer_opt.flatbuffer import outputs_of, read_tflite
from fer_opt.interpreter import dequantize, open_interpreter
from fer_opt.stages.blazeface import (
    COORDINATES,
    LAYOUTS,
    Layout,
    anchors_of,
    decode_boxes,
    probabilities_of_scores,
)
from fer_opt.stages.faces import Face
from fer_opt.stages.suppression import weighted_suppression

__all__ = ["TfliteDetector"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

POST_PROCESS = "TFLite_Detection_PostProcess"
LEAST_SCORE = 0.5
"""MediaPipe's ``min_score_thresh`` of the short range."""
MOST_OVERLAP = 0.3
"""MediaPipe's ``min_suppression_threshold``."""
LOW, HIGH = -1.0, 1.0
"""Range of a float input, MediaPipe's and the TensorFlow detection models'."""


class TfliteDetector:
    """BlazeFace, or a network that ends in ``TFLite_Detection_PostProcess``.

    Attributes:
        path: of the file.
        side: the longer side of its input in pixels.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """Load the file, run it once, and see what it gives.

        Raises:
            ModelError: no TFLite model, damaged, or of another layout.
        """
        self.path = path
        self._interpreter = open_interpreter(
            path,
            read_tflite(path),
            threads=threads,
            advice="give a detector of built-in operators only",
        )
        details = self._interpreter.get_input_details()
        shape = tuple(map(int, details[0]["shape"])) if details else ()
        if len(details) != 1 or len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
            raise ModelError(
                f"{path} takes {len(details)} inputs, the first of shape {shape}; a face detector "
                "takes one RGB image, (1, height, width, 3)."
            )
        self._input = details[0]
        self._size = (shape[2], shape[1])
        self.side = max(self._size)
        # Some files tell the shapes of their outputs only once they have run.
        try:
            self._run(np.zeros((shape[1], shape[2], 3), np.uint8))
        except (ValueError, RuntimeError) as exc:
            raise ModelError(
                f"{path} cannot be run on 8-bit or float pixels ({first_line(exc)[:200]}); give a "
                "detector that takes them."
            ) from exc
        self._details = self._interpreter.get_output_details()
        self._head: _Head
        order = outputs_of(path, POST_PROCESS)
        if len(order) == 4 and {one["index"] for one in self._details} == set(order):
            # Exporters shuffle the model's outputs; the operator's own order is fixed.
            self._details.sort(key=lambda one: order.index(one["index"]))
            self._head = _PostProcessed()
        else:
            self._head = _blazeface(path, self._size, [one.shape for one in self._outputs()])

    @property
    def way(self) -> str:
        """How, in words."""
        return f"{self._head.name}, {self._size[0]}x{self._size[1]}"

    def find(self, pixels: Pixels) -> tuple[Face, ...]:
        """See :class:`fer_opt.stages.faces.Detector`."""
        fitted, x, y, left, top = _fit(pixels, self._size, keep_aspect=self._head.keep_aspect)
        self._run(fitted)
        boxes, scores = self._head.boxes(self._outputs())
        width, height = self._size
        faces = [
            Face(
                (box[0] * width - left) / x,
                (box[1] * height - top) / y,
                (box[2] - box[0]) * width / x,
                (box[3] - box[1]) * height / y,
                float(score),
            )
            for box, score in zip(boxes.astype(float), scores, strict=True)
            if np.isfinite(box).all()
        ]
        return tuple(sorted(faces, key=lambda face: (face.left, face.top)))

    def tensor(self, pixels: Pixels) -> Floats:
        """What a float detector is fed for ``pixels``: float32 (height, width, 3), -1 to 1."""
        return _scaled(_fit(pixels, self._size, keep_aspect=self._head.keep_aspect)[0])

    def _run(self, image: Pixels) -> None:
        values: npt.NDArray[Any] = image[np.newaxis]
        if np.dtype(self._input["dtype"]).kind == "f" or self._input["quantization"][0]:
            values = quantize(_scaled(values), self._input)
        self._interpreter.set_tensor(self._input["index"], values)
        self._interpreter.invoke()

    def _outputs(self) -> list[Floats]:
        read = self._interpreter.get_tensor
        return [dequantize(read(one["index"]), one) for one in self._details]


def _scaled(pixels: Pixels) -> Floats:
    span = np.float32((HIGH - LOW) / 255)
    return pixels.astype(np.float32) * span + np.float32(LOW)


class _Head(Protocol):
    """Makes boxes of outputs."""

    @property
    def name(self) -> str:
        """Of the layout."""
        ...

    @property
    def keep_aspect(self) -> bool:
        """Whether the image goes in unstretched, with a border."""
        ...

    def boxes(self, outputs: list[Floats]) -> tuple[Floats, Floats]:
        """Left, top, right, bottom (n, 4), 0 to 1 of the input, and scores (n,)."""
        ...


class _BlazeFace:
    keep_aspect = True

    def __init__(self, layout: Layout, regressors: int) -> None:
        self.name = f"BlazeFace {layout.name}"
        self._layout = layout
        self._regressors = regressors
        self._anchors = anchors_of(layout)

    def boxes(self, outputs: list[Floats]) -> tuple[Floats, Floats]:
        raw, scored = outputs[self._regressors][0], outputs[1 - self._regressors][0, :, 0]
        scores = probabilities_of_scores(scored)
        sure = scores >= LEAST_SCORE
        found = decode_boxes(raw[sure], self._anchors[sure], self._layout.side)
        whole = np.isfinite(found).all(axis=1)  # one would spoil the means of the others
        return weighted_suppression(found[whole], scores[sure][whole], MOST_OVERLAP)


class _PostProcessed:
    """Boxes, classes, scores and their count; it has suppressed already."""

    name = "TFLite detector"
    keep_aspect = False

    def boxes(self, outputs: list[Floats]) -> tuple[Floats, Floats]:
        found, classes, scores, counted = (output[0] for output in outputs)
        count = int(counted)
        # A face detector has one class; of several, the first is taken for it.
        sure = (scores[:count] >= LEAST_SCORE) & (classes[:count] == 0)
        # From top, left, bottom, right.
        return found[:count][sure][:, (1, 0, 3, 2)], scores[:count][sure]


def _blazeface(path: Path, size: tuple[int, int], shapes: list[tuple[int, ...]]) -> _BlazeFace:
    for layout in LAYOUTS:
        wanted = [(1, layout.anchors, COORDINATES), (1, layout.anchors, 1)]
        if size == (layout.side, layout.side) and sorted(shapes) == sorted(wanted):
            return _BlazeFace(layout, shapes.index(wanted[0]))
    known = ", ".join(f"{one.side}x{one.side} with {one.anchors} anchors" for one in LAYOUTS)
    raise ModelError(
        f"{path} takes {size[0]}x{size[1]} pixels and gives {', '.join(map(str, shapes))}, which "
        f"is no detector fer-opt understands; give a BlazeFace ({known}) or one that ends in "
        f"{POST_PROCESS}."
    )


def _fit(
    pixels: Pixels, size: tuple[int, int], *, keep_aspect: bool
) -> tuple[Pixels, float, float, int, int]:
    """The image in the input's size, its zoom along x and y, and the black border left and above.

    With its aspect kept it stands in the middle, as MediaPipe's ImageToTensorCalculator puts it.
    """
    height, width = pixels.shape[:2]
    wide, high = size
    if keep_aspect:
        zoom = min(size[0] / width, size[1] / height)
        wide, high = max(round(width * zoom), 1), max(round(height * zoom), 1)
    shrinks = wide < width or high < height
    flag = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    inner = cv2.resize(pixels, (wide, high), interpolation=flag)
    left, top = (size[0] - wide) // 2, (size[1] - high) // 2
    whole = np.zeros((size[1], size[0], 3), np.uint8)
    whole[top : top + high, left : left + wide] = inner
    return whole, wide / width, high / height, left, top
