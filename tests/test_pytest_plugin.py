"""The pytest plugin as users meet it: their own suites, run by a pytest of its own."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import pytest
from sample_phone_run import sample_phone_run
from user_suite import HEAVY, REPOSITORY, Suite, install_plugin, write_models

from fer_opt.data.scenes import write_scenes
from fer_opt.device import stage_timing
from fer_opt.pytest_plugin import marker
from fer_opt.pytest_plugin.budgets import hold_to
from fer_opt.pytest_plugin.said import Said
from fer_opt.pytest_plugin.sentences import for_pytest
from fer_opt.pytest_plugin.timed import Timed
from fer_opt.reports.gate.samples import samples_of_measurements

pytest_plugins = ["pytester"]

TIMES = """
def test_latency(tflite_benchmark):
    timed = tflite_benchmark("small.tflite")
    assert timed.median_ms > 0 and timed.kind == "host"
"""
BUDGET = """
@pytest.mark.latency_budget({limits})
def test_budget(tflite_benchmark):
    tflite_benchmark("small.tflite")
"""
SAME = """
def test_same(assert_no_regression):
    assert_no_regression("small.tflite", "small.tflite", tolerance=0.5)
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_plugin(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def suite(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, installed: Path, models: Path
) -> Suite:
    return Suite(pytester, monkeypatch, installed, models)


def said(result: pytest.RunResult) -> str:
    """Everything it printed, on one line, as a terminal may break lines anywhere."""
    return " ".join((result.stdout.str() + result.stderr.str()).split())


def test_pytest_benchmark_saves_a_datum_of_each_fresh_process(suite: Suite):
    result = suite.run(TIMES, "--benchmark-json=b.json", "--fer-opt-processes=4")
    result.assert_outcomes(passed=1)
    (saved,) = suite.saved()["benchmarks"]
    facts, stats = saved["extra_info"]["fer_opt"], saved["stats"]
    assert stats["rounds"] == 4
    assert stats["iterations"] == 1
    medians = [statistics.median(one["inference_ms"]) for one in facts["measurements"]]
    assert stats["data"] == [ms / 1000 for ms in medians]
    assert len({one["started_at"] for one in facts["measurements"]}) == 4


def test_a_computers_times_say_so_wherever_they_are_saved(suite: Suite):
    suite.run(TIMES, "--benchmark-json=b.json", "--fer-opt-processes=1")
    (saved,) = suite.saved()["benchmarks"]
    assert saved["name"] == "test_latency on this computer"
    assert saved["fullname"] == "test_user.py::test_latency on this computer"
    facts = saved["extra_info"]["fer_opt"]
    assert (facts["kind"], facts["is_phone"]) == ("host", False)
    assert len(facts["fingerprint"]) == 64
    assert facts["facts"]["runtime"].startswith("ai-edge-litert")


def test_a_virtual_phones_times_are_not_shown_as_a_phones(suite: Suite):
    limits = BUDGET.format(limits="median_ms=10_000")
    result = suite.run(
        limits + TIMES.replace('"host"', '"virtual"'),
        "--fer-opt-on=virtual", "--fer-opt-processes=6", "--benchmark-json=b.json",
    )  # fmt: skip
    result.assert_outcomes(passed=2)
    for saved in suite.saved()["benchmarks"]:
        assert saved["name"].endswith("on a virtual phone (this computer's times)")
        facts = saved["extra_info"]["fer_opt"]
        assert (facts["kind"], facts["is_phone"]) == ("virtual", False)
        assert len(facts["measurements"]) == saved["stats"]["rounds"] == 6
    assert "on a virtual phone (this computer's times), median of classify" in said(result)


@pytest.mark.parametrize(
    ("limits", "options", "outcome", "words"),
    [
        ("median_ms=10_000", [], "passed", "PASS: small.tflite on this computer, median of"),
        ("median_ms=0.0001", [], "failed", "24 of 24 inferences took longer"),
        ("median_ms=10_000", ["--fer-opt-processes=1"], "skipped", "5 independent ones would pass"),
        (
            "median_ms=10_000",
            ["--fer-opt-processes=1", "--fer-opt-inconclusive=fail"],
            "failed",
            "INCONCLUSIVE: small.tflite",
        ),
        (
            "median_ms=10_000",
            ["--fer-opt-processes=1", "--fer-opt-inconclusive=pass"],
            "passed",
            "INCONCLUSIVE: small.tflite",
        ),
        ("p95_ms=10_000", ["--fer-opt-processes=5"], "skipped", "59 independent ones would pass"),
        ("median_ms=10_000, p95_ms=0.0001", ["--fer-opt-processes=5"], "failed", "95th percentile"),
    ],
)
def test_a_budget_passes_fails_or_is_open(suite, limits, options, outcome, words):
    result = suite.run(BUDGET.format(limits=limits), *options)
    result.assert_outcomes(**{outcome: 1})
    assert words in said(result)


@pytest.mark.slow
def test_a_95th_percentile_gets_the_59_processes_it_needs(suite: Suite):
    result = suite.run(BUDGET.format(limits="p95_ms=10_000"), "--benchmark-json=b.json")
    result.assert_outcomes(passed=1)
    assert suite.saved()["benchmarks"][0]["stats"]["rounds"] == 59


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("p59_ms=4", "has p59_ms; write median_ms=80, p95_ms=100, or both"),
        ("4", "has a limit without a name"),
        ("stage='total'", "has no limit"),
        ("median_ms=4, stage='totl'", "names the stage 'totl'; write one of bitmap, detect"),
        ("median_ms=-1", "has median_ms=-1, which is no number of milliseconds above 0"),
        ("median_ms='4'", "has median_ms='4', which is no number"),
        ("median_ms=4, stage='total'", "names the stage total, which needs photos"),
    ],
)
def test_a_budget_that_cannot_be_held_to_fails_in_a_sentence(suite, limits, words):
    result = suite.run(BUDGET.format(limits=limits), "--fer-opt-processes=1")
    assert result.ret == 1
    assert words in said(result)
    assert "Traceback" not in said(result)


