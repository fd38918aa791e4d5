"""Accuracy against what it costs, with the Pareto front."""

from __future__ import annotations

from typing import Literal

import altair as alt

from fer_opt.reports.charts.drawing import (
    Chart,
    Row,
    compiled,
    cost_axis,
    cost_scale,
    layer,
    legend_columns,
    place_names,
    size_legend_values,
    tooltip,
)
from fer_opt.reports.formats import interval, megabytes, milliseconds, percent
from fer_opt.reports.summary import Summary, VariantSummary

__all__ = ["trade_off_chart"]

LOOKS = {
    # state: words, shape, fill, stroke
    "front": ("on the front", "circle", "var(--accent)", "var(--accent)"),
    "beaten": ("beaten", "circle", "var(--card)", "var(--ink)"),
    "fit": ("not flagged", "circle", "var(--accent)", "var(--accent)"),
    "flagged": ("flagged", "cross", "var(--bad)", "var(--bad)"),
}

NAMED_POINTS = 8
"""More names than this crowd each other out of the picture."""


def trade_off_chart(summary: Summary, cost: Literal["time", "size"]) -> Chart | None:
    """Every variant's accuracy against its time (file size as area) or its file size.

    None where no variant has both figures.
    """
    rows = _points(summary, cost)
    if not rows:
        return None
    front = _front(rows)
    costs = [row["cost"] for row in rows]
    x = alt.X(
        "cost:Q",
        title="time of one image, ms" if cost == "time" else "file size, MB",
        scale=cost_scale(costs),
        axis=cost_axis(costs),
    )
    y = alt.Y(
        "accuracy:Q",
        title="accuracy",
        scale=alt.Scale(zero=False, nice=True, padding=12),
        axis=alt.Axis(format=".1~%", tickCount=6),
    )
    layers: list[alt.Chart] = [
        layer(front, "front")
        .mark_line(interpolate="step-after", strokeDash=[5, 4], color="var(--muted)")
        .encode(x=x, y=y),
        layer(rows, "accuracyinterval")
        .mark_rule(color="var(--faint)")
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
    ]
    if cost == "time":
        layers.append(
            layer(rows, "timeinterval")
            .mark_rule(color="var(--faint)")
            .encode(x=alt.X("cost_low:Q"), x2="cost_high:Q", y=y)
        )
    spec = compiled(alt.layer(*layers, _marks(rows, cost).encode(x=x, y=y)), height=330)
    place_names(spec, "points_marks")
    names = ", ".join(row["recipe"] for row in front) or "none"
    return Chart(
        name=f"accuracy-{cost}",
        title=f"Accuracy against {cost}",
        caption=(
            "Up and left is better; the dashed line joins the variants that no unflagged one beats "
            f"in accuracy and {cost}. Hollow marks are beaten in accuracy, time and size taken "
            "together: another is at least as good in each, and better in one. Thin bars are "
            f"intervals, 95 % for accuracy.{_unnamed(rows)}"
        ),
        description=f"Scatter of accuracy against {cost}; on the front: {names}.",
        spec=spec,
    )


def _marks(rows: list[Row], cost: str) -> alt.Chart:
    states = [state for state in LOOKS if any(row["state"] == state for row in rows)]
    words = [LOOKS[state][0] for state in states]
    shapes, fills, strokes = (
        alt.Scale(domain=words, range=[LOOKS[state][index] for state in states])
        for index in (1, 2, 3)
    )
    sizes = [row["size_mb"] for row in rows]
    legend = alt.Legend(columns=legend_columns(words))
    sizes_legend = alt.Legend(
        values=size_legend_values(sizes),
        format=".2~r",
        symbolType="circle",
        symbolFillColor="transparent",
        symbolStrokeColor="var(--ink)",
        orient="bottom",
        titleOrient="left",
        titlePadding=8,
        offset=4,
    )
    area = alt.Size(
        "size_mb:Q",
        title="file, MB",
        scale=alt.Scale(range=[60, 260], zero=False),
        legend=sizes_legend,
    )
    marks: alt.Chart = (
        layer(rows, "points")
        .mark_point(filled=True, opacity=1, fillOpacity=0.75, strokeWidth=1.6)
        .encode(
            size=area if cost == "time" and min(sizes) < max(sizes) else alt.value(100),
            shape=alt.Shape("words:N", title=None, scale=shapes, legend=legend),
            fill=alt.Fill("words:N", title=None, scale=fills, legend=legend),
            stroke=alt.Stroke("words:N", title=None, scale=strokes, legend=legend),
            tooltip=tooltip(
                {
                    "recipe": "variant",
                    "accuracy_text": "accuracy",
                    "time_text": "time",
                    "size_text": "file",
                    "words": "state",
                }
            ),
        )
    )
    return marks


def _points(summary: Summary, cost: str) -> list[Row]:
    named = _named(summary)
    points = []
    for row in summary.rows:
        accuracy, latency, size_mb = row.accuracy, row.latency, row.variant.size_bytes / 1e6
        if accuracy is None or (cost == "time" and latency is None) or size_mb <= 0:
            continue
        state = _state(row)
        points.append(
            {
                "recipe": row.recipe,
                "label": row.short if row.recipe in named else "",
                "accuracy": accuracy.accuracy,
                "low": accuracy.low,
                "high": accuracy.high,
                "size_mb": size_mb,
                "cost": latency.median_ms if latency and cost == "time" else size_mb,
                "cost_low": latency.low_ms if latency else None,
                "cost_high": latency.high_ms if latency else None,
                "state": state,
                "words": LOOKS[state][0],
                "accuracy_text": f"{percent(accuracy.accuracy)} "
                f"({interval(percent(accuracy.low), percent(accuracy.high))})",
                "time_text": f"{milliseconds(latency.median_ms)} "
                f"({interval(milliseconds(latency.low_ms), milliseconds(latency.high_ms))})"
                if latency
                else "not timed",
                "size_text": megabytes(row.variant.size_bytes),
            }
        )
    # Large marks first, so that small ones stay on top of them.
    return sorted(points, key=lambda point: -point["size_mb"])


def _named(summary: Summary) -> set[str]:
    """The variants named in the picture: all, or of too many the ones that matter most."""
    if len(summary.rows) <= NAMED_POINTS:
        return {row.recipe for row in summary.rows}
    chosen = summary.recommendation.chosen
    order = [summary.reference, *([chosen.recipe] if chosen else [])]
    order += [row.recipe for row in summary.rows if row.flagged]
    order += [row.recipe for row in summary.rows if row.on_front]
    return set([*dict.fromkeys(order)][:NAMED_POINTS])


def _unnamed(rows: list[Row]) -> str:
    if all(row["label"] for row in rows):
        return ""
    return " Not every mark is named here; point at one to see its name."


def _state(row: VariantSummary) -> str:
    if row.flagged:
        return "flagged"
    if row.latency is None:
        return "fit"
    return "front" if row.on_front else "beaten"


def _front(rows: list[Row]) -> list[Row]:
    fit = [row for row in rows if row["state"] != "flagged"]

    def beaten(row: Row) -> bool:
        own = (row["cost"], row["accuracy"])
        return any(
            other["cost"] <= row["cost"]
            and other["accuracy"] >= row["accuracy"]
            and (other["cost"], other["accuracy"]) != own
            for other in fit
        )

    front = [row for row in fit if not beaten(row)]
    return sorted(front, key=lambda row: (row["cost"], row["accuracy"]))
