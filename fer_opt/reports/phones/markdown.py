"""Phones as GitHub's Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from fer_opt.reports.markup import bullets, details, escaped, table_blocks, warned
from fer_opt.reports.phones.page import PhonePage, phone_pages
from fer_opt.reports.phones.summary import PhoneSummary

__all__ = ["phone_blocks"]


def phone_blocks(phones: Sequence[PhoneSummary], level: int) -> list[str]:
    """Every phone's verdict, warnings and tables under a heading of that level."""
    found = phone_pages(phones)
    blocks = table_blocks(found.overview) if found.overview else []
    return blocks + [block for page in found.pages for block in _page(page, level)]


def _page(page: PhonePage, level: int) -> list[str]:
    story = page.story
    folded = [*page.facts, *([page.operators] if page.operators else [])]
    return [
        f"{'#' * level} {escaped(page.label)}",
        " ".join(f"**{escaped(text)}**" for text, _ in page.badges),
        escaped(" · ".join(page.about)),
        f"> **{escaped(story.banner)}**" if story.banner else "",
        f"**Unfinished.** {escaped(story.unfinished)}" if story.unfinished else "",
        f"**{escaped(story.headline)}** {escaped(story.gain)}".strip(),
        "\n".join(f"- ⚠ {escaped(reason)}" for reason in story.reasons),
        warned(story.warnings),
        *table_blocks(page.models),
        escaped(story.how),
        *(details(table.caption, "\n\n".join(table_blocks(table))) for table in folded),
        details("Order of the processes, by round", *bullets(page.order)) if page.order else "",
    ]
