"""Where the time of an image lies: every inference, and the machine's drift."""

from __future__ import annotations

import statistics

import altair as alt

from fer_opt.reports.charts.drawing import (
    Chart,
    Row,
    compiled,
    cost_axis,
    cost_scale,
    layer,
    most_telling,
    series,
    tooltip,
)
from fer_opt.reports.formats import interval, milliseconds, percent
from fer_opt.reports.summary import Summary, VariantSummary

__all__ = ["drift_chart", "latency_chart"]

DRAWN_INFERENCES = 6000
"""More marks than this make a browser slow; inferences are thinned to it."""


def latency_chart(summary: Summary) -> Chart | None:
    """Every inference and each process's median, by variant; None where nothing was timed."""
    rows = [row for row in summary.rows if row.latency is not None]
    if not rows:
        return None
    total = sum(len(one.inference_ms) for row in rows for one in row.measurements)
    every = -(-total // DRAWN_INFERENCES)
    inferences, processes, medians = _latency_rows(rows, every)
    most = max(len(row.measurements) for row in rows)
    step = max(5.0, 46 / most)
    times = [row["ms"] for row in inferences]
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
    chart = alt.layer(
        layer(medians, "interval")
        .mark_bar(color="var(--band)", stroke="var(--accent)", strokeWidth=0.8)
        .encode(
            x=alt.X("low:Q"),
            x2="high:Q",
            y=y,
            tooltip=tooltip({"recipe": "variant", "text": "median over processes"}),
        ),
        layer(inferences, "inferences")
        .mark_tick(color="var(--ink)", opacity=0.42, thickness=1, size=step * 0.8)
        .encode(
            x=x,
            y=y,
            yOffset=offset,
            tooltip=tooltip({"recipe": "variant", "process": "process", "text": "inference"}),
        ),
        layer(processes, "processes")
        .mark_point(filled=True, shape="diamond", color="var(--accent)", opacity=1)
        .encode(
            x=x,
            y=y,
            yOffset=offset,
            size=alt.value(min(64.0, step**2)),
            tooltip=tooltip({"recipe": "variant", "process": "process", "text": "its median"}),
        ),
    )
    thinned = "" if every == 1 else f" Of every {every} inferences one is drawn."
    return Chart(
        name="latency",
        title="Every inference, by variant and process",
        caption=(
            "Each line of ticks is one fresh process, each tick one inference, the diamond the "
            "process’s median. The box is the interval of the median over processes; that median "
            f"stands under the name. ⚑ marks a flagged variant.{thinned}"
        ),
        description="Distribution of inference times; medians: "
        + "; ".join(f"{one['recipe']} {one['text']}" for one in medians),
        spec=compiled(chart, height=round(1.3 * step * most * len(rows)) + 10),
    )


def _latency_rows(rows: list[VariantSummary], every: int) -> tuple[list[Row], list[Row], list[Row]]:
    """Inferences, processes and variants, all in milliseconds."""
    inferences: list[Row] = []
    processes: list[Row] = []
    medians: list[Row] = []
    for row in rows:
        latency = row.latency
        assert latency is not None
        flag = " ⚑" if row.flagged else ""
        name = f"{row.short}{flag}\n{milliseconds(latency.median_ms)}"
        bounds = interval(milliseconds(latency.low_ms), milliseconds(latency.high_ms))
        medians.append(
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
            datum = statistics.median(one.inference_ms)
            processes.append({**shared, "ms": datum, "text": milliseconds(datum)})
            inferences.extend(
                {**shared, "ms": ms, "text": milliseconds(ms)} for ms in one.inference_ms[::every]
            )
    return inferences, processes, medians


def drift_chart(summary: Summary) -> Chart | None:
    """Process medians in the order they ran; None with fewer than two for each variant."""
    rows = [row for row in summary.rows if row.latency is not None]
    if not rows or len(summary.record.measurements) < 2 * len(rows):
        return None
    drawn = most_telling(summary, rows)
    points: list[Row] = []
    for row in drawn:
        assert row.latency is not None
        for one in row.measurements:
            datum = statistics.median(one.inference_ms)
            points.append(
                {
                    "recipe": row.recipe,
                    "series": row.short,
                    "order": one.order_index + 1,
                    "change": datum / row.latency.median_ms - 1,
                    "text": milliseconds(datum),
                    "session": one.session,
                    "started": one.started_at,
                }
            )
    extent = max(0.05, 1.15 * max(abs(point["change"]) for point in points))
    last = max(point["order"] for point in points)
    breaks = _breaks(summary)
    x = alt.X(
        "order:Q",
        title="process, in the order they ran",
        scale=alt.Scale(domain=[0, last + 1], nice=False),
        axis=alt.Axis(grid=False, format="d", tickMinStep=1, labelOverlap=True),
    )
    y = alt.Y(
        "change:Q",
        title="against the variant’s median",
        scale=alt.Scale(domain=[-extent, extent], nice=False),
        axis=alt.Axis(format="+.1~%", tickCount=5),
    )
    fields = {
        "recipe": "variant",
        "text": "its median",
        "order": "place in the order",
        "session": "session",
        "started": "started",
    }
    chart = alt.layer(
        layer([{"change": 0}], "zero").mark_rule(color="var(--muted)").encode(y=y),
        layer(breaks, "breaks").mark_rule(color="var(--muted)", strokeDash=[2, 3]).encode(x=x),
        layer(breaks, "breaknames")
        .mark_text(align="left", dx=4, color="var(--muted)", fontSize=11)
        .encode(x=x, y=alt.value(8), text="text:N"),
        layer(points, "points")
        .mark_point(filled=True, opacity=0.9, size=55)
        .encode(x=x, y=y, tooltip=tooltip(fields), **series([row.short for row in drawn])),
    )
    left_out = (
        "" if len(rows) == len(drawn) else f" The {len(drawn)} most telling variants are drawn."
    )
    return Chart(
        name="drift",
        title="Did the machine drift?",
        caption=(
            "Each mark is one process, its median compared with its variant’s. A trend or a jump "
            f"would mean that the machine, not the model, changed.{left_out}"
        ),
        description="Process medians relative to their variant’s median in the order they ran.",
        spec=compiled(chart, height=200),
    )


def _breaks(summary: Summary) -> list[Row]:
    """Where a later session went on."""
    first: dict[str, int] = {}
    for one in summary.record.measurements:
        first[one.session] = min(one.order_index, first.get(one.session, one.order_index))
    return [{"order": index + 0.5, "text": "new session"} for index in sorted(first.values())[1:]]
