"""Faces that were cropped and resized once, kept as PNG files so that it is done once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import cv2

from fer_opt.data.dataset import BadSampleError, Image, Sample
from fer_opt.data.images import decode

__all__ = ["keep", "place_of", "recall"]


def place_of(cache: Path, root: Path, name: str, sample: Sample, side: int) -> Path:
    """Where the finished face of photo ``name`` is kept: named by all that it depends on."""
    try:
        changed = (root / name).stat().st_mtime_ns
    except OSError:
        changed = 0
    key = f"{name}\0{sample.length}\0{changed}\0{sample.box}\0{side}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    return cache / digest[:2] / f"{digest[2:34]}.png"


def recall(path: Path, side: int) -> Image | None:
    """A face from the cache; None when it is not there, or was cut short by a crash."""
    try:
        face = decode(path, str(path))
    except BadSampleError:
        return None
    return face if face.shape[:2] == (side, side) else None


def keep(path: Path, face: Image) -> None:
    """Write a face to the cache in one step, without waiting for the disk for each of them.

    The cache only saves time: a full disk must not fail the run, so it is left incomplete.
    """
    bgr = face if face.ndim == 2 else cv2.cvtColor(face, cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    temporary = None
    try:
        path.parent.mkdir(exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content.tobytes())
        os.replace(temporary, path)
    except OSError:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
