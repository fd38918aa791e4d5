"""The fixture beside pytest-benchmark, which gets a datum of each fresh process as a round.

pytest-benchmark times by reading a clock around a call. The call here has been timed already, in
another process or on a phone, so that it only moves a clock of its own, which the test's
``benchmark`` marker names. One round is one process, iterations are 1, seconds come out exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fer_opt.pytest_plugin.clock import ProcessClock

if TYPE_CHECKING:
    from fer_opt.pytest_plugin.fixture import TfliteBenchmark

__all__ = ["tflite_benchmark"]

CLOCK = pytest.StashKey[ProcessClock]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give pytest-benchmark the clock of this test, whatever else the test's marker tells it."""
    if "tflite_benchmark" not in getattr(item, "fixturenames", ()):
        return
    item.stash[CLOCK] = clock = ProcessClock()
    marked = item.get_closest_marker("benchmark")
    told = dict(marked.kwargs) if marked else {}
    item.add_marker(pytest.mark.benchmark(**told | {"timer": clock.read}), append=False)


@pytest.fixture
def tflite_benchmark(request: pytest.FixtureRequest, benchmark: Any) -> TfliteBenchmark:
    """Time a TFLite model, each datum in a fresh process; pytest-benchmark shows and saves it.

    ``tflite_benchmark(path)``; see docs/pytest.md.
    """
    from fer_opt.pytest_plugin.fixture import TfliteBenchmark

    return TfliteBenchmark(request.node, benchmark, request.node.stash[CLOCK])
