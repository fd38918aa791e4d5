"""Budgets of time and size: what they say, how they are written, what they count."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_record import sample_record
from sample_stages import THESIS_WAYS

from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.device.stage_timing import PhotoPass, PhotoSet, PipelineTimes, StagesRun
from fer_opt.errors import GateError, MeasurementError
from fer_opt.reports.gate.budget_words import parse_budget
from fer_opt.reports.gate.budgets import LatencyBudget, SizeBudget, judge_latency, judge_size
from fer_opt.reports.gate.samples import samples_of_measurements, samples_of_times
from fer_opt.reports.gate.stage_samples import samples_of_stage
from fer_opt.reports.order_statistics import percentile_bounds, quantile_ranks, values_needed
from fer_opt.reports.pooling import spread_of
from fer_opt.reports.stages.verdict import judge

TIMES = st.lists(st.floats(0.001, 1e5), min_size=1, max_size=300)
SAMPLE = sample_record().measurements[0]
ORDER = ("fail", "inconclusive", "pass")


def processes(times: np.ndarray) -> tuple[Measurement, ...]:
    """Measurements of one model: (processes, inferences) in ms."""
    return tuple(
        dataclasses.replace(SAMPLE, round_index=index, inference_ms=tuple(map(float, row)))
        for index, row in enumerate(times)
    )


def summaries(made: tuple[Measurement, ...]) -> tuple[Measurement, ...]:
    """The same processes, telling no single times, as a phone's."""
    return tuple(dataclasses.replace(one, inference_ms=(), summary=spread_of(one)) for one in made)


def clustered(random: np.random.Generator, count: int, runs: int, between: float) -> np.ndarray:
    logs = random.normal(0, between, (count, 1)) + random.normal(0, 0.03, (count, runs))
    return 40 * np.exp(logs)


# --- percentiles of independent values ---


@given(TIMES, st.floats(0.01, 1e5))
def test_independent_times_are_judged_as_photos_are(times, limit):
    found = judge_latency(LatencyBudget("total", limit), samples_of_times(times))
    known = judge(times, limit)
    assert found.outcome == known.outcome.replace("open", "inconclusive")
    assert (found.low, found.high) == (known.low_ms, known.high_ms)
    assert (found.over, found.worth) == (known.over, len(times))


@given(TIMES, st.floats(0.01, 1e5), st.floats(50, 99))
def test_a_verdict_is_what_its_bounds_say(times, limit, percentile):
    found = judge_latency(LatencyBudget("total", limit, percentile), samples_of_times(times))
    assert (found.outcome == "fail") == (found.low is not None and found.low > limit)
    assert (found.outcome == "pass") == (found.high is not None and found.high <= limit)


@given(TIMES, st.floats(0.01, 1e4), st.floats(1, 10), st.floats(50, 99))
def test_a_larger_budget_is_never_judged_worse(times, limit, factor, percentile):
    samples = samples_of_times(times)
    tight = judge_latency(LatencyBudget("total", limit, percentile), samples)
    loose = judge_latency(LatencyBudget("total", factor * limit, percentile), samples)
    assert ORDER.index(loose.outcome) >= ORDER.index(tight.outcome)


@given(TIMES, st.floats(0.01, 1e5))
def test_incomplete_times_can_fail_but_not_pass(times, limit):
    budget = LatencyBudget("total", limit)
    found = judge_latency(budget, samples_of_times(times), at_least=True)
    complete = judge_latency(budget, samples_of_times(times))
    assert found.outcome == ("fail" if complete.outcome == "fail" else "inconclusive")
    assert found.high is None


def test_enough_incomplete_times_do_not_pass():
    budget = LatencyBudget("total", 100.0)
    assert judge_latency(budget, samples_of_times([90.0] * 59)).outcome == "pass"
    found = judge_latency(budget, samples_of_times([90.0] * 59), at_least=True)
    assert (found.outcome, found.high, found.needed) == ("inconclusive", None, None)


@pytest.mark.parametrize(("percentile", "least"), [(50, 5), (90, 29), (95, 59), (99, 299)])
def test_so_many_values_are_needed_to_pass(percentile, least):
    budget = LatencyBudget("total", 100.0, percentile)
    few = judge_latency(budget, samples_of_times([90.0] * (least - 1)))
    assert (few.outcome, few.needed) == ("inconclusive", least)
    assert judge_latency(budget, samples_of_times([90.0] * least)).outcome == "pass"


