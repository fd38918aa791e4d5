"""Lines of latencies over time, one chart for each machine."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from fer_opt.reports.charts.drawing import (
    DRAWN_SERIES,
    Chart,
    Row,
    compiled,
    cost_axis,
    cost_scale,
    layer,
    series,
    tooltip,
)
from fer_opt.reports.formats import change as changed_by
from fer_opt.reports.formats import interval, milliseconds, short_hash
from fer_opt.reports.history.trends import Trend

__all__ = ["history_charts"]


def history_charts(trends: Sequence[Trend]) -> tuple[Chart, ...]:
    """A chart for each machine, or several where it timed more models than can be told apart."""
    charts: list[Chart] = []
    for machine in dict.fromkeys(trend.machine for trend in trends):
        lines = [trend for trend in trends if trend.machine == machine]
        for start in range(0, len(lines), DRAWN_SERIES):
            charts.append(_chart(lines[start : start + DRAWN_SERIES], len(charts) + 1))
    return tuple(charts)


def _chart(trends: Sequence[Trend], number: int) -> Chart:
    points = [row for trend in trends for row in _rows(trend)]
    steps: list[Row] = [
        {
            "started": change.after.started_at,
            "text": changed_by(change.after_ms, change.before_ms),
            "series": trend.model,
        }
        for trend in trends
        for change in trend.changes
    ]
    bounds = [row[name] for row in points for name in ("low", "high")]
    x = alt.X(
        "started:T",
        title=None,
        scale=alt.Scale(type="utc", padding=14, nice=False),
        axis=alt.Axis(grid=False, labelOverlap=True, **_dates(points)),
    )
    y = alt.Y(
        "median:Q", title="milliseconds", scale=cost_scale(bounds, 12), axis=cost_axis(bounds)
    )
    encoded = series([trend.model for trend in trends])
    fields = {
        "series": "model",
        "text": "median",
        "interval": "interval",
        "at": "started",
        "processes": "processes",
        "file": "file",
        "record": "record",
        "doubts": "doubts",
    }
    colour = encoded["color"]
    believed = [row for row in points if row["believed"]]
    doubted = [row for row in points if not row["believed"]]
    layers = [
        layer(points, "spans")
        .mark_rule(opacity=0.5)
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        layer(points, "lines").mark_line(opacity=0.6).encode(x=x, y=y, color=colour),
        *(
            layer(rows, name)
            .mark_point(filled=rows is believed, size=60, opacity=0.9)
            .encode(x=x, y=y, tooltip=tooltip(fields), **encoded)
            for rows, name in ((believed, "points"), (doubted, "doubted"))
            if rows  # Vega warns of a layer without any
        ),
    ]
    if steps:
        named = tooltip({"series": "model", "text": "possible step"})
        marks = layer(steps, "steps").mark_rule(strokeDash=[3, 3])
        layers.insert(0, marks.encode(x=x, color=colour, tooltip=named))
    machine = trends[0].machine
    return Chart(
        name=f"history-{number}",
        title=machine.words,
        caption=(
            "Each mark is a record’s median over fresh processes, its line the interval; hollow "
            "marks are in doubt. Dashed lines are possible steps."
        ),
        description=f"Latency of {len(trends)} models over time on {machine.words}.",
        spec=compiled(alt.layer(*layers), height=260),
    )


def _dates(points: Sequence[Row]) -> Row:
    """Ticks at days, or at times of day where all points are of one or two."""
    days = len({point["started"][:10] for point in points})
    if days > 2:
        return {"tickCount": min(6, days), "format": "%Y-%m-%d"}
    return {"tickCount": 6, "format": "%m-%d %H:%M"}


def _rows(trend: Trend) -> list[Row]:
    return [
        {
            "series": trend.model,
            "started": one.started_at,
            "at": one.started_at[:16].replace("T", " "),
            "median": one.median_ms,
            "low": one.low_ms,
            "high": one.high_ms,
            "text": milliseconds(one.median_ms),
            "interval": interval(milliseconds(one.low_ms), milliseconds(one.high_ms)),
            "processes": one.processes,
            "file": short_hash(one.sha256),
            "record": one.record,
            "believed": not one.doubts,
            "doubts": " ".join(one.doubts) or "none",
        }
        for one in trend.points
    ]
