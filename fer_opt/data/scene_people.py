"""People for composed photos: a synthetic head in the colour of skin, and clothes below."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import cv2
import numpy as np
import numpy.typing as npt

from fer_opt.data.dataset import Image
from fer_opt.data.faces import SHIRT
from fer_opt.data.synthetic import draw_shapes, person

__all__ = ["BOTTOM", "TOP", "Person", "draw_person"]


@dataclass(frozen=True, slots=True)
class Person:
    """Someone to be drawn.

    Attributes:
        label: the expression shown.
        key: who it is; every accident follows from it.
        x: of the head's centre, in pixels.
        y: of the head's centre, in pixels.
        unit: pixels in a face unit, in which a head is two high.
        roll: in degrees.
    """

    label: str
    key: str
    x: float
    y: float
    unit: float
    roll: float

    @property
    def box(self) -> tuple[int, int, int, int]:
        """From above the brows to the chin, as wide as high: what detectors frame."""
        side = (BOTTOM - TOP) * self.unit
        left, top = self.x - side / 2, self.y + TOP * self.unit
        return (round(left), round(top), round(side), round(side))


TOP, BOTTOM = -0.92, 1.06
"""Of the box, in face units: what OpenCV's cascade frames, by the median of 200 faces."""
_REACH = 2.2
"""Half the side of the square a person is drawn in, in face units: the head is two high."""


def draw_person(canvas: Image, plan: Person) -> None:
    """Someone's head and neck in the colour of skin, and what they wear below."""
    random = Random(plan.key)
    shapes = [shape for shape in person(plan.label, random) if shape.parts[0] is not SHIRT]
    side = max(round(2 * _REACH * plan.unit), 8)
    pose = np.diag((1.0, 1.0, 1.0))
    pose[:2, :2] = _rotation(plan.roll) / _REACH
    black, white = np.zeros((side, side), np.uint8), np.full((side, side), 255, np.uint8)
    for page in (black, white):  # what differs between the two is transparent
        draw_shapes(page, shapes, pose, side)
    left, top = round(plan.x - side / 2), round(plan.y - side / 2)
    height, width = canvas.shape[:2]
    inside = np.s_[max(-top, 0) : height - top, max(-left, 0) : width - left]
    under = canvas[max(top, 0) : top + side, max(left, 0) : left + side]
    through = (white - black)[inside].astype(np.float32)[..., None] / 255
    tint = np.array(random.choice(_SKIN), np.float32)
    lit = cv2.resize(_shading(plan.roll), (side, side), interpolation=cv2.INTER_LINEAR)
    face = (black * lit)[inside][..., None] * tint
    under[:] = np.clip(face + under * through, 0, 255)
    clothes = _CLOTHES @ _rotation(plan.roll).T * plan.unit + (plan.x, plan.y)
    colour = [random.uniform(10, 240) for _ in range(3)]
    cv2.fillPoly(canvas, [np.rint(clothes).astype(np.int32)], colour, cv2.LINE_AA)


def _shading(roll: float) -> npt.NDArray[np.float32]:
    """How much light falls on a head from the front, as a square of factors.

    Less into the sockets of the eyes and on the sides, more on nose and cheeks: without it a
    drawing is flat, which no face is, and the cascade loses twice as many.
    """
    axis = np.linspace(-_REACH, _REACH, 96)
    page = np.stack(np.meshgrid(axis, axis), axis=-1) @ _rotation(roll)
    x, y = page[..., 0], page[..., 1]

    def spot(across: float, down: float, wide: float, high: float) -> npt.NDArray[np.float64]:
        return np.exp(-(((np.abs(x) - across) / wide) ** 2) - ((y - down) / high) ** 2)

    light = 1 - 0.1 * np.clip(x / 0.8, -1, 1) ** 2 - 0.4 * spot(0.33, -0.16, 0.2, 0.13)
    light += 0.12 * spot(0.0, 0.05, 0.1, 0.3) + 0.2 * spot(0.4, 0.2, 0.18, 0.14)
    return light.astype(np.float32)


_SKIN = ((1.14, 0.96, 0.84), (1.1, 0.97, 0.9), (1.18, 0.94, 0.78))
"""Red, green and blue of a grey level of one, with about its luma (ITU-R 601)."""

_CLOTHES = np.array(((-0.45, 1.25), (0.45, 1.25), (1.6, 1.6), (2.0, 9.0), (-2.0, 9.0), (-1.6, 1.6)))
"""Corners in face units, far below any photo's lower edge."""


def _rotation(degrees: float) -> npt.NDArray[np.float64]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array(((cos, -sin), (sin, cos)))
