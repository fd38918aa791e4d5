"""Image files in, 8-bit pixels out; a damaged file is an error, never half a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from fer_opt.data.dataset import BadSampleError, Image

__all__ = ["IMAGE_SUFFIXES", "crop", "decode"]

IMAGE_SUFFIXES = frozenset((
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
    ".ppm", ".tif", ".tiff", ".webp",
))  # fmt: skip


def decode(path: Path, where: str) -> Image:
    """Pixels of an image file, upright as its EXIF orientation says.

    Grey images come as (h, w), all others as (h, w, 3) RGB. Sixteen bits are scaled down to eight,
    CMYK, palettes and the like become RGB, and transparent pixels show white beneath. Of an
    animation the first picture is taken.

    Args:
        path: the file.
        where: what an error calls it.

    Raises:
        BadSampleError: missing, no image, truncated or damaged.
    """
    try:
        with PillowImage.open(path) as file:
            file.load()  # strict: Pillow raises on a truncated file
            return _pixels(ImageOps.exif_transpose(file))
    except FileNotFoundError as exc:
        raise BadSampleError(where, "is missing") from exc
    except UnidentifiedImageError as exc:
        raise BadSampleError(where, "is no image in any format Pillow knows") from exc
    except Exception as exc:  # damaged files make Pillow's plugins raise nearly anything
        raise BadSampleError(where, f"is a damaged image ({_first_line(exc)})") from exc


def crop(image: Image, box: tuple[int, int, int, int]) -> Image:
    """The part of ``image`` inside ``box`` (left, top, width, height), clipped to the image.

    Empty (a side of 0 pixels) when the box lies outside.
    """
    left, top, width, height = box
    return image[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]


def _pixels(image: PillowImage.Image) -> Image:
    if image.mode.startswith("I"):
        return _eight_bits(np.asarray(image))
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        page = PillowImage.new("RGBA", layer.size, "white")
        image = PillowImage.alpha_composite(page, layer).convert(
            "L" if image.mode in ("LA", "La", "L", "1") else "RGB"
        )
    elif image.mode in ("1", "L"):
        image = image.convert("L")
    else:
        image = image.convert("RGB")
    return np.array(image, dtype=np.uint8)


def _eight_bits(pixels: npt.NDArray[Any]) -> Image:
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError("its pixels exceed 16 bits")
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _first_line(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0][:200]
