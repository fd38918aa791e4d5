"""The gate and the rules people use instead, on the very same times.

Every rule sees the pairs the gate saw: those up to its verdict.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from gate_noise import Sessions
from scipy.stats import mannwhitneyu

from fer_opt.reports.gate.decision import GateSettings, Outcome, decide

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

RULES = ("mean:10%, stored", "mean:10%", "Mann-Whitney", "mean ± sd")
"""pytest-benchmark's ``--benchmark-compare-fail=mean:10%`` against a stored baseline (of another
session, as it is used) and one of the same session; a one-sided rank test at 1 % over all
inferences; and the candidate's mean beyond the baseline's mean plus its standard deviation."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of many sessions.

    Attributes:
        outcomes: of the gate, how often each.
        pairs: the gate needed in each session.
        failed: by each of :data:`RULES`.
    """

    outcomes: Counter[Outcome]
    pairs: npt.NDArray[np.int64]
    failed: dict[str, int]


def judge(sessions: Sessions) -> Judged:
    """Put every session to the gate and to the rules."""
    outcomes, pairs = _gate(sessions)
    failed = dict.fromkeys(RULES, 0)
    another_day = np.roll(sessions.baseline_ms, 1, axis=0)
    for size in np.unique(pairs):
        chosen = pairs == size
        seen = (
            times[chosen, :size].reshape(int(chosen.sum()), -1)
            for times in (sessions.baseline_ms, sessions.candidate_ms, another_day)
        )
        for rule, flags in _rules(*seen).items():
            failed[rule] += int(flags.sum())
    return Judged(outcomes, pairs, failed)


def _gate(sessions: Sessions) -> tuple[Counter[Outcome], npt.NDArray[np.int64]]:
    settings = GateSettings()
    outcomes: Counter[Outcome] = Counter()
    needed = []
    # A process counts by its median.
    baseline = np.median(sessions.baseline_ms, axis=2).tolist()
    candidate = np.median(sessions.candidate_ms, axis=2).tolist()
    for base, other in zip(baseline, candidate, strict=True):
        for look in settings.looks:
            verdict = decide(base[:look], other[:look], settings)
            if verdict.final:
                break
        outcomes[verdict.outcome] += 1
        needed.append(verdict.pairs)
    return outcomes, np.array(needed)


def _rules(baseline: Floats, candidate: Floats, stored: Floats) -> dict[str, Flags]:
    """Which sessions each rule fails; times are (sessions, inferences)."""
    base, other = baseline.mean(axis=1), candidate.mean(axis=1)
    rank = mannwhitneyu(candidate, baseline, alternative="greater", axis=1, method="asymptotic")
    found = (
        other > 1.10 * stored.mean(axis=1),
        other > 1.10 * base,
        rank.pvalue < 0.01,
        other > base + baseline.std(axis=1, ddof=1),
    )
    return dict(zip(RULES, found, strict=True))
