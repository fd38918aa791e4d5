"""Whether the machine drifted while it timed: process medians in the order they ran."""

from __future__ import annotations

import altair as alt

from fer_opt.reports.charts.drawing import (
    Chart,
    Row,
    compiled,
    layer,
    most_telling,
    series,
    tooltip,
)
from fer_opt.reports.formats import milliseconds
from fer_opt.reports.summary import Summary

__all__ = ["drift_chart"]


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
            datum = one.datum_ms
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
