"""The HTML report: complete in itself, escaped, and loud where it must be."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest
from sample_record import hostile_record, partial_record, sample_record

from fer_opt.reports.html import render_html
from fer_opt.reports.record import RunRecord

PAYLOAD = (
    "</script><script>document.title='pwned'</script><img src=x onerror=\"boom()\">{{7*7}}&amp;'"
)


class Page(HTMLParser):
    """A page's elements, in order, with the text inside each."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "link", "input"}:
            self._open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        assert self._open, tag
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))
        elif not self._open or self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def count(self, tag: str, **wanted: str) -> int:
        return sum(
            name == tag and all(found.get(key) == value for key, value in wanted.items())
            for name, found in self.elements
        )


@cache
def page_of(name: str) -> tuple[str, Page]:
    html = render_html(RECORDS[name]())
    return html, Page(html)


def two_labels() -> RunRecord:
    return sample_record(
        labels=("yes", "no"), never=(), variants=1, processes=0, training=False, flagged=()
    )


def many_labels() -> RunRecord:
    names = [f"label {i}" for i in range(1000)]
    return sample_record(labels=names, never=("label 3",), samples=3000, variants=2, flagged=())


RECORDS = {
    "full": sample_record,
    "partial": partial_record,
    "hostile": lambda: hostile_record(PAYLOAD),
    "two labels": two_labels,
    "thirty labels": lambda: sample_record(
        labels=[f"label {i}" for i in range(30)], never=("label 3",), samples=3000
    ),
    "thousand labels": many_labels,
    "thirty variants": lambda: sample_record(variants=30, processes=3, runs=5),
    "no accuracy": lambda: replace(sample_record(), accuracies=(), complete=False),
    "nothing yet": lambda: replace(
        sample_record(training=False),
        variants=(),
        accuracies=(),
        measurements=(),
        device=None,
        complete=False,
    ),
    "compressed": lambda: sample_record(compressed=True),
    "hostile compressed": lambda: hostile_record(PAYLOAD, compressed=True),
    "only refused": lambda: replace(
        sample_record(training=False, compressed=True),
        variants=(),
        accuracies=(),
        measurements=(),
        trained=None,
        complete=False,
    ),
    "one process": lambda: sample_record(processes=1, runs=1),
}


@pytest.mark.parametrize("name", RECORDS)
def test_page_is_whole_and_loads_nothing(name):
    html, page = page_of(name)
    assert html.startswith("<!doctype html>")
    assert ("html", {"lang": "en"}) in page.elements
    assert page.count("title") == 1
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "audio", "video"}
        assert "src" not in attributes
        assert "srcset" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    style = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert "url(" not in style
    assert "@import" not in style
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    assert len(html) < 2_500_000


@pytest.mark.parametrize("name", RECORDS)
def test_page_is_well_formed_for_those_who_listen(name):
    _, page = page_of(name)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    for tag, found in page.elements:
        if tag == "th":
            assert found.get("scope") in {"col", "row", "rowgroup"}
        if "aria-labelledby" in found:
            assert found["aria-labelledby"] in ids
        if (found.get("href") or "").startswith("#"):
            assert found["href"][1:] in ids
        if found.get("class") == "scroll":
            assert found["tabindex"] == "0"
    assert page.count("caption") == page.count("table")


@pytest.mark.parametrize("name", RECORDS)
def test_every_chart_has_a_specification_that_fetches_nothing(name):
    _, page = page_of(name)
    plots = [found["data-spec"] for tag, found in page.elements if "data-spec" in found]
    specs = {
        found["id"]: json.loads(text)
        for found, text in page.scripts
        if found.get("type") == "application/json"
    }
    assert sorted(plots) == sorted(specs)
    for spec in specs.values():
        assert all("url" not in data for data in spec["data"])


def test_full_page_answers_first_what_the_reader_asks_first():
    _, page = page_of("full")
    text = page.text
    assert "Take int8" in text
    assert "well within the 500 ms" in text
    assert "A computer’s time is not a phone’s" in text
    assert "1,601.6 ms in face detection" in text
    assert "How a variant is chosen" in text
    assert text.index("Take int8") < text.index("Never predicted: contempt") < 3000
    assert "not finished" not in text
    for chart in ("accuracy-time", "accuracy-size", "latency", "drift", "labels",
                  "training-accuracy", "training-loss"):  # fmt: skip
        assert page.count("figure", id=f"chart-{chart}") == 1


