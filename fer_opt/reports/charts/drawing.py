"""What all charts share: their look, their tooltips, and the way from Altair to Vega."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert

from fer_opt.reports.formats import significant
from fer_opt.reports.summary import Summary, VariantSummary

__all__ = [
    "DRAWN_SERIES",
    "Chart",
    "Row",
    "compiled",
    "cost_axis",
    "cost_scale",
    "layer",
    "legend_columns",
    "most_telling",
    "place_names",
    "series",
    "size_legend_values",
    "tooltip",
]

Row = dict[str, Any]

SHAPES = (
    "circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right",
    "triangle-left",
)  # fmt: skip
COLOURS = tuple(f"var(--series-{index})" for index in range(len(SHAPES)))

DRAWN_SERIES = len(SHAPES)
"""More series than this cannot be told apart by shape."""

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
        key: short names in it and what they stand for.
    """

    name: str
    title: str
    caption: str
    description: str
    spec: Row
    key: tuple[tuple[str, str], ...] = ()


def layer(rows: Sequence[Row], name: str) -> alt.Chart:
    """An empty layer over inline data; its marks are called ``{name}_marks`` in Vega."""
    return alt.Chart(alt.InlineData(values=list(rows))).properties(name=name)


def tooltip(fields: dict[str, str]) -> list[alt.Tooltip]:
    """Fields to show, each with its heading."""
    return [alt.Tooltip(field=field, type="nominal", title=fields[field]) for field in fields]


def series(names: Sequence[str]) -> Row:
    """Encodings of the field ``series`` for up to eight names: colour and shape, one legend."""
    size = len(names)
    legend = (
        alt.Legend(symbolOpacity=1, symbolSize=70, columns=legend_columns(names))
        if size > 1
        else None
    )
    colours = alt.Scale(domain=list(names), range=list(COLOURS[:size]))
    shapes = alt.Scale(domain=list(names), range=list(SHAPES[:size]))
    return {
        "color": alt.Color("series:N", title=None, scale=colours, legend=legend),
        "shape": alt.Shape("series:N", title=None, scale=shapes, legend=legend),
    }


def legend_columns(names: Sequence[str]) -> alt.ExprRef:
    """As many columns as fit the chart's place, so that a legend wraps on a narrow screen."""
    entry = 34 + 7.5 * max(len(name) for name in names)
    columns = f"floor((containerSize()[0] - 90) / {entry:g})"
    return alt.ExprRef(f"max(1, min({len(names)}, {columns}))")


def most_telling(summary: Summary, rows: Sequence[VariantSummary]) -> list[VariantSummary]:
    """At most eight of ``rows``, in their order: all, or the ones a reader would miss most."""
    chosen = summary.recommendation.chosen
    important = sorted(
        rows, key=lambda row: (row is not chosen, row.recipe != summary.reference, not row.on_front)
    )[:DRAWN_SERIES]
    kept = {row.recipe for row in important}
    return [row for row in rows if row.recipe in kept]


def cost_scale(values: Sequence[float], padding: float = 26) -> alt.Scale:
    """A scale for times or sizes: logarithmic where they span much."""
    wide = _wide(values)
    return alt.Scale(type="log" if wide else "linear", zero=False, nice=not wide, padding=padding)


def cost_axis(values: Sequence[float]) -> alt.Axis:
    """Ticks of such a scale: 1, 2 and 5 of each power of ten where it is logarithmic."""
    if not _wide(values):
        return alt.Axis(format="~r", tickCount=6, labelOverlap=True)
    first, last = (math.floor(math.log10(bound)) for bound in (min(values), max(values)))
    ticks = [base * 10.0**power for power in range(first - 1, last + 2) for base in (1, 2, 5)]
    return alt.Axis(values=ticks, format="~r", labelOverlap=True)


def _wide(values: Sequence[float]) -> bool:
    return max(values) / min(values) >= LOG_FROM


def size_legend_values(sizes: Sequence[float]) -> list[float]:
    """The smallest and the largest size, rounded as :func:`significant` shows them."""
    return sorted(
        {float(significant(size, 2).replace(",", "")) for size in (min(sizes), max(sizes))}
    )


def place_names(spec: Row, points: str) -> None:
    """Name each point by its field ``label``, no two names overlapping (Vega's label transform).

    A line leads from a name to its point. A name that finds no room is left out; the tooltip and
    the table still have it.
    """
    near = [
        "right",
        "left",
        "top-left",
        "bottom-left",
        "top",
        "bottom",
        "top-right",
        "bottom-right",
    ]
    far = ["top-right", "top-left", "bottom-right", "bottom-left", "top", "bottom"]
    text = {
        "text": {"field": "datum.label"},
        "fill": {"value": "var(--ink)"},
        "stroke": {"value": "var(--card)"},
        "strokeWidth": {"value": 3},
        "font": {"value": FONT},
        "fontSize": {"value": 12},
        "fontWeight": {"value": 600},
    }
    placed = {
        "type": "label",
        "size": {"signal": "[width, height]"},
        "anchor": [*near, *far, *far],
        "offset": [5] * len(near) + [20] * len(far) + [38] * len(far),
        "padding": 0,
    }
    # A name close to its point needs no line; 17 px is the offset of the near ones and a mark.
    distance = "sqrt(pow(datum.x - datum.datum.x, 2) + pow(datum.y - datum.datum.y, 2))"
    lead = {
        "x": {"field": "x"},
        "y": {"field": "y"},
        "x2": {"field": "datum.x"},
        "y2": {"field": "datum.y"},
        "opacity": {"signal": f"datum.opacity && datum.text && {distance} > 17 ? 1 : 0"},
        "stroke": {"value": "var(--ink)"},
        "strokeWidth": {"value": 0.8},
    }
    names: Row = {"type": "text", "name": "names", "interactive": False, "from": {"data": points}}
    leads: Row = {"type": "rule", "interactive": False, "from": {"data": "names"}}
    next(mark for mark in spec["marks"] if mark["name"] == points)["zindex"] = 1
    spec["marks"].extend(
        [
            {**names, "encode": {"enter": text}, "transform": [placed]},
            {**leads, "encode": {"update": lead}},
        ]
    )


def compiled(chart: alt.LayerChart | alt.FacetChart, height: int) -> Row:
    """``chart`` as Vega, as wide as its place in the page and ``height`` pixels high."""
    full = chart.properties(
        width="container",
        height=height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        background="transparent",
        padding=2,
    ).configure(**CONFIG)
    return dict(vl_convert.vegalite_to_vega(full.to_dict()))


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
    "axisY": {"labelColor": "var(--ink)"},
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "labelColor": "var(--ink)",
        "titleColor": "var(--muted)",
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "labelFontSize": 12,
        "labelLimit": 200,
        "offset": 12,
        "columnPadding": 12,
    },
}