def test_a_budget_without_the_fixture_fails(suite: Suite):
    result = suite.run("@pytest.mark.latency_budget(median_ms=5)\ndef test_nothing():\n    pass\n")
    result.assert_outcomes(errors=1)
    assert "this test does not ask for it" in said(result)


def test_the_budgets_of_a_class_hold_beside_the_tests_own(suite: Suite):
    result = suite.run(
        """
@pytest.mark.latency_budget(median_ms=0.0001)
class TestFast:
    @pytest.mark.latency_budget(median_ms=10_000)
    def test_both(self, tflite_benchmark):
        tflite_benchmark("small.tflite")
"""
    )
    result.assert_outcomes(failed=1)
    assert "PASS" in said(result)
    assert "FAIL" in said(result)


@pytest.mark.parametrize("path", ["missing.tflite", "test_user.py"])
@pytest.mark.parametrize(
    "source",
    [
        "def test_it(tflite_benchmark):\n    tflite_benchmark({path!r})\n",
        "def test_it(assert_no_regression):\n    assert_no_regression({path!r}, 'small.tflite')\n",
    ],
)
def test_a_file_that_is_no_model_fails_in_a_sentence(suite, path, source):
    result = suite.run(source.format(path=path))
    result.assert_outcomes(failed=1)
    (sentence,) = (
        result.stdout.str().partition("FAILURES ====")[2].split("___\n")[1].splitlines()[:1]
    )
    assert sentence.startswith(path)
    assert sentence.endswith(".")
    assert "Error" not in said(result)


@pytest.mark.slow
def test_stages_of_photos_are_held_to_their_budgets(suite: Suite):
    folder = suite.pytester.mkdir("photos")
    write_scenes(folder, seed=0)
    for scene in sorted(folder.iterdir())[4:]:
        scene.unlink()
    result = suite.run(
        """
@pytest.mark.latency_budget(p95_ms=0.001, stage="total")
def test_too_slow(tflite_benchmark):
    tflite_benchmark("small.tflite", photos="photos", way="faster")

@pytest.mark.latency_budget(median_ms=60_000, stage="total")
def test_open(tflite_benchmark):
    timed = tflite_benchmark("small.tflite", photos="photos", way="faster")
    assert timed.by_photo and set(timed.samples) >= {"bitmap", "detect", "total"}
""",
        "--fer-opt-processes=2",
        "--benchmark-json=b.json",
    )
    result.assert_outcomes(failed=1, skipped=1)
    assert re.search(r"([1-4]) of \1 photos took longer than the budget", said(result))
    assert suite.saved()["benchmarks"][0]["stats"]["rounds"] == 2


def test_stages_of_photos_are_refused_on_a_phone(suite: Suite):
    result = suite.run(
        'def test_it(tflite_benchmark):\n    tflite_benchmark("small.tflite", photos=".")\n',
        "--fer-opt-on=phone",
    )
    result.assert_outcomes(failed=1)
    assert "are timed on this computer in a test, not on phone" in said(result)


