"""Every photo's time, stacked by stage and sorted: the long tail and what it is made of."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from fer_opt.device.stage_timing import STAGES
from fer_opt.reports.charts.drawing import Chart, Row, compiled, layer, tooltip
from fer_opt.reports.charts.stage_marks import budget_rule, end_to_end, stage_colour
from fer_opt.reports.formats import milliseconds, significant
from fer_opt.reports.stages.photos import PhotoTimes
from fer_opt.reports.stages.summary import PipelineSummary, StagesSummary
from fer_opt.reports.stages.words import megapixels

__all__ = ["photos_chart"]

DRAWN_PHOTOS = 200
"""More bars than this are thinner than a pixel or two."""

SEPARATE_BARS = 60
"""Up to this many bars there is room between them."""

COUNTED_FACES = 40
"""Up to this many bars there is room for a figure over one."""


def photos_chart(summary: StagesSummary, one: PipelineSummary, number: int) -> Chart:
    """A bar for each photo, the slowest first."""
    every, photos = _drawn(one.main.photos)
    half = 0.42 if len(photos) <= SEPARATE_BARS else 0.5
    bars = [
        row | {"left": place - half, "right": place + half}
        for place, photo in enumerate(photos, 1)
        for row in _bars(photo, every)
    ]
    tops: list[Row] = [
        {"place": place, "end": sum(photo.stages_ms.values()), "text": str(photo.faces)}
        for place, photo in enumerate(photos, 1)
        if photo.faces != 1 and len(photos) <= COUNTED_FACES
    ]
    longest = max(1e-6, *(float(row["end"]) for row in bars))
    near = summary.target_ms <= 1.5 * longest
    top = max(longest, summary.target_ms) if near else longest
    x = alt.X(
        "left:Q",
        title="photos, the slowest first",
        scale=alt.Scale(domain=[0.4, len(photos) + 0.6], nice=False),
        axis=alt.Axis(grid=False, labels=False, ticks=False),
    )
    y = alt.Y(
        "start:Q",
        title="ms",
        scale=alt.Scale(domain=[0, 1.08 * top], nice=False),
        axis=alt.Axis(tickCount=5, format="~r"),
    )
    present = [stage for stage in STAGES if any(row["stage"] == stage for row in bars)]
    fields = {"photo": "photo", "size": "size", "faces": "faces", "title": "stage",
              "text": "time of it", "total": "total"}  # fmt: skip
    layers = [
        layer(bars, "bars")
        .mark_rect(stroke="var(--card)", strokeWidth=0.5 if half < 0.5 else 0)
        .encode(x=x, x2="right:Q", y=y, y2="end:Q", color=stage_colour(present),
                tooltip=tooltip(fields)),
        layer(tops, "faces")
        .mark_text(dy=-7, fontSize=10.5, fill="var(--ink)")
        .encode(x=alt.X("place:Q"), y=alt.Y("end:Q"), text="text:N"),
    ]  # fmt: skip
    if near:
        rule = layer([{"target": summary.target_ms}], "budget")
        layers.append(budget_rule(rule).encode(y=alt.Y("target:Q")))
    return Chart(
        name=f"stages-{summary.number}-photos-{number}",
        title=f"{one.heading}, photo by photo",
        caption=_caption(summary, every, bool(tops), near, longest),
        description=f"{len(one.main.photos)} photos, the slowest {milliseconds(longest)}, the "
        f"median {milliseconds(one.main.any_photo.median_ms)}.",
        spec=compiled(alt.layer(*layers), height=210),
    )


def _drawn(photos: Sequence[PhotoTimes]) -> tuple[int, list[PhotoTimes]]:
    """How many photos a bar stands for, and the photos drawn, the slowest first."""
    # By what is drawn: the total's clock may tell a little more than the stages together.
    ranked = sorted(photos, key=lambda one: -sum(one.stages_ms.values()))
    every = -(-len(ranked) // DRAWN_PHOTOS)
    return every, ranked[::every]


def _bars(photo: PhotoTimes, every: int) -> list[Row]:
    size = f"{photo.pixels[0]:,} × {photo.pixels[1]:,}" if photo.pixels else "unknown"
    shared = {
        "photo": photo.photo if every == 1 else f"{photo.photo} and the next {every - 1}",
        "size": f"{size} {megapixels(photo.megapixels)}".strip(),
        "faces": str(photo.faces),
        "total": f"{'≥ ' if photo.lacks else ''}{milliseconds(photo.total_ms)}",
    }
    return [row | shared | {"text": milliseconds(row["ms"])} for row in end_to_end(photo.stages_ms)]


def _caption(summary: StagesSummary, every: int, faces: bool, near: bool, longest: float) -> str:
    bar = "photo" if every == 1 else f"group of {every:,} photos of like time, the slowest of it"
    parts = [f"A bar is a {bar}, its stages from below in the order of the table."]
    if faces:
        parts.append(
            "A figure over a bar is the photo’s number of faces where that is not one; such a "
            "photo ends after detection."
        )
    target = f"{significant(summary.target_ms)}\u00a0ms"
    parts.append(
        f"The dashed line is the budget of {target}."
        if near
        else f"The budget of {target} lies {significant(summary.target_ms / longest)} times as "
        "high as the tallest bar."
    )
    return " ".join(parts)
