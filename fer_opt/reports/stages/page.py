"""One run's part of a report, as data that HTML and Markdown render alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fer_opt.reports.fact_tables import facts_tables
from fer_opt.reports.stages.facts import about, stage_facts
from fer_opt.reports.stages.story import StagesStory, tell_stages
from fer_opt.reports.stages.summary import StagesSummary
from fer_opt.reports.stages.table_8 import table_8
from fer_opt.reports.stages.tables import agreement_table, cold_table, slowest_table
from fer_opt.reports.stages.words import device_badge
from fer_opt.reports.tables import Table, Tone

__all__ = ["StagesPage", "stages_pages"]


@dataclass(frozen=True, slots=True)
class StagesPage:
    """What is said of one run.

    Attributes:
        number: of the run in its record, counted from 1.
        label: the device.
        badges: whose times they are.
        about: the photos and the day, in a few words each.
        story: the verdict in sentences.
        main: Table 8; None without times.
        agreement: whether faster ways find the same; None where nobody compared.
        differences: photos on which they differ, a sentence each.
        slowest: the tail's photos; None without any.
        cold: the first pass; None without one apart.
        facts: everything needed to judge and to repeat.
    """

    number: int
    label: str
    badges: tuple[tuple[str, Tone], ...]
    about: tuple[str, ...]
    story: StagesStory
    main: Table | None
    agreement: Table | None
    differences: tuple[str, ...]
    slowest: Table | None
    cold: Table | None
    facts: tuple[Table, ...]


def stages_pages(runs: Sequence[StagesSummary]) -> tuple[StagesPage, ...]:
    """Put every run into words and tables."""
    return tuple(map(_page, runs))


def _page(summary: StagesSummary) -> StagesPage:
    device, agreements = summary.run.device, summary.run.agreements
    badge = device_badge(device)
    return StagesPage(
        number=summary.number,
        label=f"This computer: {device.name}" if device.kind == "host" else device.name,
        badges=(badge,) if badge else (),
        about=about(summary),
        story=tell_stages(summary),
        main=table_8(summary),
        agreement=agreement_table(summary, agreements),
        differences=tuple(text for one in agreements for text in one.differences),
        slowest=slowest_table(summary),
        cold=cold_table(summary),
        facts=tuple(
            replace(table, name=f"stages-{summary.number}-{table.name}")
            for table in facts_tables(stage_facts(summary))
        ),
    )
