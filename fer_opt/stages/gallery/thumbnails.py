"""Small pictures of photos, as text that a page can hold."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PillowImage

from fer_opt.data.dataset import BadSampleError
from fer_opt.data.images import decode_shrunk

__all__ = ["Thumbnail", "make_thumbnail", "side_for"]

QUALITY = 78
LONGEST = 2
"""A panorama's thumbnail is at most this many times as long as that of other photos is high."""

SIDES = ((100, 480), (400, 320))
LEAST_SIDE = 224


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture for a page.

    Attributes:
        address: a ``data:`` address that holds a JPEG.
        width: in pixels.
        height: in pixels.
    """

    address: str
    width: int
    height: int


def side_for(photos: int) -> int:
    """Short side of thumbnails in pixels; less where there are many, for the page's sake."""
    return next((side for most, side in SIDES if photos <= most), LEAST_SIDE)


def make_thumbnail(photo: Path, side: int) -> Thumbnail | None:
    """The upright photo, its short side ``side`` pixels or fewer; None where it cannot be read."""
    try:
        pixels, _ = decode_shrunk(photo, photo.name, side * LONGEST)
    except BadSampleError:
        return None
    image = PillowImage.fromarray(pixels)
    shrink = min(1.0, side / min(image.size), side * LONGEST / max(image.size))
    if shrink < 1:
        size = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
        image = image.resize(size, PillowImage.Resampling.LANCZOS, reducing_gap=3.0)
    target = io.BytesIO()
    image.save(target, "JPEG", quality=QUALITY, optimize=True)
    text = base64.b64encode(target.getbuffer()).decode("ascii")
    return Thumbnail(f"data:image/jpeg;base64,{text}", image.width, image.height)
