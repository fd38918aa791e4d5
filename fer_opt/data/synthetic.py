"""Built-in synthetic faces: eight expressions, drawn when they are read, from a seed and a number.

They need no download and no licence, and stand in for a real dataset wherever what matters is how
a model fares after compression. They are no substitute for photographs: a model trained on them
recognises drawings.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from random import Random

import cv2
import numpy as np
import numpy.typing as npt

from fer_opt.convention import AFFECTNET_LABELS
from fer_opt.data.dataset import Dataset, Image, NoSuchSplitError, Sample
from fer_opt.data.faces import face_shapes
from fer_opt.data.muscles import draw_muscles
from fer_opt.data.shapes import Shape, outlines
from fer_opt.data.spec import DataSpec, canonical_split
from fer_opt.errors import DatasetError

__all__ = ["SIDE", "draw_face", "draw_shapes", "open_synthetic", "person"]

SIDE = 48
"""Default side in pixels, FER2013's."""

_LABELS = len(AFFECTNET_LABELS)
_STREAMS = {None: 0, "train": 1, "validation": 2, "test": 3}
_FIXED_POINT_BITS = 4
_SUPERSAMPLED_BELOW = 128

# Difficulty, tuned so that a small CNN trained on a few thousand faces gets about nine in ten
# right: how strongly an expression is shown, and how much a face moves without meaning anything.
_STRENGTH = {
    "neutral": (1.0, 1.0),
    "happy": (0.65, 1.3),
    "sad": (0.65, 1.3),
    "surprise": (0.65, 1.3),
    "fear": (0.65, 1.3),
    "disgust": (0.4, 1.0),
    "anger": (0.65, 1.3),
    "contempt": (0.45, 1.3),
}
_UNREST = 0.09


def open_synthetic(spec: DataSpec) -> Dataset:
    """``spec.size`` faces spread evenly over AffectNet's eight labels, or ``spec.counts`` of each.

    Face ``k`` of a label is the same for every size, so a larger set contains the smaller one of
    the same seed. The splits (and no split at all) are streams of their own: no face of one is in
    another.

    Raises:
        DatasetError: no faces, a negative count, a size in pixels below 8, or the split ``all``.
    """
    split = canonical_split(spec.split) if spec.split else None
    if split not in _STREAMS:
        raise NoSuchSplitError(
            "synthetic faces are drawn for one split at a time; state train, validation or test."
        )
    counts = spec.counts or _even_counts(spec.size)
    if len(counts) != _LABELS or min(counts) < 0 or sum(counts) < 1:
        raise DatasetError(
            f"synthetic faces cannot be drawn {list(counts)} to a label; "
            f"give a size of 1 or more, or {_LABELS} counts."
        )
    side = SIDE if spec.image_size is None else spec.image_size
    if not 8 <= side <= 4096:
        raise DatasetError(
            f"synthetic faces cannot be drawn {side} pixels wide; use 8 to 4096 (default {SIDE})."
        )
    numbers = sorted(
        turn * _LABELS + label for label, count in enumerate(counts) for turn in range(count)
    )
    stream = split or "any"
    return Dataset(
        name=f"synthetic faces, {split}" if split else "synthetic faces",
        source=f"built-in synthetic faces, seed {spec.seed}, {side}x{side}",
        labels=AFFECTNET_LABELS,
        samples=tuple(
            Sample(f"synthetic:{spec.seed}:{stream}:{number}", number % _LABELS, number)
            for number in numbers
        ),
        skipped=(),
        reader=_FaceDrawer(spec.seed, _STREAMS[split], side),
    )


def draw_face(expression: str, key: str, side: int = SIDE) -> Image:
    """One face, (side, side) grey, whose every accident follows from ``key``."""
    random = Random(key)
    shapes = person(expression, random)
    zoom = 2 if side < _SUPERSAMPLED_BELOW else 1
    canvas = _background(random, side * zoom)
    draw_shapes(canvas, shapes, _pose(random), side * zoom)
    if zoom > 1:
        canvas = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return _photograph(canvas, random, side)


def person(expression: str, random: Random) -> list[Shape]:
    """Someone drawn at random who shows ``expression``, in face units."""
    muscles = draw_muscles(expression, random, random.uniform(*_STRENGTH[expression]), _UNREST)
    return face_shapes(muscles, random)


