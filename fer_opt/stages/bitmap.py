"""The first stage: a photo's file in, upright RGB pixels out, all of them or fewer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from fer_opt.data.images import decode_shrunk
from fer_opt.stages.faces import Box, Face, clip

__all__ = ["Bitmap", "BitmapReader", "FullDecode", "ScaledDecode"]

Pixels = npt.NDArray[np.uint8]
"""(height, width, 3) RGB."""


@dataclass(frozen=True, slots=True)
class Bitmap:
    """A decoded photo.

    Attributes:
        pixels: uint8 (h, w, 3) RGB, upright.
        width: of the upright photo at full size, in pixels.
        height: of the upright photo at full size, in pixels.
    """

    pixels: Pixels
    width: int
    height: int

    def upright_box(self, face: Face) -> Box:
        """The box, in pixels of the upright photo at full size, of a face found in ``pixels``."""
        x, y = self.width / self.pixels.shape[1], self.height / self.pixels.shape[0]
        return clip(face.scaled(x, y), self.width, self.height)


class BitmapReader(Protocol):
    """Decodes photos."""

    @property
    def way(self) -> str:
        """How, in words."""
        ...

    def read(self, photo: Path) -> Bitmap:
        """The photo's pixels, upright.

        Raises:
            BadSampleError: missing, too large, no image, truncated or damaged.
        """
        ...


@dataclass(frozen=True, slots=True)
class FullDecode:
    """Every pixel of the photo."""

    way: str = "full decode"

    def read(self, photo: Path) -> Bitmap:
        """See :class:`BitmapReader`."""
        return _read(photo, None)


@dataclass(frozen=True, slots=True)
class ScaledDecode:
    """Half, a quarter or an eighth of each side, with at least ``side`` pixels along the longest.

    A JPEG decoder computes fewer pixels then (from the low frequencies of each 8x8 block alone,
    libjpeg's scale_denom); other formats are decoded in full and averaged.
    """

    side: int

    @property
    def way(self) -> str:
        """How, in words."""
        return f"scaled decode, at least {self.side} px"

    def read(self, photo: Path) -> Bitmap:
        """See :class:`BitmapReader`."""
        return _read(photo, self.side)


def _read(photo: Path, side: int | None) -> Bitmap:
    pixels, (width, height) = decode_shrunk(photo, str(photo), side)
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)  # type: ignore[assignment]
    return Bitmap(pixels, width, height)
