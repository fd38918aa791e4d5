"""Photos to be timed on a phone, how, and what that gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_opt.device.measurement import Conditions, DeviceFacts
from fer_opt.device.phone.folder import path_on_phone
from fer_opt.device.stage_bench import PhotoRequest, ProgramFacts, StageBenchRequest
from fer_opt.device.stage_bench.command import Box
from fer_opt.errors import MeasurementError

__all__ = [
    "Named",
    "PhotoJob",
    "PhotoSettings",
    "PhotoTimes",
    "TimedPhotos",
    "UntimedPhoto",
    "check_jobs",
    "request_of",
]


@dataclass(frozen=True, slots=True)
class PhotoJob:
    """A photo to be timed on the phone.

    Attributes:
        name: by which its times are known.
        path: of a JPEG on this computer.
        crop: left, top, width, height of its one face, in pixels of the upright photo at full
            size; None times bitmap alone, as for a photo without a face or with several.
        scale: part of each side that is decoded: 1, 2, 4 or 8.
    """

    name: str
    path: Path
    crop: Box | None = None
    scale: int = 1


@dataclass(frozen=True, slots=True)
class PhotoSettings:
    """How photos are timed on a phone.

    Attributes:
        rounds: fresh processes that go through all photos, each in another random order.
        passes: that each process makes; the first finds everything cold.
        width: of the model's input, in pixels.
        height: of the model's input, in pixels.
        channels: of the model's input, 1 (grey) or 3 (RGB).
        low: the value a black pixel becomes.
        high: the value a white pixel becomes.
        cpus: pinned to; empty means one of the phone's fastest cores.
        seed: of the random orders.
        memory_mb: most that one photo may take on the phone, in millions of bytes.
        least_battery_percent: below which nothing is timed.
    """

    rounds: int = 3
    passes: int = 3
    width: int = 224
    height: int = 224
    channels: int = 1
    low: float = 0.0
    high: float = 1.0
    cpus: tuple[int, ...] = ()
    seed: int = 0
    memory_mb: int = 512
    least_battery_percent: int = 25


@dataclass(frozen=True, slots=True)
class PhotoTimes:
    """One photo in one pass of one process, as :class:`fer_opt.device.stage_timing.PhotoPass`.

    Attributes:
        photo: the job's name.
        process_index: the fresh process it ran in, counted from 0. Photos that do not fit into one
            command are shared among several processes.
        pass_index: how often that process had seen its photos before: 0 is cold.
        order_index: its place in the process's order, counted from 0.
        stages_ms: ``bitmap``, and where it has a crop also ``resize`` and ``grey``.
        width: of the decoded pixels.
        height: of the decoded pixels.
    """

    photo: str
    process_index: int
    pass_index: int
    order_index: int
    stages_ms: dict[str, float]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class UntimedPhoto:
    """A photo that could not be read on the phone: its job's name, and why, a clause."""

    photo: str
    reason: str


@dataclass(frozen=True, slots=True)
class TimedPhotos:
    """Everything that was measured on one phone.

    Attributes:
        times: in the order they were made.
        untimed: photos that could not be read on the phone, each once.
        program: what the program said of itself.
        conditions: the phone's state before and after each process.
        device: the phone; kind ``emulated`` where the program was made for another processor than
            a virtual phone's computer.
        sha256: of the program.
        notes: what speaks against the times, a sentence each.
    """

    times: tuple[PhotoTimes, ...]
    untimed: tuple[UntimedPhoto, ...]
    program: ProgramFacts
    conditions: tuple[tuple[Conditions, Conditions], ...]
    device: DeviceFacts
    sha256: str
    notes: tuple[str, ...] = ()


Named = tuple[PhotoJob, str]
"""A photo, and the name of its file on the phone."""


def check_jobs(photos: Sequence[PhotoJob], settings: PhotoSettings) -> None:
    """Refuse what cannot be timed before a phone is touched.

    Raises:
        MeasurementError: there are no photos or rounds, two photos of one name, or settings that
            stage_bench does not take.
    """
    names = [job.name for job in photos]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise MeasurementError(f"two photos are named {twice}; give each its own name.")
    if settings.rounds < 1:
        raise MeasurementError(f"{settings.rounds} rounds leave nothing to time; ask for one.")
    request_of([(job, "photo.jpg") for job in photos], settings)


def request_of(named: Sequence[Named], settings: PhotoSettings) -> StageBenchRequest:
    """One process over these photos.

    Raises:
        MeasurementError: stage_bench does not take them.
    """
    return StageBenchRequest(
        photos=tuple(PhotoRequest(name, job.crop, job.scale) for job, name in named),
        folder=path_on_phone("inputs"),
        runs=settings.passes,
        warm_up=0,
        width=settings.width,
        height=settings.height,
        channels=settings.channels,
        low=settings.low,
        high=settings.high,
        memory_mb=settings.memory_mb,
    )
