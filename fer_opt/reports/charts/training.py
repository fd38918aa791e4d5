"""The training history, epoch by epoch."""

from __future__ import annotations

import altair as alt

from fer_opt.reports.charts.drawing import Chart, Row, compiled, layer, tooltip
from fer_opt.reports.formats import percent
from fer_opt.reports.record import RunRecord

__all__ = ["training_charts"]


def training_charts(record: RunRecord) -> tuple[Chart, ...]:
    """Accuracy and loss of training and validation set; none when nothing was trained here."""
    if not record.training:
        return ()
    return (
        _history(record, "accuracy", "Accuracy by epoch", ".0%"),
        _history(record, "loss", "Loss (cross-entropy) by epoch", "~g"),
    )


def _history(record: RunRecord, field: str, title: str, number_format: str) -> Chart:
    rows: list[Row] = []
    for line in record.training:
        for part, value in (
            ("training", getattr(line, field)),
            ("validation", getattr(line, f"validation_{field}")),
        ):
            text = percent(value) if field == "accuracy" else f"{value:.4f}"
            rows.append({"epoch": line.epoch, "part": part, "value": value, "text": text})
    parts = ["training", "validation"]
    epochs = [line.epoch for line in record.training]
    encoding: Row = {
        "x": alt.X(
            "epoch:Q",
            title="epoch",
            scale=alt.Scale(domain=[min(epochs), max(max(epochs), min(epochs) + 1)], nice=False),
            axis=alt.Axis(format="d", tickMinStep=1, tickCount=8, grid=False),
        ),
        "y": alt.Y(
            "value:Q",
            title=field,
            scale=alt.Scale(zero=False),
            axis=alt.Axis(format=number_format, tickCount=5),
        ),
        "color": alt.Color(
            "part:N",
            title=None,
            scale=alt.Scale(domain=parts, range=["var(--muted)", "var(--accent)"]),
        ),
    }
    chart = alt.layer(
        layer(rows, "lines")
        .mark_line(strokeWidth=2)
        .encode(
            strokeDash=alt.StrokeDash(
                "part:N", scale=alt.Scale(domain=parts, range=[[4, 3], [1, 0]]), legend=None
            ),
            **encoding,
        ),
        layer(rows, "points")
        .mark_point(filled=True, opacity=1, size=44)
        .encode(
            shape=alt.Shape(
                "part:N", title=None, scale=alt.Scale(domain=parts, range=["square", "circle"])
            ),
            tooltip=tooltip({"part": "set", "epoch": "epoch", "text": field}),
            **encoding,
        ),
    )
    return Chart(
        name=f"training-{field}",
        title=title,
        caption="Dashed: the training set. Solid: the validation set.",
        description=f"{title}, of the training and the validation set.",
        spec=compiled(chart, height=220),
    )
