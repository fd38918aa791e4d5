"""The report as one HTML file that opens offline and loads nothing."""

from __future__ import annotations

from fer_opt.reports.bench_record import BenchRecord
from fer_opt.reports.formats import count, milliseconds
from fer_opt.reports.pages import fill_page
from fer_opt.reports.phones.bench_story import bench_title, tell_bench
from fer_opt.reports.phones.page import phone_pages
from fer_opt.reports.phones.summary import summarise_phones
from fer_opt.reports.record import RunRecord
from fer_opt.reports.repeat import facts_of, order_of
from fer_opt.reports.stages.page import stages_pages
from fer_opt.reports.stages.summary import summarise_stages
from fer_opt.reports.summary import summarise

__all__ = ["render_bench_html", "render_html"]


def render_html(record: RunRecord) -> str:
    """One self-contained HTML page: no request leaves it, everything is inline.

    All text of the record is escaped; charts are Vega specifications, drawn by the Vega runtime
    that the page carries (0.9 MB).

    Raises:
        MeasurementError: measurements of one variant are unlike and cannot be pooled.
    """
    from fer_opt.reports.charts import charts_of, phone_charts, stages_charts
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
    thesis_phone = stages()
    charts = charts_of(summary)
    phones = summarise_phones(record.phones, record.target_ms)
    drawn = {phone.number: phone_charts(phone) for phone in phones}
    staged = summarise_stages(record.stages, record.target_ms)
    stage_drawings = {run.number: stages_charts(run) for run in staged}
    return fill_page(
        "report.html.j2",
        charts=any((charts, *drawn.values(), *stage_drawings.values())),
        record=record,
        story=tell(summary),
        rows=summary.rows,
        chosen=chosen.recipe if chosen else "",
        variants=variants_table(summary),
        labels=labels_table(summary),
        confusions=confusions_of(summary),
        checks=checks_table(summary),
        compression=compression_of(summary),
        drawings=charts,
        phones=phone_pages(phones) if phones else None,
        phone_drawings=drawn,
        stage_pages=stages_pages(staged),
        stage_drawings=stage_drawings,
        thesis=thesis_tables(summary),
        not_a_race=NOT_A_RACE,
        stages=thesis_phone,
        longest=max(record.target_ms, *(mean for _, mean in thesis_phone)),
        facts=facts_tables(facts_of(record)),
        dataset=dataset_table(record),
        files=files_table(summary),
        order=order_of(record.measurements, summary.names),
        count=count,
    )


def render_bench_html(record: BenchRecord) -> str:
    """The same for a bench on phones."""
    from fer_opt.reports.charts import phone_charts, stages_charts

    phones = summarise_phones(record.phones, record.target_ms)
    drawn = {phone.number: phone_charts(phone) for phone in phones}
    staged = summarise_stages(record.stages, record.target_ms)
    stage_drawings = {run.number: stages_charts(run) for run in staged}
    return fill_page(
        "bench.html.j2",
        charts=any((*drawn.values(), *stage_drawings.values())),
        record=record,
        title=bench_title(record),
        story=tell_bench(record),
        phones=phone_pages(phones),
        phone_drawings=drawn,
        stage_pages=stages_pages(staged),
        stage_drawings=stage_drawings,
        target=milliseconds(record.target_ms),
    )
