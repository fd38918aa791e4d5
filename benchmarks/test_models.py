"""Latency of every architecture in every standard number format, by pytest-benchmark.

    pytest benchmarks                          everything, on this computer
    pytest benchmarks -k "xcao and int8"       some of it
    pytest benchmarks --fer-opt-on phone       on the phone
    pytest benchmarks --model-side 224 --benchmark-autosave

The models are untrained and take grey images of 96x96 unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fer_opt.models import NAMES
from fer_opt.recipe import STANDARD_RECIPES


@pytest.mark.parametrize("recipe", STANDARD_RECIPES)
@pytest.mark.parametrize("model", NAMES)
def test_latency(
    tflite_benchmark: Any, converted: Callable[[str, str], Path], model: str, recipe: str
) -> None:
    timed = tflite_benchmark(converted(model, recipe))
    assert all(ms > 0 for ms in timed.process_ms)
