"""Builds of stage_bench that are at hand, and what Python makes of the same photos."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import sklearn
from PIL import Image, ImageOps

from fer_opt.convention import InputConvention
from fer_opt.device.runner.elf import abi_of_machine
from fer_opt.device.stage_bench import builds_folder

SOURCES = Path(__file__).parents[1] / "device" / "stage_bench"

# Before any test turns the cache elsewhere.
BUILDS = Path(os.environ.get("FER_OPT_STAGE_BENCH") or builds_folder())

NATIVE = abi_of_machine(os.uname().machine) or "" if hasattr(os, "uname") else ""

EMULATORS = {"armeabi-v7a": "qemu-arm-static", "arm64-v8a": "qemu-aarch64-static"}

PHOTOS = sorted((Path(sklearn.__file__).parent / "datasets" / "images").glob("*.jpg"))
"""Photographs that ship with scikit-learn."""

Pixels = npt.NDArray[np.uint8]


def load_script(name: str) -> ModuleType:
    """A script of device/stage_bench as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SOURCES))
        specification = importlib.util.spec_from_file_location(name, SOURCES / f"{name}.py")
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        sys.modules[name] = module  # its dataclasses look themselves up
        specification.loader.exec_module(module)
    return module


def built(abi: str) -> list[str]:
    """The words that run the build for ``abi``, under an emulator where it is needed."""
    if sys.platform != "linux":
        pytest.skip("stage_bench is a program for Linux and Android")
    program, note = BUILDS / abi / "stage_bench", BUILDS / abi / "build.json"
    if not program.is_file() or not note.is_file():
        pytest.skip(f"no stage_bench for {abi}; build it with device/stage_bench/build.py")
    if json.loads(note.read_text())["sources"] != load_script("build").digest_of(None):
        pytest.skip(f"{program} was built from other sources; run device/stage_bench/build.py")
    if abi == NATIVE:
        return [str(program)]
    emulator = shutil.which(EMULATORS.get(abi, ""))
    if emulator is None:
        pytest.skip(f"no {EMULATORS.get(abi, 'emulator')}")
    return [emulator, str(program)]


@dataclass(frozen=True)
class Said:
    """What a process printed, by line, and its exit status."""

    rows: list[dict[str, Any]]
    status: int

    def of(self, order: int) -> dict[str, dict[str, Any]]:
        """The rows of one photo's first pass, by stage; ``error`` for a failure."""
        return {
            row.get("stage", "error"): row
            for row in self.rows
            if row.get("order") == order and row.get("pass") == 0
        }

    def error(self, order: int = 0) -> str:
        return str(self.of(order).get("error", {}).get("error", ""))


def ask(program: list[str], *words: str | Path, timeout_s: float = 120.0) -> Said:
    """Run it; whatever happens, it prints JSON lines and nothing else."""
    done = subprocess.run(
        [*program, *map(str, words)], capture_output=True, timeout=timeout_s, check=False
    )
    assert done.stderr == b""
    assert done.returncode in (0, 1, 2)
    rows = [json.loads(line) for line in done.stdout.decode("ascii").splitlines()]
    return Said(rows, done.returncode)


def decoded(photo: Path, scale: int = 1) -> Pixels:
    """The photo's upright RGB pixels by Pillow."""
    with Image.open(photo) as file:
        if scale > 1:
            width, height = file.size
            file.draft("RGB", (max(width // scale, 1), max(height // scale, 1)))
        return np.asarray(ImageOps.exif_transpose(file).convert("RGB"))


def resized(pixels: Pixels, box: tuple[int, int, int, int], size: tuple[int, int]) -> Pixels:
    left, top, width, height = box
    crop = pixels[top : top + height, left : left + width]
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_LINEAR))


def tensor_of(face: Pixels, channels: int, low: float, high: float) -> npt.NDArray[np.float32]:
    height, width = face.shape[:2]
    convention = InputConvention(height, width, channels, low, high, ("a", "b"))
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) if channels == 1 else face
    return convention.scale(np.asarray(grey))


def scaled_box(
    box: tuple[int, int, int, int], full: tuple[int, int], decoded_size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The same box in a decoded photo: edges scaled, rounded half up, clipped, never empty."""
    edges = []
    for start, length, whole, now in zip(box[:2], box[2:], full, decoded_size, strict=True):
        first, last = (
            (2 * min(edge, whole) * now + whole) // (2 * whole) for edge in (start, start + length)
        )
        first = min(first, now - 1)
        edges.append((first, max(last, first + 1) - first))
    (left, width), (top, height) = edges
    return (left, top, width, height)
