from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fer_opt.device.measurement import Conditions, InferenceSummary, Measurement
from fer_opt.errors import MeasurementError
from fer_opt.reports.statistics import median_interval, paired_ratios, summarise_latency

QUIET = Conditions(load_1m=0.1, cpu_mhz=2000.0, temperature_c=None)
TIMES = st.floats(0.01, 1e4)
PROCESSES = st.lists(st.lists(TIMES, min_size=1, max_size=12), min_size=1, max_size=15)


def measurement(times: list[float], index: int = 0, model: str = "float32") -> Measurement:
    return Measurement(
        model=model,
        model_sha256="ab" * 32,
        order_index=index,
        round_index=index,
        session="one",
        started_at="2024-05-01T10:00:00+00:00",
        initialisation_ms=3.0 + index,
        warm_up_ms=(9.0, 8.0),
        inference_ms=tuple(times),
        steady=True,
        threads=1,
        cpus=(1,),
        delegate="XNNPACK",
        peak_memory_bytes=50_000_000 + index,
        before=QUIET,
        after=QUIET,
    )


def measurements(processes: list[list[float]], model: str = "float32") -> list[Measurement]:
    return [measurement(times, index, model) for index, times in enumerate(processes)]


@pytest.mark.parametrize(
    ("size", "confidence", "rank"),
    [
        (1, 0.0, 1),
        (2, 0.5, 1),
        (5, 0.9375, 1),
        (6, 0.96875, 1),
        (8, 0.9921875, 1),
        (9, 0.9609375, 2),
    ],
)
def test_small_samples_say_what_they_reach(size: int, confidence: float, rank: int) -> None:
    found = median_interval([float(value) for value in range(1, size + 1)])
    assert found.confidence == pytest.approx(confidence, abs=1e-12)
    assert (found.low, found.high) == (rank, size + 1 - rank)
    assert found.size == size


@pytest.mark.parametrize("size", [6, 7, 10, 13, 25, 60])
def test_the_interval_is_scipys_where_scipy_has_one(size: int) -> None:
    values = np.random.default_rng(size).lognormal(size=size)
    found = median_interval(list(values), 0.95)
    theirs = stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("size", [3, 5, 8, 12, 20])
def test_the_interval_covers_the_median_as_often_as_it_says(size: int) -> None:
    draws = 6000
    # Lognormal noise with outliers, whose population median is exactly 1.
    generator = np.random.default_rng(size)
    logs = generator.normal(0, 0.03, (draws, size))
    logs *= np.where(generator.random((draws, size)) < 0.2, 10, 1)
    found = [median_interval(list(sample)) for sample in np.exp(logs)]
    covered = sum(one.low <= 1 <= one.high for one in found)
    stated = found[0].confidence
    four_sigma = 4 * math.sqrt(stated * (1 - stated) / draws)
    assert covered / draws == pytest.approx(stated, abs=four_sigma)


