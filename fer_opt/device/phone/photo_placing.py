"""Bringing ``stage_bench`` and photos to a phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_opt.device.phone.files import checked_name, path_on_phone, push_changed
from fer_opt.device.phone.photo_jobs import PhotoJob
from fer_opt.device.phone.reconnect import Steady
from fer_opt.device.stage_bench import StageBench
from fer_opt.errors import MeasurementError
from fer_opt.files import sha256_of
from fer_opt.progress import Progress

__all__ = ["PlacedPhotos", "place_photos"]


@dataclass(frozen=True, slots=True)
class PlacedPhotos:
    """What is on the phone now.

    Attributes:
        program: path of stage_bench there.
        jobs: the photos by their file's name there, which tells their content alone.
        pushed_bytes: sent.
        kept_bytes: of files that were there already.
    """

    program: str
    jobs: dict[str, tuple[PhotoJob, ...]]
    pushed_bytes: int
    kept_bytes: int


def place_photos(
    steady: Steady, program: StageBench, photos: Sequence[PhotoJob], progress: Progress
) -> PlacedPhotos:
    """Push what the phone lacks of the program and the photos.

    Raises:
        MeasurementError: a file cannot be read here.
        PhoneError: the phone is full, or a file arrived damaged twice.
        LinkLostError: the phone is gone and did not come back.
    """
    binary = checked_name(f"bin/stage_bench-{program.sha256[:12]}")
    files: dict[str, Path | bytes] = {binary: program.path}
    jobs: dict[str, list[PhotoJob]] = {}
    for job in photos:
        try:
            name = f"{sha256_of(job.path)[:12]}.jpg"
        except OSError as exc:
            raise MeasurementError(
                f"{job.path} cannot be read ({exc.strerror or exc}); give an existing file."
            ) from exc
        files[checked_name(f"inputs/{name}")] = job.path
        jobs.setdefault(name, []).append(job)
    pushed = steady.run(lambda: push_changed(steady.link, files, progress, executable=[binary]))
    return PlacedPhotos(
        program=path_on_phone(binary),
        jobs={name: tuple(same) for name, same in jobs.items()},
        pushed_bytes=pushed.pushed_bytes,
        kept_bytes=pushed.kept_bytes,
    )
