"""What ``stage_bench`` is asked, as words."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fer_opt.errors import MeasurementError

__all__ = ["Box", "PhotoRequest", "StageBenchRequest", "build_words", "in_parts"]

Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels of the upright photo at full size."""

SCALES = (1, 2, 4, 8)

MOST_SIDE, MOST_EDGE = 8192, 1_000_000
"""Of an input and of a crop, in pixels; ``options.c`` has the same."""

MOST_MEMORY_MB = 4096


@dataclass(frozen=True, slots=True)
class PhotoRequest:
    """One photo and what is done with it.

    Attributes:
        name: of its file, within the request's folder.
        crop: of its one face; None ends after bitmap, as with no face or several.
        scale: part of each side that is decoded: 1, 2, 4 or 8 (JPEG's own scaled decoding).
    """

    name: str
    crop: Box | None = None
    scale: int = 1


@dataclass(frozen=True, slots=True)
class StageBenchRequest:
    """One process.

    Attributes:
        photos: in the order they are to be gone through; each pass goes through all.
        folder: of the photos, on the machine that runs it.
        runs: passes that count.
        warm_up: passes before them.
        width: of the model's input, in pixels.
        height: of the model's input, in pixels.
        channels: of the model's input, 1 (grey) or 3 (RGB).
        low: the value a black pixel becomes.
        high: the value a white pixel becomes.
        memory_mb: most that one photo may take, in millions of bytes.
    """

    photos: tuple[PhotoRequest, ...]
    folder: str
    runs: int = 5
    warm_up: int = 1
    width: int = 224
    height: int = 224
    channels: int = 1
    low: float = 0.0
    high: float = 1.0
    memory_mb: int = 512

    def __post_init__(self) -> None:
        if not self.photos:
            raise MeasurementError("no photo is to be timed; name one or more.")
        if not 1 <= self.runs <= 1_000_000 or not 0 <= self.warm_up <= 1_000_000:
            raise MeasurementError(
                f"{self.runs} passes after {self.warm_up} for warm-up cannot be timed; ask for one "
                "or more, after none or more."
            )
        if not 1 <= self.width <= MOST_SIDE or not 1 <= self.height <= MOST_SIDE:
            raise MeasurementError(
                f"an input of {self.width}x{self.height} pixels cannot be made on the phone; give "
                f"sides of 1 to {MOST_SIDE}."
            )
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        if self.channels not in (1, 3) or not finite or not self.low < self.high:
            raise MeasurementError(
                f"{self.channels} channels from {self.low:g} to {self.high:g} cannot be made on "
                "the phone; give 1 or 3 channels and LOW < HIGH."
            )
        if not 1 <= self.memory_mb <= MOST_MEMORY_MB:
            raise MeasurementError(
                f"{self.memory_mb} MB cannot be given to a photo on the phone; give 1 to "
                f"{MOST_MEMORY_MB}."
            )
        for photo in self.photos:
            _check(photo)


def build_words(program: str, request: StageBenchRequest) -> list[str]:
    """The command line, as a list of words; quoting is the link's business."""
    words = [
        program,
        "--runs", str(request.runs),
        "--warm_up", str(request.warm_up),
        "--size", f"{request.width}x{request.height}",
        "--channels", str(request.channels),
        "--range", f"{request.low!r},{request.high!r}",
        "--memory_mb", str(request.memory_mb),
        "--in", request.folder,
    ]  # fmt: skip
    scale, crop = "1", "all"
    for photo in request.photos:
        wanted = "none" if photo.crop is None else ",".join(map(str, photo.crop))
        if str(photo.scale) != scale:
            scale = str(photo.scale)
            words += ["--scale", scale]
        if wanted != crop:
            crop = wanted
            words += ["--crop", crop]
        words.append(photo.name)
    return words


def in_parts(photos: Sequence[PhotoRequest], most_bytes: int) -> Iterator[tuple[PhotoRequest, ...]]:
    """The photos in as few parts as keep each part's words below ``most_bytes``, one at least."""
    part: list[PhotoRequest] = []
    used = 0
    for photo in photos:
        options = ["--scale", "8", "--crop", ",".join(map(str, photo.crop or ("none",)))]
        size = len(shlex.join([*options, photo.name]).encode("utf-8", "surrogateescape")) + 1
        if part and used + size > most_bytes:
            yield tuple(part)
            part, used = [], 0
        part.append(photo)
        used += size
    if part:
        yield tuple(part)


def _check(photo: PhotoRequest) -> None:
    if photo.scale not in SCALES:
        raise MeasurementError(
            f"{photo.name} cannot be decoded to 1/{photo.scale}; JPEG knows 1, 1/2, 1/4 and 1/8."
        )
    if not photo.name or photo.name.startswith("-"):
        raise MeasurementError(f"{photo.name!r} cannot be a photo's name on the phone.")
    if photo.crop is None:
        return
    left, top, width, height = photo.crop
    if min(left, top) < 0 or min(width, height) < 1 or max(photo.crop) > MOST_EDGE:
        raise MeasurementError(
            f"{photo.name} has no part of {width}x{height} pixels at {left},{top}; give a box that "
            "lies within it."
        )
