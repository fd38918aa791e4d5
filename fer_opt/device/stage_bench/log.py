"""What one process of ``stage_bench`` measured."""

from __future__ import annotations

from dataclasses import dataclass

from fer_opt.device.stage_bench.rows import ProgramFacts

__all__ = ["PhotoFailure", "PhotoStages", "StageBenchLog"]


@dataclass(frozen=True, slots=True)
class PhotoStages:
    """One photo in one pass.

    Attributes:
        photo: its name as given.
        pass_index: counted from 0, warm-up included.
        order_index: its place on the command line, counted from 0.
        warm_up: whether the pass does not count.
        stages_ms: ``bitmap``, and with a crop also ``resize`` and ``grey``.
        width: as decoded, upright, in pixels.
        height: as decoded, upright, in pixels.
        full_width: of the upright photo at full size.
        full_height: of the upright photo at full size.
        crop: left, top, width, height in pixels as decoded; None where it ended after bitmap.
        damaged: libjpeg's complaints about its data, which it patched up.
    """

    photo: str
    pass_index: int
    order_index: int
    warm_up: bool
    stages_ms: dict[str, float]
    width: int
    height: int
    full_width: int
    full_height: int
    crop: tuple[int, int, int, int] | None
    damaged: int


@dataclass(frozen=True, slots=True)
class PhotoFailure:
    """A photo that was not timed.

    Attributes:
        photo: its name as given.
        order_index: its place on the command line, counted from 0.
        reason: why not, a clause such as ``is cut short``.
    """

    photo: str
    order_index: int
    reason: str


@dataclass(frozen=True, slots=True)
class StageBenchLog:
    """All of one process."""

    program: ProgramFacts
    passes: tuple[PhotoStages, ...]
    failures: tuple[PhotoFailure, ...]