def test_full_page_sets_the_thesis_beside_this_run():
    _, page = page_of("full")
    for number in (5, 6, 7):
        assert f"Table {number}, section 4.1 (pages 31–33)" in page.text
    assert "misprint of 102,830,056" in page.text
    assert "are no race" in page.text


def test_full_page_tells_how_to_repeat_the_run():
    record = sample_record()
    _, page = page_of("full")
    for wanted in (
        record.command,
        'train = "xcao"',
        record.experiment_fingerprint,
        record.model.sha256,
        record.dataset.fingerprint,
        record.representative.sha256,
        record.variants[0].sha256,
        "no sensor is exposed to this user",
        "test/happy/0017.jpg",
        "2 (a1b2, c3d4)",
        "(guessed)",
        "ai-edge-litert",
    ):
        assert " ".join(wanted.split()) in page.text


def test_flag_is_shown_wherever_the_flagged_variant_is():
    html, page = page_of("full")
    assert "int16x8 is flagged and never recommended" in page.text
    rows = re.findall(r"<tr[^>]*>\s*<th scope=\"row\">.*?</tr>", html, re.DOTALL)
    named = [row for row in rows if ">int16x8<" in row or ", int16x8<" in row]
    assert len(named) == 4  # variants, conversion, thesis's Table 5, files
    assert sum("⚑ flagged" in row for row in named) == 3  # hashes of files say nothing of quality
    assert "int16x8 ⚑" in page.text  # per-label table


def test_partial_page_says_so_before_anything_else():
    _, page = page_of("partial")
    assert page.text.index("This run is not finished") < page.text.index("Provisionally, take")
    assert "not measured" in page.text


def test_label_never_predicted_is_shouted_in_the_table_and_the_matrix():
    html, page = page_of("full")
    assert page.text.count("0 of 157 never predicted") == 5
    assert html.count('<th scope="col" class="never">') == 5


@pytest.mark.parametrize(
    ("name", "matrices", "words"),
    [
        ("two labels", 1, ""),
        ("thirty labels", 5, "no room for its number"),
        ("thousand labels", 0, "A matrix of 1,000 labels cannot be read"),
        ("thirty variants", 30, ""),
        ("no accuracy", 0, "Accuracy has not been measured"),
    ],
)
def test_matrices_are_drawn_only_where_they_can_be_read(name, matrices, words):
    html, page = page_of(name)
    assert html.count('<div class="matrix">') == matrices
    assert words in page.text


def test_what_was_not_measured_is_said_not_drawn():
    _, untimed = page_of("two labels")
    assert "No variant was timed" in untimed.text
    assert untimed.count("figure", id="chart-latency") == 0
    assert untimed.count("figure", id="chart-accuracy-time") == 0
    _, unscored = page_of("no accuracy")
    assert unscored.count("figure", id="chart-latency") == 1
    assert unscored.count("figure", id="chart-labels") == 0


def test_single_process_has_no_interval():
    _, page = page_of("one process")
    assert "one process, no interval" in page.text


@pytest.mark.parametrize(
    ("hostile", "full"), [("hostile", "full"), ("hostile compressed", "compressed")]
)
def test_hostile_text_stays_text(hostile, full):
    _, page = page_of(hostile)
    _, plain = page_of(full)
    for tag in ("script", "img", "b", "h2", "h3"):
        assert page.count(tag) == plain.count(tag)
    assert page.count("table") == plain.count("table") - 1  # no label is one of Table 7's
    assert page.count("img") == 0
    assert "{{7*7}}" in page.text
    shown = page.text
    assert "document.title='pwned'" in shown  # as words
    code = [text for found, text in page.scripts if found.get("type") != "application/json"]
    assert not any("pwned" in text for text in code)


def test_hostile_labels_survive_the_way_into_the_charts():
    _, page = page_of("hostile")
    spec = next(text for found, text in page.scripts if found.get("id") == "spec-labels")
    values = {
        row.get("label") for data in json.loads(spec)["data"] for row in data.get("values", ())
    }
    assert f"contempt{PAYLOAD}" in values
