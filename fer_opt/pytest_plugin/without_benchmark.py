"""The fixture where pytest-benchmark is missing: only tests that ask for it fail, and say why."""

from __future__ import annotations

import pytest

__all__ = ["tflite_benchmark"]


@pytest.fixture
def tflite_benchmark() -> None:
    """Time a TFLite model; needs pytest-benchmark, which is missing here."""
    pytest.fail(
        "tflite_benchmark hands its times to pytest-benchmark, which is not installed or was "
        "switched off with -p no:benchmark; install it with pip install 'fer-opt[pytest]'.",
        pytrace=False,
    )