@given(st.lists(TIMES, min_size=1, max_size=40), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_holds_the_median_and_shrinks_no_further_than_asked(
    values: list[float], level: float
) -> None:
    found = median_interval(values, level)
    assert found.low <= found.median <= found.high
    assert found.low in values
    assert found.high in values
    if found.confidence < level:
        assert (found.low, found.high) == (min(values), max(values))


@pytest.mark.parametrize(("values", "level"), [([], 0.9), ([math.nan], 0.9), ([1.0], 1.0)])
def test_no_interval_from_nothing(values: list[float], level: float) -> None:
    with pytest.raises(ValueError, match=r"finite|level"):
        median_interval(values, level)


def test_a_summary_worked_by_hand() -> None:
    (found,) = summarise_latency(measurements([[1, 2, 30], [4, 5, 6], [3, 3, 9]]))
    assert found.median_ms == 3  # of the processes' 2, 5 and 3
    assert (found.low_ms, found.high_ms, found.confidence) == (2, 5, 0.75)
    assert found.mean_ms == pytest.approx(7)
    assert found.sd_ms == pytest.approx(statistics.stdev([1, 2, 30, 4, 5, 6, 3, 3, 9]))
    assert found.p90_ms == pytest.approx(13.2)  # 1/5 from 9 to 30
    assert found.p95_ms == pytest.approx(21.6)
    assert found.max_ms == 30
    assert (found.processes, found.inferences, found.sessions) == (3, 9, 1)
    assert found.initialisation_ms == 4.0
    assert found.peak_memory_bytes == 50_000_002
    assert found.steady_share == 1


def test_one_process_with_one_inference_has_no_spread() -> None:
    (found,) = summarise_latency([measurement([4.0])])
    assert (found.median_ms, found.low_ms, found.high_ms) == (4, 4, 4)
    assert found.confidence == 0
    assert found.sd_ms is None


def test_steadiness_sessions_and_unknown_memory_are_counted() -> None:
    group = measurements([[1.0], [2.0], [3.0], [4.0]])
    group[1] = replace(group[1], steady=False, session="two", peak_memory_bytes=None)
    (found,) = summarise_latency(group)
    assert (found.steady_share, found.sessions) == (0.75, 2)
    assert found.peak_memory_bytes == 50_000_003
    unknown = [replace(one, peak_memory_bytes=None) for one in group]
    assert summarise_latency(unknown)[0].peak_memory_bytes is None


def summary_only(one: Measurement, *, old: bool = False) -> Measurement:
    """The same process as a runner tells it that prints no single times."""
    times = np.array(one.inference_ms)
    p5, p95 = np.percentile(times, (5, 95))
    return replace(
        one,
        inference_ms=(),
        summary=InferenceSummary(
            count=len(times),
            mean_ms=float(times.mean()),
            min_ms=float(times.min()),
            max_ms=float(times.max()),
            sd_ms=float(times.std()),
            median_ms=None if old else float(np.median(times)),
            p5_ms=None if old else float(p5),
            p95_ms=None if old else float(p95),
        ),
    )


@given(PROCESSES, st.data())
def test_summaries_pool_to_what_the_single_times_say(
    processes: list[list[float]], data: st.DataObject
) -> None:
    whole = measurements(processes)
    told = data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)))
    mixed = [one if t else summary_only(one) for one, t in zip(whole, told, strict=True)]
    (found,), (wanted,) = summarise_latency(mixed), summarise_latency(whole)
    for name in ("median_ms", "low_ms", "high_ms", "mean_ms", "max_ms", "process_p95_ms"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name))
    assert found.inferences == wanted.inferences
    if wanted.sd_ms is None:
        assert found.sd_ms is None
    else:
        assert found.sd_ms == pytest.approx(wanted.sd_ms, rel=1e-6, abs=1e-6)
    if all(told):
        assert (found.p90_ms, found.p95_ms) == (wanted.p90_ms, wanted.p95_ms)
    else:
        assert (found.p90_ms, found.p95_ms) == (None, None)


def test_an_old_runner_without_medians_counts_by_its_mean() -> None:
    first = summary_only(measurement([1.0, 1.0, 7.0]), old=True)
    (found,) = summarise_latency([first])
    assert found.median_ms == pytest.approx(3)
    base = [summary_only(one) for one in measurements([[2.0, 2.0, 9.0]], "base")]
    (ratio,) = paired_ratios([*base, first], "base")
    assert ratio.ratio == pytest.approx(1.5)


def test_a_processes_95th_percentile_needs_20_inferences() -> None:
    few, enough = measurement([1.0] * 19), measurement([*[1.0] * 19, 2.0], 1)
    assert summarise_latency([few])[0].process_p95_ms is None
    assert summarise_latency([few, enough])[0].process_p95_ms is None
    assert summarise_latency([enough])[0].process_p95_ms == pytest.approx(1.05)
    assert summarise_latency([summary_only(enough, old=True)])[0].process_p95_ms is None


@pytest.mark.parametrize(
    "change", [{"count": 0}, {"mean_ms": 0.0}, {"mean_ms": math.nan}, {"sd_ms": -1.0},
               {"max_ms": math.inf}, {"median_ms": 0.0}]
)  # fmt: skip
def test_impossible_summaries_are_refused(change: dict[str, float]) -> None:
    one = summary_only(measurement([1.0, 2.0]))
    assert one.summary is not None
    with pytest.raises(MeasurementError, match="round 0"):
        summarise_latency([replace(one, summary=replace(one.summary, **change))])  # type: ignore[arg-type]


