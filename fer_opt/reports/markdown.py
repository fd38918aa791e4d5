"""The report as Markdown, fit for a pull request."""

from __future__ import annotations

import re

from fer_opt.reports.cautions import Warned
from fer_opt.reports.compression import compression_of
from fer_opt.reports.fact_tables import checks_table, facts_tables
from fer_opt.reports.record import RunRecord
from fer_opt.reports.repeat import facts_of
from fer_opt.reports.story import Story, tell
from fer_opt.reports.summary import Summary, summarise
from fer_opt.reports.tables import (
    Cell,
    Table,
    labels_table,
    variants_table,
)
from fer_opt.reports.thesis import NOT_A_RACE, thesis_tables

__all__ = ["render_markdown"]

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
        *_table(variants_table(summary)),
        *_bullets(story.remarks),
        *_compression(summary),
        "## Labels",
        *_labels(summary),
        "## Conversion",
        *_table(checks_table(summary)),
        *_findings(summary),
        "## Beside the thesis",
        escaped(NOT_A_RACE),
        *(block for table in thesis_tables(summary) for block in _table(table, heading=True)),
        "## To repeat this run",
        *_repeat(record),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def escaped(text: str) -> str:
    """``text`` so that Markdown and the HTML in it mean nothing, on one line."""
    one_line = " ".join(text.split("\n")).replace("\r", " ")
    safe = re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", one_line).replace("&", "&amp;")
    # A backslash stops neither GitHub's autolinks nor its mentions; a zero-width space does.
    return re.sub(r"(?i)(https?):(?=//)|(www)\.|@(?=\w)", _broken, safe)


def _broken(found: re.Match[str]) -> str:
    return f"{found.group(0)}\u200b"


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
    lines.append(escaped(f"{story.device_caveat} {story.stages_caveat}"))
    lines.extend(
        [
            _warned(story.warnings),
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
        _warned(found.refused),
        *(_table(found.table) if found.table else []),
        *_bullets(found.notes),
    ]


def _labels(summary: Summary) -> list[str]:
    table = labels_table(summary)
    if table is None:
        return ["Accuracy has not been measured."]
    rows = sum(len(rows) for _, rows in table.groups)
    if rows > TABLED_LABELS:
        return [f"The accuracy of {rows:,} labels stands in labels.csv."]
    return _table(table)


def _warned(warnings: tuple[Warned, ...]) -> str:
    return "\n".join(
        f"- {'⚠' if item.tone == 'bad' else '!'} **{escaped(item.headline)}.** "
        f"{escaped(item.detail)}"
        for item in warnings
    )


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
        _fenced(record.command, "sh"),
        _details("The experiment file", _fenced(record.experiment, "toml")),
    ]
    for table in facts_tables(facts_of(record)):
        blocks.append(_details(table.caption, "\n\n".join(_table(table))))
    return blocks  # fmt: skip


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _details(heading: str, body: str) -> str:
    return f"<details><summary>{escaped(heading)}</summary>\n\n{body}\n\n</details>"


def _bullets(texts: tuple[str, ...]) -> list[str]:
    return ["\n".join(f"- {escaped(text)}" for text in texts)]


def _table(table: Table, heading: bool = False) -> list[str]:
    blocks = [f"### {escaped(table.caption)}"] if heading else []
    titles = " | ".join(escaped(column.title) for column in table.columns)
    rule = " | ".join("---:" if column.numeric else ":---" for column in table.columns)
    lines = [f"| {titles} |", f"| {rule} |"]
    for title, rows in table.groups:
        if title:
            lines.append(f"| **{escaped(title)}** |{' |' * (len(table.columns) - 1)}")
        lines.extend(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)
    blocks.append("\n".join(lines))
    blocks.extend(escaped(note) for note in table.notes)
    return blocks


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    if cell.tone in ("bad", "warn"):
        text = f"**{text}**"
    badges = "".join(f" **{escaped(badge)}**" for badge, _ in cell.badges)
    detail = f"<br><sub>{escaped(cell.detail)}</sub>" if cell.detail else ""
    key = f"**{escaped(cell.key)}** " if cell.key else ""
    return f"{key}{text}{badges}{detail}"
