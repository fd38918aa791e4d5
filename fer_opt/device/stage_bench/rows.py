"""The lines ``stage_bench`` prints, one class for each kind; JSON objects in, nothing else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictStr
from pydantic.dataclasses import dataclass

__all__ = ["Bitmap", "End", "Failed", "Grey", "ProgramFacts", "Refusal", "Resize", "Row"]

MOST_PASSES = 1_000_000
"""Of each kind, as in ``options.c``."""

STRICT = ConfigDict(extra="forbid")  # and each field by itself: what is to be an object is a dict

Count = Annotated[int, Field(ge=0, strict=True)]
Pixels = Annotated[int, Field(gt=0, strict=True)]
Passes = Annotated[int, Field(ge=0, le=MOST_PASSES, strict=True)]
Turn = Annotated[int, Field(ge=1, le=8, strict=True)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Box = Annotated[list[Count], Field(min_length=4, max_length=4, strict=True)]


@dataclass(frozen=True, slots=True, config=STRICT)
class ProgramFacts:
    """What the program says of itself and of what it was asked.

    Attributes:
        stage_bench: format of its lines.
        libjpeg_turbo: version.
        simd: ``NEON`` or ``none``; without, decoding takes half as long again or more.
        abi: it is made for.
        photos: named on its command line.
        warm_up: passes that do not count.
        runs: passes that do.
        width: of the input, in pixels.
        height: of the input, in pixels.
        channels: of the input.
    """

    stage_bench: Count
    libjpeg_turbo: StrictStr
    simd: StrictStr
    abi: StrictStr
    photos: Count
    warm_up: Passes
    runs: Passes
    width: Count
    height: Count
    channels: Count


@dataclass(frozen=True, slots=True, config=STRICT, kw_only=True)
class Line:
    """What every line of a photo has; ``pass`` is no name in Python."""

    photo: StrictStr
    pass_index: Count = Field(alias="pass")
    order: Count
    warm_up: StrictBool


@dataclass(frozen=True, slots=True, config=STRICT, kw_only=True)
class Timed(Line):
    """A stage of a photo in a pass."""

    ms: Milliseconds
    width: Pixels
    height: Pixels


@dataclass(frozen=True, slots=True, config=STRICT, kw_only=True)
class Bitmap(Timed):
    """Decoding; width and height are those of the decoded pixels."""

    stage: Literal["bitmap"]
    full_width: Pixels
    full_height: Pixels
    orientation: Turn
    scale: Literal[1, 2, 4, 8]
    file_bytes: Count
    warnings: Count


@dataclass(frozen=True, slots=True, config=STRICT, kw_only=True)
class Resize(Timed):
    """Crop and resize; the crop is in decoded pixels."""

    stage: Literal["resize"]
    crop: Box


@dataclass(frozen=True, slots=True, config=STRICT, kw_only=True)
class Grey(Timed):
    """Grey and a float tensor."""

    stage: Literal["grey"]
    channels: Literal[1, 3]


@dataclass(frozen=True, slots=True, config=STRICT, kw_only=True)
class Failed(Line):
    """A photo that cannot be timed, and why, a clause."""

    error: StrictStr


@dataclass(frozen=True, slots=True, config=STRICT)
class End:
    """The last line: how many times a photo was gone through."""

    end: Count


@dataclass(frozen=True, slots=True, config=STRICT)
class Refusal:
    """Instead of everything else: a command line that is wrong."""

    error: StrictStr


Row = Bitmap | Resize | Grey | Failed
