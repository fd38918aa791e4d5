"""Whether a candidate is slower than its baseline by more than the tolerance: three verdicts.

The datum is a pair of fresh processes, one of each model, run one right after the other. A
process counts once, by its median: inferences of one process share its luck, and tests over
pooled inferences cry wolf. Which of the two goes first is random within blocks of four
(:func:`plan_pairs`), so that a machine that slows down favours neither.

With d = ln(candidate) - ln(baseline) of each pair, m Yuen's trimmed mean of the d and SE its
standard error (:mod:`fer_opt.reports.gate.trimmed`), the one-sided bounds at a look are

    low  = m - t(1 - α_fail / K, h - 1) · SE        high = m + t(1 - α_pass / K, h - 1) · SE

with K looks. The gate fails when low > ln(1 + δ), passes when high < ln(1 + δ), and otherwise goes
on to the next look; after the last one it is inconclusive. Each look spends α / K, so that all of
them together err at most α often (the Bonferroni inequality; as the crudest of the group-sequential
designs in Jennison and Turnbull, Group Sequential Methods with Applications to Clinical Trials,
1999, chapter 2). That α_fail is small and stays so under real disturbances is shown, not assumed:
``benchmarks/gate_simulation.py``, published in ``docs/gate.md``.

The minimum detectable effect, the slowdown that this many pairs of this spread would fail 95 times
in 100, is exp(ln(1 + δ) + (t(1 - α_fail / K) + t(0.95)) · SE) - 1: the usual sample-size formula
(J. Cohen, Statistical Power Analysis, 2nd ed., 1988, section 2.4) solved for the effect.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal

from fer_opt.errors import GateError, MeasurementError
from fer_opt.reports.gate.trimmed import LEAST_VALUES, TrimmedMean, trimmed_mean

__all__ = ["GateSettings", "Order", "Outcome", "Verdict", "decide", "plan_pairs"]

Outcome = Literal["pass", "fail", "inconclusive"]
Order = Literal["AB", "BA"]

BLOCKS: tuple[tuple[Order, ...], ...] = (
    ("AB", "AB", "BA", "BA"),
    ("AB", "BA", "AB", "BA"),
    ("AB", "BA", "BA", "AB"),
    ("BA", "AB", "AB", "BA"),
    ("BA", "AB", "BA", "AB"),
    ("BA", "BA", "AB", "AB"),
)
"""Every order of four pairs in which each model goes first twice."""

POWER = 0.95
"""How often the minimum detectable effect would be found."""

NO_SPREAD = 1e-9
"""A standard error below this relative one is no clock's, but rounding of equal ratios."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """How a gate decides.

    Attributes:
        tolerance: a slowdown up to this is none, 0.05 for 5 %.
        fail_level: how often at most a model within the tolerance may fail, over all looks.
        pass_level: how often at most a model beyond the tolerance may pass, over all looks.
        looks: numbers of pairs after which a verdict is sought, ascending.
        seed: of the order within pairs.

    Raises:
        GateError: a setting that nothing can be decided with.
    """

    tolerance: float = 0.05
    fail_level: float = 0.01
    pass_level: float = 0.05
    looks: tuple[int, ...] = (8, 12, 16, 24)
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.tolerance >= 0 and math.isfinite(self.tolerance)):
            raise GateError(
                f"a tolerance of {self.tolerance:g} is not a share of 0 or more; give 0.05 for 5 %."
            )
        for name in ("fail_level", "pass_level"):
            if not 0 < getattr(self, name) < 0.5:
                raise GateError(
                    f"{name} = {getattr(self, name):g} is no error rate; give one between 0 and 0.5"
                    ", such as 0.01."
                )
        if not self.looks or list(self.looks) != sorted(set(self.looks)):
            raise GateError(
                f"the looks {', '.join(map(str, self.looks)) or '(none)'} are not numbers of pairs "
                "in ascending order; give such as 8, 12, 16, 24."
            )
        if self.looks[0] < LEAST_VALUES:
            raise GateError(
                f"a look after {self.looks[0]} pairs sees no spread; let the first look have "
                f"{LEAST_VALUES} pairs or more."
            )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one look at the pairs says.

    Attributes:
        outcome: ``fail`` where the candidate is slower by more than the tolerance, ``pass`` where
            it is not, ``inconclusive`` where these pairs do not tell.
        pairs: judged.
        ratio: the candidate's time over the baseline's, exp of the trimmed mean.
        low: lower bound of it, at the failing level.
        high: upper bound of it, at the passing level.
        tolerance: a slowdown up to this is none.
        detectable: the minimum detectable effect as a slowdown, 0.08 for 8 %: a candidate slower by
            that much would fail such a look 95 times in 100.
        looks: numbers of pairs after which a verdict is sought.
        final: whether no look is left.
        fail_p: p-value of the candidate being within the tolerance, times the number of looks, at
            most 1; several comparisons need it, see :mod:`fer_opt.reports.gate.holm`.
        pass_p: p-value of it being beyond, likewise.
    """

    outcome: Outcome
    pairs: int
    ratio: float
    low: float
    high: float
    tolerance: float
    detectable: float
    looks: tuple[int, ...]
    final: bool
    fail_p: float
    pass_p: float

    @property
    def limit(self) -> float:
        """The ratio beyond which the gate fails."""
        return 1 + self.tolerance

    @property
    def next_look(self) -> int | None:
        """The number of pairs that might decide; None where the verdict stands."""
        if self.outcome != "inconclusive":
            return None
        return next((look for look in self.looks if look > self.pairs), None)


