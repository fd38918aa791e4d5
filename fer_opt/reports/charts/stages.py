"""Where the time of a photo goes: the stages end to end, beside the thesis's and one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from fer_opt.device.stage_timing import STAGES
from fer_opt.reports.charts.drawing import Chart, Row, compiled, layer, tooltip
from fer_opt.reports.charts.stage_marks import budget_rule, end_to_end, stage_colour
from fer_opt.reports.charts.stage_photos import photos_chart
from fer_opt.reports.formats import milliseconds, significant
from fer_opt.reports.stages.summary import PipelineSummary, StagesSummary
from fer_opt.reports.stages.words import STAGE_TITLES, on_device, published_stages, share_of

__all__ = ["stages_charts"]

THESIS_ROW = "Thesis’s phone, 2018"
LETTER = 7.4
"""Pixels of a letter of a segment's name."""


@dataclass(frozen=True, slots=True)
class _Bar:
    """One row of the waterfall: its name, the mean time of each stage, and what it lacks."""

    name: str
    stages_ms: dict[str, float]
    at_least: bool

    @property
    def total_ms(self) -> float:
        return sum(self.stages_ms.values())


def stages_charts(summary: StagesSummary) -> dict[str, Chart]:
    """Every chart there is data for, by its part of the name; none of an emulated device.

    The parts are ``waterfall``, and for each pipeline ``steps-1`` and so on (the waterfall at its
    own scale) and ``photos-1`` and so on; a chart's own name begins with ``stages-`` and the run's
    number.
    """
    if not summary.timed:
        return {}
    bars = [_bar(one) for one in summary.timed]
    made = {"waterfall": _waterfall(summary, bars)}
    for number, (one, bar) in enumerate(zip(summary.timed, bars, strict=True), start=1):
        made[f"steps-{number}"] = _steps(summary, one, bar, number)
        made[f"photos-{number}"] = photos_chart(summary, one, number)
    return made


def _bar(one: PipelineSummary) -> _Bar:
    photos = one.main.classified
    found = {
        stage: sum(photo.stages_ms.get(stage, 0.0) for photo in photos) / len(photos)
        for stage in STAGES
        if any(stage in photo.stages_ms for photo in photos)
    }
    return _Bar(one.heading, found, one.main.total.verdict.at_least)


def _thesis_bar() -> _Bar:
    published = published_stages()
    return _Bar(THESIS_ROW, {stage: published[stage][0] for stage in STAGES}, at_least=False)


def _waterfall(summary: StagesSummary, ours: Sequence[_Bar]) -> Chart:
    bars = [_thesis_bar(), *ours]
    longest = max(summary.target_ms, *(bar.total_ms for bar in bars))
    segments: list[Row] = []
    ends: list[Row] = []
    for bar in bars:
        for row in end_to_end(bar.stages_ms):
            segments.append(
                row
                | {
                    "row": bar.name,
                    "text": milliseconds(row["ms"]),
                    "middle": (row["start"] + row["end"]) / 2,
                }
            )
        least = "≥\u00a0" if bar.at_least else ""
        ends.append(
            {"row": bar.name, "end": bar.total_ms, "text": least + milliseconds(bar.total_ms)}
        )
    x = alt.X(
        "start:Q",
        title="mean time, ms",
        scale=_with_room(longest, 76),
        axis=alt.Axis(tickCount=5, format=",d", labelOverlap=True, labelSeparation=6),
    )
    y = alt.Y(
        "row:N",
        sort=[bar.name for bar in bars],
        title=None,
        scale=alt.Scale(paddingInner=0.35, paddingOuter=0.2),
        axis=alt.Axis(
            labelLimit=140, labelFontSize=12, labelPadding=8, ticks=False, domain=False, grid=False
        ),
    )
    fields = {"row": "pipeline", "title": "stage", "text": "mean"}
    target = [{"target": summary.target_ms}]
    wide = "scale('x', datum.end) - scale('x', datum.start)"
    roomy = alt.ExprRef(f"{wide} > {LETTER} * length(datum.title) ? 1 : 0")
    chart = alt.layer(
        layer(segments, "segments")
        .mark_bar(stroke="var(--card)", strokeWidth=alt.ExprRef(f"{wide} > 3 ? 0.6 : 0"))
        .encode(x=x, x2="end:Q", y=y, color=stage_colour(STAGES), tooltip=tooltip(fields)),
        layer(segments, "names")
        .mark_text(fill="var(--stage-ink)", fontSize=11.5, fontWeight=600, opacity=roomy)
        .encode(x=alt.X("middle:Q"), y=y, text="title:N"),
        budget_rule(layer(target, "budget")).encode(x=alt.X("target:Q")),
        layer(ends, "totals")
        .mark_text(align="left", dx=6, fill="var(--ink)", fontSize=12, fontWeight=600,
                   stroke="var(--card)", strokeWidth=3, strokeJoin="round")
        .encode(x=alt.X("end:Q"), y=y, text="text:N"),
    )  # fmt: skip
    where = on_device(summary.run.device)
    one_face = any(one.main.one_face for one in summary.timed)
    whose = "photos with one face" if one_face else "photos of any kind"
    told = "; ".join(f"{bar.name} {one['text']}" for bar, one in zip(bars, ends, strict=True))
    return Chart(
        name=f"stages-{summary.number}-waterfall",
        title=f"A photo{' with one face' if one_face else ''}, stage after stage",
        caption=(
            f"Mean of each stage over {whose}, end to end, in the order of the table; the first "
            f"row is the thesis’s phone, the others were timed {where}. The dashed line is the "
            f"{significant(summary.target_ms)}\u00a0ms a photo may take. Below, each at a scale of "
            "its own."
        ),
        description=f"Stages end to end, totals: {told}. The budget is "
        f"{significant(summary.target_ms)} ms.",
        spec=compiled(chart, height=46 * len(bars)),
    )


