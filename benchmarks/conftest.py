"""What ``pytest benchmarks`` can be told, and where its models come from."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("fer-opt").addoption(
        "--model-side",
        type=int,
        default=96,
        metavar="PIXELS",
        help="Side of the models' grey input images (pytest benchmarks). Default: %(default)s.",
    )


@pytest.fixture(scope="session")
def converted(request: pytest.FixtureRequest) -> Callable[[str, str], Path]:
    """The .tflite file of an architecture and a recipe, untrained, converted once and kept."""
    from untrained import converted

    return functools.partial(converted, side=request.config.getoption("model_side"))
