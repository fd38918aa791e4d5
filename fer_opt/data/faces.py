"""Drawing a person's face with given muscles as grey-scale polygons, all our own.

A face lives in its own units: the head's centre is (0, 0), x runs right, y runs down and the chin
is near y = 1.
"""

from __future__ import annotations

import math
from random import Random

import numpy as np

from fer_opt.data.muscles import Muscles
from fer_opt.data.shapes import CIRCLE, Curve, Oval, Points, Shape

__all__ = ["SHIRT", "face_shapes"]

_HEAD_ANGLE = np.linspace(0.0, 2 * math.pi, 40, endpoint=False)
_HEAD = np.stack((np.cos(_HEAD_ANGLE), np.sin(_HEAD_ANGLE)), axis=1)


def face_shapes(muscles: Muscles, random: Random) -> list[Shape]:
    """Everything from the hair behind to the glasses in front, of a person drawn at random."""
    skin = random.uniform(105, 225)
    hair = random.choice((random.uniform(10, 60), random.uniform(10, 110), random.uniform(90, 220)))
    if abs(hair - skin) < 25:
        hair = max(8.0, hair - 50)
    line = skin * random.uniform(0.35, 0.5)
    width = random.uniform(0.7, 0.86)
    head = _HEAD * (width, 1.0)
    below = np.clip(_HEAD[:, 1], 0, 1)
    head[:, 0] *= 1 - random.uniform(0.1, 0.32) * below**2  # the jaw
    head[:, 1] += 0.06 * muscles.open * below
    brow = min(hair, skin * 0.6) if random.random() < 0.8 else skin * 0.62
    return [
        *_behind(random, width, hair, skin),
        Shape((head,), skin),
        *_hair_in_front(random, head, hair),
        *_beard(random, head, skin, hair),
        *_folds(muscles, random, skin),
        *_eyes(muscles, random, skin, line),
        *_brows(muscles, random, brow),
        *_nose(muscles, random, skin, line),
        *_mouth(muscles, random, skin),
        *_glasses(random, skin),
    ]


def _band(upper: Curve, lower: Curve) -> tuple[Curve, Curve]:
    return (upper, Curve(lower.end, lower.middle, lower.start))


def _behind(random: Random, width: float, hair: float, skin: float) -> list[Shape]:
    shapes = []
    if random.random() < 0.4:
        length = random.uniform(0.9, 1.6)
        shapes.append(Shape((Oval((0.0, length - 1.15), (width + 0.22, length)),), hair * 0.85))
    elif random.random() < 0.85:
        shapes.append(Shape((Oval((0.0, -0.12), (width + 0.06, 1.0)),), hair * 0.9))
    return [
        *shapes,
        Shape((_NECK,), skin * 0.8),
        Shape((SHIRT,), random.uniform(10, 245)),
        Shape((Oval((-width - 0.02, 0.0), (0.1, 0.19)),), skin * 0.88),
        Shape((Oval((width + 0.02, 0.0), (0.1, 0.19)),), skin * 0.88),
    ]


_NECK = np.array(((-0.42, 0.6), (0.42, 0.6), (0.5, 2.2), (-0.5, 2.2)))
SHIRT = np.array(((-0.4, 1.25), (0.4, 1.25), (1.6, 1.6), (1.6, 3.0), (-1.6, 3.0), (-1.6, 1.6)))
"""Corners of the one shape that is no part of the body."""


def _hair_in_front(random: Random, head: Points, hair: float) -> list[Shape]:
    style = random.random()
    if style < 0.12:  # bald
        return []
    line = random.uniform(-0.84, -0.64)
    parting = random.uniform(-0.5, 0.5) if style < 0.7 else 0.0
    crown = head[20:] * (1.05, random.uniform(1.05, 1.2))  # from the left temple to the right one
    crown = crown[crown[:, 1] < -0.25]
    left, right = tuple(crown[0]), tuple(crown[-1])
    falls = Curve(right, (right[0] * 0.62, line), (parting, line - 0.08))
    rises = Curve((parting, line - 0.08), (left[0] * 0.62, line), left)
    return [Shape((crown, falls, rises), hair)]


