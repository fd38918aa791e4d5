"""What reports say of phones: verdict first, every caution, and never a time that is not one."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import jsonschema
import pytest
from markdown_it import MarkdownIt
from sample_phone_run import MODELS, hostile_run, sample_bench, sample_phone_run
from sample_record import sample_record
from test_report_browser import CHROMIUM, browse, charts_in
from test_report_html import PAYLOAD, Page
from test_report_text import tables_in

from fer_opt.device.phone.results import PhoneRun, Trust
from fer_opt.errors import RecordError
from fer_opt.reports.bench_record import (
    bench_json_schema,
    read_any_record,
    read_bench_record,
    write_bench_record,
)
from fer_opt.reports.html import render_bench_html, render_html
from fer_opt.reports.markdown import render_bench_markdown, render_markdown
from fer_opt.reports.phones.csv_tables import phone_csvs
from fer_opt.reports.phones.summary import summarise_phone, summarise_phones
from fer_opt.reports.phones.tables import operators_table
from fer_opt.reports.record import RunRecord, read_record, write_record
from fer_opt.reports.write import write_bench_reports, write_reports

LONG = {f"prune_channels(0.{i}) > fine_tune(4) > int8": (600 - 50 * i, 5_000_000) for i in (1, 2)}
DOCUMENTED = Path(__file__).parent.parent / "docs" / "bench-record.schema.json"


def virtual_run() -> PhoneRun:
    return sample_phone_run(kind="virtual", label="virtual Samsung SM-J330F (…0001)")


def emulated_run() -> PhoneRun:
    return sample_phone_run(kind="emulated", label="virtual Samsung SM-J330F (…0001)")


def unstarted_run() -> PhoneRun:
    return replace(
        sample_phone_run(operators=False),
        measurements=(), checks=(), outputs=(), runner=None, ended_at="", complete=False,
        trust=Trust(trusted=False, reasons=("The bench has not ended.",)),
        error="The connection to the phone broke and did not come back within 60 s.",
    )  # fmt: skip


BENCHES = {
    "one": sample_bench,
    "old runner": lambda: sample_bench(sample_phone_run(told="old")),
    "every time": lambda: sample_bench(sample_phone_run(told="times")),
    "untrusted": lambda: sample_bench(sample_phone_run(trusted=False, failures=("int8",))),
    "all failed": lambda: sample_bench(sample_phone_run(failures=tuple(MODELS))),
    "virtual": lambda: sample_bench(virtual_run()),
    "emulated": lambda: sample_bench(emulated_run()),
    "unstarted": lambda: sample_bench(unstarted_run()),
    "nothing yet": lambda: sample_bench(phones=(), complete=False),
    "one process": lambda: sample_bench(sample_phone_run(rounds=1, runs=1)),
    "several": lambda: sample_bench(
        sample_phone_run(models=MODELS | LONG),
        sample_phone_run(models=MODELS | LONG, label="Google Pixel 4 (…77aa)", throttled=False),
        virtual_run(),
        emulated_run(),
        unstarted_run(),
    ),
    "hostile": lambda: sample_bench(hostile_run(PAYLOAD), command=f"fer-opt{PAYLOAD}"),
}


@cache
def page_of(name: str) -> tuple[str, Page]:
    html = render_bench_html(BENCHES[name]())
    return html, Page(html)


def run_with(*phones: PhoneRun) -> RunRecord:
    return replace(sample_record(processes=3, runs=5), phones=phones)


def phone_of(record: RunRecord, **options: object) -> PhoneRun:
    """A phone that timed the variants of ``record``, each slower than the one before."""
    models = {
        variant.recipe: (300.0 + 40 * place, variant.size_bytes)
        for place, variant in enumerate(record.variants)
    }
    return sample_phone_run(models=models, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_reads_back_what_was_written_and_fits_its_schema(name, tmp_path):
    record = BENCHES[name]()
    path = tmp_path / "record.json"
    write_bench_record(record, path)
    assert read_any_record(path) == read_bench_record(path) == record
    schema = json.loads(DOCUMENTED.read_text())
    jsonschema.validate(json.loads(path.read_text()), schema)
    assert schema == bench_json_schema(), "docs/record.md says how to make the schema again"


def test_a_run_with_phones_reads_back_what_was_written(tmp_path):
    record = run_with(sample_phone_run(), virtual_run())
    write_record(record, tmp_path / "record.json")
    assert read_any_record(tmp_path / "record.json") == record


def test_the_two_kinds_of_record_are_not_taken_for_one_another(tmp_path):
    write_bench_record(sample_bench(), tmp_path / "bench.json")
    write_record(sample_record(processes=0), tmp_path / "run.json")
    with pytest.raises(RecordError, match=r"bench\.json is the record of a bench, not of a run"):
        read_record(tmp_path / "bench.json")
    with pytest.raises(RecordError, match=r"run\.json is the record of a run, not of a bench"):
        read_bench_record(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"schema_version": 2}, "schema version 2"), ({"phones": [{}]}, "phones"),
     ({"surprise": 1}, "surprise")],
)  # fmt: skip
def test_a_bench_that_cannot_be_trusted_is_refused(change, message, tmp_path):
    path = tmp_path / "record.json"
    write_bench_record(sample_bench(), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RecordError, match=message) as caught:
        read_any_record(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BENCHES)
def test_page_is_whole_loads_nothing_and_can_be_listened_to(name):
    html, page = page_of(name)
    assert html.startswith("<!doctype html>")
    for tag, found in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base"}
        assert "src" not in found
        assert (found.get("href") or "#").startswith("#")
        if tag == "th":
            assert found.get("scope") in {"col", "row", "rowgroup"}
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


def test_page_answers_first_what_the_reader_asks_first():
    _, page = page_of("one")
    text = page.text
    assert "✓ times may be believed" in text
    headline = "int8 classifies a face in 343 ms on the Samsung SM-J330F (exynos7570), within"
    assert text.index(headline) < 600
    assert "That is 0.555 × the time of float32 (0.547–0.561 ×, 99 % interval)." in text
    assert "✗ beyond 124 % of it" in text
    assert "✓ within 69 % of it" in text
    assert "1 of 9 blocks ran on a phone slower than that" in text
    assert "Do not rely" not in text
    for wanted in (
        "fer-opt bench float32.tflite int8.tflite --on phone", "svc power stayon usb (was: off)",
        "https://runner.example/android_arm_benchmark_model", "armeabi-v7a", "galaxy-j3",
        "permission denied to the shell user", "35.0 MB", "battery 81 to 78 %", "CPU mask f",
        "CONV_2D", "52.0 %", "1: ",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert sample_phone_run().runner.sha256 in text


def test_untrusted_times_are_called_so_before_anything_else():
    _, page = page_of("untrusted")
    text = page.text
    assert text.index("✗ times not to be believed") < text.index("Do not rely on these times yet.")
    assert text.index("Do not rely") < text.index("611 ms")
    for reason in sample_phone_run(trusted=False).trust.reasons:
        assert reason in text
    assert "✗ beyond?" in text  # judged with a question mark only
    assert "int8 could not be timed. int8.tflite was killed on the phone: memory ran out" in text
    assert "No model could be timed on Samsung" in page_of("all failed")[1].text


def test_a_virtual_phones_times_are_never_called_a_phones():
    html, page = page_of("virtual")
    text = page.text
    assert text.index("virtual phone: a computer’s times") < text.index("int8 took 343 ms")
    assert "Virtual phone: these are a computer’s times, not a phone’s." in text
    assert "a computer’s time, not a phone’s" in text
    assert text.count("not judged") == 2
    assert "within the 500" not in text
    assert "times may be believed" not in text
    for rendering in (html, render_bench_markdown(BENCHES["virtual"]())):
        assert "virtual phone: a computer’s times" in rendering


MEANINGLESS = re.compile(r"\d\s?(ms|×)(?!\w)|343|618|\b0\.55")


def without_known(text: str) -> str:
    """``text`` without the target, the thesis's time and the cores' clocks."""
    for known in ("500 ms", "1,788 ms", "4 × 449-1430 MHz"):
        text = text.replace(known, "")
    return text


def test_no_time_of_an_emulator_is_shown_anywhere():
    record = BENCHES["emulated"]()
    _, page = page_of("emulated")
    shown = without_known(page.text)
    assert "emulated: no latency" in shown
    assert not MEANINGLESS.search(shown), MEANINGLESS.search(shown)
    assert page.count("figure") == 0
    text = without_known(render_bench_markdown(record).replace("\u00a0", " "))
    assert not MEANINGLESS.search(text), MEANINGLESS.search(text)
    files = phone_csvs(summarise_phones(record.phones, record.target_ms))
    assert set(files) == {"phones.csv"}
    rows = list(csv.DictReader(io.StringIO(files["phones.csv"])))
    assert {row["latency_ms"] for row in rows} == {row["ratio"] for row in rows} == {""}
    assert {row["samples_compared"] for row in rows} == {"8"}


def test_one_row_for_each_phone_and_model():
    record = BENCHES["several"]()
    html, _ = page_of("several")
    table = re.search(r'<table id="phones-overview">.*?</table>', html, re.DOTALL)[0]
    rows = re.findall(r"<tr>\s*<th scope=\"row\">", table)
    assert len(rows) == sum(len(run.models) for run in record.phones)
    assert table.count("virtual phone: a computer’s times") == 2
    assert table.count("emulated: no latency") == 2
    lines = phone_csvs(summarise_phones(record.phones, record.target_ms))["phones.csv"]
    assert len(list(csv.DictReader(io.StringIO(lines)))) == len(rows)


def test_what_is_missing_is_said_with_its_cause():
    _, page = page_of("unstarted")
    assert "16 of 16 timing processes are missing. The connection to the phone broke" in page.text
    assert "Nothing has been timed on Samsung SM-J330F (exynos7570) yet." in page.text
    assert page.count("figure") == 0
    assert "not finished" in page_of("nothing yet")[1].text


def test_times_that_do_not_belong_together_cost_one_phone_its_times_only():
    run = sample_phone_run()
    first, *others = run.measurements
    mixed = replace(run, measurements=(replace(first, cpus=(0,)), *others), label="Mixed (…1)")
    page = Page(render_bench_html(sample_bench(mixed, sample_phone_run(label="Good (…2)"))))
    assert "different numbers of CPUs, and unlike measurements are never pooled" in page.text
    assert "cannot be summarised" in page.text
    assert "int8 classifies a face in" in page.text


def test_processes_that_tell_no_single_times_are_drawn_as_lines():
    def spans(name: str) -> list[dict[str, object]]:
        _, page = page_of(name)
        spec = next(text for found, text in page.scripts
                    if found.get("id") == "spec-phone-1-latency")  # fmt: skip
        data = json.loads(spec)["data"]
        return [row for one in data for row in one.get("values", ()) if "kind" in row]

    assert {row["kind"] for row in spans("one")} == {"its 5th to its 95th percentile"}
    assert {row["kind"] for row in spans("old runner")} == {"its fastest to its slowest inference"}
    assert len(spans("one")) == 16
    assert spans("every time") == []
    assert "Every inference, by model and process" in page_of("every time")[1].text


def test_hostile_text_stays_text():
    _, page = page_of("hostile")
    _, plain = page_of("one")
    for tag in ("script", "img", "b", "h2", "h3", "table"):
        assert page.count(tag) == plain.count(tag), tag
    code = [text for found, text in page.scripts if found.get("type") != "application/json"]
    assert not any("pwned" in text for text in code)
    assert "{{7*7}}" in page.text
    text = render_bench_markdown(sample_bench(hostile_run(" | x\n# y <script> `z` [a](b) @d")))
    found, wanted = tables_in(text), tables_in(render_bench_markdown(sample_bench()))
    assert [[len(row) for row in table] for table in found] == [
        [len(row) for row in table] for table in wanted
    ]
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    headings = [token for token in tokens if token.type == "heading_open"]
    assert len(headings) == 3


@pytest.mark.parametrize("name", BENCHES)
def test_markdown_tables_have_a_cell_for_each_column(name):
    for table in tables_in(render_bench_markdown(BENCHES[name]())):
        assert {len(row) for row in table} == {len(table[0])}


def test_csv_files_have_a_line_for_each_thing_they_name():
    run = sample_phone_run()
    files = {
        name: list(csv.DictReader(io.StringIO(text)))
        for name, text in phone_csvs([summarise_phone(run, 500.0)]).items()
    }
    assert {name: len(rows) for name, rows in files.items()} == {
        "phones.csv": 2, "phone_measurements.csv": 16, "phone_canary.csv": 9,
        "phone_operators.csv": 12,
    }  # fmt: skip
    int8 = files["phones.csv"][1]
    assert (int8["budget"], int8["trusted"], int8["ratio_reference"]) == (
        "within",
        "yes",
        "float32",
    )
    first, line = run.measurements[0], files["phone_measurements.csv"][0]
    assert (line["phase"], float(line["ms"])) == ("summary", first.datum_ms)
    assert first.summary is not None
    assert float(line["p95_ms"]) == first.summary.p95_ms
    assert float(line["battery_c_after"]) == first.after.battery_c
    assert [row["throttled"] for row in files["phone_canary.csv"]].count("yes") == 1


def test_reports_are_written_beside_the_record(tmp_path):
    paths = write_bench_reports(sample_bench(), tmp_path / "bench")
    assert [path.name for path in paths] == [
        "report.html", "report.md", "phones.csv", "phone_measurements.csv", "phone_canary.csv",
        "phone_operators.csv",
    ]  # fmt: skip
    record = run_with()
    paths = write_reports(replace(record, phones=(phone_of(record),)), tmp_path / "run")
    assert "phones.csv" in {path.name for path in paths}
    assert all(path.stat().st_size > 100 for path in paths)


def test_a_run_tells_beside_its_verdict_what_the_phone_says():
    record = run_with()
    phone = phone_of(record, failures=("int16x8",))
    plain = Page(render_html(record))
    page = Page(render_html(replace(record, phones=(phone,))))
    assert "On the phone" not in plain.text
    assert "Not yet a phone’s time" in plain.text
    said = "On the Samsung SM-J330F (exynos7570), int8 takes"
    assert page.text.index(said) < page.text.index("Never predicted")
    assert "The fastest there is float32 with" in page.text
    assert "Not yet a phone’s time" not in page.text
    assert "int16x8 could not be timed" in page.text
    text = render_markdown(replace(record, phones=(phone,))).replace("\u00a0", " ")
    assert f"**{said}" in text
    assert "## On the phone" in text


@pytest.mark.parametrize("kind", ["virtual", "emulated"])
def test_a_run_on_a_phone_that_is_none_still_lacks_a_phones_time(kind):
    record = run_with()
    page = Page(render_html(replace(record, phones=(phone_of(record, kind=kind),))))
    assert "Not yet a phone’s time" in page.text
    assert "A computer’s time is not a phone’s" in page.text
    assert "On the virtual phone" in page.text
    assert ("emulated: no latency" if kind == "emulated" else "Virtual phone:") in page.text


def test_an_untrusted_phone_says_so_beside_the_verdict():
    record = run_with()
    page = Page(render_html(replace(record, phones=(phone_of(record, trusted=False),))))
    assert "Do not rely on this yet: Round 3 was still throttled" in page.text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_phone_charts_are_drawn_without_a_word_from_the_console(tmp_path):
    dom, console = browse(page_of("several")[0], tmp_path, "--window-size=1280,900")
    assert console == []
    charts = charts_in(dom)
    parts = ("latency", "canary", "clock", "heat")
    assert set(charts) == {f"phone-{number}-{part}" for number in (1, 2, 3) for part in parts}
    assert all(svg.startswith("<svg") for svg in charts.values())
    # A diamond for each process; two marks for each attempt of a block.
    assert charts["phone-1-latency"].count('aria-roledescription="point"') == 4 * 8
    assert charts["phone-1-canary"].count('aria-roledescription="point"') == 18
    assert charts["phone-1-clock"].count('aria-roledescription="point"') == 64
    assert "R1 int8" in charts["phone-1-latency"]


def test_a_share_that_the_runner_could_not_tell_is_not_called_zero(tmp_path):
    run = sample_phone_run()
    unknown = tuple(replace(one, share=None) for one in run.operators)
    bench = sample_bench(replace(run, operators=unknown))
    write_bench_record(bench, tmp_path / "record.json")
    assert read_bench_record(tmp_path / "record.json") == bench
    (summary,) = summarise_phones(bench.phones, bench.target_ms)
    table = operators_table(summary)
    assert table is not None
    assert {row[-1].text for _, rows in table.groups for row in rows} == {"–"}
    lines = list(csv.DictReader(io.StringIO(phone_csvs([summary])["phone_operators.csv"])))
    assert {line["share"] for line in lines} == {""}


def test_memory_is_called_what_the_runner_told():
    bench = BENCHES["one"]()
    for text in (render_bench_html(bench), render_bench_markdown(bench)):
        assert "Memory added" in text
        assert "Peak memory" not in text
    files = phone_csvs(summarise_phones(bench.phones, bench.target_ms))
    for name in ("phones.csv", "phone_measurements.csv"):
        line = next(csv.DictReader(io.StringIO(files[name])))
        assert int(line["added_memory_bytes"]) > 0
        assert "peak_memory_bytes" not in line
