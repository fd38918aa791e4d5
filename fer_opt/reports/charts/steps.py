"""Where a recipe loses accuracy and where it wins it back."""

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
from fer_opt.reports.formats import interval, percent
from fer_opt.reports.names import number_format
from fer_opt.reports.record import Accuracy, StepResult
from fer_opt.reports.summary import Summary, VariantSummary

__all__ = ["steps_chart"]

SPREAD = 0.36
"""Share of the way to the next step over which marks of one step are spread."""


def steps_chart(summary: Summary) -> Chart | None:
    """Accuracy after each step and of the file, a line for each recipe; None without steps."""
    compressed = [row for row in summary.rows if row.variant.steps]
    rows = most_telling(summary, compressed)
    if not rows:
        return None
    last = 1 + max(len(row.variant.steps) for row in rows)
    points = [
        point
        for number, row in enumerate(rows)
        for point in _points(row, summary.record.trained, last, _aside(number, len(rows)))
    ]
    x = alt.X(
        "x:Q",
        title=None,
        scale=alt.Scale(domain=[-0.35, last + 0.35], nice=False),
        axis=alt.Axis(
            values=list(range(last + 1)),
            labelExpr=f"datum.value < 0.5 ? 'trained' : datum.value > {last - 0.5} ? 'file' : "
            "'step ' + datum.value",
            grid=False,
            ticks=False,
        ),
    )
    y = alt.Y(
        "accuracy:Q",
        title="accuracy",
        scale=alt.Scale(zero=False, nice=True, padding=8),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    look = series([f"{row.short}{' ⚑' if row.flagged else ''}" for row in rows])
    colour = look["color"]
    fields = {"recipe": "variant", "step": "after", "text": "accuracy", "images": "images"}
    chart = alt.layer(
        layer(points, "lines")
        .mark_line(strokeWidth=1.4, opacity=0.75)
        .encode(x=x, y=y, color=colour, order="place:Q"),
        layer(points, "intervals")
        .mark_rule(strokeWidth=1, opacity=0.6)
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        layer(points, "points")
        .mark_point(filled=True, opacity=1, size=52)
        .encode(x=x, y=y, tooltip=tooltip(fields), **look),
    )
    drawn = (
        f" The {len(rows)} most telling recipes are drawn." if len(rows) < len(compressed) else ""
    )
    flags = " ⚑ marks a flagged variant." if any(row.flagged for row in rows) else ""
    return Chart(
        name="steps-accuracy",
        title="Accuracy after each step",
        caption=(
            "From the trained network over each step to the file; a recipe of fewer steps goes "
            "straight to its file. Thin bars are Wilson’s 95 % intervals. A step’s accuracy may be "
            f"of fewer images than the file’s; the table says of how many.{drawn}{flags}"
        ),
        description="Accuracy after each step of each recipe; the numbers stand in the table.",
        spec=compiled(chart, height=300),
    )


def _aside(number: int, of: int) -> float:
    """How far marks of the recipe of that number stand beside their step."""
    return 0.0 if of < 2 else SPREAD * (number / (of - 1) - 0.5)


def _points(row: VariantSummary, trained: StepResult | None, last: int, aside: float) -> list[Row]:
    named: list[tuple[int, str, StepResult | Accuracy]] = []
    if trained is not None:
        named.append((0, trained.title, trained))
    named.extend((place, one.step, one) for place, one in enumerate(row.variant.steps, start=1))
    if row.accuracy is not None:
        wanted = number_format(row.recipe, [one.step for one in row.variant.steps])
        named.append((last, f"{wanted}, the file", row.accuracy))
    return [
        {
            "recipe": row.recipe,
            "series": f"{row.short}{' ⚑' if row.flagged else ''}",
            "place": place,
            "x": place + aside,
            "step": step,
            "accuracy": one.accuracy,
            "low": one.low,
            "high": one.high,
            "text": f"{percent(one.accuracy)} ({interval(percent(one.low), percent(one.high))})",
            "images": f"{one.samples:,}",
        }
        for place, step, one in named
    ]
