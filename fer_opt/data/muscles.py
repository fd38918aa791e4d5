"""Expressions as what the muscles of a face do.

The muscles are named after the action units of Ekman and Friesen's Facial Action Coding System;
which of them make an expression follows its emotion prototypes, how much is our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["Muscles", "draw_muscles"]


@dataclass(slots=True)
class Muscles:
    """How far each group of muscles pulls: 0 at rest, about 1 at full strength; signed."""

    inner_brow: float = 0.0
    outer_brow: float = 0.0
    knit: float = 0.0
    upper_lid: float = 0.0
    lower_lid: float = 0.0
    wrinkle: float = 0.0
    upper_lip: float = 0.0
    corner: float = 0.0
    one_corner: float = 0.0
    width: float = 0.0
    open: float = 0.0
    press: float = 0.0
    pout: float = 0.0


_EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {"corner": 1.0, "width": 0.7, "lower_lid": 0.6, "open": 0.25},
    "sad": {"inner_brow": 0.9, "outer_brow": -0.5, "knit": 0.3, "upper_lid": -0.5, "corner": -0.9,
            "pout": 0.5, "width": -0.2},
    "surprise": {"inner_brow": 0.9, "outer_brow": 1.0, "upper_lid": 0.9, "open": 0.95,
                 "width": -0.5},
    "fear": {"inner_brow": 1.0, "outer_brow": 0.35, "knit": 0.7, "upper_lid": 0.9, "width": 0.5,
             "open": 0.45, "corner": -0.45},
    "disgust": {"inner_brow": -0.5, "outer_brow": -0.2, "knit": 0.4, "upper_lid": -0.4,
                "lower_lid": 0.8, "wrinkle": 1.0, "upper_lip": 0.9, "corner": -0.4, "open": 0.12},
    "anger": {"inner_brow": -1.0, "outer_brow": 0.15, "knit": 0.9, "upper_lid": 0.1,
              "lower_lid": 0.5, "press": 0.9, "corner": -0.3},
    "contempt": {"one_corner": 1.0, "upper_lid": -0.35, "press": 0.3, "outer_brow": 0.1},
}  # fmt: skip


def draw_muscles(expression: str, random: Random, strength: float, unrest: float) -> Muscles:
    """An instance of ``expression`` (one of AffectNet's labels).

    Args:
        expression: which one.
        random: where the instance's own character comes from.
        strength: 1 is the textbook's, 0 is neutral.
        unrest: standard deviation of what every muscle does besides.
    """
    muscles = Muscles(*(random.gauss(0.0, unrest) for _ in Muscles.__slots__))
    for name, pull in _EXPRESSIONS[expression].items():
        own = pull * strength * random.uniform(0.7, 1.3)
        setattr(muscles, name, getattr(muscles, name) + own)
    if expression == "happy" and random.random() < 0.4:
        muscles.open *= 0.2
    if expression == "anger" and random.random() < 0.3:  # teeth bared in place of pressed lips
        muscles.press, muscles.open, muscles.width = 0.0, 0.4 * strength, 0.4 * strength
    if random.random() < 0.5:
        muscles.one_corner = -muscles.one_corner  # the sign says which side
    muscles.open = max(muscles.open, 0.0)
    return muscles