@given(PROCESSES, st.randoms(use_true_random=False))
def test_the_order_of_processes_does_not_matter(
    processes: list[list[float]], chance: random.Random
) -> None:
    group = measurements(processes)
    shuffled = chance.sample(group, len(group))
    (one,), (other,) = summarise_latency(group), summarise_latency(shuffled)
    assert replace(one, mean_ms=0, sd_ms=None) == replace(other, mean_ms=0, sd_ms=None)
    assert one.mean_ms == pytest.approx(other.mean_ms)  # floating-point sums depend on order


@given(PROCESSES, st.sampled_from([0.001, 0.5, 1000.0]))
def test_changing_the_unit_changes_nothing_else(
    processes: list[list[float]], factor: float
) -> None:
    (one,) = summarise_latency(measurements(processes))
    (other,) = summarise_latency(measurements([[t * factor for t in p] for p in processes]))
    for name in ("median_ms", "low_ms", "high_ms", "mean_ms", "p90_ms", "p95_ms", "max_ms"):
        assert getattr(other, name) == pytest.approx(factor * getattr(one, name))
    assert other.confidence == one.confidence


def test_models_come_in_the_order_they_first_appear() -> None:
    both = [*measurements([[2.0], [2.0]], "int8"), *measurements([[1.0]], "float32")]
    assert [found.model for found in summarise_latency(both)] == ["int8", "float32"]
    assert summarise_latency([]) == ()


@pytest.mark.parametrize(
    "change",
    [{"model_sha256": "cd" * 32}, {"threads": 2}, {"cpus": (0, 1)}, {"delegate": "none"}],
)
def test_unlike_measurements_are_never_pooled(change: dict[str, object]) -> None:
    first, second = measurements([[1.0], [1.1]])
    unlike = replace(second, **change)  # type: ignore[arg-type]
    for refuse in (summarise_latency, lambda group: paired_ratios(group, "float32")):
        with pytest.raises(MeasurementError, match="float32 was timed with 2 different"):
            refuse([first, unlike])


def test_a_round_cannot_happen_twice() -> None:
    first = measurement([1.0])
    with pytest.raises(MeasurementError, match="twice in round 0"):
        summarise_latency([first, first])


@pytest.mark.parametrize("times", [[], [0.0], [-1.0], [math.nan], [math.inf]])
def test_impossible_times_are_refused(times: list[float]) -> None:
    with pytest.raises(MeasurementError, match="round 0"):
        summarise_latency([measurement(times)])


@given(PROCESSES, st.floats(0.1, 10))
def test_drift_common_to_a_round_leaves_the_ratio_alone(
    processes: list[list[float]], factor: float
) -> None:
    base = measurements(processes)
    other = measurements([[t * factor for t in p] for p in processes], "int8")
    (found,) = paired_ratios([*base, *other], "float32")
    assert (found.low, found.ratio, found.high) == pytest.approx((factor,) * 3)
    assert (found.model, found.reference, found.pairs) == ("int8", "float32", len(processes))


@given(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=12))
def test_turning_the_comparison_round_turns_the_ratio_over(
    pairs: list[tuple[float, float]],
) -> None:
    a = measurements([[first] for first, _ in pairs], "a")
    b = measurements([[second] for _, second in pairs], "b")
    (b_over_a,), (a_over_b,) = paired_ratios([*a, *b], "a"), paired_ratios([*a, *b], "b")
    assert a_over_b.ratio * b_over_a.ratio == pytest.approx(1)
    assert a_over_b.low * b_over_a.high == pytest.approx(1)


def test_only_rounds_timed_by_one_session_make_pairs() -> None:
    base = measurements([[1.0], [1.0], [1.0]])
    other = measurements([[2.0], [3.0], [2.0]], "int8")
    other[1] = replace(other[1], session="two")  # finished the next day
    (found,) = paired_ratios([*base, *other[:2]], "float32")
    assert (found.pairs, found.ratio) == (1, pytest.approx(2))
    assert paired_ratios([*base, other[1]], "float32") == ()


def test_the_reference_must_have_been_timed() -> None:
    with pytest.raises(MeasurementError, match=r"int8 was not timed.*choose among float32"):
        paired_ratios([measurement([1.0])], "int8")
