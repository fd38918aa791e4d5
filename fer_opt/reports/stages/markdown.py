"""The five stages as GitHub's Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from fer_opt.reports.markup import bullets, details, escaped, table_blocks
from fer_opt.reports.stages.page import StagesPage, stages_pages
from fer_opt.reports.stages.summary import StagesSummary

__all__ = ["stages_blocks"]


def stages_blocks(runs: Sequence[StagesSummary], level: int) -> list[str]:
    """Every run's verdict and tables under a heading of that level."""
    return [block for page in stages_pages(runs) for block in _page(page, level)]


def _page(page: StagesPage, level: int) -> list[str]:
    story = page.story
    folded = [table for table in (page.slowest, page.cold, *page.facts) if table is not None]
    return [
        f"{'#' * level} {escaped(page.label)}",
        " ".join(f"**{escaped(text)}**" for text, _ in page.badges),
        escaped(" · ".join(page.about)),
        f"> **{escaped(story.banner)}**" if story.banner else "",
        f"**Unfinished.** {escaped(story.unfinished)}" if story.unfinished else "",
        f"**{escaped(story.headline)}**",
        escaped(" ".join(filter(None, (story.budget, story.gain)))),
        *(bullets(story.changes) if story.changes else []),
        *(table_blocks(page.main) if page.main else []),
        *(bullets(story.tail) if story.tail else []),
        *(table_blocks(page.agreement) if page.agreement else []),
        details("Photos on which they differ", *bullets(page.differences))
        if page.differences
        else "",
        escaped(story.how),
        *(bullets(story.notes) if story.notes else []),
        *(details(table.caption, "\n\n".join(table_blocks(table))) for table in folded),
    ]