def _beard(random: Random, head: Points, skin: float, hair: float) -> list[Shape]:
    if random.random() > 0.18:
        return []
    grey = skin + (min(hair, skin) - skin) * random.uniform(0.25, 0.8)
    jaw = head[1:20]
    jaw = jaw[jaw[:, 1] > 0.3]
    left, right = tuple(jaw[-1]), tuple(jaw[0])
    beard = Shape((jaw, Curve(left, (0.0, random.uniform(0.78, 0.95)), right)), grey)
    if random.random() < 0.5:
        return [beard]
    lip = Curve((-0.3, 0.5), (0.0, 0.36), (0.3, 0.5))
    return [beard, Shape(_band(lip, Curve((-0.3, 0.5), (0.0, 0.47), (0.3, 0.5))), grey)]


def _folds(muscles: Muscles, random: Random, skin: float) -> list[Shape]:
    """Lines that come with a pull, and with age."""
    age = max(0.0, random.gauss(0.0, 0.3))
    raised = (muscles.inner_brow + muscles.outer_brow) / 2
    depths = [
        (raised * 0.8 + age * 0.4, Curve((-0.42, y), (0.0, y - 0.05), (0.42, y)), 0.02)
        for y in (-0.62, -0.72)
    ]
    for x in (-1, 1):
        pull = muscles.corner + max(0.0, x * muscles.one_corner)
        depths += [
            (
                max(pull, muscles.wrinkle) * 0.8 + age * 0.5,
                Curve((x * 0.2, 0.2), (x * 0.36, 0.33), (x * 0.47, 0.6)),
                0.03,
            ),
            (muscles.wrinkle, Curve((x * 0.02, -0.02), (x * 0.1, -0.08), (x * 0.17, 0.02)), 0.03),
            (
                muscles.knit * 0.9,
                Curve((x * 0.06, -0.42), (x * 0.04, -0.3), (x * 0.05, -0.22)),
                0.03,
            ),
        ]
    return [
        Shape((curve,), skin * (1 - 0.38 * min(depth, 1.0)), width)
        for depth, curve, width in depths
        if depth > 0.15
    ]


def _eyes(muscles: Muscles, random: Random, skin: float, line: float) -> list[Shape]:
    apart = random.uniform(0.3, 0.37)
    half = random.uniform(0.14, 0.19)
    above = random.uniform(0.055, 0.09)
    height = random.uniform(-0.16, -0.08)
    slant = random.gauss(0.0, 0.015)
    white = min(250.0, max(skin * 0.9 + 45, 150.0))
    iris = random.uniform(15, 110)
    look = (random.gauss(0.0, 0.03), random.gauss(0.0, 0.012))
    up = max(0.015, above * (1 + 0.85 * muscles.upper_lid))
    down = max(0.012, 0.06 * (1 - 0.6 * muscles.lower_lid + 0.2 * max(muscles.upper_lid, 0.0)))
    ball = CIRCLE * 0.088 + (look[0], look[1] - 0.01)
    reach = np.clip(1 - (ball[:, 0] / half) ** 2, 0, 1)  # the lids are parabolas
    ball[:, 1] = np.clip(ball[:, 1], -up * reach, down * reach)
    shapes = []
    for side in (-1, 1):
        x = side * apart
        inner, outer = (x - side * half, height + slant), (x + side * half, height - slant)
        upper = Curve(inner, (x, height - up), outer)
        lower = Curve(inner, (x, height + down), outer)
        shapes += [
            Shape(_band(upper, lower), white),
            Shape((np.add(ball, (x, height)),), iris),
            Shape((upper,), line * 0.7, 0.045),
            Shape((lower,), skin * 0.72, 0.02),
        ]
        if muscles.upper_lid < 0.3:  # the crease disappears when the eye is wide open
            crease = Curve(inner, (x, height - up - 0.06), outer)
            shapes.append(Shape((crease,), skin * 0.78, 0.02))
    return shapes


