"""A user's own test suite: fer-opt installed as a package, small real models, pytest by itself."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

__all__ = ["HEAVY", "REPOSITORY", "Suite", "install_plugin", "write_models"]

REPOSITORY = Path(__file__).parents[1]
HEAVY = ("numpy", "tensorflow", "scipy", "pandas", "pydantic", "ai_edge_litert", "fer_opt.device")
"""What must not be loaded before a test times something."""


def install_plugin(folder: Path) -> Path:
    """The wheel of this tree, its entry points included, in a folder for PYTHONPATH."""
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--no-build-isolation", "--target", str(folder), str(REPOSITORY)],
        check=True, capture_output=True, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    return folder


def write_models(folder: Path) -> Path:
    """``small.tflite`` and ``big.tflite``, which has twice as many equal convolutions."""
    for name, layers in (("small", 4), ("big", 8)):
        (folder / f"{name}.tflite").write_bytes(_content(layers))
    return folder


@functools.cache
def _content(layers: int) -> bytes:
    from fer_opt.backend import tf, tf_keras
    from fer_opt.convention import AFFECTNET_LABELS, InputConvention
    from fer_opt.flatbuffer import with_convention

    tf_keras.utils.set_random_seed(3)
    image = x = tf_keras.layers.Input((48, 48, 1), batch_size=1)
    for _ in range(layers):
        x = tf_keras.layers.Conv2D(12, 3, padding="same", activation="relu")(x)
    x = tf_keras.layers.GlobalAveragePooling2D()(x)
    x = tf_keras.layers.Dense(8, activation="softmax")(x)
    model = tf_keras.Model(image, x)
    content = bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    convention = InputConvention(48, 48, 1, 0.0, 1.0, AFFECTNET_LABELS)
    return with_convention(content, convention)


class Suite:
    """A user's folder with tests in it, run by a pytest of its own in which warnings are errors."""

    def __init__(
        self,
        pytester: pytest.Pytester,
        patch: pytest.MonkeyPatch,
        installed: Path,
        models: Path,
    ) -> None:
        self.pytester, self.patch = pytester, patch
        patch.setenv("PYTHONPATH", str(installed))
        # The tests' own options must not reach the user's.
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        patch.delenv("PYTEST_XDIST_WORKER", raising=False)
        for file in models.iterdir():
            (pytester.path / file.name).write_bytes(file.read_bytes())

    def run(self, source: str, *options: str, name: str = "test_user") -> pytest.RunResult:
        """Run one file of tests."""
        self.pytester.makepyfile(**{name: f"import pytest\n{source}"})
        return self.pytester.runpytest_subprocess(
            "-W", "error", "--fer-opt-runs=3", "-rs", *options
        )

    def saved(self, name: str = "b.json") -> dict[str, Any]:
        """What pytest-benchmark wrote, without any NaN."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        text = (self.pytester.path / name).read_text()
        found: dict[str, Any] = json.loads(text, parse_constant=refuse)
        return found
