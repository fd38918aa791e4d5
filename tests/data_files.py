"""Small real dataset files, written into a test's own folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from fer_opt.data import Dataset, Sample

AFFECTNET_HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,"
    "facial_landmarks,expression,valence,arousal\n"
)


def face(seed: int, shape: tuple[int, ...] = (48, 48)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    """RGB that JPEG keeps nearly unchanged: red grows to the right, green downwards."""
    red = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    green = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return np.stack((red, green, np.full_like(red, 90)), axis=2).astype(np.uint8)


def pixel_text(pixels: np.ndarray) -> str:
    return " ".join(map(str, pixels.ravel()))


def write_fer2013(
    path: Path, rows: Sequence[tuple[object, str, str]], *, usage: bool = True
) -> Path:
    """Write rows of (emotion, pixels, Usage); the Usage column may be left out."""
    lines = ["emotion,pixels,Usage" if usage else "emotion,pixels"]
    lines += [f"{row[0]},{row[1]}" + (f",{row[2]}" if usage else "") for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_image(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(pixels).save(path, **options)
    return path


def write_folder(root: Path, labels: Sequence[str], each: int = 2, suffix: str = ".png") -> Path:
    for index, label in enumerate(labels):
        for number in range(each):
            write_image(root / label / f"{number}{suffix}", face(100 * index + number, (12, 12)))
    return root


def counted(counts: Sequence[int]) -> Dataset:
    """A dataset with so many samples of each label, in mixed order; never read."""
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(1).shuffle(labels)
    return Dataset(
        name="counted",
        source="memory",
        labels=tuple(f"label {index}" for index in range(len(counts))),
        samples=tuple(Sample(f"{place}", int(label)) for place, label in enumerate(labels)),
        skipped=(),
        reader=lambda sample: face(int(sample.source)),
    )