def _brows(muscles: Muscles, random: Random, grey: float) -> list[Shape]:
    thick = random.uniform(0.045, 0.1)
    arch = random.uniform(0.0, 0.07)
    base = random.uniform(-0.38, -0.32)
    uneven = random.gauss(0.0, 0.012)
    inner_x = max(0.05, random.uniform(0.13, 0.18) - 0.06 * muscles.knit)
    shapes = []
    for side in (-1, 1):
        inner_y = base - 0.16 * muscles.inner_brow + 0.03 * max(muscles.knit, 0.0) + side * uneven
        outer_y = base + 0.04 - 0.15 * muscles.outer_brow + side * uneven
        middle_y = (inner_y + outer_y) / 2 - arch - 0.03 * muscles.outer_brow
        xs = (side * inner_x, side * 0.36, side * 0.56)
        upper = Curve((xs[0], inner_y), (xs[1], middle_y), (xs[2], outer_y))
        lower = Curve(
            (xs[0], inner_y + thick),
            (xs[1], middle_y + 0.62 * thick),
            (xs[2], outer_y + 0.25 * thick),
        )
        shapes.append(Shape(_band(upper, lower), grey))
    return shapes


def _nose(muscles: Muscles, random: Random, skin: float, line: float) -> list[Shape]:
    half = random.uniform(0.11, 0.18)
    tip = random.uniform(0.2, 0.3) - 0.06 * max(muscles.wrinkle, 0.0)
    side = random.choice((-1, 1))
    shade = np.array(((side * 0.05, -0.15), (side * half, tip), (0.0, tip + 0.03)))
    return [
        Shape((shade,), skin * random.uniform(0.78, 0.94)),
        Shape((Curve((-half, tip), (0.0, tip + 0.06), (half, tip)),), skin * 0.62, 0.03),
        Shape((Oval((-half * 0.5, tip + 0.02), (0.035, 0.022)),), line),
        Shape((Oval((half * 0.5, tip + 0.02), (0.035, 0.022)),), line),
    ]


def _mouth(muscles: Muscles, random: Random, skin: float) -> list[Shape]:
    half = random.uniform(0.24, 0.31) * (1 + 0.28 * muscles.width)
    y = random.uniform(0.53, 0.6)
    full = random.uniform(0.03, 0.07) * (1 - 0.75 * min(max(muscles.press, 0.0), 1.0))
    lips = skin * random.uniform(0.58, 0.82)
    pull = muscles.one_corner
    left = (-half - 0.015 * max(0.0, -pull), y - 0.15 * (muscles.corner + max(0.0, -pull)))
    right = (half + 0.015 * max(0.0, pull), y - 0.15 * (muscles.corner + max(0.0, pull)))
    lifted = 0.09 * max(muscles.upper_lip, 0.0)
    # a smile's middle hangs, a frown's rises
    top = y - 0.05 * muscles.open - lifted + 0.06 * muscles.corner
    gap = max(0.0, 0.36 * muscles.open + 0.1 * lifted - 0.03 * muscles.pout)
    rim = top + gap + full * 1.3 + 0.05 * max(muscles.pout, 0.0)
    upper = Curve(left, (0.0, top), right)
    shapes = [
        Shape(_band(Curve(left, (0.0, top - full), right), Curve(left, (0.0, rim), right)), lips)
    ]
    if gap > 0.03:
        shapes.append(Shape(_band(upper, Curve(left, (0.0, top + gap), right)), skin * 0.18))
        if random.random() < 0.8:
            teeth = Curve(left, (0.0, top + min(0.075, gap * 0.7)), right)
            shapes.append(Shape(_band(upper, teeth), 225.0))
    chin = rim + 0.09
    return [
        *shapes,
        Shape((upper,), skin * 0.33, 0.035),
        Shape((Curve((-0.14, chin), (0.0, chin + 0.02), (0.14, chin)),), skin * 0.82, 0.03),
    ]


def _glasses(random: Random, skin: float) -> list[Shape]:
    if random.random() > 0.15:
        return []
    grey = random.choice((15.0, skin * 0.5, 200.0))
    ring = np.concatenate((CIRCLE, CIRCLE[:1])) * (0.25, random.uniform(0.17, 0.22))
    return [
        Shape((np.subtract(ring, (0.34, 0.1)),), grey, 0.03),
        Shape((np.add(ring, (0.34, -0.1)),), grey, 0.03),
        Shape((np.array(((-0.09, -0.12), (0.09, -0.12))),), grey, 0.03),
    ]
