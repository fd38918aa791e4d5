"""What the pictures of the five stages share: their colours, and bars that lie end to end."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from fer_opt.device.stage_timing import STAGES
from fer_opt.reports.charts.drawing import Row, legend_columns
from fer_opt.reports.stages.words import STAGE_TITLES

__all__ = ["BUDGET_COLOUR", "budget_rule", "end_to_end", "stage_colour"]

COLOURS = tuple(f"var(--stage-{index})" for index in range(len(STAGES)))
"""They differ in lightness from neighbour to neighbour, so that they differ in grey as well."""

BUDGET_COLOUR = "var(--bad)"


def stage_colour(stages: Sequence[str], *, legend: bool = True) -> alt.Color:
    """The colour of the field ``title`` for those stages; the legend has them in their order."""
    titles = [STAGE_TITLES[stage] for stage in stages]
    shown = alt.Legend(
        symbolType="square", symbolOpacity=1, symbolSize=110, columns=legend_columns(titles)
    )
    return alt.Color(
        "title:N",
        title=None,
        scale=alt.Scale(domain=titles, range=[COLOURS[STAGES.index(stage)] for stage in stages]),
        legend=shown if legend else None,
    )


def end_to_end(stages_ms: dict[str, float]) -> list[Row]:
    """Each stage's title, start and end, in the order a photo goes through them."""
    rows: list[Row] = []
    start = 0.0
    for stage in STAGES:
        if stage in stages_ms:
            end = start + stages_ms[stage]
            rows.append(
                {
                    "stage": stage,
                    "title": STAGE_TITLES[stage],
                    "start": start,
                    "end": end,
                    "ms": stages_ms[stage],
                }
            )
            start = end
    return rows


def budget_rule(chart: alt.Chart) -> alt.Chart:
    """The dashed line of the budget."""
    ruled: alt.Chart = chart.mark_rule(color=BUDGET_COLOUR, strokeDash=[5, 3], strokeWidth=1.5)
    return ruled
