"""Verdicts as one screen of plain words, the first line being enough for a summary."""

from __future__ import annotations

import textwrap

from fer_opt.pytest_plugin.marker import Budget
from fer_opt.pytest_plugin.sentences import for_pytest
from fer_opt.pytest_plugin.timed import Timed
from fer_opt.reports.gate.budgets import BudgetVerdict
from fer_opt.reports.gate.story import WORDS, GateStory

__all__ = ["tell_budget", "tell_comparison"]

WIDTH = 79


def tell_comparison(story: GateStory) -> str:
    """A gate of one candidate: what changed, by how much, how sure, what would be surer."""
    mark = f" ({story.mark})" if story.mark else ""
    machine = f" On {story.machine}{mark}." if story.machine else ""
    lines = [f"{story.word}: {story.headline}{machine}"]
    for finding in story.findings:
        lines += _wrapped(finding.said)
        if finding.surer:
            lines += _wrapped(f"Surer: {for_pytest(finding.surer)}")
    for note in story.notes:
        lines += _wrapped(note)
    return "\n".join(lines)


def tell_budget(verdict: BudgetVerdict, budget: Budget, timed: Timed) -> str:
    """One budget's verdict."""
    found = "unknown" if verdict.found is None else f"{verdict.found:.4g} ms"
    unit = "photos" if timed.by_photo else "inferences"
    lines = [
        f"{WORDS[verdict.outcome]}: {timed.model} {timed.on}, {budget.words}; it is {found}.",
        *_wrapped(
            f"Its bounds are {_bound(verdict.low)} and {_bound(verdict.high)} ms, each with "
            f"{verdict.confidence:.0%} confidence; {verdict.over} of {verdict.values} {unit} took "
            "longer than the budget."
        ),
    ]
    if verdict.outcome == "inconclusive":
        lines += _wrapped(_surer(verdict, timed))
    return "\n".join(lines)


def _surer(verdict: BudgetVerdict, timed: Timed) -> str:
    if verdict.needed is None:
        return "So large a share took longer that more of them alone will not pass."
    more = "time more photos" if timed.by_photo else "ask for more with --fer-opt-processes"
    alike = (
        ""
        if timed.by_photo
        else f"; these are worth {verdict.worth}, as those of one process are alike"
    )
    return f"{verdict.needed} independent ones would pass{alike}: {more}."


def _bound(ms: float | None) -> str:
    return "?" if ms is None else f"{ms:.4g}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")
