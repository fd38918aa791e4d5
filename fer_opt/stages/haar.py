"""OpenCV's Haar cascade for frontal faces (Viola and Jones 2001), which its wheel ships."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fer_opt.errors import ModelError
from fer_opt.stages.faces import Face

__all__ = ["HaarDetector"]

CASCADE = "haarcascade_frontalface_default.xml"
SCALE_FACTOR = 1.1
"""Step between the sizes searched: OpenCV's default. With 1.2 faces of the built-in scenes go."""
MIN_NEIGHBOURS = 7
"""Overlapping hits a face needs. OpenCV's default of 3 takes more background for faces: of fifty
views of one portrait 5 leaves some with a second face in 240 pixels, 7 none."""
WINDOW = 24
"""Side in pixels of the window the cascade was trained on: no smaller face can be found."""


class HaarDetector:
    """Searches the whole image, or one whose longest side is ``side`` pixels."""

    def __init__(self, *, side: int | None = None, least_face: float = 1 / 64) -> None:
        """Load the cascade.

        Args:
            side: see above.
            least_face: side of the smallest face, as a share of the image's longest side.

        Raises:
            ModelError: the installed OpenCV ships no cascade.
        """
        self.side = side
        self.least_face = least_face
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
        return f"Haar cascade, {where}, faces from {self.least_face:.2g} of its side"

    def find(self, pixels: npt.NDArray[np.uint8]) -> tuple[Face, ...]:
        """See :class:`fer_opt.stages.faces.Detector`."""
        height, width = pixels.shape[:2]
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        if self.side is not None and max(height, width) > self.side:
            zoom = self.side / max(height, width)
            size = (max(round(width * zoom), 1), max(round(height * zoom), 1))
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        least = max(WINDOW, round(self.least_face * max(grey.shape)))
        found = self._cascade.detectMultiScale(
            grey, SCALE_FACTOR, MIN_NEIGHBOURS, minSize=(least, least)
        )
        x, y = width / grey.shape[1], height / grey.shape[0]
        # OpenCV's threads hand faces over in any order.
        return tuple(Face(*map(float, box)).scaled(x, y) for box in sorted(map(tuple, found)))