def test_what_is_needed_would_pass():
    times = [90.0] * 58 + [110.0]
    found = judge_latency(LatencyBudget("total", 100.0), samples_of_times(times))
    assert found.outcome == "inconclusive"
    assert found.needed is not None
    over = math.ceil(found.needed / 59)
    assert values_needed(over, 0.95, 0.95) <= found.needed
    hopeless = judge_latency(LatencyBudget("total", 100.0), samples_of_times([90.0, 110.0]))
    assert hopeless.needed is None


@given(st.integers(1, 200), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_bounds_are_ranks_of_the_values(size, quantile):
    low, high = percentile_bounds(range(1, size + 1), quantile, 0.95)
    assert (low, high) == quantile_ranks(size, quantile, 0.95)


# --- inferences of processes ---


def test_alike_inferences_count_for_less():
    random = np.random.default_rng(0)
    worths = [
        samples_of_measurements(processes(clustered(random, 20, 10, between))).worth
        for between in (0.0, 0.03, 0.5)
    ]
    assert worths[0] > 60
    assert worths[0] > worths[1] > worths[2]
    assert 20 <= worths[2] <= 22


def test_slow_inferences_do_not_hide_that_the_others_are_alike():
    random = np.random.default_rng(0)
    times = clustered(random, 20, 10, 0.1)
    plain = samples_of_measurements(processes(times)).worth
    slowed = times * np.where(random.random(times.shape) < 0.2, 3.0, 1.0)
    assert samples_of_measurements(processes(slowed)).worth <= 1.2 * plain <= 36


@given(st.integers(2, 30), st.integers(2, 12), st.floats(0, 0.2), st.floats(35, 60))
def test_a_verdict_on_processes_is_what_its_bounds_say(count, runs, between, limit):
    times = clustered(np.random.default_rng(count * runs), count, runs, between)
    samples = samples_of_measurements(processes(times))
    assert count <= samples.worth <= count * runs
    for percentile in (50, 80, 95):
        found = judge_latency(LatencyBudget("classify", limit, percentile), samples)
        assert (found.outcome == "fail") == (found.low is not None and found.low > limit)
        assert (found.outcome == "pass") == (found.high is not None and found.high <= limit)


def test_one_process_is_worth_one_value():
    found = samples_of_measurements(processes(np.full((1, 100), 40.0)))
    assert (found.count, found.worth) == (100, 1)


@pytest.mark.parametrize("between", [0.0, 0.02, 0.06])
@pytest.mark.parametrize("slow", [0.0, 0.2])
@pytest.mark.parametrize("told", ["times", "summaries"])
def test_wrong_verdicts_are_rare(between, slow, told):
    """The budget is the true percentile itself, so both pass and fail are wrong; each 5 %."""
    random = np.random.default_rng(7)

    def times(count: int) -> np.ndarray:
        made = clustered(random, count, 10, between)
        return made * np.where(
            random.random(made.shape) < slow, random.uniform(1, 3, made.shape), 1.0
        )

    sessions = 400
    budget = LatencyBudget("classify", float(np.percentile(times(30_000), 90)), 90.0)
    wrong = {"pass": 0, "fail": 0, "inconclusive": 0}
    for _ in range(sessions):
        made = processes(times(24))
        samples = samples_of_measurements(summaries(made) if told == "summaries" else made)
        wrong[judge_latency(budget, samples).outcome] += 1
    tolerated = 0.05 * sessions + 3 * math.sqrt(0.05 * 0.95 * sessions)
    assert max(wrong["pass"], wrong["fail"]) <= tolerated


@given(
    st.lists(st.lists(st.floats(1, 100), min_size=5, max_size=12), min_size=1, max_size=20),
    st.floats(1, 100),
)
def test_a_summary_never_decides_what_its_times_would_not(groups, limit):
    made = tuple(
        dataclasses.replace(SAMPLE, round_index=index, inference_ms=tuple(times))
        for index, times in enumerate(groups)
    )
    known = samples_of_measurements(made)
    told = samples_of_measurements(summaries(made))
    least, most = told.over(limit)
    assert least <= known.over(limit)[0] <= most
    assert told.worth == known.worth
    budget = LatencyBudget("classify", limit, 90)
    outcomes = {judge_latency(budget, one).outcome for one in (known, told)}
    assert outcomes != {"pass", "fail"}
    if judge_latency(budget, told).outcome != "inconclusive":
        assert len(outcomes) == 1


def test_measurements_of_two_files_are_refused():
    made = processes(np.full((2, 5), 40.0))
    other = dataclasses.replace(made[1], model_sha256="f" * 64)
    with pytest.raises(MeasurementError, match="judge each on its own"):
        samples_of_measurements((made[0], other))


@pytest.mark.parametrize("times", [[], [math.nan], [1.0, math.inf], [-1.0]])
def test_what_is_no_time_is_refused(times):
    with pytest.raises(MeasurementError):
        samples_of_times(times)


# --- stages ---


def stages_run(**passes: dict[str, float]) -> StagesRun:
    made = tuple(
        PhotoPass(name, 0, 1, place, stages, None, 1)
        for place, (name, stages) in enumerate(passes.items())
    )
    pipeline = PipelineTimes("thesis", THESIS_WAYS, made, "int8", "0" * 64)
    device = DeviceFacts("host", "computer", "f" * 64, {}, {})
    return StagesRun(device, PhotoSet("photos", len(made), "f" * 64), (pipeline,))


WHOLE = {"bitmap": 5.0, "detect": 80.0, "resize": 1.0, "grey": 1.0, "classify": 10.0}


def test_a_stage_and_the_total_are_of_photos():
    run = stages_run(a=WHOLE, b={**WHOLE, "detect": 90.0})
    total, at_least = samples_of_stage(run, "thesis", "total")
    assert (sorted(total.times_ms or ()), at_least) == ([97.0, 107.0], False)
    detect, _ = samples_of_stage(run, "thesis", "detect")
    assert detect.times_ms == (80.0, 90.0)


def test_a_total_that_lacks_a_stage_says_so():
    lacking = {stage: ms for stage, ms in WHOLE.items() if stage != "classify"}
    _, at_least = samples_of_stage(stages_run(a=lacking), "thesis", "total")
    assert at_least


@pytest.mark.parametrize(
    ("pipeline", "subject", "message"),
    [
        ("slow", "total", "no pipeline is named slow; these were timed: thesis"),
        ("thesis", "sleep", "sleep is no stage; choose total or one of bitmap"),
        ("thesis", "classify", "classify has no times"),
    ],
)
def test_a_stage_that_was_not_timed_is_refused(pipeline, subject, message):
    lacking = {stage: ms for stage, ms in WHOLE.items() if stage != "classify"}
    with pytest.raises(GateError, match=message):
        samples_of_stage(stages_run(a=lacking), pipeline, subject)


def test_an_emulators_stages_are_refused():
    run = stages_run(a=WHOLE)
    device = dataclasses.replace(run.device, kind="emulated")
    with pytest.raises(MeasurementError, match="emulator"):
        samples_of_stage(dataclasses.replace(run, device=device), "thesis", "total")


# --- words ---


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("total=500ms", LatencyBudget("total", 500.0)),
        ("classify = 0.1 s", LatencyBudget("classify", 100.0)),
        ("grey=250us", LatencyBudget("grey", 0.25)),
        ("grey=250µs", LatencyBudget("grey", 0.25)),
        ("prune(a=1) > int8=12ms", LatencyBudget("prune(a=1) > int8", 12.0)),
        ("size=2MB", SizeBudget(2_000_000)),
        ("size=1.5KiB", SizeBudget(1536)),
        ("size=900b", SizeBudget(900)),
    ],
)
def test_budgets_are_read(text, wanted):
    assert parse_budget(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "=", "total", "total=", "=5ms", "total=5", "total=5MB", "total=-5ms", "total=nanms",
     "total=0ms", "total=1e999ms", "size=2", "size=2ms", "size=0B", "total=5 ms ms"],
)  # fmt: skip
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(GateError):
        parse_budget(text)


@given(st.text(max_size=30) | st.from_regex(r"[a-z]{1,5}=[0-9.]{1,4} ?[A-Za-z]{0,3}"))
def test_any_text_is_a_budget_or_refused(text):
    try:
        found = parse_budget(text)
    except GateError:
        return
    assert found.name
    assert "=" in text


@pytest.mark.parametrize("percentile", [49.9, 99.1, math.nan])
def test_a_percentile_beyond_50_to_99_is_refused(percentile):
    with pytest.raises(GateError, match="percentile"):
        parse_budget("total=500ms", percentile)


# --- size ---


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_a_size_is_judged_to_the_byte(limit, size):
    found = judge_size(SizeBudget(limit), size)
    assert found.outcome == ("pass" if size <= limit else "fail")
