"""Whether a candidate is less accurate than its baseline by more than a drop that is allowed.

Both models answer the same n samples, so only those count that one has right and the other wrong:
b where only the candidate is right, c where only the baseline is. The difference of the two
accuracies is estimated by (b - c) / n. Its interval is the score interval of Tango (Equivalence
test and confidence interval for the difference in proportions for the paired-sample design,
Statistics in Medicine 17, 1998, 891-908): all Δ for which

    |b - c - n·Δ| / √(n · (2·q + Δ·(1 - Δ))) <= z

where q is the maximum-likelihood probability, given Δ, that only the baseline is right,

    q = (√(B² - 8·n·C) - B) / (4·n),  B = -b - c + (2·n - b + c)·Δ,  C = -c·Δ·(1 - Δ).

Its width is sensible with few or no discordant samples, where the usual interval has none at all
(R. G. Newcombe, Statistics in Medicine 17, 1998, 2635-2650, compares).

The candidate passes when the lower bound, at 95 %, lies above minus the allowed drop (a test of
non-inferiority), fails when the upper one lies below it, at 99 % because a false alarm costs more,
and is inconclusive otherwise. For a true drop of exactly the allowed one, enumerating every outcome
of 60, 200 and 600 samples gives 4 to 6 % wrong passes and 1 to 2 % wrong fails at most, the latter
where a candidate only loses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fer_opt.errors import GateError, MeasurementError
from fer_opt.reports.gate.decision import Outcome

__all__ = ["AccuracyVerdict", "PairedAnswers", "judge_accuracy", "score_interval"]

PASS_CONFIDENCE = 0.95
FAIL_CONFIDENCE = 0.99


@dataclass(frozen=True, slots=True)
class PairedAnswers:
    """How two models answered the same samples.

    Attributes:
        samples: number of them, n.
        both_right: answered right by both.
        only_baseline_right: c.
        only_candidate_right: b.

    Raises:
        MeasurementError: counts that cannot be of samples.
    """

    samples: int
    both_right: int
    only_baseline_right: int
    only_candidate_right: int

    def __post_init__(self) -> None:
        counts = (self.both_right, self.only_baseline_right, self.only_candidate_right)
        if self.samples < 1 or min(counts) < 0 or sum(counts) > self.samples:
            raise MeasurementError(
                f"{self.samples} samples cannot be answered right {counts[0]} times by both and "
                f"{counts[1]} and {counts[2]} times by one alone; evaluate both models again."
            )

    @property
    def baseline_accuracy(self) -> float:
        """Share of samples the baseline has right."""
        return (self.both_right + self.only_baseline_right) / self.samples

    @property
    def candidate_accuracy(self) -> float:
        """Share of samples the candidate has right."""
        return (self.both_right + self.only_candidate_right) / self.samples

    @property
    def change(self) -> float:
        """Candidate's accuracy less the baseline's."""
        return (self.only_candidate_right - self.only_baseline_right) / self.samples


@dataclass(frozen=True, slots=True)
class AccuracyVerdict:
    """Whether the candidate keeps within the allowed drop.

    Attributes:
        outcome: see the module.
        answers: judged.
        max_drop: allowed, 0.01 for one percentage point.
        low: lower bound of the change in accuracy (candidate less baseline), 95 % confidence.
        high: upper bound of it, 99 %.
        fail_p: p-value of the drop being no larger than allowed; for several comparisons at once,
            see :mod:`fer_opt.reports.gate.holm`.
    """

    outcome: Outcome
    answers: PairedAnswers
    max_drop: float
    low: float
    high: float
    fail_p: float


def judge_accuracy(answers: PairedAnswers, max_drop: float) -> AccuracyVerdict:
    """Judge whether the candidate is less accurate by no more than ``max_drop``.

    Args:
        answers: of both models to the same samples.
        max_drop: between 0 and 1, neither of them: that nothing at all was lost, no number of
            samples can show.

    Raises:
        GateError: a drop that nothing can be held to.
    """
    from scipy.special import ndtr

    if not 0 < max_drop < 1:
        raise GateError(
            f"a largest accuracy drop of {max_drop:g} cannot be shown by any number of samples; "
            "give a share between 0 and 1, such as 0.01 for one percentage point."
        )
    low, _ = score_interval(answers, PASS_CONFIDENCE)
    _, high = score_interval(answers, FAIL_CONFIDENCE)
    outcome: Outcome = "inconclusive"
    if low > -max_drop:
        outcome = "pass"
    elif high < -max_drop:
        outcome = "fail"
    return AccuracyVerdict(
        outcome=outcome,
        answers=answers,
        max_drop=max_drop,
        low=low,
        high=high,
        fail_p=float(ndtr(_score(answers, -max_drop))),
    )


def score_interval(answers: PairedAnswers, level: float) -> tuple[float, float]:
    """Bounds of the change in accuracy, each of confidence ``level``, by Tango's score method."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    z = float(ndtri(level))

    def above(change: float) -> float:
        return _score(answers, change) - z

    def below(change: float) -> float:
        return _score(answers, change) + z

    # The score falls from plus to minus infinity over (-1, 1), apart from answers all on one side.
    low = float(brentq(above, -1.0, answers.change)) if above(-1.0) > 0 else -1.0
    high = float(brentq(below, answers.change, 1.0)) if below(1.0) < 0 else 1.0
    return low, high


def _score(answers: PairedAnswers, change: float) -> float:
    """Tango's statistic for a true difference of ``change``; standard normal if it is that."""
    n, b, c = answers.samples, answers.only_candidate_right, answers.only_baseline_right
    distance = b - c - n * change
    linear = -b - c + (2 * n - b + c) * change
    constant = -c * change * (1 - change)
    q = (math.sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * q + change * (1 - change))
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)
