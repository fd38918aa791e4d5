"""The report as Markdown and CSV, and the files they are written to."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from sample_record import hostile_record, partial_record, sample_record

from fer_opt.errors import OutputError
from fer_opt.reports.csv_tables import labels_csv, measurements_csv, variants_csv
from fer_opt.reports.markdown import render_markdown
from fer_opt.reports.write import write_reports

PAYLOAD = " | x\n# y <script>alert(1)</script> `z` [a](b) **c** @d https://e.example"


def tables_in(text: str) -> list[list[list[str]]]:
    """Every table's rows, every row's cells, as a Markdown reader sees them."""
    tables: list[list[list[str]]] = []
    cell = False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("td_open", "th_open"):
            cell = True
        elif token.type == "inline" and cell:
            tables[-1][-1].append("".join(child.content for child in token.children or ()))
            cell = False
    return tables


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_markdown_says_the_verdict_and_the_warnings():
    text = render_markdown(sample_record()).replace("\u00a0", " ")
    assert text.startswith("# synthetic faces, small xcao\n")
    assert "**Take int8: it classifies a face in" in text
    assert "not a phone’s" in text
    assert "⚠ **Never predicted: contempt.**" in text
    assert "⚠ **int16x8 is flagged and never recommended.**" in text
    assert "Table 7, section 4.1 (pages 31–33)" in text


def test_markdown_tables_have_a_cell_for_each_column():
    found = tables_in(render_markdown(sample_record()))
    assert len(found) >= 6
    for table in found:
        assert {len(row) for row in table} == {len(table[0])}
    variants = found[0]
    assert [row[0].split(" ")[0].split("<")[0] for row in variants[1:]] == [
        "float32", "float16", "dynamic", "int8", "int16x8",
    ]  # fmt: skip


def test_partial_markdown_says_so_first():
    text = render_markdown(partial_record())
    assert text.index("**Unfinished.**") < text.index("**Provisionally, take")


@pytest.mark.parametrize("compressed", [False, True])
def test_hostile_markdown_stays_text(compressed):
    text = render_markdown(hostile_record(PAYLOAD, compressed=compressed))
    plain_text = render_markdown(sample_record(compressed=compressed))
    plain = tables_in(plain_text)
    found = tables_in(text)
    del plain[5 + compressed]  # no label is one of the thesis's Table 7
    assert [len(table[0]) for table in found] == [len(table[0]) for table in plain]
    assert [len(table) for table in found] == [len(table) for table in plain]
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    headings = [token for token in parsed if token.type == "heading_open"]
    # All of the plain report's, the title's too, but Table 7's.
    assert len(headings) == plain_text.count("\n#") + 1 - 1
    inline = [child for token in parsed for child in token.children or ()]
    assert not [child for child in inline if child.type in ("link_open", "code_inline")]
    raw = [token.content for token in [*parsed, *inline] if token.type.startswith("html")]
    assert not [html for html in raw if "script" in html and "\\<script" not in html]
    outside = "".join(line for line in text.split("```")[::2])
    assert "https://" not in outside
    assert " @d" not in outside


@pytest.mark.parametrize("labels", [2, 61])
def test_long_tables_of_labels_stay_out_of_the_pull_request(labels):
    names = [f"label {i}" for i in range(labels)]
    record = sample_record(labels=names, never=(), samples=400, variants=2, processes=2)
    assert ("stands in labels.csv" in render_markdown(record)) == (labels > 60)


def test_variants_csv_has_a_line_for_each_variant():
    record = sample_record()
    rows = {row["recipe"]: row for row in rows_of(variants_csv(record))}
    assert list(rows) == [variant.recipe for variant in record.variants]
    assert [row["recommended"] for row in rows.values()].count("yes") == 1
    assert rows["int8"]["recommended"] == "yes"
    assert rows["int16x8"]["flagged"] == "yes"
    assert "29 %" in rows["int16x8"]["flags"]
    for accuracy in record.accuracies:
        row = rows[accuracy.recipe]
        assert float(row["accuracy"]) == accuracy.accuracy
        assert float(row["accuracy_low"]) <= accuracy.accuracy <= float(row["accuracy_high"])
        for score in accuracy.labels:
            assert float(row[f"accuracy[{score.label}]"]) == score.accuracy
    assert float(rows["int8"]["latency_low_ms"]) <= float(rows["int8"]["latency_ms"])
    assert rows["float32"]["ratio"] == ""
    assert rows["int8"]["ratio_reference"] == "float32"
    assert float(rows["int8"]["ratio"]) < 1


def test_csv_leaves_empty_what_is_unknown():
    record = partial_record()
    rows = {row["recipe"]: row for row in rows_of(variants_csv(record))}
    assert rows["int16x8"]["accuracy"] == ""
    untimed = replace(record, measurements=(), device=None, latency=None)
    assert {row["latency_ms"] for row in rows_of(variants_csv(untimed))} == {""}
    assert rows_of(measurements_csv(untimed)) == []


def test_labels_csv_has_a_line_for_each_variant_and_label():
    record = sample_record()
    rows = rows_of(labels_csv(record))
    assert len(rows) == 5 * 8
    contempt = [row for row in rows if row["label"] == "contempt"]
    assert all(row["predicted"] == "0" and row["precision"] == "" for row in contempt)


def test_measurements_csv_has_a_line_for_each_inference():
    record = sample_record()
    rows = rows_of(measurements_csv(record))
    counted = [row for row in rows if row["phase"] == "counted"]
    assert len(counted) == 5 * 8 * 20
    assert len(rows) - len(counted) == 5 * 8 * 3
    first = record.measurements[0]
    mine = [float(row["ms"]) for row in counted if row["order_index"] == "0"]
    assert tuple(mine) == first.inference_ms
    assert rows[0]["recipe"] == first.model
    assert rows[0]["temperature_c_before"] == ""


def test_csv_holds_no_formula():
    record = sample_record(labels=("=1+1", "@sum", "-x"), never=(), variants=2)
    labels = {row["label"] for row in rows_of(labels_csv(record))}
    assert labels == {"'=1+1", "'@sum", "'-x"}
    assert all(
        float(row["accuracy"]) >= 0 for row in rows_of(variants_csv(record)) if row["accuracy"]
    )


def test_reports_are_written_beside_the_record(tmp_path):
    folder = tmp_path / "runs" / "faces"
    paths = write_reports(sample_record(processes=2, runs=3), folder)
    assert [path.name for path in paths] == [
        "report.html", "report.md", "variants.csv", "labels.csv", "measurements.csv",
    ]  # fmt: skip
    assert all(path.parent == folder and path.stat().st_size > 100 for path in paths)
    assert sorted(folder.iterdir()) == sorted(paths)


def test_folder_that_is_a_file_is_named(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(OutputError, match="taken"):
        write_reports(sample_record(processes=2, runs=3), taken)
    assert taken.read_text() == "mine"


def test_importing_the_reports_stays_light():
    heavy = "{'altair', 'jinja2', 'pandas', 'vl_convert', 'scipy', 'tensorflow'}"
    code = (
        "import sys, fer_opt.reports.record, fer_opt.reports.write;"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
