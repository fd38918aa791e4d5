"""Image files in, 8-bit pixels out; a damaged file is an error, never half a picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, ImageOps, UnidentifiedImageError
from PIL import Image as PillowImage

from fer_opt.data.dataset import BadSampleError, Image
from fer_opt.errors import first_line

__all__ = ["IMAGE_SUFFIXES", "MOST_PIXELS", "crop", "decode", "decode_shrunk"]

IMAGE_SUFFIXES = frozenset((
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
    ".ppm", ".tif", ".tiff", ".webp",
))  # fmt: skip


MOST_PIXELS = 2 * (PillowImage.MAX_IMAGE_PIXELS or 0)
"""Beyond it (179 million) Pillow takes an image for an attack on memory; below, it only warns."""


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
    return decode_shrunk(path, where)[0]


def decode_shrunk(path: Path, where: str, side: int | None = None) -> tuple[Image, tuple[int, int]]:
    """As :func:`decode`, with the upright image's full width and height.

    Args:
        path: the file.
        where: what an error calls it.
        side: shrink both sides by 8, 4 or 2, as long as the longest keeps so many pixels; None
            does not shrink. A JPEG is decoded smaller in the first place.

    Raises:
        BadSampleError: missing, of more than ``MOST_PIXELS``, no image, truncated or damaged.
    """
    try:
        with _opened(path) as file:
            size = file.size
            factor = _factor(size, side)
            if factor > 1:
                file.draft("RGB", (max(size[0] // factor, 1), max(size[1] // factor, 1)))
            file.load()  # strict: Pillow raises on a truncated file
            drafted = file.size != size
            turned = file.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
            ImageOps.exif_transpose(file, in_place=True)
            pixels = _pixels(file)
            if factor > 1 and not drafted:
                pixels = np.asarray(PillowImage.fromarray(pixels).reduce(factor))
            return pixels, (size[1], size[0]) if turned else size
    except FileNotFoundError as exc:
        raise BadSampleError(where, "is missing") from exc
    except IsADirectoryError as exc:
        raise BadSampleError(where, "is a folder") from exc
    except PermissionError as exc:
        raise BadSampleError(where, "may not be read") from exc
    except PillowImage.DecompressionBombError as exc:
        limit = f"{MOST_PIXELS / 1e6:.0f} million pixels"
        raise BadSampleError(where, f"has more than the {limit} that fit in memory") from exc
    except MemoryError as exc:
        raise BadSampleError(where, "does not fit in memory") from exc
    except UnidentifiedImageError as exc:
        empty = path.stat().st_size == 0
        what = "is empty" if empty else "is no image in any format Pillow knows"
        raise BadSampleError(where, what) from exc
    except Exception as exc:  # damaged files make Pillow's plugins raise nearly anything
        raise BadSampleError(where, f"is a damaged image ({first_line(exc)[:200]})") from exc


def crop(image: Image, box: tuple[int, int, int, int]) -> Image:
    """The part of ``image`` inside ``box`` (left, top, width, height), clipped to the image.

    Empty (a side of 0 pixels) when the box lies outside.
    """
    left, top, width, height = box
    return image[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]


def _opened(path: Path) -> PillowImage.Image:
    with warnings.catch_warnings():
        # Phones take photos of more than the 89 million pixels that Pillow warns of.
        warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)
        return PillowImage.open(path)


def _factor(size: tuple[int, int], side: int | None) -> int:
    if side is None:
        return 1
    return next((factor for factor in (8, 4, 2) if max(size) // factor >= side), 1)


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