@pytest.mark.alone
def test_a_model_with_twice_the_work_fails_and_the_same_one_passes(suite: Suite):
    result = suite.run(
        """
def test_slower(assert_no_regression):
    assert_no_regression("big.tflite", "small.tflite")

def test_faster(assert_no_regression):
    verdict = assert_no_regression("small.tflite", "big.tflite")
    assert verdict.outcome == "pass" and verdict.pairs == 8 and verdict.ratio < 1
""",
        "--fer-opt-runs=30",
    )
    result.assert_outcomes(failed=1, passed=1)
    assert "FAIL: Regressed: latency of big.tflite." in said(result)
    assert "95 times in 100" in said(result)
    failure = result.stdout.str().partition("FAILURES")[2].partition("= fer-opt =")[0]
    assert len(failure.splitlines()) < 24, "one screen"


@pytest.mark.slow
@pytest.mark.alone
def test_pairs_on_a_virtual_phone_are_compared_there(suite: Suite):
    result = suite.run(
        """
def test_slower(assert_no_regression):
    assert_no_regression("big.tflite", "small.tflite")
""",
        "--fer-opt-on=virtual", "--fer-opt-runs=10",
    )  # fmt: skip
    # Other people's work may disturb a virtual phone's times; they are not valid then.
    result.assert_outcomes(failed=1)
    assert re.search("FAIL: Regressed|NOT VALID", said(result))
    assert "(a virtual phone: a computer's times, not a phone's)" in said(result)


def test_nothing_is_timed_side_by_side(suite: Suite):
    result = suite.run(TIMES + SAME, "-n", "2")
    result.assert_outcomes(skipped=2)
    assert "pytest-xdist runs tests side by side" in said(result)
    assert "2 tests were not timed" in said(result)


def test_benchmark_skip_skips_both_fixtures(suite: Suite):
    result = suite.run(TIMES + SAME, "--benchmark-skip")
    result.assert_outcomes(skipped=2)


def test_benchmark_disable_runs_each_model_once_and_judges_nothing(suite: Suite):
    result = suite.run(BUDGET.format(limits="median_ms=0.0001") + SAME, "--benchmark-disable")
    result.assert_outcomes(passed=2)
    assert "its budget was not judged (--benchmark-disable)" in said(result)
    assert "nothing was compared (--benchmark-disable)" in said(result)
    assert "Rounds" not in said(result)


def test_a_later_run_is_compared_with_a_saved_one(suite: Suite):
    suite.run(TIMES, "--benchmark-autosave", "--fer-opt-processes=2")
    result = suite.run(TIMES, "--benchmark-compare", "--fer-opt-processes=2")
    result.assert_outcomes(passed=1)
    assert "(NOW)" in said(result)
    assert "(0001_" in said(result)


def test_a_tests_own_benchmark_marker_keeps_its_say(suite: Suite):
    result = suite.run(
        f"@pytest.mark.benchmark(group='mine'){TIMES}",
        "--benchmark-json=b.json",
        "--fer-opt-processes=2",
    )
    result.assert_outcomes(passed=1)
    (saved,) = suite.saved()["benchmarks"]
    assert saved["group"] == "mine"
    assert saved["stats"]["rounds"] == 2


def test_a_profile_asked_of_pytest_benchmark_does_no_harm(suite: Suite):
    result = suite.run(TIMES, "--benchmark-cprofile=tottime", "--fer-opt-processes=2")
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("absent", ["switched off", "not installed"])
def test_without_pytest_benchmark_only_its_fixture_fails(suite, absent):
    options = ["-p", "no:benchmark"]
    if absent == "not installed":
        suite.patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        suite.pytester.makepyfile(pytest_benchmark="raise ImportError('not installed')")
        options = ["-p", "fer_opt.pytest_plugin", "-o", "pythonpath=."]
    result = suite.run(f"def test_plain():\n    pass\n{TIMES}{SAME}", *options)
    result.assert_outcomes(passed=2, errors=1)
    assert "install it with pip install 'fer-opt[pytest]'" in said(result)


def test_a_users_folders_named_device_and_reports_do_not_matter(suite: Suite):
    for name in ("device", "reports", "statistics_of_mine"):
        folder = suite.pytester.mkpydir(name)
        (folder / "test_inside.py").write_text(
            f"import {name}\n\ndef test_it(tflite_benchmark):\n"
            f"    assert {name}.__file__ == {str(folder / '__init__.py')!r}\n"
            "    tflite_benchmark('small.tflite')\n"
        )
    result = suite.run(SAME, "--fer-opt-processes=1")
    result.assert_outcomes(passed=4)


def test_a_run_that_times_nothing_loads_nothing(suite: Suite):
    suite.pytester.makeconftest(
        "import sys\n\n"
        "def pytest_terminal_summary(terminalreporter):\n"
        f"    loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "    mine = [name for name in sys.modules if name.startswith('fer_opt.')]\n"
        "    other = [name for name in mine if not name.startswith('fer_opt.pytest_plugin')]\n"
        "    terminalreporter.write_line(f'HEAVY {loaded} OTHER {other} MINE {len(mine)}')\n"
    )
    result = suite.run("def test_plain():\n    pass\n")
    result.assert_outcomes(passed=1)
    assert "HEAVY [] OTHER [] MINE 8" in said(result)


