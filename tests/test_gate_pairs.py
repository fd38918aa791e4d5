"""Which times may be judged together: pairs of one session, and records of another day."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sample_phone_run import sample_bench, sample_phone_run
from sample_record import sample_record
from scipy import stats

from fer_opt.device.measurement import Conditions, DeviceFacts
from fer_opt.device.pair_measurement import PairMeasurement, PairSide
from fer_opt.errors import GateError, MeasurementError
from fer_opt.reports.gate.against import compare_unpaired, judge_against
from fer_opt.reports.gate.decision import GateSettings, decide
from fer_opt.reports.gate.fingerprint import Fingerprint
from fer_opt.reports.gate.pairs import (
    TimedProcess,
    pair_up,
    pairs_of_host,
    pairs_of_measurements,
)
from fer_opt.reports.gate.stored import StoredTimes, stored_times

HOST = DeviceFacts("host", "computer", "f" * 64, {"runtime": "ai-edge-litert 2.3.0"}, {})
ALIKE = Fingerprint("f" * 64, "computer", "ai-edge-litert 2.3.0", 1, 1, "XNNPACK")
CALM = Conditions(None, None, None)


def process(pair: int, median_ms: float | None = 40.0, **changes: Any) -> TimedProcess:
    whole = {"session": "s", "model_sha256": "a" * 64, "delegate": "XNNPACK", "fingerprint": ALIKE}
    return TimedProcess(pair=pair, median_ms=median_ms, **{**whole, **changes})


def like(**changes: Any) -> Fingerprint:
    return dataclasses.replace(ALIKE, **changes)


# --- pairs ---


def test_pairs_come_in_their_order_whatever_the_order_of_processes():
    baseline = [process(pair, 40.0 + pair) for pair in (2, 0, 1)]
    candidate = [process(pair, 50.0 + pair, model_sha256="b" * 64) for pair in (1, 2, 0)]
    found = pair_up(baseline, candidate)
    assert found.baseline_ms == (40.0, 41.0, 42.0)
    assert found.candidate_ms == (50.0, 51.0, 52.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingerprint": like(machine="0" * 64)}, "machine .both computer, in another state"),
        ({"fingerprint": like(machine="0" * 64, machine_name="b")}, "machine .computer and b"),
        ({"fingerprint": like(runner="ai-edge-litert 3")}, "runner .ai-edge-litert 2.3.0 and"),
        ({"fingerprint": like(threads=4)}, "threads .1 and 4"),
        ({"fingerprint": like(cpus=0)}, "number of CPUs .1 and 0"),
        ({"fingerprint": like(clock="thread CPU time")}, "clock .wall clock and thread CPU time"),
        ({"fingerprint": like(delegate="none"), "delegate": "none"}, "delegate .XNNPACK and none"),
        ({"delegate": "XNNPACK (4 of 5 operators)"}, "delegate .XNNPACK and XNNPACK .4 of 5"),
        ({"model_sha256": "c" * 64}, "model file .aaaaaaaaaaaa and cccccccccccc"),
    ],
)
@pytest.mark.parametrize("name", ["baseline", "candidate"])
def test_mixed_fingerprints_are_refused(name, changes, message):
    mixed = [process(0), process(1, **changes)]
    whole = [process(0), process(1)]
    sides = (mixed, whole) if name == "baseline" else (whole, mixed)
    with pytest.raises(MeasurementError, match=f"processes of the {name} are unlike in {message}"):
        pair_up(*sides)


@pytest.mark.parametrize("changes", [{"threads": 4}, {"machine": "0" * 64}, {"runner": "x"}])
def test_models_timed_differently_are_refused(changes):
    other = [process(0, fingerprint=like(**changes))]
    with pytest.raises(MeasurementError, match="baseline and candidate were timed differently"):
        pair_up([process(0)], other)


def test_a_candidate_the_delegate_does_not_take_is_judged():
    other = [process(0, fingerprint=like(delegate="none"), delegate="none")]
    assert pair_up([process(0)], other).candidate_ms == (40.0,)


@pytest.mark.parametrize(
    ("baseline", "candidate", "message"),
    [
        ([], [process(0)], "0 processes of the baseline and 1"),
        ([process(0), process(1)], [process(0)], "pair 2 has only one of its two"),
        ([process(0), process(0)], [process(0)], "baseline was timed twice in pair 1"),
        ([process(0)], [process(0, session="t")], "pair 1 ran in different sessions"),
        ([process(0)], [process(0, None)], "pair 1 tells no times, so its median is missing"),
    ],
)
def test_what_is_no_pair_is_refused(baseline, candidate, message):
    with pytest.raises(MeasurementError, match=message):
        pair_up(baseline, candidate)


def host_pair(index: int, baseline_ms: float, candidate_ms: float) -> PairMeasurement:
    def side(name: str, ms: float) -> PairSide:
        return PairSide(name, name * 64, 1.0, (ms,) * 6, True, (2 * ms,) * 3, (ms,) * 3, "XNNPACK")

    return PairMeasurement(
        index, "AB", "s", "2026-01-01T00:00:00Z", "thread CPU time", 1, (0,),
        side("a", baseline_ms), side("b", candidate_ms), None, CALM, CALM,
    )  # fmt: skip


def test_pairs_of_this_computer_are_judged_by_their_clock():
    found = pairs_of_host([host_pair(0, 40.0, 44.0), host_pair(1, 41.0, 45.0)], HOST)
    assert (found.baseline_ms, found.candidate_ms) == ((40.0, 41.0), (44.0, 45.0))
    assert found.fingerprint == like(clock="thread CPU time")


def test_a_phones_rounds_are_pairs():
    run = sample_phone_run(rounds=8)
    found = pairs_of_measurements(run.measurements, "float32", "int8", run.device, run.runner)
    assert len(found.baseline_ms) == 8
    assert decide(found.baseline_ms, found.candidate_ms).outcome == "pass"
    assert decide(found.candidate_ms, found.baseline_ms).outcome == "fail"


def test_a_process_without_times_is_named():
    run = sample_phone_run(rounds=8)
    first = next(one for one in run.measurements if one.model == "int8")
    without = dataclasses.replace(first, inference_ms=(), summary=None)
    made = [without if one is first else one for one in run.measurements]
    with pytest.raises(MeasurementError, match="its median is missing"):
        pairs_of_measurements(made, "float32", "int8", run.device, run.runner)


# --- another day ---


def stored(medians: list[float], **changes: Any) -> StoredTimes:
    whole = {
        "model": "int8", "model_sha256": "a" * 64, "made_at": "2026-01-01T00:00:00Z",
        "machine": "host", "kind": "host", "sessions": 1, "fingerprint": ALIKE,
    }  # fmt: skip
    return StoredTimes(medians_ms=tuple(medians), **{**whole, **changes})


def times(ratio: float, size: int = 12, seed: int = 0) -> list[float]:
    chance = random.Random(seed)
    return [40 * ratio * chance.lognormvariate(0, 0.02) for _ in range(size)]


def test_another_day_tells_a_trend_only():
    found = judge_against(stored(times(1.0)), stored(times(1.3, seed=1)))
    assert (found.outcome, found.trend, found.binding) == ("inconclusive", "slower", False)
    assert any("unless it is asked for" in reason for reason in found.reasons)


def test_another_day_decides_where_asked_and_everything_matches():
    slow, same = stored(times(1.3, seed=1)), stored(times(1.0, seed=1))
    assert judge_against(stored(times(1.0)), slow, may_decide=True).outcome == "fail"
    found = judge_against(stored(times(1.0)), same, may_decide=True, baseline_sha256="a" * 64)
    assert (found.outcome, found.trend, found.binding) == ("pass", "not slower", True)
    assert any("not measured side by side" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fingerprint": like(machine="0" * 64)}, "Not the same machine"),
        ({"fingerprint": like(runner="other")}, "Not the same runner"),
        ({"fingerprint": like(threads=4)}, "Not the same threads"),
        ({"fingerprint": like(delegate="none")}, "Not the same delegate"),
        ({"model_sha256": "b" * 64}, "is another file"),
        ({"doubts": ("It was hot.",)}, "Of the baseline: It was hot."),
        ({"kind": "virtual"}, "virtual phone's times are this computer's"),
    ],
)
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_what_does_not_match_never_decides(changes, reason, ratio):
    found = judge_against(
        stored(times(1.0), **changes),
        stored(times(ratio, seed=1)),
        may_decide=True,
        baseline_sha256="a" * 64,
    )
    assert (found.outcome, found.binding) == ("inconclusive", False)
    assert found.trend == ("slower" if ratio > 1 else "not slower")
    assert any(reason in one for one in found.reasons)


@given(
    st.lists(st.floats(1, 1000), min_size=8, max_size=24),
    st.lists(st.floats(1, 1000), min_size=8, max_size=24),
)
def test_the_unpaired_statistic_is_scipys_trimmed_welch(one, other):
    # SciPy has one share for both; equal sizes make it an eighth of each, rounded as here.
    size = min(len(one), len(other))
    cut = max(1, round(size / 8))
    logs = [[math.log(time) for time in side[:size]] for side in (one, other)]
    assume(all(len(set(sorted(side)[cut:-cut])) > 1 for side in logs))
    found = compare_unpaired(one[:size], other[:size], GateSettings(tolerance=0))
    wanted = stats.ttest_ind(
        logs[1], logs[0], equal_var=False, trim=cut / size + 1e-9, alternative="greater"
    )
    assert found.fail_p == pytest.approx(float(wanted.pvalue), abs=1e-9)


@pytest.mark.parametrize(
    ("medians", "message"),
    [
        ([40.0] * 3, "3 processes of the candidate are too few"),
        ([40.0, 40.0, math.nan, 40.0], "a median of the candidate is nan"),
        ([40.0, 40.0, 0.0, 40.0], "a median of the candidate is 0"),
    ],
)
def test_times_that_cannot_be_compared_are_refused(medians, message):
    with pytest.raises(MeasurementError, match=message):
        compare_unpaired(times(1.0), medians)


def test_processes_without_any_spread_are_refused():
    with pytest.raises(MeasurementError, match="do not differ at all"):
        compare_unpaired([40.0] * 8, [44.0] * 8)


# --- what records hold ---


def test_a_runs_record_holds_times_of_its_host():
    record = sample_record(processes=8)
    found = stored_times(record, "int8")
    assert (found.machine, found.kind, len(found.medians_ms)) == ("host", "host", 8)
    assert record.device is not None
    assert found.fingerprint.machine == record.device.fingerprint
    assert found.doubts == ()


def test_a_benchs_record_holds_times_of_its_phones():
    bench = sample_bench(sample_phone_run(), sample_phone_run(label="Other (…1)", trusted=False))
    with pytest.raises(GateError, match="several machines"):
        stored_times(bench, "int8")
    found = stored_times(bench, "int8", "Other (…1)")
    assert found.fingerprint.runner.startswith("benchmark_model ")
    assert "still throttled" in found.doubts[0]


@pytest.mark.parametrize(
    ("model", "machine", "message"),
    [
        ("int4", None, "no times of int4; it has .*float32 on host"),
        ("int8", "Pixel", "no times of int8 on Pixel; it has"),
    ],
)
def test_a_record_without_such_times_is_refused(model, machine, message):
    with pytest.raises(GateError, match=message):
        stored_times(sample_record(), model, machine)


def test_an_emulators_times_are_refused():
    with pytest.raises(MeasurementError, match="emulator"):
        stored_times(sample_bench(sample_phone_run(kind="emulated")), "int8")


def test_a_records_mixed_processes_are_refused():
    record = sample_record(processes=4)
    made = list(record.measurements)
    place = next(index for index, one in enumerate(made) if one.model == "int8")
    made[place] = dataclasses.replace(made[place], threads=4)
    with pytest.raises(MeasurementError, match="unlike in threads"):
        stored_times(dataclasses.replace(record, measurements=tuple(made)), "int8")
