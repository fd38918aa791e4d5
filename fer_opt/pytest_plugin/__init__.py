"""fer-opt in a test suite of yours: fixtures, a marker and options for pytest.

    def test_latency(tflite_benchmark):
        tflite_benchmark("models/faces.tflite")

    @pytest.mark.latency_budget(median_ms=80)
    def test_is_fast_enough(tflite_benchmark):
        tflite_benchmark("models/faces.tflite")

    def test_did_not_get_slower(assert_no_regression):
        assert_no_regression("models/new.tflite", "models/released.tflite")

Loading it costs a test run next to nothing: everything but pytest is imported when a test times.
It does nothing in a run without such tests, and does not need pytest-benchmark to be installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fer_opt.pytest_plugin import with_benchmark, without_benchmark
from fer_opt.pytest_plugin.marker import MARKER, marked_budgets
from fer_opt.pytest_plugin.options import add_options
from fer_opt.pytest_plugin.refusals import refuse_to_time, refused_in_parallel
from fer_opt.pytest_plugin.said import Said

if TYPE_CHECKING:
    from fer_opt.pytest_plugin.regression import AssertNoRegression

__all__ = ["assert_no_regression"]

FIXTURES = "fer_opt_fixtures"
"""What the plugin that brings the fixture tflite_benchmark is called."""

TIMING = frozenset({"tflite_benchmark", "assert_no_regression"})

SAID = pytest.StashKey[Said]()
MARKER_LINE = (
    f"{MARKER}(median_ms=None, p95_ms=None, stage='classify'): what the model that "
    "tflite_benchmark times may take, in milliseconds (fer-opt)."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options of ``pytest --help``, section fer-opt."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the fixture that fits whether pytest-benchmark is there."""
    config.addinivalue_line("markers", MARKER_LINE)
    config.stash[SAID] = Said()
    there = config.pluginmanager.hasplugin("benchmark")
    config.pluginmanager.register(with_benchmark if there else without_benchmark, FIXTURES)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the virtual phone, where one was started."""
    if (said := config.stash.get(SAID, None)) is not None:
        said.ends.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse to time before anything is set up, and a budget that is misspelt or holds nothing."""
    fixtures = getattr(item, "fixturenames", ())
    if not TIMING.isdisjoint(fixtures):
        refuse_to_time(item.config)
    if marked_budgets(item) and "tflite_benchmark" not in fixtures:
        pytest.fail(
            f"@pytest.mark.{MARKER} is held against what the fixture tflite_benchmark times, and "
            "this test does not ask for it; add it to the test's arguments.",
            pytrace=False,
        )


@pytest.fixture
def assert_no_regression(request: pytest.FixtureRequest) -> AssertNoRegression:
    """Fail the test where a candidate is slower than its baseline: ``(candidate, baseline)``.

    Both are timed here, in pairs of fresh processes, until the pairs decide; see docs/pytest.md.
    """
    from fer_opt.pytest_plugin.regression import AssertNoRegression

    return AssertNoRegression(request.config, request.config.stash[SAID], request.node.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in a line each what was judged, also where it passed, and what was not timed."""
    lines = list(terminalreporter.config.stash[SAID].lines)
    refused = refused_in_parallel(terminalreporter.stats.get("skipped", ()))
    if refused:
        lines.append(
            f"{refused} test{'s were' if refused > 1 else ' was'} not timed, because pytest-xdist "
            "runs tests side by side; run them with -n 0."
        )
    if lines:
        terminalreporter.section("fer-opt")
        for line in lines:
            terminalreporter.write_line(line)
