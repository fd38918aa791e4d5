"""The photos of a timing: their names, their fingerprint, and which of them can be read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from fer_opt.device.stage_timing import PhotoSet
from fer_opt.errors import MeasurementError
from fer_opt.stages.result import PhotoResult

__all__ = ["describe_photos", "name_photos"]


def name_photos(photos: Sequence[Path]) -> dict[str, Path]:
    """The photos by name: each file's own, or its path from their common folder if two share one.

    Raises:
        MeasurementError: no photos, or one given twice.
    """
    if not photos:
        raise MeasurementError("there are no photos to time; name some.")
    own = {photo.name: photo for photo in photos}
    if len(own) == len(photos):
        return own
    whole = [os.path.abspath(photo) for photo in photos]
    above = os.path.commonpath(whole)
    named = {Path(os.path.relpath(path, above)).as_posix(): Path(path) for path in whole}
    if len(named) < len(photos):
        twice = next(path for path in whole if whole.count(path) > 1)
        raise MeasurementError(f"{twice} is among the photos twice; name it once.")
    return named


def describe_photos(
    named: dict[str, Path], results: Sequence[PhotoResult], source: str
) -> PhotoSet:
    """What a record says of the set.

    The fingerprint is SHA-256 over each readable photo's name and content; reading them also puts
    them into the page cache, so that no pass times the disk.

    Args:
        named: the photos by name.
        results: of one pipeline, in the same order.
        source: what the set is called.
    """
    digest = hashlib.sha256()
    unreadable, pixels = [], {}
    for (name, path), result in zip(named.items(), results, strict=True):
        if result.outcome == "unreadable":
            unreadable.append(result.reason)
            continue
        digest.update(f"{name}\0".encode("utf-8", "surrogateescape"))
        digest.update(hashlib.sha256(path.read_bytes()).digest())
        pixels[name] = (result.width, result.height)
    return PhotoSet(source, len(pixels), digest.hexdigest(), tuple(unreadable), pixels)
