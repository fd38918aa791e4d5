"""What the report says of recipes with several steps: steps, layers, what they gained, names."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_record import sample_record
from sample_steps import COMPRESSED, REFUSED

from fer_opt.reports.charts.layers import layer_charts, merged_order
from fer_opt.reports.charts.steps import steps_chart
from fer_opt.reports.compression import compression_of
from fer_opt.reports.csv_tables import layers_csv, steps_csv
from fer_opt.reports.formats import change, duration, points, scaled
from fer_opt.reports.gain import gains_of, judge_speed
from fer_opt.reports.html import render_html
from fer_opt.reports.markdown import render_markdown
from fer_opt.reports.names import LONGEST_NAME, number_format, short_names
from fer_opt.reports.record import RefusedRecipe, RunRecord
from fer_opt.reports.statistics import PairedRatio
from fer_opt.reports.story import tell
from fer_opt.reports.summary import summarise
from fer_opt.reports.tables import labels_table, variants_table
from fer_opt.reports.thesis import thesis_tables
from fer_opt.reports.write import write_reports

RECORD = sample_record(compressed=True, runs=6, samples=400)
SUMMARY = summarise(RECORD)
HALF, QUARTER, CAREFUL, DOWNLOAD, HEAD, UNMATCHED, TUNED = COMPRESSED


@cache
def page() -> str:
    return render_html(RECORD)


def timed(record: RunRecord, **pace: float) -> RunRecord:
    """The record with every inference of a recipe as long as told, in ms."""
    return replace(
        record,
        measurements=tuple(
            replace(one, inference_ms=(pace[one.model],) * 3) if one.model in pace else one
            for one in record.measurements
        ),
    )


def gzipped(record: RunRecord, recipe: str, share: float, unzipped: float = 1.0) -> RunRecord:
    """The record with a recipe's file at those shares of the plain int8 file's sizes."""
    plain = next(one for one in record.variants if one.recipe == "int8")
    return replace(
        record,
        variants=tuple(
            replace(
                one,
                gzip_bytes=round(share * plain.gzip_bytes),
                size_bytes=round(unzipped * plain.size_bytes),
            )
            if one.recipe == recipe
            else one
            for one in record.variants
        ),
    )


def ratio(low: float, high: float, pairs: int = 8) -> PairedRatio:
    return PairedRatio("a", "b", pairs, (low * high) ** 0.5, low, high, 0.95)


# --- what was gained


@pytest.mark.parametrize(
    ("found", "speed"),
    [
        (None, "untimed"),
        (ratio(0.96, 1.02), "not faster"),
        (ratio(0.951, 0.99), "not faster"),
        (ratio(1.2, 1.3), "not faster"),
        (ratio(0.95, 1.02), "unclear"),
        (ratio(0.5, 1.0), "unclear"),
        (ratio(0.95, 0.99), "faster"),
        (ratio(0.3, 0.4), "faster"),
        (ratio(0.3, 0.3, pairs=1), "unclear"),
        (ratio(1.3, 1.3, pairs=1), "unclear"),
    ],
)
def test_speed_is_judged_by_the_interval_alone(found, speed):
    assert judge_speed(found) == speed


@given(st.floats(0.01, 10), st.floats(1, 3), st.floats(1, 5), st.integers(2, 20))
def test_a_slower_variant_is_never_judged_faster(low, width, slowdown, pairs):
    order = {"faster": 0, "unclear": 1, "not faster": 2}
    before = judge_speed(ratio(low, low * width, pairs))
    after = judge_speed(ratio(low * slowdown, low * width * slowdown, pairs))
    # A narrow interval between 0.95 and 1 is no gain; the same one around 1 is none either.
    assert order[after] >= order[before]


@settings(max_examples=25, deadline=None)
@given(st.floats(0.2, 2.0), st.floats(0.1, 1.5))
def test_verdict_follows_times_and_gzip_sizes(pace, zipped):
    record = gzipped(timed(RECORD, int8=5.0, **{DOWNLOAD: 5.0 * pace}), DOWNLOAD, zipped)
    gain = gains_of(summarise(record))[DOWNLOAD]
    assert gain.ratio.ratio == pytest.approx(pace)
    if pace > 0.951:
        smaller = zipped < 0.95 - 1e-6
        wanted = "smaller when zipped, not faster" if smaller else "neither smaller nor faster"
        assert gain.verdict == wanted or zipped == pytest.approx(0.95)
    elif pace < 0.949:
        assert gain.verdict == "faster"


def test_a_file_that_zips_no_better_is_not_called_smaller_when_zipped():
    record = gzipped(timed(RECORD, int8=5.0, **{DOWNLOAD: 5.0}), DOWNLOAD, 1.0, unzipped=0.5)
    assert gains_of(summarise(record))[DOWNLOAD].verdict == "smaller until zipped, not faster"


def test_gain_is_over_the_plain_variant_of_the_same_format():
    gains = gains_of(SUMMARY)
    assert list(gains) == list(COMPRESSED)
    assert {recipe: gain.base.recipe for recipe, gain in gains.items()} == {
        HALF: "int8", QUARTER: "int8", CAREFUL: "int8", DOWNLOAD: "int8", HEAD: "int8",
        UNMATCHED: "float32", TUNED: "float32",
    }  # fmt: skip
    assert [recipe for recipe, gain in gains.items() if not gain.same_format] == [UNMATCHED]
    assert gains[UNMATCHED].verdict == "faster than float32"
    assert "no plain int8(io=float)" in gains[UNMATCHED].excuse
    assert gains[HALF].verdict == "faster"
    assert gains[HALF].ratio.reference == "int8"
    assert gains[DOWNLOAD].verdict == "smaller when zipped, not faster"
    assert gains[TUNED].verdict == "neither smaller nor faster"


def test_gain_of_a_variant_that_was_not_timed_is_open():
    record = replace(RECORD, measurements=(), device=None, latency=None)
    gains = gains_of(summarise(record))
    assert {gain.verdict for gain in gains.values()} == {"not timed"}
    assert "of the gzip size of int8" in gains[DOWNLOAD].figures
    assert not [text for text in tell(summarise(record)).remarks if "not faster" in text]


def test_a_compressed_reference_is_compared_with_nothing():
    only = [one for one in RECORD.variants if one.recipe == HALF]
    record = replace(RECORD, variants=tuple(only), accuracies=(), measurements=())
    summary = summarise(record)
    assert gains_of(summary) == {}
    assert compression_of(summary).table is not None


def test_story_says_what_is_not_faster():
    remarks = " ".join(tell(SUMMARY).remarks)
    assert "R4 int8: smaller when zipped, not faster, with 1.0" in remarks
    assert f"{TUNED}: neither smaller nor faster, with 1.0" in remarks
    assert "R1 int8" not in remarks


# --- the table


def rows_by_recipe(record: RunRecord) -> dict[str, list[list]]:
    table = compression_of(summarise(record)).table
    return {heading: [list(row) for row in rows] for heading, rows in table.groups}


def test_a_row_for_each_step_from_the_trained_network_to_the_file():
    found = rows_by_recipe(RECORD)
    assert list(found) == [
        *(f"R{i} int8: {recipe}" for i, recipe in enumerate([*COMPRESSED][:6], start=1)),
        TUNED,
    ]
    rows = found[f"R2 int8: {QUARTER}"]
    assert [row[0].text for row in rows] == [
        "trained network", *QUARTER.split(" > ")[:-1], "the file, int8",
    ]  # fmt: skip
    table = compression_of(SUMMARY).table
    assert all(len(row) == len(table.columns) for _, body in table.groups for row in body)
    trained, steps = RECORD.trained, RECORD.variants[6].steps
    assert RECORD.variants[6].recipe == QUARTER
    pruned = rows[1]
    assert pruned[1].text == f"{100 * steps[0].accuracy:.1f}\u00a0%"
    assert pruned[1].detail.endswith("n = 400")
    assert pruned[2].text == f"−{100 * (trained.accuracy - steps[0].accuracy):.1f}\u00a0points"
    assert pruned[3].text == f"{steps[0].parameters:,}"
    share = steps[0].macs / trained.macs
    assert 0.24 < share < 0.27  # half of the channels on both sides
    assert pruned[4].detail == f"−{100 * (1 - share):.1f}\u00a0%"
    assert pruned[5].text == "2.4\u00a0s"


def test_the_files_row_has_sizes_accuracy_ratio_and_verdict():
    row = rows_by_recipe(RECORD)[f"R4 int8: {DOWNLOAD}"][-1]
    variant = next(one for one in RECORD.variants if one.recipe == DOWNLOAD)
    assert ("smaller when zipped, not faster", "warn") in row[0].badges
    assert "the time of int8" in row[0].detail
    assert row[6].text == f"{variant.size_bytes / 1e6:.2f}\u00a0MB"
    assert row[6].detail == f"gzip {variant.gzip_bytes / 1e6:.2f}\u00a0MB"
    scored = SUMMARY.row(DOWNLOAD)
    assert row[1].text == f"{100 * scored.accuracy.accuracy:.1f}\u00a0%"
    assert row[7].text.startswith(f"{scored.ratio.ratio:.3f}")
    assert "–" in row[7].detail


def test_flag_is_shown_beside_the_file_and_never_recommended():
    record = sample_record(compressed=True, runs=6, samples=400, flagged=(CAREFUL, HALF, QUARTER))
    row = rows_by_recipe(record)[f"R3 int8: {CAREFUL}"][-1]
    assert ("⚑ flagged", "bad") in row[0].badges
    assert summarise(record).recommendation.chosen.recipe not in (CAREFUL, HALF, QUARTER)


def test_the_table_says_what_times_are_compared_with():
    assert not [note for note in compression_of(SUMMARY).table.notes if "reference" in note]
    record = replace(
        RECORD,
        variants=RECORD.variants[1:],
        accuracies=tuple(replace(one, versus_float=None) for one in RECORD.accuracies[1:]),
        measurements=tuple(one for one in RECORD.measurements if one.model != "float32"),
    )
    table = compression_of(summarise(record)).table
    assert table.columns[-1].title == "Time / float16"
    assert any("float32, which is not here; float16 is" in note for note in table.notes)


def test_steps_that_say_the_same_are_noted_once():
    notes = compression_of(SUMMARY).notes
    assert notes[0].startswith("R1 int8 and R2 int8, prune_channels(0.5): 4 layers keep")
    assert len(notes) == 4


def test_half_a_record_still_has_a_table():
    record = replace(RECORD, trained=None, accuracies=(), measurements=(), complete=False)
    rows = rows_by_recipe(record)[f"R1 int8: {HALF}"]
    assert [row[0].text for row in rows] == [*HALF.split(" > ")[:-1], "the file, int8"]
    assert rows[-1][1].text == "not measured"
    render_html(record)
    render_markdown(record)


# --- the section, in every rendering


def test_no_steps_no_section():
    record = sample_record(processes=2, runs=3)
    assert compression_of(summarise(record)) is None
    assert "Compression" not in render_markdown(record)
    html = render_html(record)
    assert "compression-section" not in html
    assert 'id="chart-layers' not in html
    assert 'id="chart-steps' not in html


def test_a_refused_recipe_is_a_warning_with_its_reason():
    record = replace(sample_record(processes=2, runs=3), refused=REFUSED)
    warned = next(one for one in tell(summarise(record)).warnings if "Left out" in one.headline)
    assert REFUSED[0].recipe in warned.headline
    assert warned.detail == REFUSED[0].reason
    text = render_markdown(record)
    assert text.count("would leave no channel") == 2
    assert "## Compression" in text
    html = render_html(record)
    assert html.count("would leave no channel") == 2


def test_every_recipe_stands_in_full_in_every_rendering():
    markdown = render_markdown(RECORD).replace("\\", "").replace("\u00a0", " ")
    html = re.sub(r"</?span[^>]*>", "", page()).replace("\u00a0", " ")
    for recipe in COMPRESSED:
        assert recipe in markdown
        assert recipe.replace(">", "&gt;") in html


def test_every_chart_that_names_variants_has_the_key_beside_it():
    html = page()
    for name in ("accuracy-time", "accuracy-size", "latency", "drift", "labels", "steps-accuracy"):
        figure = re.search(f'<figure class="chart" id="chart-{name}">.*?</figure>', html, re.DOTALL)
        assert "What R1 int8 to R6 int8 stand for" in figure[0]


def test_long_recipes_are_short_in_headings_and_sentences():
    story = tell(SUMMARY)
    chosen = SUMMARY.recommendation.chosen
    assert chosen.recipe in COMPRESSED
    assert story.headline.startswith(f"Take {chosen.short}: it classifies")
    assert story.full_recipe == chosen.recipe
    assert len(story.reason) < 250
    for table in (variants_table(SUMMARY), labels_table(SUMMARY)):
        assert all(len(column.title) <= LONGEST_NAME + 10 for column in table.columns)
    plain = tell(summarise(sample_record(processes=2, runs=3)))
    assert plain.full_recipe == ""


def test_the_thesis_table_has_each_variants_own_parameters():
    rows = thesis_tables(SUMMARY)[0].groups[1][1]
    shown = {row[0].text: row[3].text for row in rows}
    assert shown["xcao, int8"] == f"{RECORD.model.parameters:,}"
    steps = SUMMARY.row(QUARTER).variant.steps
    assert shown["xcao, R2 int8"] == f"{steps[-1].parameters:,}"


# --- names


def test_long_recipes_are_numbered_with_their_format():
    names = short_names(["int8", HALF, "prune_2_4 > int8", CAREFUL, "x" * 90])
    assert list(names.values()) == ["int8", "R1 int8", "prune_2_4 > int8", "R2 int8", "R3"]


@given(st.lists(st.text(max_size=60) | st.sampled_from(["R1 int8", "R2", HALF]), unique=True))
def test_short_names_are_short_and_tell_recipes_apart(recipes):
    names = short_names(recipes)
    assert list(names) == recipes
    assert len(set(names.values())) == len(recipes)
    assert all(len(name) <= LONGEST_NAME for name in names.values())


def test_the_format_is_what_follows_the_steps():
    step = 'prune_channels(0.5, layers="a > b:0.5")'
    assert number_format(f"{step} > int8", [step]) == "int8"
    assert number_format("int8") == "int8"
    assert number_format("prune_2_4 > int8(io=float)", ["something else"]) == "int8(io=float)"


# --- charts


def all_rows(spec: dict) -> list[dict]:
    return [row for data in spec["data"] for row in data.get("values", ())]


def test_a_layer_chart_shows_channels_before_and_after_and_zeros():
    charts = layer_charts(SUMMARY)
    assert [chart.name for chart in charts] == [f"layers-{i}" for i in range(1, 8)]
    last = SUMMARY.row(HALF).variant.steps[-1]
    rows = {row["layer"]: row for row in all_rows(charts[0].spec)}
    assert [*rows] == [layer.name for layer in last.layers]
    for before, after in zip(RECORD.trained.layers, last.layers, strict=True):
        assert rows[after.name]["before"] == before.channels
        assert rows[after.name]["after"] == after.channels
    assert rows["conv_8"]["channels_text"] == "256 → 128"
    sparse = {row["layer"]: row["sparsity"] for row in all_rows(charts[3].spec)}
    assert sparse["conv_2"] == 0.5
    assert sparse["conv_1"] == 0


def test_layers_that_are_gone_or_new_are_told_apart():
    chart = layer_charts(SUMMARY)[4]
    rows = {row["layer"]: row for row in all_rows(chart.spec)}
    assert rows["dense"]["channels_text"] == "216, now gone"
    assert rows["dense_u"]["channels_text"] == "54 (new layer)"
    assert rows["dense"]["after"] is None
    assert rows["dense_u"]["before"] is None
    assert "Layers gone: 1; new: 2." in chart.caption


def test_new_layers_stand_where_they_are_in_the_network():
    assert merged_order(["a", "b", "c"], ["a", "b_u", "b_v", "c"]) == ["a", "b", "b_u", "b_v", "c"]
    assert merged_order([], ["x", "y"]) == ["x", "y"]
    assert merged_order(["x"], []) == ["x"]


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["old", "new", "both"])),
                unique_by=lambda pair: pair[0]))  # fmt: skip
def test_merging_keeps_both_orders(layers):
    old = [str(name) for name, where in layers if where != "new"]
    new = [str(name) for name, where in layers if where != "old"]
    merged = merged_order(old, new)
    assert sorted(merged) == sorted({*old, *new})
    assert [name for name in merged if name in old] == old
    assert [name for name in merged if name in new] == new


def test_more_recipes_than_can_be_told_apart_are_thinned():
    more = tuple(
        replace(one, recipe=f"fine_tune({i}) > {one.recipe}")
        for one in RECORD.variants
        if one.steps
        for i in (5, 6)
    )
    summary = summarise(replace(RECORD, variants=(*RECORD.variants, *more)))
    assert len(layer_charts(summary)) == 8
    chart = steps_chart(summary)
    assert "8 most telling" in chart.caption
    drawn = {row["recipe"] for row in all_rows(chart.spec)}
    assert len(drawn) == 8
    assert summary.recommendation.chosen.recipe in drawn


def test_accuracy_is_drawn_from_the_trained_network_to_the_file():
    chart = steps_chart(SUMMARY)
    mine = [row for row in all_rows(chart.spec) if row["recipe"] == QUARTER]
    by_step = {row["place"]: row for row in mine}
    assert [by_step[place]["step"] for place in sorted(by_step)] == [
        "trained network", *QUARTER.split(" > ")[:-1], "int8, the file",
    ]  # fmt: skip
    assert by_step[0]["accuracy"] == RECORD.trained.accuracy
    assert by_step[5]["accuracy"] == SUMMARY.row(QUARTER).accuracy.accuracy


# --- CSV and files


def test_csv_has_every_step_and_every_layer():
    steps = list(csv.DictReader(io.StringIO(steps_csv(RECORD))))
    assert len(steps) == 1 + sum(len(one.steps) for one in RECORD.variants)
    assert steps[0]["recipe"] == steps[0]["step"] == ""
    assert int(steps[0]["macs"]) == RECORD.trained.macs
    mine = [row for row in steps if row["recipe"] == CAREFUL]
    assert [row["place"] for row in mine] == ["1", "2", "3"]
    assert [row["step"] for row in mine] == CAREFUL.split(" > ")[:-1]
    layers = list(csv.DictReader(io.StringIO(layers_csv(RECORD))))
    assert len(layers) == 16 + sum(len(s.layers) for one in RECORD.variants for s in one.steps)
    last = [row for row in layers if row["recipe"] == DOWNLOAD and row["place"] == "3"]
    assert {row["distinct"] for row in last[1:-1]} == {"16"}
    assert sum(int(row["macs"]) for row in last) == RECORD.trained.macs


def test_files_of_steps_are_written_only_where_there_are_steps(tmp_path):
    few = tuple(one for one in RECORD.variants if not one.steps or one.recipe == HALF)
    names = [path.name for path in write_reports(replace(RECORD, variants=few), tmp_path / "with")]
    assert names[-2:] == ["steps.csv", "layers.csv"]
    plain = replace(
        sample_record(processes=2, runs=3), refused=(RefusedRecipe("prune_2_4 > int8", "No."),)
    )
    assert not {"steps.csv", "layers.csv"} & {
        path.name for path in write_reports(plain, tmp_path / "without")
    }


# --- numbers


def test_changes_and_durations_read_well():
    assert change(50, 100) == "−50.0\u00a0%"
    assert change(100, 100) == "unchanged"
    assert change(1, 0) == "–"
    assert points(0.0123) == "+1.2\u00a0points"
    assert points(-0.0001) == "±0.0\u00a0points"
    assert scaled(989_472_768) == "989\u00a0M"
    assert scaled(999_999) == "1.00\u00a0M"
    assert scaled(512) == "512"
    assert duration(2.41) == "2.4\u00a0s"
    assert duration(59.7) == "1\u00a0min 0\u00a0s"
    assert duration(4000) == "1\u00a0h 6\u00a0min"
