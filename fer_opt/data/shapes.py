"""Outlines of drawn shapes, turned into corners all at once because one by one is slow."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["CIRCLE", "Curve", "Oval", "Points", "Shape", "outlines"]

Points = npt.NDArray[np.float64]
Point = tuple[float, float]

_CURVE_POINTS, _OVAL_POINTS = 9, 24
_T = np.linspace(0.0, 1.0, _CURVE_POINTS)
# Lagrange's polynomials for t = 0, 1/2, 1: rows of points from (start, middle, end).
_PARABOLA = np.stack(((1 - _T) * (1 - 2 * _T), 4 * _T * (1 - _T), _T * (2 * _T - 1)), axis=1)
_ANGLE = np.linspace(0.0, 2 * math.pi, _OVAL_POINTS, endpoint=False)
CIRCLE = np.stack((np.cos(_ANGLE), np.sin(_ANGLE)), axis=1)
"""Corners (24, 2) of the unit circle."""


class Curve(NamedTuple):
    """A parabola from its start through its middle (half-way) to its end."""

    start: Point
    middle: Point
    end: Point


class Oval(NamedTuple):
    """An ellipse with upright axes, by its centre and half-axes."""

    centre: Point
    half: Point


class Shape(NamedTuple):
    """A filled polygon, or an open line of some ``width``, of one grey level.

    Attributes:
        parts: what its outline is joined from: curves, ovals and lists of corners.
        grey: 0 (black) to 255, not yet clipped.
        width: of a line, in face units; None fills the polygon.
    """

    parts: tuple[Curve | Oval | Points, ...]
    grey: float
    width: float | None = None


def outlines(shapes: list[Shape]) -> tuple[Points, list[int]]:
    """The corners of all shapes, one after the other (n, 2), and how many each has."""
    curves: list[float] = []
    ovals: list[float] = []
    for shape in shapes:
        for part in shape.parts:
            if isinstance(part, Curve):
                curves += *part.start, *part.middle, *part.end
            elif isinstance(part, Oval):
                ovals += *part.centre, *part.half
    bent = iter(_PARABOLA @ np.array(curves).reshape(-1, 3, 2))
    centres, halves = np.array(ovals).reshape(-1, 2, 1, 2).swapaxes(0, 1)
    drawn = iter(CIRCLE * halves + centres)
    pieces: list[Points] = []
    lengths = []
    for shape in shapes:
        length = 0
        for part in shape.parts:
            if isinstance(part, Curve):
                piece = next(bent)
            elif isinstance(part, Oval):
                piece = next(drawn)
            else:
                piece = part
            pieces.append(piece)
            length += len(piece)
        lengths.append(length)
    return np.concatenate(pieces), lengths
