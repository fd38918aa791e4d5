"""What every face detector gives: boxes within the pixels it was shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Box", "Detector", "Face", "clip", "crop", "iou"]

Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face found: its box in pixels of the image searched, and how sure the detector is.

    ``score`` is a probability; None where the detector gives none (Haar's cascade).
    """

    left: float
    top: float
    width: float
    height: float
    score: float | None = None

    def scaled(self, x: float, y: float) -> Face:
        """The same face in an image ``x`` times as wide and ``y`` times as high."""
        return Face(self.left * x, self.top * y, self.width * x, self.height * y, self.score)


class Detector(Protocol):
    """Finds faces."""

    @property
    def way(self) -> str:
        """How, in words."""
        ...

    def find(self, pixels: npt.NDArray[np.uint8]) -> tuple[Face, ...]:
        """Faces in ``pixels`` (uint8 (h, w, 3) RGB), from left to right."""
        ...


def clip(face: Face, width: int, height: int) -> Box:
    """The face's box in whole pixels, inside an image of ``width`` x ``height``."""
    left, top = max(round(face.left), 0), max(round(face.top), 0)
    right = min(round(face.left + face.width), width)
    bottom = min(round(face.top + face.height), height)
    return (left, top, max(right - left, 0), max(bottom - top, 0))


def crop(pixels: npt.NDArray[np.uint8], box: Box) -> npt.NDArray[np.uint8]:
    """The part of ``pixels`` inside ``box``, a view."""
    left, top, width, height = box
    return pixels[top : top + height, left : left + width]


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
