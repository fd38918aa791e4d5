"""The suite ``pytest benchmarks``: collected only when named, selectable, and real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from user_suite import REPOSITORY, install_plugin

from fer_opt.models import NAMES
from fer_opt.recipe import STANDARD_RECIPES


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_plugin(tmp_path_factory.mktemp("installed"))


def pytest_here(installed: Path, *options: str) -> str:
    """What pytest says in this repository."""
    # As if no worker of a parallel run had started it.
    alone = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        capture_output=True, text=True, cwd=REPOSITORY, timeout=500,
        env=alone | {"PYTHONPATH": str(installed)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_architecture_in_every_standard_format_can_be_chosen(installed: Path):
    every = pytest_here(installed, "benchmarks", "--collect-only")
    for model in NAMES:
        for recipe in STANDARD_RECIPES:
            assert f"test_models.py::test_latency[{model}-{recipe}]" in every
    some = pytest_here(installed, "benchmarks", "--collect-only", "-k", "xcao and int8")
    assert "[xcao-int8]" in some
    assert "int16x8" not in some
    assert "mobilenet" not in some


@pytest.mark.slow
def test_without_a_name_only_the_tests_are_collected(installed: Path):
    # The folder of tests itself is not read again, which would take long.
    said = pytest_here(installed, "--collect-only", "--ignore-glob=*/tests/test_[!m]*")
    assert "tests/test_models.py" in said
    assert "benchmarks/" not in said


@pytest.mark.slow
def test_a_variant_is_converted_once_and_timed(installed: Path, tmp_path: Path):
    words = (
        "benchmarks", "-k", "xcao-float32", "--model-side=32", "--fer-opt-processes=2",
        f"--benchmark-json={tmp_path / 'b.json'}",
    )  # fmt: skip
    pytest_here(installed, *words)
    kept = Path(os.environ["FER_OPT_CACHE"]) / "benchmarks"
    (file,) = kept.glob("xcao-32-float32-*.tflite")
    made = file.stat().st_mtime_ns
    pytest_here(installed, *words)
    assert file.stat().st_mtime_ns == made
    (saved,) = json.loads((tmp_path / "b.json").read_text())["benchmarks"]
    assert saved["stats"]["rounds"] == 2
    assert saved["extra_info"]["fer_opt"]["model"] == file.name
