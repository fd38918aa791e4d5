"""Which variant is recommended, and which lie on the front."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_record import partial_record, sample_record

from fer_opt.reports.formats import (
    interval,
    megabytes,
    milliseconds,
    p_value,
    percent,
    significant,
)
from fer_opt.reports.record import McNemar, RunRecord
from fer_opt.reports.story import tell
from fer_opt.reports.summary import summarise

NAMES = ("float32", "float16", "dynamic", "int8", "int16x8")
BASE = sample_record(processes=2, runs=3, samples=80, flagged=())


def variants_of(record: RunRecord, **changes: dict) -> RunRecord:
    """The record with accuracy, time (ms), size (bytes) and flags set by recipe.

    Every inference of a variant takes its time, so intervals of time have no width.
    """
    size, time = changes.get("size", {}), changes.get("time", {})
    accuracy, flags = changes.get("accuracy", {}), changes.get("flags", {})
    lost = changes.get("lost", {})
    return replace(
        record,
        variants=tuple(
            replace(
                one,
                size_bytes=size.get(one.recipe, one.size_bytes),
                check=replace(one.check, flags=flags.get(one.recipe, ())),
            )
            for one in record.variants
        ),
        accuracies=tuple(
            replace(
                one,
                accuracy=accuracy.get(one.recipe, one.accuracy),
                low=accuracy.get(one.recipe, one.accuracy) - 0.02,
                high=accuracy.get(one.recipe, one.accuracy) + 0.02,
                versus_float=McNemar("float32", *lost[one.recipe])
                if one.recipe in lost
                else one.versus_float,
            )
            for one in record.accuracies
        ),
        measurements=tuple(
            replace(one, inference_ms=(time[one.model],) * 3) if one.model in time else one
            for one in record.measurements
        ),
    )


def test_most_accurate_wins_when_nothing_ties():
    record = variants_of(BASE, accuracy=dict(zip(NAMES, (0.9, 0.8, 0.7, 0.6, 0.5), strict=True)))
    advice = summarise(record).recommendation
    assert advice.chosen.recipe == "float32"
    assert len(advice.tied) == 1


def test_fastest_wins_among_ties():
    record = variants_of(
        BASE,
        accuracy=dict(zip(NAMES, (0.90, 0.90, 0.89, 0.885, 0.5), strict=True)),
        time=dict(zip(NAMES, (8.0, 8.0, 7.0, 5.0, 1.0), strict=True)),
    )
    advice = summarise(record).recommendation
    assert advice.chosen.recipe == "int8"
    assert {row.recipe for row in advice.tied} == {"float32", "float16", "dynamic", "int8"}
    assert "fastest" in advice.reason


def test_smallest_wins_when_times_cannot_be_told_apart():
    record = variants_of(
        BASE,
        accuracy=dict.fromkeys(NAMES, 0.9),
        time=dict.fromkeys(NAMES, 5.0),
        size=dict(zip(NAMES, (50, 40, 30, 10, 20), strict=True)),
    )
    assert summarise(record).recommendation.chosen.recipe == "int8"


def test_times_are_compared_round_by_round_not_by_their_medians():
    # A noisy machine: rounds differ twofold, yet int8 is faster than float32 in each of them.
    record = sample_record(variants=4, processes=8, runs=1, samples=80, flagged=())
    record = variants_of(
        record,
        accuracy=dict.fromkeys(NAMES, 0.9),
        size=dict(zip(NAMES, (10, 20, 30, 40), strict=False)),
    )
    pace = dict(zip(NAMES, (5.0, 9.0, 9.0, 4.5), strict=False))
    record = replace(
        record,
        measurements=tuple(
            replace(one, inference_ms=(pace[one.model] * (1 + one.round_index % 2),))
            for one in record.measurements
        ),
    )
    summary = summarise(record)
    fast, slow = summary.row("int8").latency, summary.row("float32").latency
    assert slow.low_ms < fast.high_ms
    assert summary.recommendation.chosen.recipe == "int8"


def test_variant_found_worse_by_the_paired_test_does_not_tie():
    record = variants_of(
        BASE,
        accuracy=dict(zip(NAMES, (0.90, 0.90, 0.90, 0.89, 0.5), strict=True)),
        time=dict(zip(NAMES, (8.0, 8.0, 7.0, 5.0, 1.0), strict=True)),
        lost={"int8": (30, 5, 0.0001)},
    )
    advice = summarise(record).recommendation
    assert advice.chosen.recipe == "dynamic"
    assert "int8" not in {row.recipe for row in advice.tied}


def test_flagged_variant_is_never_recommended_and_beats_nobody():
    record = variants_of(
        BASE,
        accuracy=dict(zip(NAMES, (0.9, 0.9, 0.9, 0.99, 0.5), strict=True)),
        time=dict(zip(NAMES, (8.0, 8.5, 9.0, 0.1, 9.0), strict=True)),
        size=dict(zip(NAMES, (50, 40, 30, 1, 60), strict=True)),
        flags={"int8": ("It names other labels than Keras.",)},
    )
    summary = summarise(record)
    assert summary.recommendation.chosen.recipe == "float32"
    on_front = {row.recipe for row in summary.rows if row.on_front}
    assert on_front == {"float32", "float16", "dynamic"}
    assert any("int8 is flagged" in one.headline for one in tell(summary).warnings)


def test_nothing_is_recommended_when_all_are_flagged():
    record = variants_of(BASE, flags=dict.fromkeys(NAMES, ("Unfit.",)))
    summary = summarise(record)
    assert summary.recommendation.chosen is None
    assert "No variant is recommended" in tell(summary).headline


def test_nothing_is_recommended_without_accuracy():
    summary = summarise(replace(BASE, accuracies=()))
    assert summary.recommendation.chosen is None
    assert "Accuracy has not been measured" in tell(summary).headline


def test_without_latency_the_smallest_of_the_ties_is_recommended():
    record = variants_of(
        replace(BASE, measurements=(), latency=None, device=None),
        accuracy=dict.fromkeys(NAMES, 0.9),
        size=dict(zip(NAMES, (50, 40, 30, 10, 20), strict=True)),
    )
    summary = summarise(record)
    assert summary.recommendation.chosen.recipe == "int8"
    assert summary.recommendation.budget == "untimed"
    assert "Nothing was timed" in tell(summary).device_caveat


def test_empty_record_has_no_recommendation():
    summary = summarise(replace(BASE, variants=(), accuracies=(), measurements=(), complete=False))
    assert summary.recommendation.chosen is None
    assert tell(summary).unfinished


@pytest.mark.parametrize(
    ("times", "budget", "words"),
    [
        ((5.0, 5.0), "within", "well within"),
        ((400.0, 400.0), "within", "within the 500"),
        ((900.0, 900.0), "beyond", "beyond the 500"),
        ((400.0, 900.0), "unclear", "too close to call against the 500"),
    ],
)
def test_verdict_follows_the_interval_not_the_median(times, budget, words):
    one = sample_record(variants=1, processes=2, runs=3, samples=80)
    record = replace(
        one,
        measurements=tuple(
            replace(each, inference_ms=(ms,) * 3)
            for each, ms in zip(one.measurements, times, strict=True)
        ),
    )
    summary = summarise(record)
    assert summary.recommendation.budget == budget
    assert words in tell(summary).headline.replace("\u00a0", " ")


def test_a_share_of_the_budget_is_never_nothing():
    told = tell(summarise(variants_of(BASE, time=dict.fromkeys(NAMES, 0.154))))
    assert "less than 0.1\u00a0% of the budget" in told.budget


def test_story_shouts_labels_never_predicted():
    story = tell(summarise(sample_record()))
    assert story.warnings[0].headline == "Never predicted: contempt"
    assert "every variant" in story.warnings[0].detail
    assert story.catch == "But it never predicts contempt."


def test_story_says_what_a_partial_record_lacks():
    story = tell(summarise(partial_record()))
    assert "accuracy of int16x8" in story.unfinished
    assert "20 of 40 timing processes" in story.unfinished
    assert story.headline.startswith("Provisionally")


def test_a_computers_time_is_not_a_phones():
    story = tell(summarise(sample_record()))
    assert "not a phone’s" in story.device_caveat
    assert "1,601.6" in story.stages_caveat
    assert "five stages" in story.stages_caveat


@pytest.mark.parametrize(("kind", "words"), [("virtual", "mean nothing"), ("phone", "one phone")])
def test_other_devices_have_their_own_caveat(kind, words):
    record = sample_record()
    story = tell(summarise(replace(record, device=replace(record.device, kind=kind))))
    assert words in story.device_caveat


measures = st.fixed_dictionaries(
    {
        "accuracy": st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9]),
        "time": st.sampled_from([1.0, 2.0, 3.0, 4.0]),
        "size": st.sampled_from([10, 20, 30]),
        "flagged": st.booleans(),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(measures, min_size=5, max_size=5))
def test_front_is_what_no_unflagged_variant_beats(drawn):
    by_name = dict(zip(NAMES, drawn, strict=True))
    record = variants_of(
        BASE,
        accuracy={name: one["accuracy"] for name, one in by_name.items()},
        time={name: one["time"] for name, one in by_name.items()},
        size={name: one["size"] for name, one in by_name.items()},
        flags={name: ("Unfit.",) for name, one in by_name.items() if one["flagged"]},
    )
    summary = summarise(record)

    def goodness(name: str) -> tuple[float, float, int]:
        return (by_name[name]["accuracy"], -by_name[name]["time"], -by_name[name]["size"])

    def beats(one: str, other: str) -> bool:
        return goodness(one) != goodness(other) and all(
            a >= b for a, b in zip(goodness(one), goodness(other), strict=True)
        )

    front = {row.recipe for row in summary.rows if row.on_front}
    fit = {name for name in NAMES if not by_name[name]["flagged"]}
    assert front <= fit
    assert bool(front) == bool(fit)
    for name in fit:
        assert (name in front) != any(beats(other, name) for other in fit)
    chosen = summary.recommendation.chosen
    assert (chosen is None) == (not fit)
    if chosen is not None:
        assert chosen.recipe in fit


def test_numbers_are_short_and_plain():
    assert milliseconds(5.194) == "5.19\u00a0ms"
    assert milliseconds(1234.5) == "1,234\u00a0ms"
    assert percent(0.7312) == "73.1\u00a0%"
    assert megabytes(999) == "0.999\u00a0kB"
    assert megabytes(27_893_760) == "27.9\u00a0MB"
    assert interval("70.3\u00a0%", "75.4\u00a0%") == "70.3–75.4\u00a0%"
    assert interval("900\u00a0kB", "1.20\u00a0MB") == "900\u00a0kB–1.20\u00a0MB"
    assert p_value(0.00001) == "p < 0.001"
    assert milliseconds(None) == percent(None) == "–"


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_significant_digits_never_stray_far_and_never_use_exponents(value):
    shown = significant(value)
    assert "e" not in shown
    assert float(shown.replace(",", "")) == pytest.approx(value, rel=0.00501)
