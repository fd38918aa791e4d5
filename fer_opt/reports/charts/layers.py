"""What a recipe left of each layer: its channels, and the zeros in its kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt

from fer_opt.reports.charts.drawing import Chart, Row, compiled, layer, most_telling, tooltip
from fer_opt.reports.formats import count, percent, scaled
from fer_opt.reports.record import LayerFacts, StepResult
from fer_opt.reports.summary import Summary, VariantSummary

__all__ = ["layer_charts", "merged_order"]

CHANNELS_HEIGHT = 150
GAP = 14
ZEROS_HEIGHT = 34


def layer_charts(summary: Summary) -> tuple[Chart, ...]:
    """One chart for each recipe with steps, named ``layers-1`` and so on; of at most eight."""
    rows = most_telling(summary, [row for row in summary.rows if row.variant.steps])
    return tuple(
        _layer_chart(number, row, summary.record.trained)
        for number, row in enumerate(rows, start=1)
        if row.variant.steps[-1].layers
    )


def _layer_chart(number: int, row: VariantSummary, trained: StepResult | None) -> Chart:
    last = row.variant.steps[-1]
    rows = _layer_rows(trained.layers if trained else (), last.layers)
    names = [one["layer"] for one in rows]
    x = alt.X(
        "layer:N",
        sort=names,
        title=None,
        scale=alt.Scale(paddingInner=0.25, paddingOuter=0.3),
        axis=alt.Axis(
            labelAngle=-90,
            labelLimit=88,
            labelFontSize=10,
            labelOverlap="parity",
            labelPadding=6,
            ticks=False,
            domain=False,
            offset=ZEROS_HEIGHT + GAP,
        ),
    )
    values = [one[field] for one in rows for field in ("before", "after") if one[field]]
    channels = alt.Scale(
        type="log", base=2, domain=_powers(values), range=[CHANNELS_HEIGHT, 6], nice=False
    )
    y = alt.Y("after:Q", title="channels", scale=channels, axis=_channels_axis(values))
    dot = 58 if len(rows) <= 30 else 30 if len(rows) <= 60 else 14
    fields = {
        "layer": "layer",
        "kind": "kind",
        "channels_text": "channels",
        "macs_text": "multiply-accumulates",
        "zeros_text": "zeros",
        "distinct_text": "distinct values",
    }
    left = [one for one in rows if one["after"]]
    known = [one for one in rows if one["before"]]
    cut = layer([one for one in rows if one["before"] and one["after"]], "cut").mark_rule(
        color="var(--faint)"
    )
    before = layer(known, "before").mark_point(
        shape="circle", filled=False, color="var(--ink)", strokeWidth=1.2, size=dot, opacity=0.75
    )
    after = layer(left, "after").mark_point(
        shape="circle", filled=True, color="var(--accent)", size=dot * 0.62, opacity=1
    )
    zeros = layer(left, "zeros").mark_bar(color="var(--accent)", minBandSize=1.5)
    upper = alt.layer(
        cut.encode(x=x, y=y, y2="before:Q"),
        before.encode(x=x, y=alt.Y("before:Q", scale=channels), tooltip=tooltip(fields)),
        after.encode(x=x, y=y, tooltip=tooltip(fields)),
    )
    bottom = CHANNELS_HEIGHT + GAP + ZEROS_HEIGHT
    lower = zeros.encode(
        x=x,
        y=alt.Y(
            "sparsity:Q",
            title="zeros",
            scale=alt.Scale(domain=[0, 1], range=[bottom, bottom - ZEROS_HEIGHT], nice=False),
            axis=alt.Axis(format=".0%", values=[0, 0.5, 1], orient="left"),
        ),
        y2=alt.datum(0),
        tooltip=tooltip(fields),
    )
    chart = alt.layer(upper, lower).resolve_scale(y="independent")
    return Chart(
        name=f"layers-{number}",
        title=f"{row.key}: {row.recipe}" if row.key else row.recipe,
        caption=_caption(rows, last, trained),
        description=f"Channels and zeros of each of {len(last.layers)} layers after "
        f"{row.recipe}; layers.csv has the numbers.",
        spec=compiled(chart, height=CHANNELS_HEIGHT),
    )


def _layer_rows(before: Sequence[LayerFacts], after: Sequence[LayerFacts]) -> list[Row]:
    """A row for each layer of either network, in the order of data flow."""
    old = {one.name: one for one in before}
    new = {one.name: one for one in after}
    rows = []
    for name in merged_order([*old], [*new]):
        was, now = pair = old.get(name), new.get(name)
        told = now or was
        assert told is not None
        rows.append(
            {
                "layer": name,
                "kind": told.kind,
                "before": was.channels if was else None,
                "after": now.channels if now else None,
                "sparsity": now.sparsity if now else 0.0,
                "channels_text": _shift(*(count(one.channels) if one else None for one in pair)),
                "macs_text": _shift(*(scaled(one.macs) if one else None for one in pair)),
                "zeros_text": percent(now.sparsity) if now else "–",
                "distinct_text": count(now.distinct) if now else "–",
            }
        )
    return rows


def merged_order(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Both orders in one: a new layer stands after its predecessor, a lost one where it was."""
    order = list(old)
    place = 0
    for name in new:
        if name not in old:
            order.insert(place, name)
        place = order.index(name) + 1
        # The layer a new one replaces is gone from the new order; stay behind it.
        while place < len(order) and order[place] in old and order[place] not in new:
            place += 1
    return order


def _shift(was: str | None, now: str | None) -> str:
    if was is None:
        return f"{now} (new layer)"
    if now is None:
        return f"{was}, now gone"
    return now if was == now else f"{was} → {now}"


def _powers(values: Sequence[int]) -> list[int]:
    """The powers of two around the values, one apart at least."""
    low = max(0, math.floor(math.log2(min(values))))
    high = max(low + 1, math.ceil(math.log2(max(values))))
    return [2**low, 2**high]


def _channels_axis(values: Sequence[int]) -> alt.Axis:
    low, high = (int(math.log2(bound)) for bound in _powers(values))
    every = -(-(high - low) // 5)
    return alt.Axis(values=[2**power for power in range(low, high + 1, every)], format="d")


def _caption(rows: list[Row], last: StepResult, trained: StepResult | None) -> str:
    weights = sum(one.weights for one in last.layers)
    zeros = sum(one.weights * one.sparsity for one in last.layers) / max(1, weights)
    parts = [
        f"About {percent(zeros, 0)} of these layers’ weights are zero."
        if zeros >= 0.005
        else "Hardly any of these layers’ weights is zero."
    ]
    if trained is not None and trained.macs and trained.parameters:
        parts.insert(
            0,
            f"Left: {percent(last.macs / trained.macs)} of the multiply-accumulates, "
            f"{percent(last.parameters / trained.parameters)} of the parameters.",
        )
        gone = sum(one["after"] is None for one in rows)
        new = sum(one["before"] is None for one in rows)
        if gone or new:
            parts.append(f"Layers gone: {gone:,}; new: {new:,}.")
    return " ".join(parts)
