"""Several comparisons at once: models, stages, budgets.

Ten comparisons at 1 % each would raise a false alarm in up to 10 % of runs. Holm's procedure keeps
the chance of any false alarm at the level of one: the smallest of m p-values is held to level / m,
the next to level / (m - 1) and so on, until one exceeds its limit (S. Holm, A simple sequentially
rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979, 65-70). It asks
nothing of how the comparisons depend on each other.

Passing needs no correction: the whole passes only where every part does, and that happens wrongly
no more often than the least sure part does (the intersection-union test, R. L. Berger,
Multiparameter hypothesis testing and acceptance sampling, Technometrics 24, 1982, 295-300).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fer_opt.reports.gate.decision import Outcome, Verdict

__all__ = ["combined_outcome", "holm_adjusted", "holm_verdicts"]


def holm_adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """Each p-value adjusted for all of them, in their order: small as the level, it is rejected.

    Raises:
        ValueError: one is not between 0 and 1.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError("p-values lie between 0 and 1")
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)


def holm_verdicts(verdicts: Mapping[str, Verdict], fail_level: float) -> dict[str, Verdict]:
    """Verdicts of several comparisons at one look, so that all together err at the level of one.

    A comparison that would fail by itself and does not by Holm is inconclusive: the next look may
    decide. Adjusted p-values take the place of single ones.

    Args:
        verdicts: by the name of the comparison, all at the same look.
        fail_level: of all together.
    """
    adjusted = holm_adjusted([one.fail_p for one in verdicts.values()])
    return {
        name: _held(verdict, p, fail_level)
        for (name, verdict), p in zip(verdicts.items(), adjusted, strict=True)
    }


def combined_outcome(outcomes: Iterable[Outcome]) -> Outcome:
    """``fail`` where any part fails, ``pass`` where all pass, otherwise ``inconclusive``.

    Nothing judged is inconclusive too.
    """
    found = set(outcomes)
    if "fail" in found:
        return "fail"
    return "pass" if found == {"pass"} else "inconclusive"


def _held(verdict: Verdict, adjusted_p: float, fail_level: float) -> Verdict:
    if verdict.outcome != "fail" or adjusted_p < fail_level:
        return replace(verdict, fail_p=adjusted_p)
    return replace(
        verdict,
        outcome="inconclusive",
        final=verdict.pairs == verdict.looks[-1],
        fail_p=adjusted_p,
    )
