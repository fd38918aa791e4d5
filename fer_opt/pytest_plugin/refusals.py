"""When nothing is timed: tests run side by side, or pytest-benchmark was told to skip."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

__all__ = ["refuse_to_time", "refused_in_parallel"]

IN_PARALLEL = (
    "not timed: pytest-xdist runs tests side by side, and what runs beside a model changes its "
    "times; run the tests that time with -n 0"
)
SKIPPED = "Skipping benchmark (--benchmark-skip active)."


def refuse_to_time(config: pytest.Config) -> None:
    """Skip the test where timing it would be worthless or is unwanted."""
    if hasattr(config, "workerinput"):
        pytest.skip(IN_PARALLEL)
    # pytest-benchmark does so for tests that use its fixture; --benchmark-only overrides it.
    only = config.getoption("benchmark_only", False)
    if config.getoption("benchmark_skip", False) and not only:
        pytest.skip(SKIPPED)


def refused_in_parallel(skipped: Iterable[Any]) -> int:
    """How many of these reports were refused for running side by side."""
    return sum(IN_PARALLEL in str(getattr(report, "longrepr", "")) for report in skipped)
