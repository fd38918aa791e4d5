"""The report's charts: Altair specifications, compiled to Vega so that names can be placed.

Colours are the page's CSS variables, which Vega's SVG renderer hands through; that is how charts
follow the reader's dark or light mode and the print style sheet. No chart relies on colour alone.
"""

from __future__ import annotations

from dataclasses import replace

from fer_opt.reports.charts.drawing import Chart
from fer_opt.reports.charts.drift import drift_chart
from fer_opt.reports.charts.labels import labels_chart
from fer_opt.reports.charts.latency import latency_chart
from fer_opt.reports.charts.layers import layer_charts
from fer_opt.reports.charts.phone import phone_charts
from fer_opt.reports.charts.stages import stages_charts
from fer_opt.reports.charts.steps import steps_chart
from fer_opt.reports.charts.trade_off import trade_off_chart
from fer_opt.reports.charts.training import training_charts
from fer_opt.reports.summary import Summary

__all__ = ["Chart", "charts_of", "phone_charts", "stages_charts"]


def charts_of(summary: Summary) -> dict[str, Chart]:
    """Every chart the record has data for, by name.

    The names are ``accuracy-time``, ``accuracy-size``, ``latency``, ``drift``, ``labels``,
    ``steps-accuracy``, ``layers-1`` and so on, ``training-accuracy`` and ``training-loss``.
    """
    naming_variants = (
        trade_off_chart(summary, cost="time"),
        trade_off_chart(summary, cost="size"),
        latency_chart(summary),
        drift_chart(summary),
        labels_chart(summary),
        steps_chart(summary),
    )
    key = tuple((row.key, row.recipe) for row in summary.rows if row.key)
    made = (
        *(chart and replace(chart, key=key) for chart in naming_variants),
        *layer_charts(summary),
        *training_charts(summary.record),
    )
    return {chart.name: chart for chart in made if chart is not None}
