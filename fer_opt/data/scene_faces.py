"""Faces as a detector crops them from composed photos: to train a classifier for those photos.

The built-in synthetic faces (:mod:`fer_opt.data.synthetic`) fill their image as FER2013's do. A
detector frames a little more, never twice the same, and its crop comes from a coloured photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import cv2
import numpy as np

from fer_opt.convention import AFFECTNET_LABELS
from fer_opt.data.dataset import Dataset, Image, Sample
from fer_opt.data.scene_people import BOTTOM, TOP, Person, draw_person
from fer_opt.errors import DatasetError

__all__ = ["draw_scene_face", "open_scene_faces"]

_DRAWN_SIDE = 120


def open_scene_faces(split: str, size: int, *, seed: int = 0, side: int = 48) -> Dataset:
    """``size`` crops spread evenly over AffectNet's eight labels; of one split none is in another.

    Args:
        split: any word; it names the stream.
        size: how many.
        seed: of all of them.
        side: of each in pixels.

    Raises:
        DatasetError: no crops, or of no pixels.
    """
    if size < 1 or side < 1:
        raise DatasetError(f"{size} crops of {side} pixels are no dataset; give one or more.")
    labels = len(AFFECTNET_LABELS)
    return Dataset(
        name=f"faces of composed scenes, {split}",
        source=f"built-in faces of composed scenes, seed {seed}, {side}x{side}",
        labels=AFFECTNET_LABELS,
        samples=tuple(
            Sample(f"scene face:{seed}:{split}:{number}", number % labels, number)
            for number in range(size)
        ),
        skipped=(),
        reader=_CropDrawer(seed, split, side),
    )


def draw_scene_face(expression: str, key: str, side: int = 48) -> Image:
    """One crop, (side, side) grey, whose every accident follows from ``key``."""
    random = Random(key)
    wall = [random.uniform(20, 235) for _ in range(3)]
    canvas = np.full((_DRAWN_SIDE, _DRAWN_SIDE, 3), wall, np.uint8)
    # Boxes of OpenCV's cascade around drawn faces vary so, by 200 of them, and a little more.
    unit = _DRAWN_SIDE / (BOTTOM - TOP) * random.uniform(0.9, 1.12)
    x, y = (_DRAWN_SIDE / 2 + random.gauss(0.0, 0.03) * _DRAWN_SIDE for _ in range(2))
    middle = (TOP + BOTTOM) / 2 * unit
    draw_person(canvas, Person(expression, key, x, y - middle, unit, random.gauss(0.0, 4.0)))
    grey = cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY)
    blurred = cv2.GaussianBlur(grey, (0, 0), random.uniform(0.3, 2.5))  # from a shrunken bitmap
    small = cv2.resize(blurred, (side, side), interpolation=cv2.INTER_LINEAR)
    noise = np.random.Generator(np.random.SFC64(random.getrandbits(63)))
    grain = noise.standard_normal((side, side), np.float32) * random.uniform(0.0, 4.0)
    return np.clip(np.rint(small + grain), 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class _CropDrawer:
    seed: int
    split: str
    side: int

    def __call__(self, sample: Sample) -> Image:
        key = f"{self.seed}/{self.split}/{sample.offset}"
        return draw_scene_face(AFFECTNET_LABELS[sample.label], key, self.side)
