"""The report's charts: Altair specifications, compiled to Vega so that the page needs Vega only.

Colours are the page's CSS variables, which Vega's SVG renderer hands through; that is how charts
follow the reader's dark or light mode and the print style sheet. No chart relies on colour alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert

from fer_opt.reports.formats import interval, megabytes, milliseconds, percent
from fer_opt.reports.record import Accuracy, RunRecord
from fer_opt.reports.summary import Summary, VariantSummary

__all__ = ["Chart", "charts_of"]

Row = dict[str, Any]

SHAPES = (
    "circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right",
    "triangle-left",
)  # fmt: skip
COLOURS = tuple(f"var(--series-{index})" for index in range(8))

DRAWN_INFERENCES = 6000
"""More marks than this make a browser slow; inferences are thinned to it."""

DRAWN_VARIANTS = len(SHAPES)
DRAWN_LABELS = 40

LOG_FROM = 4.0
"""Largest over smallest value from which an axis of times or sizes is logarithmic."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure.

    Attributes:
        name: unique in the page, fit for an id.
        title: what it shows.
        caption: how to read it, a few sentences of plain text.
        description: for readers who cannot see it.
        spec: Vega specification.
    """

    name: str
    title: str
    caption: str
    description: str
    spec: dict[str, Any]


def charts_of(summary: Summary) -> dict[str, Chart]:
    """Every chart the record has data for, by name.

    The names are ``accuracy-time``, ``accuracy-size``, ``latency``, ``drift``, ``labels``,
    ``training-accuracy`` and ``training-loss``.
    """
    made = (
        _trade_off(summary, "accuracy-time"),
        _trade_off(summary, "accuracy-size"),
        _latency(summary),
        _drift(summary),
        _labels(summary),
        *_training(summary.record),
    )
    return {chart.name: chart for chart in made if chart is not None}


# --- accuracy against cost ---------------------------------------------------------------------


def _trade_off(summary: Summary, name: str) -> Chart | None:
    by_time = name == "accuracy-time"
    rows = [_point(row, by_time) for row in summary.rows if row.accuracy is not None]
    rows = [row for row in rows if row["cost"] is not None]
    if not rows:
        return None
    fit = [row for row in rows if row["status"] != "flagged"]
    front = [
        row
        for row in fit
        if not any(
            other["cost"] <= row["cost"]
            and other["accuracy"] >= row["accuracy"]
            and (other["cost"], other["accuracy"]) != (row["cost"], row["accuracy"])
            for other in fit
        )
    ]
    front.sort(key=lambda row: (row["cost"], row["accuracy"]))
    costs = [row["cost"] for row in rows]
    x = alt.X(
        "cost:Q",
        title="time of one image, ms (median)" if by_time else "file size, MB",
        scale=_cost_scale(costs),
        axis=alt.Axis(format="~r", tickCount=6, labelOverlap=True),
    )
    y = alt.Y(
        "accuracy:Q",
        title="accuracy",
        scale=alt.Scale(zero=False, nice=True, padding=12),
        axis=alt.Axis(format=".1~%", tickCount=6),
    )
    layers: list[alt.Chart] = [
        _chart(front, "front")
        .mark_line(interpolate="step-after", strokeDash=[5, 4], color="var(--muted)")
        .encode(x=x, y=y),
        _chart(rows, "accuracyinterval")
        .mark_rule(color="var(--faint)")
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
    ]
    if by_time:
        layers.append(
            _chart(rows, "timeinterval")
            .mark_rule(color="var(--faint)")
            .encode(x=alt.X("cost_low:Q"), x2="cost_high:Q", y=y)
        )
    statuses = ["front", "beaten", "flagged"] if by_time or _timed(summary) else ["fit", "flagged"]
    statuses = [status for status in statuses if any(row["status"] == status for row in rows)]
    looks = {
        "front": ("on the front", "circle", "var(--accent)", "var(--accent)"),
        "fit": ("not flagged", "circle", "var(--accent)", "var(--accent)"),
        "beaten": ("beaten in all three", "circle", "var(--card)", "var(--ink)"),
        "flagged": ("flagged", "cross", "var(--bad)", "var(--bad)"),
    }
    titles = [looks[status][0] for status in statuses]
    for row in rows:
        row["state"] = looks[row["status"]][0]

    def look(index: int) -> alt.Scale:
        return alt.Scale(domain=titles, range=[looks[status][index] for status in statuses])

    points = (
        _chart(rows, "points")
        .mark_point(filled=True, opacity=1, strokeWidth=1.6)
        .encode(
            x=x,
            y=y,
            size=alt.Size(
                "size_mb:Q",
                title="file, MB",
                scale=alt.Scale(range=[50, 420], zero=False),
                legend=alt.Legend(
                    values=_legend_sizes([row["size_mb"] for row in rows]),
                    format=".2~s",
                    symbolType="circle",
                    symbolFillColor="transparent",
                    symbolStrokeColor="var(--ink)",
                ),
            )
            if by_time
            else alt.value(110),
            shape=alt.Shape("state:N", title=None, scale=look(1)),
            fill=alt.Fill("state:N", title=None, scale=look(2)),
            stroke=alt.Stroke("state:N", title=None, scale=look(3)),
            tooltip=_tooltip(
                {
                    "recipe": "variant",
                    "accuracy_text": "accuracy",
                    "time_text": "time",
                    "size_text": "file",
                    "state": "state",
                }
            ),
        )
    )
    spec = _compile(alt.layer(*layers, points), height=330)
    _label_points(spec, "points_marks", ["front_marks"])
    cost = "time" if by_time else "size"
    best = ", ".join(row["recipe"] for row in front)
    return Chart(
        name=name,
        title=f"Accuracy against {cost}",
        caption=(
            f"The dashed line is the front: no unflagged variant beside it has both a smaller "
            f"{cost} and a higher accuracy. Thin bars are 95 % intervals."
        ),
        description=f"Scatter of accuracy against {cost}; on the front: {best or 'none'}.",
        spec=spec,
    )


def _point(row: VariantSummary, by_time: bool) -> Row:
    accuracy, latency, variant = row.accuracy, row.latency, row.variant
    assert accuracy is not None
    size_mb = variant.size_bytes / 1e6
    return {
        "recipe": row.recipe,
        "label": _shortened(row.recipe),
        "accuracy": accuracy.accuracy,
        "low": accuracy.low,
        "high": accuracy.high,
        "size_mb": size_mb,
        "cost": (latency.median_ms if latency else None) if by_time else size_mb,
        "cost_low": latency.low_ms if latency else None,
        "cost_high": latency.high_ms if latency else None,
        "status": _status(row),
        "accuracy_text": f"{percent(accuracy.accuracy)} "
        f"({interval(percent(accuracy.low), percent(accuracy.high))})",
        "time_text": f"{milliseconds(latency.median_ms)} "
        f"({interval(milliseconds(latency.low_ms), milliseconds(latency.high_ms))})"
        if latency
        else "not timed",
        "size_text": megabytes(variant.size_bytes),
    }


def _status(row: VariantSummary) -> str:
    if row.flagged:
        return "flagged"
    if row.latency is None:
        return "fit"
    return "front" if row.on_front else "beaten"


def _timed(summary: Summary) -> bool:
    return any(row.latency is not None for row in summary.rows)


def _legend_sizes(sizes: Sequence[float]) -> list[float]:
    return sorted({float(f"{size:.2g}") for size in (min(sizes), max(sizes))})


def _cost_scale(values: Sequence[float]) -> alt.Scale:
    wide = max(values) / min(values) >= LOG_FROM
    return alt.Scale(type="log" if wide else "linear", zero=False, nice=not wide, padding=26)


def _label_points(spec: Row, points: str, avoid: list[str]) -> None:
    """Name each point, placed by Vega's label transform so that no two names overlap.

    A name that finds no room is left out; the tooltip and the table still have it.
    """
    spec["marks"].append(
        {
            "type": "text",
            "name": "names",
            "interactive": False,
            "from": {"data": points},
            "encode": {
                "enter": {
                    "text": {"field": "datum.label"},
                    "fill": {"value": "var(--ink)"},
                    "fontSize": {"value": 12},
                    "fontWeight": {"value": 600},
                }
            },
            "transform": [
                {
                    "type": "label",
                    "size": {"signal": "[width, height]"},
                    "anchor": ["right", "top-right", "bottom-right", "left", "top-left",
                               "bottom-left", "top", "bottom"],
                    "offset": [5],
                    "padding": 0,
                    "avoidMarks": avoid,
                }
            ],
        }
    )  # fmt: skip


# --- time --------------------------------------------------------------------------------------


def _latency(summary: Summary) -> Chart | None:
    rows = [row for row in summary.rows if row.latency is not None]
    if not rows:
        return None
    total = sum(len(m.inference_ms) for row in rows for m in row.measurements)
    every = -(-total // DRAWN_INFERENCES)
    inferences: list[Row] = []
    processes: list[Row] = []
    medians: list[Row] = []
    for row in rows:
        latency = row.latency
        assert latency is not None
        name = f"{_shortened(row.recipe, 22)}{' ⚑' if row.flagged else ''}"
        name = f"{name}\n{milliseconds(latency.median_ms)}"
        medians.append(
            {
                "name": name,
                "recipe": row.recipe,
                "median": latency.median_ms,
                "low": latency.low_ms,
                "high": latency.high_ms,
                "text": f"{milliseconds(latency.median_ms)} "
                f"({interval(milliseconds(latency.low_ms), milliseconds(latency.high_ms))}, "
                f"{percent(latency.confidence, 0)})",
            }
        )
        for index, one in enumerate(row.measurements):
            shared = {"name": name, "recipe": row.recipe, "process": index + 1}
            datum = statistics.median(one.inference_ms)
            processes.append({**shared, "ms": datum, "text": milliseconds(datum)})
            inferences.extend(
                {**shared, "ms": ms, "text": milliseconds(ms)} for ms in one.inference_ms[::every]
            )
    step = max(4, 46 / max(row.latency.processes for row in rows if row.latency))
    y = alt.Y(
        "name:N",
        sort=None,
        title=None,
        scale=alt.Scale(paddingInner=0.16, paddingOuter=0.08),
        axis=alt.Axis(
            labelExpr="split(datum.label, '\\n')",
            labelLimit=190,
            labelLineHeight=15,
            labelFontSize=12,
            ticks=False,
            grid=False,
            domain=False,
        ),
    )
    x = alt.X(
        "ms:Q",
        title="time of one image, ms",
        scale=_cost_scale([row["ms"] for row in inferences]),
        axis=alt.Axis(format="~r", tickCount=8, labelOverlap=True),
    )
    offset = alt.YOffset("process:O")
    chart = alt.layer(
        _chart(medians, "interval")
        .mark_bar(color="var(--band)", stroke="var(--accent)", strokeWidth=0.8)
        .encode(
            x=alt.X("low:Q"),
            x2="high:Q",
            y=y,
            tooltip=_tooltip({"recipe": "variant", "text": "median over processes"}),
        ),
        _chart(inferences, "inferences")
        .mark_tick(color="var(--ink)", opacity=0.38, thickness=1, size=step * 0.8)
        .encode(
            x=x,
            y=y,
            yOffset=offset,
            tooltip=_tooltip({"recipe": "variant", "process": "process", "text": "inference"}),
        ),
        _chart(processes, "processes")
        .mark_point(filled=True, shape="diamond", color="var(--accent)", opacity=1, size=42)
        .encode(
            x=x,
            y=y,
            yOffset=offset,
            tooltip=_tooltip({"recipe": "variant", "process": "process", "text": "its median"}),
        ),
        _chart(medians, "medians")
        .mark_tick(color="var(--accent)", thickness=2, height=alt.RelativeBandSize(1))
        .encode(x=alt.X("median:Q"), y=y),
    )
    thinned = "" if every == 1 else f" Only every {every}th inference is drawn."
    return Chart(
        name="latency",
        title="Every inference, by variant and process",
        caption=(
            "Each line of ticks is one fresh process, each tick one inference, the diamond the "
            "process's median. The shaded box is the interval of the median over processes, and "
            f"the number under the name that median.{thinned}"
        ),
        description="Distribution of inference times; medians: "
        + "; ".join(f"{m['recipe']} {m['text']}" for m in medians),
        spec=_compile(chart, height=alt.Step(step, **{"for": "offset"})),
    )


def _drift(summary: Summary) -> Chart | None:
    rows = [row for row in summary.rows if row.latency is not None]
    if not rows or len(summary.record.measurements) < 2 * len(rows):
        return None
    drawn = rows[:DRAWN_VARIANTS]
    points: list[Row] = []
    for row in drawn:
        assert row.latency is not None
        for one in row.measurements:
            datum = statistics.median(one.inference_ms)
            points.append(
                {
                    "recipe": row.recipe,
                    "series": _shortened(row.recipe),
                    "order": one.order_index + 1,
                    "change": datum / row.latency.median_ms - 1,
                    "text": milliseconds(datum),
                    "session": one.session,
                    "started": one.started_at,
                }
            )
    sessions: dict[str, int] = {}
    for one in summary.record.measurements:
        sessions.setdefault(one.session, one.order_index)
    breaks: list[Row] = [
        {"order": first + 0.5, "text": "new session"} for first in list(sessions.values())[1:]
    ]
    extent = max(0.05, 1.15 * max(abs(point["change"]) for point in points))
    x = alt.X("order:Q", title="process, in the order they ran", axis=alt.Axis(grid=False))
    series = _series([_shortened(row.recipe) for row in drawn])
    chart = alt.layer(
        _chart([{"zero": 0}], "zero").mark_rule(color="var(--muted)").encode(y="zero:Q"),
        _chart(breaks, "breaks").mark_rule(color="var(--muted)", strokeDash=[2, 3]).encode(x=x),
        _chart(breaks, "breaknames")
        .mark_text(align="left", dx=4, y=8, color="var(--muted)", fontSize=11)
        .encode(x=x, text="text:N"),
        _chart(points, "points")
        .mark_point(filled=True, opacity=0.9, size=55)
        .encode(
            x=x,
            y=alt.Y(
                "change:Q",
                title="against the variant's median",
                scale=alt.Scale(domain=[-extent, extent], nice=False),
                axis=alt.Axis(format="+.1~%", tickCount=5),
            ),
            tooltip=_tooltip(
                {
                    "recipe": "variant",
                    "text": "its median",
                    "order": "place in the order",
                    "session": "session",
                    "started": "started",
                }
            ),
            **series,
        ),
    )
    left_out = "" if len(rows) == len(drawn) else f" The first {len(drawn)} variants are drawn."
    return Chart(
        name="drift",
        title="Did the machine drift?",
        caption=(
            "Each mark is one process, its median compared with its variant's. A trend or a jump "
            f"would mean that the machine, not the model, changed.{left_out}"
        ),
        description="Process medians relative to their variant's median in the order they ran.",
        spec=_compile(chart, height=200),
    )


# --- labels ------------------------------------------------------------------------------------


def _labels(summary: Summary) -> Chart | None:
    rows = _drawn(summary)
    scores = [row.accuracy for row in rows if row.accuracy is not None]
    if not scores:
        return None
    labels = _drawn_labels(scores[0])
    points: list[Row] = []
    for index, accuracy in enumerate(scores):
        for score in accuracy.labels:
            if score.label not in labels or score.accuracy is None:
                continue
            never = score.label in accuracy.never_predicted
            points.append(
                {
                    "label": score.label,
                    "recipe": accuracy.recipe,
                    "series": _shortened(accuracy.recipe),
                    "place": index,
                    "accuracy": score.accuracy,
                    "low": score.low,
                    "high": score.high,
                    "text": f"{percent(score.accuracy)} "
                    f"({interval(percent(score.low), percent(score.high))})",
                    "right": f"{score.correct:,} of {score.support:,}",
                    "never": "never predicted" if never else "",
                }
            )
    step = 13 if len(scores) > 1 else 24
    y = alt.Y(
        "label:N",
        sort=list(labels),
        title=None,
        scale=alt.Scale(paddingInner=0.28, paddingOuter=0.14),
        axis=alt.Axis(labelLimit=150, labelFontSize=12.5, ticks=False, domain=False, grid=False),
    )
    x = alt.X(
        "accuracy:Q",
        title="accuracy of the label, with Wilson's 95 % interval",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=5),
    )
    offset = alt.YOffset("place:O")
    series = _series([_shortened(accuracy.recipe) for accuracy in scores])
    stripes = [{"label": label} for label in labels]
    chart = alt.layer(
        _chart(stripes, "stripes").mark_bar(color="var(--stripe)").encode(y=y),
        _chart(points, "intervals")
        .mark_rule(strokeWidth=1.6)
        .encode(
            x=alt.X("low:Q"),
            x2="high:Q",
            y=y,
            yOffset=offset,
            color=series["color"],
        ),
        _chart([point for point in points if point["never"]], "never")
        .mark_text(align="left", dx=8, fontSize=10.5, fontWeight=700, color="var(--bad)")
        .encode(x=alt.X("high:Q"), y=y, yOffset=offset, text="never:N"),
        _chart(points, "points")
        .mark_point(filled=True, opacity=1, size=58)
        .encode(
            x=x,
            y=y,
            yOffset=offset,
            tooltip=_tooltip(
                {
                    "label": "label",
                    "recipe": "variant",
                    "text": "accuracy",
                    "right": "right",
                    "never": "warning",
                }
            ),
            **series,
        ),
    )
    return Chart(
        name="labels",
        title="Accuracy per label",
        caption=_label_caption(summary, rows, labels, scores[0]),
        description="Accuracy per label and variant; the same numbers stand in the table.",
        spec=_compile(chart, height=alt.Step(step, **{"for": "offset"})),
    )


def _drawn(summary: Summary) -> list[VariantSummary]:
    """At most eight variants: all, or else the ones a reader would miss most."""
    scored = [row for row in summary.rows if row.accuracy is not None]
    chosen = summary.recommendation.chosen
    important = sorted(
        scored,
        key=lambda row: (row is not chosen, row.recipe != summary.reference, not row.on_front),
    )[:DRAWN_VARIANTS]
    return [row for row in scored if row in important]


def _drawn_labels(accuracy: Accuracy) -> tuple[str, ...]:
    scored = [score for score in accuracy.labels if score.accuracy is not None]
    if len(scored) > DRAWN_LABELS:
        scored = sorted(scored, key=lambda score: score.accuracy or 0.0)[:DRAWN_LABELS]
    return tuple(score.label for score in scored)


def _label_caption(
    summary: Summary,
    rows: Sequence[VariantSummary],
    labels: Sequence[str],
    first: Accuracy,
) -> str:
    parts = [
        "Within a label, variants keep one order, shape and colour. Intervals that overlap widely "
        "say that the label has too few samples to tell variants apart."
    ]
    if len(rows) < sum(row.accuracy is not None for row in summary.rows):
        parts.append(f"The {len(rows)} most telling variants are drawn; the table has all.")
    if len(labels) < len(first.labels):
        parts.append(
            f"Drawn are {len(labels)} of {len(first.labels)} labels, those {first.recipe} gets "
            "wrong most often among those with samples; labels.csv has all."
        )
    return " ".join(parts)


# --- training ----------------------------------------------------------------------------------


def _training(record: RunRecord) -> tuple[Chart, ...]:
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
        _chart(rows, "lines")
        .mark_line(strokeWidth=2)
        .encode(
            strokeDash=alt.StrokeDash(
                "part:N", title=None, scale=alt.Scale(domain=parts, range=[[4, 3], [1, 0]])
            ),
            **encoding,
        ),
        _chart(rows, "points")
        .mark_point(filled=True, opacity=1, size=44)
        .encode(
            shape=alt.Shape(
                "part:N", title=None, scale=alt.Scale(domain=parts, range=["square", "circle"])
            ),
            tooltip=_tooltip({"part": "set", "epoch": "epoch", "text": field}),
            **encoding,
        ),
    )
    return Chart(
        name=f"training-{field}",
        title=title,
        caption="Dashed: the training set. Solid: the validation set.",
        description=f"{title}, of the training and the validation set.",
        spec=_compile(chart, height=220),
    )


# --- shared ------------------------------------------------------------------------------------


def _chart(rows: Sequence[Row], name: str) -> alt.Chart:
    return alt.Chart(alt.Data(values=list(rows))).properties(name=name)


def _tooltip(fields: dict[str, str]) -> list[alt.Tooltip]:
    return [alt.Tooltip(field=field, type="nominal", title=fields[field]) for field in fields]


def _series(names: list[str]) -> Row:
    """Colour and shape for up to eight series, in one legend."""
    size = len(names)
    scales = (
        alt.Scale(domain=names, range=list(COLOURS[:size])),
        alt.Scale(domain=names, range=list(SHAPES[:size])),
    )
    field = "series:N"
    legend = alt.Legend(symbolOpacity=1, symbolSize=70) if size > 1 else None
    return {
        "color": alt.Color(field, title=None, scale=scales[0], legend=legend),
        "shape": alt.Shape(field, title=None, scale=scales[1], legend=legend),
    }


def _shortened(name: str, limit: int = 26) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"


def _compile(chart: alt.LayerChart, height: int | alt.Step) -> Row:
    full = chart.properties(
        width="container",
        height=height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        background="transparent",
        padding=2,
    ).configure(**CONFIG)
    spec = full.to_dict()
    return dict(vl_convert.vegalite_to_vega(spec))


FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

CONFIG: Row = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "labelFontSize": 11.5,
        "titleFontSize": 12,
        "gridColor": "var(--grid)",
        "domainColor": "var(--faint)",
        "tickColor": "var(--faint)",
    },
    "axisY": {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleY": -12,
              "labelColor": "var(--ink)"},
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "columns": 0,
        "labelColor": "var(--ink)",
        "titleColor": "var(--muted)",
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "labelFontSize": 12,
        "labelLimit": 200,
        "offset": 14,
    },
}  # fmt: skip
