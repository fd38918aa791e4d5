"""What reports say of the five stages: Table 8, whose times they are, no more than is known."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from dataclasses import replace
from functools import cache

import jsonschema
import pytest
from markdown_it import MarkdownIt
from sample_phone_run import sample_bench, sample_phone_run
from sample_record import sample_record
from sample_stages import (
    NO_DETECTOR,
    device_of,
    hostile_stages,
    phone_stages,
    sample_stages,
)
from test_report_browser import CHROMIUM, LISTEN, MEASURE, browse, charts_in
from test_report_html import PAYLOAD, Page
from test_report_phone import DOCUMENTED
from test_report_text import tables_in

from fer_opt.device.stage_timing import STAGES, StagesRun
from fer_opt.reports.bench_record import BenchRecord, read_bench_record, write_bench_record
from fer_opt.reports.html import render_bench_html, render_html
from fer_opt.reports.markdown import render_bench_markdown, render_markdown
from fer_opt.reports.record import RunRecord, read_record, write_record
from fer_opt.reports.stages.csv_tables import stages_csvs
from fer_opt.reports.stages.story import in_a_sentence, tell_stages
from fer_opt.reports.stages.summary import StagesSummary, summarise_stages
from fer_opt.reports.stages.table_8 import table_8
from fer_opt.reports.stages.tables import cold_table
from fer_opt.reports.write import write_bench_reports, write_reports

RUNS = {
    "host": sample_stages,
    "phone": phone_stages,
    "virtual": lambda: phone_stages(kind="virtual"),
    "emulated": lambda: sample_stages(kind="emulated"),
    "real phone, whole": lambda: replace(sample_stages(slower=40.0), device=device_of("phone")),
    "no one-face photo": lambda: sample_stages(split=(0, 3, 2)),
    "one photo": lambda: sample_stages(split=(1, 0, 0)),
    "cold only": lambda: sample_stages(passes=1),
    "one process": lambda: sample_stages(processes=1, passes=1, pipelines=("thesis",)),
    "only the faster": lambda: sample_stages(pipelines=("faster",)),
    "own name": lambda: sample_stages(pipelines=("thesis", "faster", "mine: blazeface")),
    "unreadable": lambda: sample_stages(unreadable=9),
    "sizes unknown": lambda: sample_stages(pixels=False),
    "no tail": lambda: sample_stages(large=False),
    "unfinished": lambda: replace(sample_stages(processes=1), complete=False, agreements=()),
    "nothing yet": lambda: replace(
        sample_stages(split=(1, 0, 0), processes=1), pipelines=(), agreements=(), complete=False
    ),
    "thousand": lambda: sample_stages(split=(800, 120, 80), processes=2, passes=2),
    "hostile": lambda: hostile_stages(PAYLOAD),
}


def bench_of(*runs: StagesRun) -> BenchRecord:
    return sample_bench(phones=(), models=(), stages=runs, complete=True)


@cache
def run_of(name: str) -> StagesRun:
    return RUNS[name]()


@cache
def page_of(name: str) -> tuple[str, Page]:
    html = render_bench_html(bench_of(run_of(name)))
    return html, Page(html)


def summary_of(name: str) -> StagesSummary:
    (summary,) = summarise_stages((run_of(name),), 500.0)
    return summary


def run_with(*runs: StagesRun) -> RunRecord:
    return replace(sample_record(processes=3, runs=5), stages=runs)


def csv_rows(*names: str) -> list[dict[str, str]]:
    files = stages_csvs([summary_of(name) for name in names])
    return list(csv.DictReader(io.StringIO(files["stages.csv"])))


@pytest.mark.parametrize("name", RUNS)
def test_a_record_with_stages_reads_back_what_was_written_and_fits_its_schema(name, tmp_path):
    path = tmp_path / "record.json"
    bench = bench_of(run_of(name))
    write_bench_record(bench, path)
    assert read_bench_record(path) == bench
    jsonschema.validate(json.loads(path.read_text()), json.loads(DOCUMENTED.read_text()))
    record = run_with(run_of(name))
    write_record(record, path)
    assert read_record(path) == record


def test_a_bench_before_stages_is_read(tmp_path):
    record = sample_bench()
    path = tmp_path / "record.json"
    write_bench_record(record, path)
    old = json.loads(path.read_text()) | {"schema_version": 4}
    del old["stages"]
    path.write_text(json.dumps(old))
    assert read_bench_record(path) == record


@pytest.mark.parametrize("name", RUNS)
def test_page_is_whole_loads_nothing_and_can_be_listened_to(name):
    html, page = page_of(name)
    assert html.startswith("<!doctype html>")
    for tag, found in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base"}
        assert "src" not in found
        assert (found.get("href") or "#").startswith("#")
        if tag == "th":
            assert found.get("scope") in {"col", "row", "rowgroup"}
        if "role" in found and found["role"] == "img":
            assert found.get("aria-label")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    for _, found in page.elements:
        for reference in (found.get("aria-labelledby"), (found.get("href") or "")[1:]):
            assert not reference or reference in ids
    assert page.count("caption") == page.count("table")
    plots = sorted(found["data-spec"] for _, found in page.elements if "data-spec" in found)
    specs = {found["id"]: json.loads(text) for found, text in page.scripts if "id" in found}
    assert plots == sorted(specs)
    assert all("url" not in data for spec in specs.values() for data in spec["data"])
    assert "nan" not in page.text.lower().split()


@pytest.mark.parametrize("name", RUNS)
def test_markdown_tables_have_a_cell_for_each_column(name):
    for table in tables_in(render_bench_markdown(bench_of(run_of(name)))):
        assert {len(row) for row in table} == {len(table[0])}


def test_table_8_sets_the_thesis_beside_this_run():
    table = table_8(summary_of("host"))
    assert table is not None
    assert "Table 8, section 4.2 (pages 34–35)" in table.caption
    (heading, thesis), (other, faster) = table.groups
    assert (heading, other) == ("The thesis’s way, float32", "The faster way, int8(input=crop)")
    names = [row[0].text for row in thesis]
    assert names == [
        "Retrieving bitmap", "Face detection", "Resizing", "Gray conversion", "Classifying",
        "Total, photo with one face", "Total, any photo",
    ]  # fmt: skip
    printed = [row[1].text.replace("\u00a0", " ") for row in thesis]
    assert printed[0] == "57.88 ± 140.5 ms"
    assert printed[1] == "1,601.56 ± 3,846.5 ms"
    assert printed[5] == "2,171.9 ± 4,338.6 ms"
    photos = [photo.stages_ms["detect"] for photo in summary_of("host").timed[0].main.photos]
    mean = sum(photos) / len(photos)
    detect = [cell.text.replace("\u00a0", " ") for cell in thesis[1]]
    assert detect[2].startswith(f"{mean:.0f} ± ")
    assert detect[3] == f"{mean / 1601.56:.3f} ×"
    assert detect[4] == f"{100 * mean / 500:.0f} %"
    assert detect[7] == f"{max(photos):,.0f} ms"
    assert thesis[1][0].detail == "Haar cascade, whole photo; Python"
    assert re.fullmatch(r"1/4\d\d", thesis[3][3].text)  # 0.3 ms of the thesis's 126.8
    assert faster[2][2].text == faster[3][2].text == "in classifying"
    assert {cell.text for cell in faster[2][3:]} == {"–"}


def test_the_page_answers_first_what_the_reader_asks_first():
    text = page_of("host")[1].text
    assert "a computer’s times, not a phone’s" in text
    headline = "On this computer, a photo with one face takes 18.8 ms the faster way"
    assert text.index("a computer’s times, not a phone’s") < text.index(headline) < 600
    assert "all 20 photos stayed within the 500 ms one may take, but that is not enough" in text
    assert "59 would be" in text
    assert "spends 91 % of its time in face detection" in text
    assert "Change it first: it took" in text
    assert "Photo by photo, the thesis’s way takes" in text
    for wanted in (
        "What to change first", "The long tail", "Larger photos take longer", "The slowest photos",
        "scene_005.jpg", "The first pass, cold", "To start", "Do they find the same?",
        "19 of 20 one-face photos", "least 0.81", "happy with the thesis’s way, neutral",
        "20 with one face, 3 with none and 2 with several", "5 fresh processes",
        "once cold and twice warm", "The stages add up to the clock of the whole photo within",
        "Hahn and Meeker", "25 photos", run_of("host").pipelines[1].model_sha256,
        "0123456789abcdef", run_of("host").photos.fingerprint,
    ):  # fmt: skip
        assert wanted in text, wanted


def test_the_cold_pass_stands_apart_with_a_verdict_of_its_own():
    table = cold_table(summary_of("host"))
    assert table is not None
    rows = table.groups[0][1]
    assert [row[0].text for row in rows][-3:] == [
        "Total, photo with one face", "Total, any photo", "To start",
    ]  # fmt: skip
    detect = next(row for row in rows if row[0].text == "Face detection")
    assert float(detect[5].text.split("\u00a0")[0]) == pytest.approx(1.4, rel=0.05)
    assert rows[-3][6].text == "not enough photos to say"
    assert cold_table(summary_of("cold only")) is None  # Table 8 has it then
    assert cold_table(summary_of("emulated")) is None


@pytest.mark.parametrize("name", ["phone", "virtual"])
def test_a_stage_that_was_not_run_says_why_and_the_total_is_at_least(name):
    text = page_of(name)[1].text
    assert NO_DETECTOR in text
    assert "not run" in text
    assert "at least, without face detection" in text
    assert "takes at least" in text
    assert "Not run here: face detection." in text
    assert "First of all, have face detection timed." in text
    assert "✓ pass" not in text
    table = table_8(summary_of(name))
    assert table is not None
    totals = table.groups[0][1][-2:]
    assert all(cell.text.startswith("≥") for row in totals for cell in row[4:8])


def test_a_network_that_was_timed_apart_is_not_judged_over_photos():
    table = table_8(summary_of("phone"))
    assert table is not None
    classify = next(row for row in table.groups[0][1] if row[0].text == "Classifying")
    assert classify[2].detail == "timed apart"
    assert "±" not in classify[2].text
    assert {cell.text for cell in classify[5:8]} == {"–"}
    assert classify[8].text == "not by photo"
    assert any("Timed apart from the photos: classifying." in note for note in table.notes)
    assert "Timed apart" not in page_of("host")[1].text


def test_photos_of_which_nothing_was_timed_do_not_count():
    run = run_of("phone")
    (pipeline,) = run.pipelines
    only = [
        replace(one, pass_index=1, stages_ms={
            name: ms for name, ms in one.stages_ms.items() if name == "classify"
        })
        for one in pipeline.passes
    ]  # fmt: skip
    ways = tuple(
        way if way.stage == "classify" else replace(way, runner="", not_run="No program.")
        for way in pipeline.ways
    )
    bare = replace(run, pipelines=(replace(pipeline, passes=tuple(only), ways=ways),))
    (summary,) = summarise_stages((bare,), 500.0)
    main = summary.timed[0].main
    assert main.any_photo.photos == 20  # those without a face were never classified
    assert main.lacks == ("bitmap", "detect", "resize", "grey")
    text = Page(render_bench_html(bench_of(bare))).text
    assert (
        "retrieving the bitmap, face detection, resizing and grey conversion is missing" not in text
    )
    assert "without retrieving the bitmap, face detection, resizing and grey conversion" in text


def test_too_slow_a_phone_fails_with_25_photos():
    text = page_of("real phone, whole")[1].text
    assert "✗ fail" in text
    assert "take longer than the 500 ms one may take (20 of 20 did)" in text
    assert "On the Samsung SM-J330F (exynos7570), a photo with one face takes" in text
    assert "not a phone’s" not in text


def test_a_thousand_photos_can_pass():
    text = page_of("thousand")[1].text
    assert "95 % of such photos stay within the 500 ms one may take" in text
    assert "✓ pass 0 of 800 longer" in text
    assert "A bar is a group of 5 photos of like time, the slowest of it" in text
    assert "of 100" in text  # the slowest ones are cut to ten
    assert len(page_of("thousand")[0]) < 3_000_000


def test_a_virtual_phones_times_are_never_called_a_phones():
    html, page = page_of("virtual")
    text = page.text
    assert text.index("virtual phone: a computer’s times") < text.index("takes at least")
    assert "Virtual phone: these are a computer’s times, not a phone’s." in text
    assert "On a virtual Samsung SM-J330F (exynos7570) (a computer’s times, not a phone’s)" in text
    assert "not judged" in text
    assert "✗ fail" not in text
    assert "within the 500" not in text
    markdown = render_bench_markdown(bench_of(run_of("virtual")))
    for rendering in (html, markdown):
        assert "virtual phone: a computer’s times" in rendering
        assert "a computer’s time" in rendering


def test_no_time_of_an_emulator_is_shown_anywhere():
    measured = re.compile(r"\d\s?(ms|×)(?!\w)")
    _, page = page_of("emulated")
    text = page.text.replace("target 500 ms", "")
    assert "emulated: no latency" in text
    assert "no time is known" in text
    assert "Do they find the same?" in text  # what it computed counts all the same
    assert not measured.search(text), measured.search(text)
    assert page.count("figure") == 0
    markdown = render_bench_markdown(bench_of(run_of("emulated"))).replace("\u00a0", " ")
    assert not measured.search(markdown), measured.search(markdown)
    rows = csv_rows("emulated")
    assert len(rows) == 2 * 25 * 5 * 3
    for column in ("total_ms", *(f"{stage}_ms" for stage in STAGES)):
        assert {row[column] for row in rows} == {""}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no one-face photo", "a photo (none has just one face) takes"),
        ("one photo", "the one photo stayed within"),
        ("one photo", "a single photo has no tail"),
        ("cold only", "first pass of each process (cold)"),
        ("one process", "One process cannot tell whether it is the photos or the machine."),
        ("own name", "mine: blazeface"),
        ("unreadable", "Left out, 9 photos that cannot be read: broken_0.jpg"),
        ("unreadable", "And 4 more, in record.json."),
        ("no tail", "has no long tail"),
        ("unfinished", "Not every pipeline has all its passes yet"),
        ("nothing yet", "No stage has been timed yet."),
    ],
)
def test_what_is_odd_is_said(name, said):
    assert said in page_of(name)[1].text


def test_broken_times_cost_one_run_its_times_only():
    run = sample_stages(processes=1)
    first, *others = run.pipelines
    (worst, *rest) = first.passes
    bad = replace(first, passes=(replace(worst, total_ms=-1.0), *rest))
    page = Page(render_bench_html(bench_of(replace(run, pipelines=(bad, *others)), run)))
    assert "The times cannot be summarised: " in page.text
    assert "measure it again" in page.text
    assert page.count("table", id="stages-2-table-8") == 1
    assert page.count("table", id="stages-1-table-8") == 0


def test_csv_has_a_line_for_each_pass_of_each_photo():
    run = run_of("host")
    rows = csv_rows("host", "phone")
    assert len(rows) == 2 * 25 * 5 * 3 + 25 * 5
    one, line = run.pipelines[0].passes[0], rows[0]
    assert (line["pipeline"], line["photo"], line["phase"]) == ("thesis", one.photo, "cold")
    assert float(line["total_ms"]) == one.total_ms
    assert float(line["detect_ms"]) == one.stages_ms["detect"]
    assert (int(line["width"]), int(line["height"])) == run.photos.pixels[one.photo]
    assert {row["total"] for row in rows if row["kind"] == "host"} == {"clock"}
    assert {row["total"] for row in rows if row["kind"] == "phone"} == {"at least"}
    fused = [row for row in rows if row["pipeline"] == "faster"]
    assert {row["grey_ms"] for row in fused} == {""}
    assert stages_csvs([summary_of("nothing yet")]) == {}


def test_reports_are_written_beside_the_record(tmp_path):
    for paths in (
        write_reports(run_with(run_of("host")), tmp_path / "run"),
        write_bench_reports(bench_of(run_of("host")), tmp_path / "bench"),
    ):
        assert "stages.csv" in {path.name for path in paths}
        assert all(path.stat().st_size > 100 for path in paths)


def test_a_run_tells_beside_its_verdict_what_a_whole_photo_takes():
    plain, page = (Page(render_html(run_with(*runs))) for runs in ((), (run_of("host"),)))
    said = "On this computer, a photo with one face takes 18.8 ms the faster way (95th percentile"
    assert said not in plain.text
    assert "All five stages" not in plain.text
    assert page.text.index(said) < page.text.index("Never predicted: contempt")
    assert "and spends 91 % of its time in face detection." in page.text
    assert "Not yet a phone’s time" in page.text
    assert "A computer’s time is not a phone’s" in page.text
    text = render_markdown(run_with(run_of("host"))).replace("\u00a0", " ")
    assert text.index(said) < text.index("## Variants") < text.index("## All five stages")


def test_what_a_real_phone_took_stands_beside_the_verdict_and_a_virtual_ones_does_not():
    page = Page(render_html(run_with(run_of("phone"))))
    assert "On the phone On the Samsung SM-J330F (exynos7570), a photo" in page.text
    assert "Not yet a phone’s time" not in page.text
    for name in ("virtual", "emulated"):
        other = Page(render_html(run_with(run_of(name))))
        assert "Not yet a phone’s time" in other.text
        assert "On a virtual" not in other.text[: other.text.index("Never predicted")]


def test_a_bench_with_phones_and_stages_shows_both():
    bench = sample_bench(sample_phone_run(), stages=(run_of("phone"),))
    page = Page(render_bench_html(bench))
    assert "What the phone says" in page.text
    assert "All five stages of a photo" in page.text
    alone = page_of("host")[1]
    assert "No phone has timed anything yet" not in alone.text
    assert "All five stages on Intel(R) Core(TM) i5-7200U" in alone.text


@pytest.mark.parametrize("name", [name for name in RUNS if name != "hostile"])
def test_sentences_are_whole(name):
    summary = summary_of(name)
    story = tell_stages(summary)
    for text in (story.headline, story.budget, story.gain, *story.changes, *story.tail, story.how,
                 in_a_sentence(summary)):  # fmt: skip
        assert not text or text.endswith("."), text
        assert "  " not in text
        assert " ." not in text
        assert "None" not in text


def test_hostile_text_stays_text():
    _, page = page_of("hostile")
    plain = Page(render_bench_html(bench_of(sample_stages(processes=2, passes=2, unreadable=1))))
    for tag in ("script", "img", "b", "h2", "h3", "h4", "table"):
        assert page.count(tag) == plain.count(tag), tag
    code = [text for found, text in page.scripts if found.get("type") != "application/json"]
    assert not any("pwned" in text for text in code)
    assert "{{7*7}}" in page.text
    run = hostile_stages(" | x\n# y <script> `z` [a](b) @d")
    text = render_bench_markdown(bench_of(run))
    wanted = tables_in(render_bench_markdown(bench_of(sample_stages(processes=2, passes=2))))
    assert [[len(row) for row in table] for table in tables_in(text)] == [
        [len(row) for row in table] for table in wanted
    ]
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert len([token for token in tokens if token.type == "heading_open"]) == 4


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_stage_charts_are_drawn_without_a_word_from_the_console(tmp_path):
    html = render_bench_html(bench_of(run_of("host"), run_of("phone"), run_of("emulated")))
    dom, console = browse(html, tmp_path, "--window-size=1280,900")
    assert console == []
    charts = charts_in(dom)
    parts = ("waterfall", "steps-1", "photos-1")
    assert set(charts) == {
        *(f"stages-{number}-{part}" for number in (1, 2) for part in parts),
        "stages-1-steps-2", "stages-1-photos-2",
    }  # fmt: skip
    assert all(svg.startswith("<svg") for svg in charts.values())
    # The thesis's five stages, five of its way here, and three of the faster one.
    assert charts["stages-1-waterfall"].count('aria-roledescription="bar"') == 5 + 5 + 3
    assert charts["stages-2-waterfall"].count('aria-roledescription="bar"') == 5 + 4
    assert "2,172&nbsp;ms" in charts["stages-1-waterfall"]
    assert "≥&nbsp;" in charts["stages-2-waterfall"]
    assert "var(--stage-1)" in charts["stages-1-waterfall"]  # follows dark mode and print
    # Two stages of each photo, three more of those with one face.
    assert charts["stages-1-photos-1"].count('aria-roledescription="rect mark"') == 25 * 2 + 20 * 3


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_stage_charts_fit_a_narrow_screen(tmp_path):
    html = render_bench_html(bench_of(run_of("host"), run_of("phone"), run_of("one photo")))
    (tmp_path / "inner.html").write_text(html + MEASURE, encoding="utf-8")
    dom, console = browse(LISTEN, tmp_path)
    assert console == []
    found = re.search(r'<pre id="out">(.*?)</pre>', dom)[1]
    width, page, plots, rightmost, topmost = map(float, found.split())
    assert width == 400
    assert page <= width
    assert plots == 5 + 3 + 5
    assert rightmost <= width
    assert topmost >= -2
