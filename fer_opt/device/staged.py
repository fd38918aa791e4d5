"""What classifying photos stage by stage hands back: the thesis's Table 8 as data.

A photo goes through five stages, as in the app of section 4.2: its bitmap is decoded, faces are
detected, the one face is cropped and resized, turned to grey in the model's range, and classified.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fer_opt.device.measurement import DeviceFacts

__all__ = ["STAGES", "Box", "Outcome", "PhotoOutcome", "Stage", "StageSample", "StagedRun"]

STRICT = ConfigDict(extra="forbid")

Stage = Literal["bitmap", "detection", "resize", "grey", "classify"]
STAGES: tuple[Stage, ...] = ("bitmap", "detection", "resize", "grey", "classify")
"""In the order of Table 8: cropping belongs to resize, scaling to the model's range to grey."""

Outcome = Literal["one face", "no face", "several faces", "unreadable"]
"""Only a photo with one face is classified; several faces are a label of their own."""


@dataclass(frozen=True, slots=True, config=STRICT)
class Box:
    """A face in pixels of the upright photo at its full size; score None where none is given."""

    left: int
    top: int
    width: int
    height: int
    score: float | None = None


@dataclass(frozen=True, slots=True, config=STRICT)
class PhotoOutcome:
    """What one photo shows.

    Attributes:
        photo: its file's name or path, as the user gave it.
        sha256: of the file; empty where it cannot be read.
        size_bytes: of the file.
        width: of the upright photo in pixels; 0 where unreadable.
        height: of the upright photo in pixels; 0 where unreadable.
        outcome: how many faces were found, or that the file is no readable image.
        faces: found ones.
        label: the most likely expression; empty unless there is exactly one face.
        confidence: its probability; None likewise.
        probabilities: of all labels in the model's order; empty likewise.
        reason: why the file is unreadable, in words.
    """

    photo: str
    sha256: str
    size_bytes: int
    width: int
    height: int
    outcome: Outcome
    faces: tuple[Box, ...] = ()
    label: str = ""
    confidence: float | None = None
    probabilities: tuple[float, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, config=STRICT)
class StageSample:
    """One pass of one photo: milliseconds of each stage it went through, and of the whole.

    Attributes:
        photo: place in :attr:`StagedRun.photos`.
        repeat: 0 is the first pass of the photo in this process, the cold one.
        stage_ms: of each stage that ran; a photo without one face ends after detection.
        total_ms: measured around all of them, not added up.
    """

    photo: int
    repeat: int
    stage_ms: dict[Stage, float]
    total_ms: float


@dataclass(frozen=True, slots=True, config=STRICT)
class StagedRun:
    """Photos classified by one pipeline on one device.

    Attributes:
        pipeline: its name, e.g. ``thesis`` or ``fast``.
        ways: how each stage is done, e.g. ``{"bitmap": "full", "detection": "haar", ...}``;
            ``in classify`` where the classifier's graph does it.
        device: that ran it.
        model: name of the classifier.
        model_sha256: of its file.
        labels: the model's, in the order of its outputs.
        threads: of detection and classifier.
        started_at: ISO 8601, UTC.
        photos: in the order given.
        samples: in the order they were made.
        missing: stages that could not be run on this device, and why; the total is "at least".
        notes: what the reader should know, a sentence each.
    """

    pipeline: str
    ways: dict[Stage, str]
    device: DeviceFacts
    model: str
    model_sha256: str
    labels: tuple[str, ...]
    threads: int
    started_at: str
    photos: tuple[PhotoOutcome, ...]
    samples: tuple[StageSample, ...]
    missing: dict[Stage, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
