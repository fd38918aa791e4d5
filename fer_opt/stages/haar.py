"""OpenCV's Haar cascade for frontal faces (Viola and Jones 2001), which its wheel ships."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fer_opt.errors import ModelError
from fer_opt.stages.faces import Face

__all__ = ["HaarDetector"]

CASCADE = "haarcascade_frontalface_default.xml"
SCALE_FACTOR = 1.1
"""Step between the sizes searched: OpenCV's default."""
MIN_NEIGHBOURS = 5
"""Overlapping hits a face needs; OpenCV's default of 3 takes more background for faces."""
LEAST_SHARE = 0.1
"""Side of the smallest face sought, of the image's shorter side."""
WINDOW = 24
"""Side in pixels of the window the cascade was trained on: no smaller face can be found."""


class HaarDetector:
    """Searches the whole image, or one whose longest side is ``side`` pixels."""

    def __init__(self, *, side: int | None = None) -> None:
        """Load the cascade.

        Raises:
            ModelError: the installed OpenCV ships no cascade.
        """
        self.side = side
        path = Path(cv2.__file__).parent / "data" / CASCADE
        self._cascade = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise ModelError(
                f"{path} is missing or damaged: this OpenCV ({cv2.__version__}) ships no Haar "
                "cascade; install opencv-python-headless below 5, or name a TFLite detector."
            )

    @property
    def way(self) -> str:
        """How, in words."""
        where = "whole photo" if self.side is None else f"image of {self.side} px"
        return f"Haar cascade, {where}"

    def find(self, pixels: npt.NDArray[np.uint8]) -> tuple[Face, ...]:
        """See :class:`fer_opt.stages.faces.Detector`."""
        height, width = pixels.shape[:2]
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        longest = max(height, width)
        if self.side is not None and longest > self.side:
            shrunk = (
                max(round(width * self.side / longest), 1),
                max(round(height * self.side / longest), 1),
            )
            grey = cv2.resize(grey, shrunk, interpolation=cv2.INTER_AREA)
        least = max(WINDOW, math.floor(LEAST_SHARE * min(grey.shape)))
        found = self._cascade.detectMultiScale(
            grey, SCALE_FACTOR, MIN_NEIGHBOURS, minSize=(least, least)
        )
        x, y = width / grey.shape[1], height / grey.shape[0]
        # OpenCV's threads hand faces over in any order.
        return tuple(Face(*map(float, box)).scaled(x, y) for box in sorted(map(tuple, found)))