def test_the_marker_and_the_options_are_known(suite: Suite):
    assert "latency_budget(median_ms=None" in said(suite.run("", "--markers"))
    helped = said(suite.run("", "--help"))
    for option in ("on", "via", "runner", "processes", "runs", "threads", "inconclusive"):
        assert f"--fer-opt-{option}" in helped
    suite.run(BUDGET.format(limits="median_ms=1"), "--strict-markers", "--co").assert_outcomes()


def test_a_number_of_processes_that_is_none_is_refused(suite: Suite):
    result = suite.run(TIMES, "--fer-opt-processes=0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "invalid number from 1 value: '0'" in said(result)


def test_several_phones_are_refused(suite: Suite):
    result = suite.run(TIMES, "--fer-opt-on=all")
    result.assert_outcomes(failed=1)
    assert "a test is timed on one" in said(result)


@pytest.mark.slow
def test_the_examples_of_the_documentation_run_as_written(suite: Suite):
    text = (REPOSITORY / "docs" / "pytest.md").read_text(encoding="utf-8")
    simple, photos = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    folder = suite.pytester.mkdir("models")
    small = (suite.pytester.path / "small.tflite").read_bytes()
    for name in ("faces", "released"):
        (folder / f"{name}.tflite").write_bytes(small)
    result = suite.run(simple, "--fer-opt-processes=6")
    outcomes = result.parseoutcomes()
    # Six processes may be too few for a 95th percentile.
    assert outcomes.pop("skipped", 0) + outcomes.pop("passed") == 3
    assert not outcomes
    write_scenes(suite.pytester.mkdir("photos"), seed=0)
    result = suite.run(photos, "--fer-opt-processes=1")
    result.assert_outcomes(passed=1)


def test_a_phone_that_is_not_there_fails_in_a_sentence(suite: Suite):
    result = suite.run(TIMES + SAME, "--fer-opt-on=tcp:127.0.0.1:9")
    result.assert_outcomes(failed=2)
    assert "127.0.0.1:9" in said(result)
    assert "Traceback" not in said(result)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("name it: --on tcp:HOST:PORT.", "name it: --fer-opt-on tcp:HOST:PORT."),
        ("more pairs (--looks 24,32,48)", "more pairs (looks=(24, 32, 48))"),
        ("more (--runs), fewer --threads", "more (--fer-opt-runs), fewer --fer-opt-threads"),
        ("say --fer-opt-on phone, --only", "say --fer-opt-on phone, --only"),
    ],
)
def test_options_have_the_names_they_have_in_pytest(words: str, told: str):
    assert for_pytest(words) == told


def test_more_looks_and_another_tolerance_can_be_asked_for(suite: Suite):
    result = suite.run(
        """
def test_same(assert_no_regression):
    verdict = assert_no_regression("small.tflite", "small.tflite", tolerance=0.5, looks=[5, 6])
    assert verdict.looks == (5, 6) and verdict.pairs in (5, 6) and verdict.tolerance == 0.5

def test_none(assert_no_regression):
    assert_no_regression("small.tflite", "small.tflite", looks=[])
""",
        "--fer-opt-inconclusive=pass",
    )
    result.assert_outcomes(passed=1, failed=1)
    assert "are not numbers of pairs in ascending order" in said(result)


@pytest.mark.parametrize(
    ("kind", "reasons", "words"),
    [
        ("phone", (), None),
        ("phone", ("The phone was throttled in round 3.",), "throttled in round 3"),
        ("virtual", ("This is a virtual phone.",), None),
        ("emulated", (), "under an emulator"),
    ],
)
def test_a_budget_is_held_against_valid_times_only(kind, reasons, words):
    run = sample_phone_run(kind=kind)
    samples = samples_of_measurements(one for one in run.measurements if one.model == "int8")
    timed = Timed(
        "int8", "a" * 64, run.device, run.label, (343.0,), {}, {"classify": samples}, False, reasons
    )
    memory = Said()
    if words is None:
        hold_to([marker.Budget(50, 500, "classify")], timed, "fail", memory, "test")
        assert "PASS" in memory.lines[0]
        return
    with pytest.raises(pytest.fail.Exception, match=words):
        hold_to([marker.Budget(50, 500, "classify")], timed, "pass", memory, "test")


def test_stages_have_the_names_of_the_record():
    assert (*stage_timing.STAGES, "total") == marker.STAGES
