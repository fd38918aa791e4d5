"""A comparison's verdict as one screen of plain words."""

from __future__ import annotations

from pathlib import Path

from fer_opt.reports.gate.decision import Verdict

__all__ = ["tell_regression"]


def tell_regression(verdict: Verdict, candidate: Path, baseline: Path, on: str) -> str:
    """What changed, by how much, how sure that is and what would make it surer.

    Args:
        verdict: at the last look.
        candidate: its file.
        baseline: its file.
        on: where both were timed, in words.

    Returns:
        Lines, the first of which is enough for a summary.
    """
    new, old = _names(candidate, baseline)
    limit = f"{100 * verdict.tolerance:g} %"
    headline = {
        "pass": f"PASS: {new} is not slower than {old} by more than {limit} {on}.",
        "fail": f"FAIL: {new} is slower than {old} by more than {limit} {on}.",
        "inconclusive": f"NOT ENOUGH TO SAY whether {new} is slower than {old} by more than "
        f"{limit} {on}.",
    }[verdict.outcome]
    lines = [
        headline,
        f"  by how much  {verdict.ratio:.3f} times {old}'s time ({_change(verdict.ratio)}); "
        f"from {verdict.low:.3f} to {verdict.high:.3f} times.",
        f"  how sure     {verdict.pairs} pairs, each timed in fresh processes side by side. "
        f"{_sure(verdict)}",
        f"  could see    a slowdown of {_percent(verdict.detectable)}, which fails such a look "
        "95 times in 100.",
    ]
    if verdict.outcome != "pass":
        lines.append(f"  surer        {_surer(verdict)}")
    return "\n".join(lines)


def _names(candidate: Path, baseline: Path) -> tuple[str, str]:
    """The files' names, or their paths where those are the same."""
    if candidate.name != baseline.name:
        return candidate.name, baseline.name
    return str(candidate), str(baseline)


def _change(ratio: float) -> str:
    return f"{_percent(abs(ratio - 1))} {'slower' if ratio >= 1 else 'faster'}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _sure(verdict: Verdict) -> str:
    return {
        "pass": "A model beyond the limit passes at most 5 times in 100.",
        "fail": "A model within the limit fails at most once in 100.",
        "inconclusive": "The bounds lie on both sides of the limit.",
    }[verdict.outcome]


def _surer(verdict: Verdict) -> str:
    if verdict.outcome == "fail":
        return "run the test again: a real slowdown fails again."
    return (
        "a quieter machine, more inferences in each process (--fer-opt-runs), or a wider "
        "tolerance=."
    )
