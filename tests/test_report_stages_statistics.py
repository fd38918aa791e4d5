"""What is worked out from times of the five stages: bounds, verdicts, tail and first change."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sample_stages import (
    FASTER_WAYS,
    HOST,
    THESIS_WAYS,
    phone_stages,
    sample_stages,
)

from fer_opt.device.stage_timing import PhotoPass, PhotoSet, PipelineTimes, StagesRun, StageWay
from fer_opt.reports.order_statistics import percentile_bounds
from fer_opt.reports.stages.change import change_first
from fer_opt.reports.stages.figures import figures_of
from fer_opt.reports.stages.photos import photo_times, unusable
from fer_opt.reports.stages.summary import StagesSummary, speed_up, summarise_stages
from fer_opt.reports.stages.tail import rank_correlation, tail_of
from fer_opt.reports.stages.verdict import CONFIDENCE, PERCENTILE, judge, photos_needed

TIMES = st.lists(st.floats(0.001, 1e5), min_size=1, max_size=300)


def one_pass(
    photo: str,
    stages_ms: dict[str, float],
    process: int = 0,
    index: int = 1,
    faces: int = 1,
    total: float | None = None,
) -> PhotoPass:
    return PhotoPass(photo, process, index, 0, stages_ms, total, faces)


def pipeline_of(
    *passes: PhotoPass, name: str = "thesis", ways: tuple[StageWay, ...] = THESIS_WAYS
) -> PipelineTimes:
    return PipelineTimes(name, ways, passes, model=name, model_sha256="0" * 64)


def summary_of(
    *pipelines: PipelineTimes, pixels: dict[str, tuple[int, int]] | None = None
) -> StagesSummary:
    photos = PhotoSet("photos", 1, "f" * 64, pixels=pixels or {})
    run = StagesRun(device=HOST, photos=photos, pipelines=pipelines, complete=True)
    (summary,) = summarise_stages((run,), 500.0)
    return summary


def whole(detect: float, classify: float = 10.0) -> dict[str, float]:
    return {"bitmap": 5.0, "detect": detect, "resize": 1.0, "grey": 1.0, "classify": classify}


@pytest.mark.parametrize("size", [1, 2, 13, 25, 58, 59, 60, 93, 400])
def test_bounds_are_the_tightest_order_statistics_with_their_confidence(size):
    low, high = percentile_bounds(range(1, size + 1), PERCENTILE, CONFIDENCE)

    def at_most(rank: int) -> float:
        """P(x(rank) <= 95th percentile), by the distribution of an order statistic."""
        return float(scipy.stats.beta.cdf(0.95, rank, size - rank + 1))

    assert at_most(int(low)) >= 0.95 - 1e-9
    assert low == size or at_most(int(low) + 1) < 0.95
    if high is None:
        assert size < 59
        assert 1 - at_most(size) < 0.95
    else:
        assert 1 - at_most(int(high)) >= 0.95 - 1e-9
        assert high == 1 or 1 - at_most(int(high) - 1) < 0.95


def test_sample_sizes_are_those_of_the_published_tables():
    assert [photos_needed(over) for over in range(10)] == [
        59, 93, 124, 153, 181, 208, 234, 260, 286, 311,
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 5, 20, 25, 58, 59, 100, 181, 1000])
def test_neither_verdict_is_wrong_more_often_than_it_may_be(size):
    found = judge([1.0] * size, 500.0)
    over = np.arange(size + 1)
    on_the_edge = scipy.stats.binom.pmf(over, size, 0.05)
    assert on_the_edge[over >= found.fails_at].sum() <= 0.05 + 1e-9
    passes = [judge([1.0] * (size - k) + [501.0] * k, 500.0).outcome == "pass" for k in over]
    assert on_the_edge[np.array(passes)].sum() <= 0.05 + 1e-9


@pytest.mark.parametrize(
    ("size", "over", "outcome"),
    [
        (25, 0, "open"), (25, 3, "open"), (25, 4, "fail"), (25, 25, "fail"), (1, 0, "open"),
        (1, 1, "fail"), (58, 0, "open"), (59, 0, "pass"), (92, 1, "open"), (93, 1, "pass"),
        (1000, 37, "pass"), (1000, 50, "open"), (1000, 63, "fail"),
    ],
)  # fmt: skip
def test_few_photos_can_fail_but_not_pass(size, over, outcome):
    times = [600.0] * over + [100.0] * (size - over)
    found = judge(times, 500.0)
    assert (found.outcome, found.photos, found.over) == (outcome, size, over)
    assert (found.high_ms is None) == (size < 59)


@given(TIMES, st.floats(0.001, 1e5))
@example([500.0], 500.0)
@settings(max_examples=200)
def test_a_verdict_is_what_counting_the_slow_photos_says(times, target):
    found = judge(times, target)
    assert found.over == sum(time > target for time in times)
    assert (found.outcome == "fail") == (found.over >= found.fails_at)
    assert (found.outcome == "pass") == (found.photos >= found.needed)
    if found.high_ms is not None:
        assert found.low_ms <= found.high_ms


@given(TIMES, st.floats(0.01, 1e4), st.floats(1, 10))
def test_a_larger_budget_is_never_judged_worse(times, target, factor):
    order = ("fail", "open", "pass")
    tight, loose = judge(times, target), judge(times, factor * target)
    assert order.index(loose.outcome) >= order.index(tight.outcome)


@given(TIMES, st.floats(0.01, 1e5))
def test_a_total_without_a_stage_can_fail_but_not_pass(times, target):
    found, complete = judge(times, target, at_least=True), judge(times, target)
    assert found.outcome == ("fail" if complete.outcome == "fail" else "open")


def test_a_bound_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="0 values"):
        percentile_bounds([], PERCENTILE, CONFIDENCE)


@given(TIMES)
def test_figures_are_those_of_numpy(times):
    found = figures_of(times, 500.0)
    assert found is not None
    assert found.mean_ms == pytest.approx(np.mean(times))
    assert (found.sd_ms is None) == (len(times) == 1)
    if found.sd_ms is not None:
        assert found.sd_ms == pytest.approx(np.std(times, ddof=1), abs=1e-9)
    assert (found.p90_ms, found.p95_ms) == pytest.approx(tuple(np.percentile(times, (90, 95))))
    slack = 1e-9 * found.max_ms
    ranked = (found.median_ms, found.p90_ms, found.p95_ms, found.max_ms)
    assert all(a <= b + slack for a, b in pairwise(ranked))


def test_a_photo_counts_by_the_median_of_its_processes_medians():
    passes = [
        one_pass("a", {"bitmap": ms, "detect": 10 * ms}, process, index, faces=0, total=12 * ms)
        for process, times in enumerate([(90, 1, 2, 3), (90, 5, 6, 100), (90, 4, 4, 4)])
        for index, ms in enumerate(times)
    ]
    (warm,) = photo_times(pipeline_of(*passes), PhotoSet("", 1, ""), "warm")
    assert warm.stages_ms == {"bitmap": 4, "detect": 40}
    assert warm.process_totals_ms == (24, 72, 48)
    assert warm.total_ms == 48  # the clock's, which is more than the stages' sum
    (cold,) = photo_times(pipeline_of(*passes), PhotoSet("", 1, ""), "cold")
    assert cold.stages_ms == {"bitmap": 90, "detect": 900}
    assert not warm.lacks


def test_without_a_clock_of_its_own_a_total_is_the_sum_of_stages_that_different_programs_timed():
    passes = [
        one_pass("a", {"bitmap": 5, "resize": 1, "grey": 2}, 0, 0),
        one_pass("a", {"classify": 30}, 0, 0),
        one_pass("a", {"bitmap": 7, "resize": 1, "grey": 2}, 1, 0),
        one_pass("a", {"classify": 34}, 1, 0),
    ]
    (found,) = photo_times(pipeline_of(*passes), PhotoSet("", 1, ""), "cold")
    assert found.stages_ms == {"bitmap": 6, "resize": 1, "grey": 2, "classify": 32}
    assert found.total_ms == 41
    assert found.process_totals_ms == (38, 44)
    assert found.lacks == ("detect",)


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=40)
def test_the_order_of_passes_does_not_matter(seed, photos, processes, passes):
    run = sample_stages(
        split=(photos, 1, 1), processes=processes, passes=passes, pipelines=("thesis",), seed=seed
    )
    (pipeline,) = run.pipelines
    mixed = list(pipeline.passes)
    random.Random(seed).shuffle(mixed)
    phase = "warm" if passes > 1 else "cold"
    one = photo_times(pipeline, run.photos, phase)
    other = photo_times(replace(pipeline, passes=tuple(mixed)), run.photos, phase)
    assert {found.photo: found for found in one} == {found.photo: found for found in other}


def test_photos_that_end_early_lack_nothing_and_fused_stages_neither():
    faster = pipeline_of(
        one_pass("one", {"bitmap": 1, "detect": 2, "classify": 3}),
        one_pass("none", {"bitmap": 1, "detect": 2}, faces=0),
        one_pass("two", {"bitmap": 1, "detect": 2}, faces=2),
        one_pass("torn", {"bitmap": 1, "detect": 2}),
        ways=FASTER_WAYS,
    )
    found = {one.photo: one.lacks for one in photo_times(faster, PhotoSet("", 4, ""), "warm")}
    assert found == {"one": (), "none": (), "two": (), "torn": ("classify",)}


def test_shares_of_the_stages_make_up_the_whole():
    (summary,) = summarise_stages((sample_stages(),), 500.0)
    for one in summary.timed:
        shares = [row.share for row in one.main.stages if row.share is not None]
        assert sum(shares) == pytest.approx(1, abs=0.02)  # the clock adds half a per cent
        assert one.main.one_face is not None
        assert (one.main.one_face.photos, one.main.any_photo.photos) == (20, 25)
    thesis, faster = summary.timed
    assert thesis.main.largest is not None
    assert thesis.main.largest.way.stage == "detect"
    assert [row.figures is None for row in faster.main.stages] == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("one_face", "any_face", "outcome"),
    [(100.0, 100.0, "pass"), (600.0, 100.0, "fail"), (100.0, 600.0, "fail")],
)
def test_the_worse_of_the_two_totals_is_the_verdict(one_face, any_face, outcome):
    passes = [one_pass(f"a{i}", whole(one_face)) for i in range(70)]
    passes += [one_pass(f"b{i}", {"bitmap": 5.0, "detect": any_face}, faces=0) for i in range(70)]
    (found,) = summary_of(pipeline_of(*passes)).timed
    assert found.outcome == outcome


@given(
    st.lists(st.floats(0.1, 1e4), min_size=1, max_size=60),
    st.floats(0.05, 50),
)
def test_the_speed_up_of_a_constant_factor_is_that_factor(times, factor):
    both = [
        pipeline_of(
            *(one_pass(f"p{i}", whole(ms), total=ms / by) for i, ms in enumerate(times)), name=name
        )
        for name, by in (("thesis", 1.0), ("faster", factor))
    ]
    first, second = summary_of(*both).timed
    found = speed_up(first.main, second.main)
    assert found is not None
    assert (found.median, found.low, found.high) == pytest.approx((factor,) * 3)
    assert found.size == len(times)


def test_totals_of_different_work_are_not_compared():
    half = {"bitmap": 5.0, "classify": 10.0}
    missing = (*THESIS_WAYS[:1], replace(THESIS_WAYS[1], runner="", not_run="No detector."),
               *THESIS_WAYS[2:])  # fmt: skip
    summary = summary_of(
        pipeline_of(one_pass("a", whole(100.0))),
        pipeline_of(one_pass("a", half), name="faster", ways=missing),
    )
    first, second = summary.timed
    assert speed_up(first.main, second.main) is None
    assert summary.best is first  # although the other one's known part is shorter


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=40))
def test_rank_correlation_is_spearmans(pairs):
    a, b = zip(*pairs, strict=True)
    found = rank_correlation(a, b)
    if len(set(a)) < 2 or len(set(b)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(scipy.stats.spearmanr(a, b).statistic, abs=1e-9)


def test_the_tail_names_its_photos_its_stage_and_whether_it_comes_again():
    passes = [
        one_pass(f"p{i:02}", whole(100.0 + i / 10), process)
        for i in range(28)
        for process in (0, 1, 2)
    ]
    passes += [one_pass("slow", whole(900.0), process) for process in (0, 1, 2)]
    passes += [
        one_pass("late", whole(100.0, 350.0 if process else 10.0), process) for process in (0, 1, 2)
    ]
    pixels = {f"p{i:02}": (1000, 700) for i in range(28)} | {
        "slow": (1000, 700), "late": (1001, 700),
    }  # fmt: skip
    tail = tail_of(summary_of(pipeline_of(*passes), pixels=pixels).timed[0].main)
    assert tail.long
    assert tail.ratio == pytest.approx(917 / 118.4, rel=0.01)
    told = {one.times.photo: one for one in tail.slowest}
    assert [one.times.photo for one in tail.slowest] == ["slow", "late", "p27"]
    assert (told["slow"].stage, told["slow"].again, told["slow"].processes) == ("detect", 3, 3)
    assert told["slow"].excess_ms == pytest.approx(900 - 101.4, abs=0.2)
    assert (told["late"].stage, told["late"].again) == ("classify", 2)
    assert tail.stage == "detect"
    assert tail.again == pytest.approx(8 / 9)
    assert tail.size is not None
    assert not tail.size.holds


@pytest.mark.parametrize("large", [True, False])
def test_size_explains_a_tail_only_where_it_does(large):
    (summary,) = summarise_stages((sample_stages(large=large),), 500.0)
    tail = tail_of(summary.timed[0].main)
    assert tail.long == large
    assert tail.size is not None
    assert tail.size.stage == ("detect" if large else "")
    assert tail.size.holds  # detection goes through every pixel
    (blind,) = summarise_stages((sample_stages(pixels=False),), 500.0)
    assert tail_of(blind.timed[0].main).size is None


def test_the_first_change_is_the_largest_stage_with_what_was_measured():
    (summary,) = summarise_stages((sample_stages(),), 500.0)
    first, second = change_first(summary)
    assert (first.row.way.stage, second.row.way.stage) == ("detect", "detect")
    assert first.faster is not None
    assert first.faster.ways == ("Haar cascade, 320 pixels",)
    assert first.faster.photos == 25
    both = [[photo.stages_ms["detect"] for photo in one.main.photos] for one in summary.timed]
    assert first.faster.saved_ms == pytest.approx(
        statistics.fmean(both[0]) - statistics.fmean(both[1])
    )
    assert (second.faster, first.to_try) == (None, "")
    assert "BlazeFace" in second.to_try


def test_fused_stages_are_compared_together():
    slow = {"bitmap": 1.0, "detect": 2.0, "resize": 5.0, "grey": 7.0, "classify": 90.0}
    fused = {"bitmap": 1.0, "detect": 2.0, "classify": 40.0}
    (change, _) = change_first(
        summary_of(
            pipeline_of(one_pass("a", slow)),
            pipeline_of(one_pass("a", fused), name="faster", ways=FASTER_WAYS),
        )
    )
    assert change.row.way.stage == "classify"
    assert change.faster is not None
    assert change.faster.stages == ("resize", "grey", "classify")
    assert (change.faster.before_ms, change.faster.after_ms) == (102, 40)


def test_a_way_that_is_the_same_or_slower_is_not_advised():
    slower = tuple(replace(way, way=f"another {way.way}") for way in THESIS_WAYS)
    for ways, detect in ((THESIS_WAYS, 50.0), (slower, 400.0)):
        found = change_first(
            summary_of(
                pipeline_of(one_pass("a", whole(300.0))),
                pipeline_of(one_pass("a", whole(detect)), name="other", ways=ways),
            )
        )
        assert found[0].faster is None
        assert found[0].to_try


def test_a_stage_that_was_not_timed_is_named_with_the_change():
    (summary,) = summarise_stages((phone_stages(),), 500.0)
    (change,) = change_first(summary)
    assert change.lacks == ("detect",)
    assert summary.timed[0].outcome == "open"
    slow = replace(summary.run, pipelines=(pipeline_of(
        *(one_pass(f"p{i}", {"bitmap": 600.0, "resize": 1.0, "grey": 1.0, "classify": 9.0}, 0, 0)
          for i in range(4)), ways=summary.run.pipelines[0].ways),))  # fmt: skip
    (failed,) = summarise_stages((slow,), 500.0)
    assert failed.timed[0].outcome == "fail"  # at least is enough for that


@pytest.mark.parametrize("bad", [-1.0, math.inf, math.nan])
def test_times_that_cannot_be_one_are_told_and_not_used(bad):
    broken = pipeline_of(one_pass("a", whole(100.0)), one_pass("b", whole(bad)))
    assert "b, process 0, pass 1" in unusable((broken,))
    summary = summary_of(broken)
    assert summary.problem
    assert summary.timed == ()
    odd = pipeline_of(one_pass("a", {"lunch": 1.0}))
    assert "unknown stage, lunch" in unusable((odd,))


def test_an_emulators_times_are_dropped():
    (summary,) = summarise_stages((sample_stages(kind="emulated"),), 500.0)
    assert summary.timed == ()
    assert summary.best is None
    assert change_first(summary) == ()
