"""The history as one HTML page that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence

import fer_opt
from fer_opt.reports.formats import change as changed_by
from fer_opt.reports.formats import interval, milliseconds
from fer_opt.reports.history.chart import history_charts
from fer_opt.reports.history.gathering import Gathered
from fer_opt.reports.history.trends import NEVER_A_VERDICT, Trend, tell_change
from fer_opt.reports.pages import fill_page
from fer_opt.reports.tables import Cell, Column, Table

__all__ = ["history_rows", "render_history"]

COLUMNS = ("model", "records", "since", "first", "latest", "change", "steps")


def render_history(trends: Sequence[Trend], gathered: Gathered) -> str:
    """The page; all text of the records is escaped."""
    return fill_page(
        "history.html.j2",
        charts=True,
        version=fer_opt.__version__,
        records=gathered.records,
        models=len({trend.model for trend in trends}),
        caveat=NEVER_A_VERDICT,
        drawings=history_charts(trends),
        table_of_trends=_table(trends),
        changes=[tell_change(trend, change) for trend in trends for change in trend.changes],
        few=[trend for trend in trends if not trend.sought],
        left_out=gathered.left_out,
    )


def history_rows(trend: Trend) -> list[str]:
    """One line of the table, as text; no steps are sought in few records."""
    latest = trend.latest
    earlier_ms = trend.earlier_ms
    return [
        trend.model,
        str(len(trend.points)),
        trend.first.started_at[:10],
        milliseconds(trend.first.median_ms),
        milliseconds(latest.median_ms),
        "–" if earlier_ms is None else changed_by(latest.median_ms, earlier_ms),
        str(len(trend.changes)) if trend.sought else "–",
    ]


def _table(trends: Sequence[Trend]) -> Table:
    groups: dict[str, list[tuple[Cell, ...]]] = {}
    for trend in trends:
        cells = [Cell(text) for text in history_rows(trend)]
        latest = trend.latest
        cells[4] = Cell(
            cells[4].text,
            detail=interval(milliseconds(latest.low_ms), milliseconds(latest.high_ms)),
            badges=(("in doubt", "warn"),) if latest.doubts else (),
        )
        machine = trend.machine
        groups.setdefault(f"{machine.words} · {machine.fingerprint[:12]}", []).append(tuple(cells))
    return Table(
        name="history",
        caption="Latency by machine and model",
        columns=tuple(Column(title, numeric=title != "model") for title in COLUMNS),
        groups=tuple((machine, tuple(rows)) for machine, rows in groups.items()),
        notes=(
            "“Change” is the latest median against the median of all earlier ones. A "
            "machine whose fingerprint changed (kernel, runtime, build) begins anew.",
        ),
    )
