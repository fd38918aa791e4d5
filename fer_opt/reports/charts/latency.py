"""Where the time of an image lies: every inference or process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from fer_opt.device.measurement import InferenceSummary
from fer_opt.reports.charts.drawing import (
    Chart,
    Row,
    compiled,
    cost_axis,
    cost_scale,
    layer,
    tooltip,
)
from fer_opt.reports.formats import interval, milliseconds, percent
from fer_opt.reports.names import listed
from fer_opt.reports.summary import Summary
from fer_opt.reports.timed import TimedRow

__all__ = ["latency_chart", "latency_strips"]

DRAWN_INFERENCES = 6000
"""More marks than this make a browser slow; inferences are thinned to it."""


def latency_chart(summary: Summary) -> Chart | None:
    """Every inference and each process's median, by variant; None where nothing was timed."""
    return latency_strips(summary.rows, "latency", "variant")


def latency_strips(
    given: Sequence[TimedRow], name: str, what: str, key: tuple[tuple[str, str], ...] = ()
) -> Chart | None:
    """A strip for each process, by model; None where nothing was timed.

    A process that tells every inference has a tick for each; one that tells only a summary has a
    line from its 5th to its 95th percentile, or from its fastest to its slowest inference where it
    is too old to tell percentiles.

    Args:
        given: the models.
        name: of the chart.
        what: a model is called in the words around it, e.g. ``variant``.
        key: short names in it and what they stand for.
    """
    rows = [row for row in given if row.latency is not None]
    if not rows:
        return None
    total = sum(len(one.inference_ms) for row in rows for one in row.measurements)
    every = max(1, -(-total // DRAWN_INFERENCES))
    drawn = _strips(rows, every)
    most = max(len(row.measurements) for row in rows)
    step = max(5.0, 46 / most)
    times = [row["ms"] for row in (*drawn.inferences, *drawn.processes)]
    times += [row[end] for row in drawn.spans for end in ("low", "high")]
    x = alt.X(
        "ms:Q",
        title="time of one image, ms",
        scale=cost_scale(times, padding=12),
        axis=cost_axis(times),
    )
    y = alt.Y(
        "name:N",
        sort=None,
        title=None,
        scale=alt.Scale(paddingInner=0.18, paddingOuter=0.1),
        axis=alt.Axis(
            labelExpr="split(datum.label, '\\n')",
            labelLimit=190,
            labelLineHeight=15,
            labelFontSize=12,
            labelPadding=8,
            ticks=False,
            grid=False,
            domain=False,
        ),
    )
    offset = alt.YOffset("process:O")
    layers = [
        layer(drawn.medians, "interval")
        .mark_bar(color="var(--band)", stroke="var(--accent)", strokeWidth=0.8)
        .encode(
            x=alt.X("low:Q"),
            x2="high:Q",
            y=y,
            tooltip=tooltip({"recipe": what, "text": "median over processes"}),
        )
    ]
    if drawn.spans:
        layers.append(
            layer(drawn.spans, "spans")
            .mark_rule(color="var(--ink)", opacity=0.55, strokeWidth=max(1.0, step / 8))
            .encode(
                x=alt.X("low:Q"),
                x2="high:Q",
                y=y,
                yOffset=offset,
                tooltip=tooltip({"recipe": what, "process": "process", "text": "inferences"}),
            )
        )
    if drawn.inferences:
        layers.append(
            layer(drawn.inferences, "inferences")
            .mark_tick(color="var(--ink)", opacity=0.42, thickness=1, size=step * 0.8)
            .encode(
                x=x,
                y=y,
                yOffset=offset,
                tooltip=tooltip({"recipe": what, "process": "process", "text": "inference"}),
            )
        )
    layers.append(
        layer(drawn.processes, "processes")
        .mark_point(filled=True, shape="diamond", color="var(--accent)", opacity=1)
        .encode(
            x=x,
            y=y,
            yOffset=offset,
            size=alt.value(min(64.0, step**2)),
            tooltip=tooltip({"recipe": what, "process": "process", "text": "its median"}),
        )
    )
    return Chart(
        name=name,
        title=f"Every {'inference' if drawn.inferences else 'process'}, by {what}"
        + (" and process" if drawn.inferences else ""),
        caption=_strips_caption(drawn, what, every),
        description=f"Distribution of {'inference' if drawn.inferences else 'process'} times; "
        "medians: " + "; ".join(f"{one['recipe']} {one['text']}" for one in drawn.medians),
        spec=compiled(alt.layer(*layers), height=round(1.3 * step * most * len(rows)) + 10),
        key=key,
    )


def _strips_caption(drawn: _Strips, what: str, every: int) -> str:
    spans = listed(sorted({row["kind"] for row in drawn.spans})) if drawn.spans else ""
    if not drawn.inferences:
        marks = f"Each line is one fresh process, from {spans}, the diamond its median."
    else:
        marks = (
            "Each line of ticks is one fresh process, each tick one inference, the diamond the "
            "process’s median."
        )
        if spans:
            marks += f" Processes that tell no single times have a plain line, from {spans}."
    thinned = "" if every == 1 else f" Of every {every} inferences one is drawn."
    flagged = any("⚑" in row["name"] for row in drawn.medians)
    flag = f" ⚑ marks a flagged {what}." if flagged else ""
    return (
        f"{marks} The box is the interval of the median over processes; that median stands under "
        f"the name.{flag}{thinned}"
    )


@dataclass(frozen=True, slots=True)
class _Strips:
    """What is drawn, all in milliseconds: marks of inferences, of processes, and of models."""

    inferences: list[Row]
    spans: list[Row]
    processes: list[Row]
    medians: list[Row]


def _strips(rows: Sequence[TimedRow], every: int) -> _Strips:
    drawn = _Strips([], [], [], [])
    for row in rows:
        latency = row.latency
        assert latency is not None
        flag = " ⚑" if row.flagged else ""
        name = f"{row.short}{flag}\n{milliseconds(latency.median_ms)}"
        bounds = interval(milliseconds(latency.low_ms), milliseconds(latency.high_ms))
        drawn.medians.append(
            {
                "name": name,
                "recipe": row.recipe,
                "low": latency.low_ms,
                "high": latency.high_ms,
                "text": f"{milliseconds(latency.median_ms)} "
                f"({bounds}, {percent(latency.confidence, 0)})",
            }
        )
        for index, one in enumerate(row.measurements):
            shared = {"name": name, "recipe": row.recipe, "process": index + 1}
            datum = one.datum_ms
            drawn.processes.append({**shared, "ms": datum, "text": milliseconds(datum)})
            drawn.inferences.extend(
                {**shared, "ms": ms, "text": milliseconds(ms)} for ms in one.inference_ms[::every]
            )
            if not one.inference_ms and one.summary is not None:
                drawn.spans.append(shared | _span(one.summary))
    return drawn


def _span(summary: InferenceSummary) -> Row:
    if summary.p5_ms is not None and summary.p95_ms is not None:
        low, high, kind = summary.p5_ms, summary.p95_ms, "its 5th to its 95th percentile"
    else:
        low, high, kind = summary.min_ms, summary.max_ms, "its fastest to its slowest inference"
    text = f"{kind}, {interval(milliseconds(low), milliseconds(high))}"
    return {"low": low, "high": high, "kind": kind, "text": text}