def decide(
    baseline_ms: Sequence[float],
    candidate_ms: Sequence[float],
    settings: GateSettings | None = None,
) -> Verdict:
    """Judge the candidate at one look.

    Args:
        baseline_ms: median of the baseline's process in each pair, in the order measured; as many
            as one of the looks.
        candidate_ms: median of the candidate's process in the same pairs.
        settings: how to decide; None takes the defaults.

    Raises:
        MeasurementError: nothing can be said honestly: the numbers of medians differ, are too few
            or are none of the looks, a median is missing, not finite or not positive, or all pairs
            have the same ratio.
    """
    settings = settings or GateSettings()
    differences = _log_ratios(baseline_ms, candidate_ms)
    _refuse_unplanned(len(differences), settings.looks)
    found = trimmed_mean(differences)
    if found.standard_error < NO_SPREAD:
        raise MeasurementError(
            f"the {len(differences)} pairs have the same ratio, which no clock gives for separate "
            "processes; time more inferences in each, or with a finer clock."
        )
    return _verdict(found, len(differences), settings)


def plan_pairs(settings: GateSettings, pairs: int | None = None) -> tuple[Order, ...]:
    """Which model goes first in each pair: ``AB`` the baseline, ``BA`` the candidate.

    Random permuted blocks of four. A block is chosen by a SHA-256 of seed and place: the same on
    every machine and Python, and unchanged when more pairs follow.

    Args:
        settings: whose seed chooses, and whose last look says how many are needed.
        pairs: how many; None takes the last look.
    """
    wanted = settings.looks[-1] if pairs is None else pairs
    order: list[Order] = []
    place = 0
    while len(order) < wanted:
        text = f"gate\n{settings.seed}\n{place}".encode()
        order += BLOCKS[int.from_bytes(hashlib.sha256(text).digest()) % len(BLOCKS)]
        place += 1
    return tuple(order[:wanted])


def _log_ratios(baseline_ms: Sequence[float], candidate_ms: Sequence[float]) -> list[float]:
    if len(baseline_ms) != len(candidate_ms):
        raise MeasurementError(
            f"{len(baseline_ms)} processes of the baseline and {len(candidate_ms)} of the candidate"
            " are not pairs; measure both in each pair."
        )
    for name, medians in (("baseline", baseline_ms), ("candidate", candidate_ms)):
        for index, median in enumerate(medians, start=1):
            if not _is_time(median):
                raise MeasurementError(
                    f"the {name}'s median in pair {index} is {median}, not a time; measure that "
                    "pair again."
                )
    return [
        math.log(candidate) - math.log(baseline)
        for baseline, candidate in zip(baseline_ms, candidate_ms, strict=True)
    ]


def _is_time(median: object) -> bool:
    # Callers read records and other tools' files: what the types rule out still occurs.
    return isinstance(median, Real) and math.isfinite(median) and float(median) > 0


def _refuse_unplanned(pairs: int, looks: tuple[int, ...]) -> None:
    if pairs in looks:
        return
    planned = ", ".join(map(str, looks))
    if pairs < looks[0]:
        raise MeasurementError(
            f"{pairs} pairs are too few to judge; measure {looks[0]}, the first of the looks "
            f"({planned})."
        )
    raise MeasurementError(
        f"{pairs} pairs are none of the looks ({planned}), and a look more would raise false "
        "alarms; judge at one of those."
    )


def _verdict(found: TrimmedMean, pairs: int, settings: GateSettings) -> Verdict:
    looks = len(settings.looks)
    fail_reach = found.reach(1 - settings.fail_level / looks)
    low = found.mean - fail_reach
    high = found.mean + found.reach(1 - settings.pass_level / looks)
    limit = math.log1p(settings.tolerance)
    outcome: Outcome = "inconclusive"
    if low > limit:
        outcome = "fail"
    elif high < limit:
        outcome = "pass"
    return Verdict(
        outcome=outcome,
        pairs=pairs,
        ratio=_exp(found.mean),
        low=_exp(low),
        high=_exp(high),
        tolerance=settings.tolerance,
        detectable=_exp(limit + fail_reach + found.reach(POWER)) - 1,
        looks=settings.looks,
        final=outcome != "inconclusive" or pairs == settings.looks[-1],
        fail_p=min(1.0, looks * found.p_above(limit)),
        pass_p=min(1.0, looks * (1 - found.p_above(limit))),
    )


def _exp(exponent: float) -> float:
    # Absurd but positive times must not end in an OverflowError.
    return math.exp(exponent) if exponent < 709 else math.inf
