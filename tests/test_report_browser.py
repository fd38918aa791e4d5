"""The report in a real browser: it draws its charts and keeps quiet."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from sample_record import hostile_record, sample_record

from fer_opt.reports.html import render_html

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

PAYLOAD = "</script><script>document.title='pwned'</script><img src=x onerror=\"boom()\">'"

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0",
    "--virtual-time-budget=8000",
)  # fmt: skip


def browse(html: str, folder: Path, *options: str) -> tuple[str, list[str]]:
    """The page after its scripts have run, and what the console said."""
    page = folder / "report.html"
    page.write_text(html, encoding="utf-8")
    done = subprocess.run(
        [CHROMIUM, *OPTIONS, *options, f"--user-data-dir={folder / 'profile'}", "--dump-dom",
         page.as_uri()],
        capture_output=True, encoding="utf-8", timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def charts_in(dom: str) -> dict[str, str]:
    """The drawn SVG of each chart, by the chart's name."""
    figures = re.findall(r'<figure class="chart" id="chart-([a-z0-9-]+)">(.*?)</figure>', dom, re.S)
    return {name: "".join(re.findall(r"<svg.*?</svg>", body, re.DOTALL)) for name, body in figures}


def test_charts_are_drawn_without_a_word_from_the_console(tmp_path):
    dom, console = browse(render_html(sample_record()), tmp_path, "--window-size=1280,900")
    assert console == []
    charts = charts_in(dom)
    assert set(charts) == {
        "accuracy-time", "accuracy-size", "latency", "drift", "labels", "training-accuracy",
        "training-loss",
    }  # fmt: skip
    assert all(svg.startswith("<svg") for svg in charts.values())
    # One mark for each: 5 variants, 5 * 8 processes, 5 * 8 * 20 inferences, 5 * 8 labels.
    assert charts["accuracy-time"].count('aria-roledescription="point"') == 5
    assert charts["latency"].count('aria-roledescription="point"') == 40
    assert charts["latency"].count('aria-roledescription="tick"') == 800
    assert charts["labels"].count('aria-roledescription="point"') == 40
    assert charts["labels"].count(">never predicted<") == 5
    assert "var(--accent)" in charts["latency"]  # follows dark mode and print
    for recipe in ("float32", "float16", "dynamic", "int8", "int16x8"):
        assert f">{recipe}</text>" in charts["accuracy-time"]


def test_charts_of_long_recipes_are_drawn_with_short_names(tmp_path):
    record = sample_record(compressed=True, processes=3, runs=5)
    dom, console = browse(render_html(record), tmp_path, "--window-size=1280,900")
    assert console == []
    charts = charts_in(dom)
    compressed = [variant for variant in record.variants if variant.steps]
    assert {f"layers-{i + 1}" for i in range(len(compressed))} | {"steps-accuracy"} <= set(charts)
    assert all(svg.startswith("<svg") for svg in charts.values())
    for name in ("accuracy-time", "latency", "drift", "labels", "steps-accuracy"):
        assert "R1 int8" in charts[name]
        assert not re.search(r"<text[^>]*>[^<]{40,}</text>", charts[name])
    # A ring for each of the trained network's 16 layers, a dot for each that is left, and the
    # zeros of each.
    assert charts["layers-1"].count('aria-roledescription="point"') == 32
    assert charts["layers-1"].count('aria-roledescription="bar"') == 16
    # The point of each network after a step, of the trained one and of the file.
    marks = sum(len(variant.steps) + 2 for variant in compressed)
    assert charts["steps-accuracy"].count('aria-roledescription="point"') == marks


MEASURE = """<script>setTimeout(() => {
  const plots = [...document.querySelectorAll(".plot")];
  const box = (one) => one.getBoundingClientRect();
  parent.postMessage([
    innerWidth,
    document.documentElement.scrollWidth,
    plots.length,
    Math.max(...plots.flatMap((p) => [...p.querySelectorAll("text")].map((t) => box(t).right))),
    Math.min(...plots.flatMap((p) =>
      [...p.querySelectorAll("text")].map((t) => box(t).top - box(p).top))),
  ], "*");
}, 3000);</script>"""

LISTEN = """<iframe src="inner.html" style="width:400px;height:900px;border:0"></iframe>
<pre id="out"></pre><script>addEventListener("message", (event) => {
  document.getElementById("out").textContent = event.data.join(" ");
});</script>"""


@pytest.mark.parametrize(("compressed", "charts"), [(False, 7), (True, 15)])
def test_charts_fit_a_narrow_screen(tmp_path, compressed, charts):
    inner = tmp_path / "inner.html"
    record = sample_record(compressed=compressed)
    inner.write_text(render_html(record) + MEASURE, encoding="utf-8")
    dom, console = browse(LISTEN, tmp_path)
    assert console == []
    found = re.search(r'<pre id="out">(.*?)</pre>', dom)[1]
    width, page, plots, rightmost, topmost = map(float, found.split())
    assert width == 400
    assert page <= width
    assert plots == charts
    assert rightmost <= width  # no legend or axis runs out of its chart
    assert topmost >= -2  # nor up into the heading


def test_hostile_text_does_not_run(tmp_path):
    dom, console = browse(render_html(hostile_record(PAYLOAD)), tmp_path)
    assert console == []  # boom() would have been heard
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)[1]
    assert title.startswith("synthetic faces")
    assert all(charts_in(dom).values())