def _steps(summary: StagesSummary, one: PipelineSummary, bar: _Bar, number: int) -> Chart:
    """One pipeline's waterfall: a line for each stage, each beginning where the last one ended."""
    rows = [
        row
        | {
            "text": f"{milliseconds(row['ms'])}, {share_of(row['ms'], bar.total_ms)}",
        }
        for row in end_to_end(bar.stages_ms)
    ]
    longest = max(bar.total_ms, 1e-6)
    near = summary.target_ms <= 1.5 * longest
    longest = max(longest, summary.target_ms) if near else longest
    x = alt.X(
        "start:Q",
        title="mean time, ms",
        scale=_with_room(longest, 116),
        axis=alt.Axis(tickCount=4, format="~r", labelOverlap=True, labelSeparation=6),
    )
    y = alt.Y(
        "title:N",
        sort=[row["title"] for row in rows],
        title=None,
        scale=alt.Scale(paddingInner=0.25, paddingOuter=0.15),
        axis=alt.Axis(
            labelLimit=130, labelFontSize=12, labelPadding=8, ticks=False, domain=False, grid=False
        ),
    )
    colour = stage_colour([row["stage"] for row in rows], legend=False)
    look: Row = {"fill": "var(--ink)", "fontSize": 11.5, "stroke": "var(--card)", "strokeWidth": 3,
                 "strokeJoin": "round"}  # fmt: skip
    layers = [
        layer(rows, "bars")
        .mark_bar()
        .encode(x=x, x2="end:Q", y=y, color=colour,
                tooltip=tooltip({"title": "stage", "text": "mean, of the total"})),
        # A stage that takes next to no time would not be seen otherwise.
        layer(rows, "starts")
        .mark_tick(thickness=2, opacity=1, orient="vertical", size=22)
        .encode(x=x, y=y, color=colour),
    ]  # fmt: skip
    if near:
        rule = layer([{"target": summary.target_ms}], "budget")
        layers.append(budget_rule(rule).encode(x=alt.X("target:Q")))
    layers.append(
        layer(rows, "figures")
        .mark_text(align="left", dx=5, **look)
        .encode(x=alt.X("end:Q"), y=y, text="text:N")
    )
    inside = [STAGE_TITLES[way.stage] for way in one.pipeline.ways if way.within]
    missing = [STAGE_TITLES[way.stage] for way in one.pipeline.ways if way.not_run]
    notes = [
        f"{', '.join(inside)}: done by another stage." if inside else "",
        f"Not run here: {', '.join(missing)}." if missing else "",
        f"The dashed line is the budget of {significant(summary.target_ms)}\u00a0ms."
        if near
        else f"The budget of "
        f"{significant(summary.target_ms)}\u00a0ms lies {significant(summary.target_ms / longest)} "
        "times as far to the right as the last bar ends.",
    ]
    return Chart(
        name=f"stages-{summary.number}-steps-{number}",
        title=f"{bar.name}, closer",
        caption=" ".join(filter(None, notes)),
        description="; ".join(f"{row['title']} {row['text']}" for row in rows),
        spec=compiled(alt.layer(*layers), height=max(120, 42 * len(rows))),
    )


def _with_room(longest: float, pixels: int) -> alt.Scale:
    """From 0 to beyond the longest bar, so that a text of so many pixels has room behind it."""
    room = alt.ExprRef(f"{longest:.6g} / (1 - {pixels} / max(width, {2 * pixels}))")
    return alt.Scale(domainMin=0, domainMax=room, nice=False)