def draw_shapes(
    canvas: Image, shapes: list[Shape], pose: npt.NDArray[np.float64], side: int
) -> None:
    """Paint ``shapes`` in order onto a square grey canvas of ``side`` pixels.

    ``pose`` is a 3x3 homography from face units to a canvas of -1 to 1; all points go through it
    at once.
    """
    points, lengths = outlines(shapes)
    posed = points @ pose[:, :2].T + pose[:, 2]
    flat = posed[:, :2] / np.maximum(posed[:, 2:], 0.2)
    scale = side / 2 * (1 << _FIXED_POINT_BITS)
    fixed = np.rint(flat * scale + scale).astype(np.int32)
    start = 0
    for shape, length in zip(shapes, lengths, strict=True):
        outline = [fixed[start : start + length]]
        start += length
        grey = min(max(shape.grey, 0.0), 255.0)
        if shape.width is None:
            cv2.fillPoly(canvas, outline, grey, cv2.LINE_AA, _FIXED_POINT_BITS)
        else:
            thick = max(1, round(shape.width * side / 2))
            cv2.polylines(canvas, outline, False, grey, thick, cv2.LINE_AA, _FIXED_POINT_BITS)


def _even_counts(size: int) -> tuple[int, ...]:
    return tuple((size + _LABELS - 1 - label) // _LABELS for label in range(_LABELS))


@dataclass(frozen=True, slots=True)
class _FaceDrawer:
    seed: int
    stream: int
    side: int

    def __call__(self, sample: Sample) -> Image:
        expression = AFFECTNET_LABELS[sample.label]
        return draw_face(expression, f"{self.seed}/{self.stream}/{sample.offset}", self.side)


@functools.lru_cache(maxsize=4)
def _grid(side: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Each pixel's x and y, -1 to 1."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    return axis[None, :], axis[:, None]


def _background(random: Random, side: int) -> Image:
    canvas = np.full((side, side), random.uniform(10, 245), np.uint8)
    for _ in range(random.randrange(4)):
        corners = [random.randrange(side) for _ in range(4)]
        cv2.rectangle(canvas, corners[:2], corners[2:], random.uniform(10, 245), -1)
    return canvas


def _pose(random: Random) -> npt.NDArray[np.float64]:
    """3x3 homography from face units to a canvas of -1 to 1: zoom, roll, shift, yaw and pitch."""
    zoom = random.uniform(1.05, 1.25)
    roll = math.radians(random.gauss(0.0, 5.0))
    yaw, pitch = random.gauss(0.0, 0.1), random.gauss(0.0, 0.06)
    cos, sin = zoom * math.cos(roll), zoom * math.sin(roll)
    squeeze = 1 - abs(yaw) * 0.4
    return np.array(
        (
            (cos * squeeze, -sin, random.gauss(0.0, 0.04)),
            (sin * squeeze, cos, random.gauss(0.0, 0.04) + 0.02),
            (yaw, pitch, 1.0),
        )
    )


def _photograph(canvas: Image, random: Random, side: int) -> Image:
    """Light from one side, a shadow, contrast and brightness, blur, noise."""
    x, y = _grid(side)
    angle = random.uniform(0.0, 2 * math.pi)
    slope = random.uniform(0.0, 0.35)
    light = 1 + slope * (math.cos(angle) * x + math.sin(angle) * y)
    if random.random() < 0.25:
        turn, edge = random.uniform(0.0, 2 * math.pi), random.uniform(-0.1, 0.7)
        depth = (math.cos(turn) * x + math.sin(turn) * y - edge) * 4
        light *= 1 - random.uniform(0.15, 0.4) * np.clip(depth, 0, 1)
    contrast = random.uniform(0.7, 1.15)
    pixels = canvas.astype(np.float32) * (light * contrast)
    pixels += 128 * (1 - contrast) + random.gauss(0.0, 20.0)
    blur = max(0.0, random.gauss(0.25, 0.3)) * side / SIDE
    if blur > 0.2:
        pixels = cv2.GaussianBlur(pixels, (0, 0), blur)  # type: ignore[assignment]
    noise = np.random.Generator(np.random.SFC64(random.getrandbits(63)))
    pixels += noise.standard_normal((side, side), np.float32) * random.uniform(1.0, 9.0)
    return np.clip(pixels, 0, 255).astype(np.uint8)
