"""How often the gate cries wolf, and what it catches, under eight kinds of noise.

    python benchmarks/gate_simulation.py [--sessions 10000] [--seed 0] [--publish docs/gate.md]

Simulates sessions of pairs with a candidate that is as fast as the baseline, 5 % slower (just the
tolerance), and 10 % slower, and puts the same times to the gate and to rules in use. Exits
with 1 where a promise is broken: with equal models it fails in at most 1 % of sessions (the upper
bound, in every kind of noise), and of candidates 10 % slower it catches 96 % in the first kind.
Intervals are Clopper and Pearson's, 95 % one-sided each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gate_noise import FAMILIES, Family, simulate
from gate_rules import RULES, Judged, judge
from publish import put
from shares import bounds

LARGEST_FALSE_FAIL = 0.01
LEAST_CAUGHT = 0.96
EFFECTS = (1.0, 1.05, 1.10)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of noise: what became of candidates of each of :data:`EFFECTS`."""

    family: Family
    sessions: int
    equal: Judged
    tolerated: Judged
    slower: Judged


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="the gate under simulated noise")
    parser.add_argument("--sessions", type=int, default=10000, help="of each kind (default 10000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--publish", type=Path, help="page whose table is written anew")
    chosen = parser.parse_args(words)
    rows = [simulated(family, chosen.sessions, chosen.seed) for family in FAMILIES]
    text = tables(rows)
    print(text)
    if chosen.publish:
        put(chosen.publish, "simulation", text)
    broken = broken_promises(rows)
    print("\n".join(broken) or "Every promise is kept.")
    return 1 if broken else 0


def simulated(family: Family, sessions: int, seed: int) -> Row:
    """All effects of a kind of noise, each with chance of its own."""
    place = FAMILIES.index(family)

    def judged(effect: float) -> Judged:
        # Far apart, because a session's order is drawn from the seed plus its number.
        own = (seed * 100 + place * len(EFFECTS) + EFFECTS.index(effect)) * 1_000_000
        return judge(simulate(family, effect, sessions, own))

    return Row(family, sessions, *(judged(effect) for effect in EFFECTS))


def broken_promises(rows: Sequence[Row]) -> list[str]:
    """What the rows break, a sentence each."""
    broken = []
    for row in rows:
        high = bounds(row.equal.outcomes["fail"], row.sessions)[1]
        if high > LARGEST_FALSE_FAIL:
            broken.append(f"{row.family.name}: equal models may fail in {high:.2%} of sessions.")
    caught = rows[0].slower.outcomes["fail"] / rows[0].sessions
    if caught < LEAST_CAUGHT:
        broken.append(f"{rows[0].family.name}: only {caught:.1%} of slower candidates are caught.")
    return broken


def tables(rows: Sequence[Row]) -> str:
    """Two tables in Markdown: the gate's verdicts, and the rules beside it."""
    gate = [
        "| noise | equal: fails (upper bound) | equal: passes | pairs | 5 % slower: fails "
        "| 10 % slower: fails (lower bound) | passes | pairs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rules = [
        "| noise | gate | " + " | ".join(RULES) + " | gate | " + " | ".join(RULES) + " |",
        "|---|" + "---|" * (2 * len(RULES) + 2),
    ]
    for row in rows:
        equal, slower = row.equal.outcomes, row.slower.outcomes
        gate.append(
            f"| {row.family.name}: {row.family.what} | {share(equal['fail'], row)} "
            f"({bounds(equal['fail'], row.sessions)[1]:.2%}) | {share(equal['pass'], row)} "
            f"| {np.median(row.equal.pairs):.0f} | {share(row.tolerated.outcomes['fail'], row)} "
            f"| {share(slower['fail'], row)} ({bounds(slower['fail'], row.sessions)[0]:.1%}) "
            f"| {share(slower['pass'], row)} | {np.median(row.slower.pairs):.0f} |"
        )
        shares = [
            share(count, row)
            for judged in (row.equal, row.slower)
            for count in (judged.outcomes["fail"], *(judged.failed[rule] for rule in RULES))
        ]
        rules.append(f"| {row.family.name} | " + " | ".join(shares) + " |")
    half = rows[0].sessions // 2
    margin = bounds(half, 2 * half)[1] - 0.5
    return "\n".join(
        [
            f"{rows[0].sessions} sessions for each cell; pairs are medians; what neither fails nor "
            "passes is inconclusive. Bounds are 95 % each; no share is off by more than "
            f"{margin:.1%}.",
            "",
            *gate,
            "",
            "How often each rule fails the same times: equal models first (false alarms), then "
            "candidates 10 % slower (caught).",
            "",
            *rules,
        ]
    )


def share(count: int, row: Row) -> str:
    """A share as a table shows it."""
    part = count / row.sessions
    return f"{part:.1%}" if part >= 0.001 else f"{part:.2%}" if count else "0"


if __name__ == "__main__":
    sys.exit(main())
