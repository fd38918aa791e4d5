"""How each label fares under each variant."""

from __future__ import annotations

from collections.abc import Sequence

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
from fer_opt.reports.record import Accuracy
from fer_opt.reports.summary import Summary

__all__ = ["labels_chart"]

DRAWN_INTERVALS = 160
"""More lines than this make the chart too long to be read."""


def labels_chart(summary: Summary) -> Chart | None:
    """Accuracy of each label with Wilson's interval; None while no accuracy is known."""
    rows = most_telling(summary, [row for row in summary.rows if row.accuracy is not None])
    scores = [row.accuracy for row in rows if row.accuracy is not None]
    if not scores:
        return None
    names = [f"{row.short}{' ⚑' if row.flagged else ''}" for row in rows]
    labels = _drawn_labels(scores[0], len(scores))
    if not labels:
        return None
    points = _points(scores, names, labels)
    y = alt.Y(
        "label:N",
        sort=list(labels),
        title=None,
        scale=alt.Scale(paddingInner=0.26, paddingOuter=0.13),
        axis=alt.Axis(
            labelLimit=150,
            labelFontSize=12.5,
            labelPadding=10,
            ticks=False,
            domain=False,
            grid=False,
        ),
    )
    x = alt.X(
        "accuracy:Q",
        title="accuracy of the label",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=5),
    )
    offset = alt.YOffset("place:O")
    look = series(names)
    fields = {
        "label": "label",
        "recipe": "variant",
        "text": "accuracy",
        "right": "right",
        "never": "warning",
    }
    chart = alt.layer(
        layer([{"label": label} for label in labels], "stripes")
        .mark_bar(color="var(--stripe)")
        .encode(y=y),
        layer(points, "intervals")
        .mark_rule(strokeWidth=1.6)
        .encode(x=alt.X("low:Q"), x2="high:Q", y=y, yOffset=offset, color=look["color"]),
        layer([point for point in points if point["never"]], "never")
        .mark_text(align="left", dx=8, fontSize=10.5, fontWeight=700, color="var(--bad)")
        .encode(x=alt.X("high:Q"), y=y, yOffset=offset, text="never:N"),
        layer(points, "points")
        .mark_point(filled=True, opacity=1, size=58)
        .encode(x=x, y=y, yOffset=offset, tooltip=tooltip(fields), **look),
    )
    step = 11 if len(scores) > 1 else 22
    return Chart(
        name="labels",
        title="Accuracy per label",
        caption=_caption(summary, len(rows), len(labels), scores[0]),
        description="Accuracy per label and variant; the same numbers stand in the table.",
        spec=compiled(chart, height=round(1.35 * step * len(labels) * len(scores))),
    )


def _points(scores: Sequence[Accuracy], names: Sequence[str], labels: Sequence[str]) -> list[Row]:
    points: list[Row] = []
    for place, (accuracy, name) in enumerate(zip(scores, names, strict=True)):
        for score in accuracy.labels:
            if score.label not in labels or score.accuracy is None:
                continue
            points.append(
                {
                    "label": score.label,
                    "recipe": accuracy.recipe,
                    "series": name,
                    "place": place,
                    "accuracy": score.accuracy,
                    "low": score.low,
                    "high": score.high,
                    "text": f"{percent(score.accuracy)} "
                    f"({interval(percent(score.low), percent(score.high))})",
                    "right": f"{score.correct:,} of {score.support:,}",
                    "never": "" if score.predicted else "never predicted",
                }
            )
    return points


def _drawn_labels(accuracy: Accuracy, variants: int) -> tuple[str, ...]:
    """Labels with samples, in the model's order; of too many, the ones that fare worst."""
    scored = [score for score in accuracy.labels if score.accuracy is not None]
    most = DRAWN_INTERVALS // variants
    if len(scored) > most:
        scored = sorted(scored, key=lambda score: score.accuracy or 0.0)[:most]
    return tuple(score.label for score in scored)


def _caption(summary: Summary, variants: int, labels: int, first: Accuracy) -> str:
    parts = [
        "Bars are Wilson’s 95 % intervals. Within a label, variants keep one order, shape and "
        "colour; where intervals overlap widely, the label has too few samples to tell them apart."
    ]
    if any(row.flagged for row in summary.rows):
        parts.append("⚑ marks a flagged variant.")
    if variants < sum(row.accuracy is not None for row in summary.rows):
        parts.append(f"The {variants} most telling variants are drawn; the table has all.")
    with_samples = sum(score.accuracy is not None for score in first.labels)
    if labels < with_samples:
        parts.append(
            f"Drawn are the {labels} of {with_samples} labels that fare worst under "
            f"{first.recipe}; the table has all."
        )
    return " ".join(parts)
