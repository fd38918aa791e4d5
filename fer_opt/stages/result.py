"""What classifying one photo hands back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Outcome", "PhotoResult"]

Outcome = Literal["one face", "no face", "several faces", "unreadable"]
"""Only the one face of a photo is classified, as in the thesis's app (section 3.4)."""


@dataclass(frozen=True, slots=True)
class PhotoResult:
    """What a photo shows, and how long each stage took to find out.

    Attributes:
        photo: the path as given.
        outcome: how many faces were found, or that the file is no readable photo.
        reason: why it is unreadable, a sentence; empty otherwise.
        width: of the upright photo at full size, in pixels; 0 where unreadable.
        height: of the upright photo at full size, in pixels; 0 where unreadable.
        faces: left, top, width, height of each in pixels of the upright, full-size photo.
        label: of the one face; empty otherwise.
        confidence: the label's probability; None likewise.
        probabilities: of all labels, in the order of the pipeline's; empty likewise.
        stages_ms: time of each stage it went through, by name.
        total_ms: of the photo as a whole, by a clock of its own.
    """

    photo: str
    outcome: Outcome
    reason: str = ""
    width: int = 0
    height: int = 0
    faces: tuple[tuple[int, int, int, int], ...] = ()
    label: str = ""
    confidence: float | None = None
    probabilities: tuple[float, ...] = ()
    stages_ms: dict[str, float] = field(default_factory=dict)
    total_ms: float = 0.0
