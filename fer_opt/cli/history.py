"""``fer-opt history``: how latency went over many records."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_opt.cli.console import print_json, print_table, print_text, say
from fer_opt.cli.options import AsJson

__all__ = ["register"]

EXAMPLES = """
Examples:

fer-opt history runs/

fer-opt history monday/record.json tuesday/record.json --out trend

fer-opt history runs/ --json
"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("history", epilog=EXAMPLES)(history)


def history(
    records: Annotated[
        list[Path],
        typer.Argument(
            help="Records of runs and benches, or folders with some.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of history.html and history.csv.")] = Path(
        "runs/history"
    ),
    json: AsJson = False,
) -> None:
    """Show how each model's latency went, on each machine by itself, and where it may have stepped.

    Never a verdict: unlike days and machines are not compared.
    """
    from fer_opt.reports.history import NEVER_A_VERDICT, gather, trends_of, write_history

    gathered = gather(records)
    trends = trends_of(gathered.points)
    paths = write_history(trends, gathered, out)
    for sentence in gathered.left_out:
        say(f"Left out: {sentence}")
    if json:
        print_json(
            {
                "verdict": None,
                "note": NEVER_A_VERDICT,
                "records": gathered.records,
                "left_out": gathered.left_out,
                "trends": [_facts(trend) for trend in trends],
            }
        )
    else:
        _show(trends)
        print_text(NEVER_A_VERDICT)
    say(f"The chart is in {paths[0]}; {paths[1]} holds every number.")


def _show(trends: Any) -> None:
    """One table for each machine, and every possible step."""
    from fer_opt.reports.history.page import COLUMNS, history_rows
    from fer_opt.reports.history.trends import tell_change

    for machine in dict.fromkeys(trend.machine for trend in trends):
        lines = [history_rows(trend) for trend in trends if trend.machine == machine]
        print_table(f"{machine.words} · {machine.fingerprint[:12]}", COLUMNS, lines)
    for trend in trends:
        for change in trend.changes:
            print_text(f"Possible step: {tell_change(trend, change)}")


def _facts(trend: Any) -> dict[str, Any]:
    return {
        "model": trend.model,
        "machine": dataclasses.asdict(trend.machine),
        "earlier_ms": trend.earlier_ms,
        "latest_ms": trend.latest.median_ms,
        "enough_records_for_steps": trend.sought,
        "possible_steps": [
            {
                "from": change.after.started_at,
                "record": change.after.record,
                "before_ms": change.before_ms,
                "after_ms": change.after_ms,
                "ratio": change.ratio,
                "file_changed": change.file_changed,
            }
            for change in trend.changes
        ],
        "points": [
            {
                name: value
                for name, value in dataclasses.asdict(point).items()
                if name not in ("model", "machine")
            }
            for point in trend.points
        ],
    }
