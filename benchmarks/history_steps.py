"""How often ``fer-opt history`` shows a step that is none, and finds one that is.

    python benchmarks/history_steps.py [--lines 400]

Simulated lines of records, seeded: medians with 2 % of lognormal noise, heavy-tailed noise, every
tenth record disturbed by 10 to 50 %, or neighbours correlated by 0.3; and steps halfway of 5, 10
and 20 % in the first kind, found when shown within one record of where they are.
"""

from __future__ import annotations

import argparse
import math

import numpy as np

from fer_opt.reports.history import Machine, Point
from fer_opt.reports.history.changes import find_changes

MACHINE = Machine("host", "simulated", "", "", "", 1, 1, "")
SD = 0.02


def noise(kind: str, size: int, random: np.random.Generator) -> np.ndarray:
    normal = random.normal(0, SD, size)
    if kind == "heavy tails":
        return SD * random.standard_t(3, size)
    if kind == "disturbed":
        return normal + np.log1p((random.random(size) < 0.1) * random.uniform(0.1, 0.5, size))
    if kind == "correlated":
        for place in range(1, size):
            normal[place] += 0.3 * normal[place - 1]
    return normal


def line(logs: np.ndarray) -> list[Point]:
    return [
        Point("m", MACHINE, f"{place:04d}", "", ms, ms, ms, 8, "", "")
        for place, ms in enumerate(5 * np.exp(logs))
    ]


def steps(logs: np.ndarray) -> list[int]:
    return [int(change.after.started_at) for change in find_changes(line(logs))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=400)
    count = parser.parse_args().lines
    random = np.random.default_rng(7)
    print(f"{count} lines of each kind\n\nsteady lines with a step shown")
    for kind in ("lognormal", "heavy tails", "disturbed", "correlated"):
        shares = [
            sum(bool(steps(noise(kind, size, random))) for _ in range(count)) / count
            for size in (10, 20, 40)
        ]
        print(
            f"  {kind:12}",
            *(f"{size}: {share:5.1%}" for size, share in zip((10, 20, 40), shares, strict=True)),
        )
    print("\nsteps found")
    for step in (0.05, 0.10, 0.20):
        shares = []
        for size in (12, 20, 40):
            found = 0
            for _ in range(count):
                logs = noise("lognormal", size, random)
                logs[size // 2 :] += math.log1p(step)
                found += any(abs(place - size // 2) <= 1 for place in steps(logs))
            shares.append(found / count)
        print(
            f"  {step:.0%}".ljust(14),
            *(f"{size}: {share:5.1%}" for size, share in zip((12, 20, 40), shares, strict=True)),
        )


if __name__ == "__main__":
    main()
