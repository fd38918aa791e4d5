"""The report as Markdown, fit for a pull request."""

from __future__ import annotations

from fer_opt.reports.bench_record import BenchRecord
from fer_opt.reports.compression import compression_of
from fer_opt.reports.fact_tables import checks_table, facts_tables
from fer_opt.reports.markup import bullets, details, escaped, fenced, table_blocks, warned
from fer_opt.reports.phones.bench_story import bench_title, tell_bench
from fer_opt.reports.phones.markdown import phone_blocks
from fer_opt.reports.phones.page import phone_pages
from fer_opt.reports.phones.summary import summarise_phones
from fer_opt.reports.record import RunRecord
from fer_opt.reports.repeat import facts_of
from fer_opt.reports.stages.markdown import stages_blocks
from fer_opt.reports.stages.summary import summarise_stages
from fer_opt.reports.story import Story, tell
from fer_opt.reports.summary import Summary, summarise
from fer_opt.reports.tables import labels_table, variants_table
from fer_opt.reports.thesis import NOT_A_RACE, thesis_tables

__all__ = ["render_bench_markdown", "render_markdown"]

TABLED_LABELS = 60
"""Longer tables of labels bury a pull request; labels.csv has them all."""


def render_markdown(record: RunRecord) -> str:
    """Verdict, warnings and tables in GitHub's Markdown; all text of the record is escaped.

    Raises:
        MeasurementError: measurements of one variant are unlike and cannot be pooled.
    """
    summary = summarise(record)
    story = tell(summary)
    blocks = [
        f"# {escaped(record.name)}",
        *_verdict(story),
        "## Variants",
        *table_blocks(variants_table(summary)),
        *bullets(story.remarks),
        *_compression(summary),
        *_phones(record),
        *_stages(record),
        "## Labels",
        *_labels(summary),
        "## Conversion",
        *table_blocks(checks_table(summary)),
        *_findings(summary),
        "## Beside the thesis",
        escaped(NOT_A_RACE),
        *(block for table in thesis_tables(summary) for block in table_blocks(table, heading=True)),
        "## To repeat this run",
        *_repeat(record),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_bench_markdown(record: BenchRecord) -> str:
    """The same for a bench on phones."""
    story = tell_bench(record)
    blocks = [
        f"# {escaped(bench_title(record))}",
        f"**Unfinished.** {escaped(story.unfinished)}" if story.unfinished else "",
        *phone_blocks(summarise_phones(record.phones, record.target_ms), level=2),
        *bullets(record.notes),
        escaped(story.stages_caveat) if record.phones or not record.stages else "",
        *_stages(record),
        "## To repeat this bench",
        fenced(record.command, "sh"),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _phones(record: RunRecord) -> list[str]:
    if not record.phones:
        return []
    phones = summarise_phones(record.phones, record.target_ms)
    return [f"## On {phone_pages(phones).title}", *phone_blocks(phones, level=3)]


def _stages(record: RunRecord | BenchRecord) -> list[str]:
    if not record.stages:
        return []
    runs = summarise_stages(record.stages, record.target_ms)
    return ["## All five stages of a photo", *stages_blocks(runs, level=3)]


def _verdict(story: Story) -> list[str]:
    lines = [f"**Unfinished.** {escaped(story.unfinished)}"] if story.unfinished else []
    lines.append(f"**{escaped(story.headline)}**")
    if story.full_recipe:
        lines.append(f"Its recipe in full: {escaped(story.full_recipe)}")
    if story.figures:
        lines.append(
            "\n".join(
                f"- {escaped(item.name)}: **{escaped(item.value)}** ({escaped(item.detail)})"
                for item in story.figures
            )
        )
        lines.append(escaped(" ".join(filter(None, (story.reason, story.budget)))))
    if story.catch:
        lines.append(f"⚠ **{escaped(story.catch)}**")
    lines.extend(f"**{escaped(text)}**" for text in (*story.on_phones, *story.on_stages))
    lines.append(escaped(f"{story.device_caveat} {story.stages_caveat}"))
    lines.extend(
        [
            warned(story.warnings),
            f"<sub>{escaped(story.rule)}</sub>",
        ]
    )
    return lines


def _compression(summary: Summary) -> list[str]:
    found = compression_of(summary)
    if found is None:
        return []
    return [
        "## Compression",
        warned(found.refused),
        *(table_blocks(found.table) if found.table else []),
        *bullets(found.notes),
    ]


def _labels(summary: Summary) -> list[str]:
    table = labels_table(summary)
    if table is None:
        return ["Accuracy has not been measured."]
    rows = sum(len(rows) for _, rows in table.groups)
    if rows > TABLED_LABELS:
        return [f"The accuracy of {rows:,} labels stands in labels.csv."]
    return table_blocks(table)


def _findings(summary: Summary) -> list[str]:
    return [
        "\n".join(
            f"- ⚑ **{escaped(row.short)}**: {escaped(flag)}"
            for row in summary.rows
            for flag in row.variant.check.flags
        )
    ]


def _repeat(record: RunRecord) -> list[str]:
    blocks = [
        fenced(record.command, "sh"),
        details("The experiment file", fenced(record.experiment, "toml")),
    ]
    for table in facts_tables(facts_of(record)):
        blocks.append(details(table.caption, "\n\n".join(table_blocks(table))))
    return blocks  # fmt: skip
