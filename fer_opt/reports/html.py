"""The report as one HTML file that opens offline and loads nothing."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from fer_opt.reports.formats import count
from fer_opt.reports.record import RunRecord
from fer_opt.reports.repeat import facts_of, order_of
from fer_opt.reports.summary import summarise

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["render_html"]


def render_html(record: RunRecord) -> str:
    """One self-contained HTML page: no request leaves it, everything is inline.

    All text of the record is escaped; charts are Vega specifications, drawn by the Vega runtime
    that the page carries (0.9 MB).

    Raises:
        MeasurementError: measurements of one variant are unlike and cannot be pooled.
    """
    from markupsafe import Markup

    from fer_opt.reports.charts import charts_of
    from fer_opt.reports.compression import compression_of
    from fer_opt.reports.confusion import confusions_of
    from fer_opt.reports.fact_tables import (
        checks_table,
        dataset_table,
        facts_tables,
        files_table,
    )
    from fer_opt.reports.story import tell
    from fer_opt.reports.tables import labels_table, variants_table
    from fer_opt.reports.thesis import NOT_A_RACE, stages, thesis_tables

    summary = summarise(record)
    chosen = summary.recommendation.chosen
    phone = stages()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            record=record,
            story=tell(summary),
            rows=summary.rows,
            chosen=chosen.recipe if chosen else "",
            variants=variants_table(summary),
            labels=labels_table(summary),
            confusions=confusions_of(summary),
            checks=checks_table(summary),
            compression=compression_of(summary),
            charts=charts_of(summary),
            thesis=thesis_tables(summary),
            not_a_race=NOT_A_RACE,
            stages=phone,
            longest=max(record.target_ms, *(mean for _, mean in phone)),
            facts=facts_tables(facts_of(record)),
            dataset=dataset_table(record),
            files=files_table(summary),
            order=order_of(record.measurements, summary.names),
            count=count,
            style=Markup(_asset("report.css")),
            script=Markup(_asset("charts.js")),
            vega=Markup(_vega()),
        )
    )


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("fer_opt.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    made.filters["by_step"] = _by_step
    return made


def _by_step(text: str) -> Markup:
    """``text``, escaped; where it is a recipe of several steps, lines break between steps first."""
    from markupsafe import Markup

    steps = text.split(" > ")
    if len(steps) == 1:
        return Markup("{}").format(text)
    spans = [Markup('<span class="step">{}\u00a0&gt;</span>').format(step) for step in steps[:-1]]
    return Markup(" ").join([*spans, Markup('<span class="step">{}</span>').format(steps[-1])])


def _asset(name: str) -> str:
    return (resources.files("fer_opt.reports") / "templates" / name).read_text(encoding="utf-8")


@cache
def _vega() -> str:
    """Vega and Vega-Embed in one script.

    The bundler drops Vega's exports unless Vega-Embed is in it, so 0.9 MB is as small as it gets.
    """
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
