"""Several comparisons at once raise no more false alarms than one."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.reports.gate.decision import GateSettings, decide
from fer_opt.reports.gate.holm import combined_outcome, holm_adjusted, holm_verdicts

SHARES = st.lists(st.floats(0, 1), max_size=6)
OUTCOMES = st.lists(st.sampled_from(["pass", "fail", "inconclusive"]), max_size=6)


@given(SHARES, st.floats(0.001, 0.5))
def test_holm_is_the_closure_of_bonferroni(p_values, level):
    """A hypothesis falls where every set of hypotheses it belongs to does, by Bonferroni."""
    places = range(len(p_values))
    sets = [s for size in places for s in itertools.combinations(places, size + 1)]
    for place, adjusted in zip(places, holm_adjusted(p_values), strict=True):
        closed = max(
            min(1.0, len(one) * min(p_values[other] for other in one))
            for one in sets
            if place in one
        )
        assert adjusted == pytest.approx(closed)


@given(SHARES)
def test_adjusting_keeps_the_order_and_never_lowers(p_values):
    adjusted = holm_adjusted(p_values)
    assert all(p <= more <= 1 for p, more in zip(p_values, adjusted, strict=True))
    for (p, more), (q, other) in itertools.combinations(zip(p_values, adjusted, strict=True), 2):
        assert (p <= q) <= (more <= other)


@pytest.mark.parametrize("p_values", [[-0.1], [0.5, 1.1], [float("nan")]])
def test_what_is_no_p_value_is_refused(p_values):
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm_adjusted(p_values)


def verdict(ratio: float, seed: int, pairs: int = 8):
    chance = random.Random(seed)
    baseline = [40 * chance.lognormvariate(0, 0.02) for _ in range(pairs)]
    return decide(baseline, [40 * ratio * chance.lognormvariate(0, 0.02) for _ in range(pairs)])


def test_a_clear_regression_fails_among_others():
    held = holm_verdicts({"a": verdict(1.0, 1), "b": verdict(1.4, 2), "c": verdict(1.0, 3)}, 0.01)
    assert held["b"].outcome == "fail"
    assert held["b"].final
    assert {held["a"].outcome, held["c"].outcome} <= {"pass", "inconclusive"}


def test_a_doubtful_regression_waits_where_it_is_one_of_many():
    doubtful = next(
        found
        for seed in range(2000)
        if (found := verdict(1.12, seed)).outcome == "fail" and 0.004 < found.fail_p < 0.01
    )
    assert holm_verdicts({"a": doubtful}, 0.01)["a"].outcome == "fail"
    held = holm_verdicts({"a": doubtful, "b": verdict(1.0, 1), "c": verdict(1.0, 2)}, 0.01)["a"]
    assert (held.outcome, held.final, held.next_look) == ("inconclusive", False, 12)
    assert held.fail_p == pytest.approx(3 * doubtful.fail_p)


def test_equal_models_fail_no_more_often_in_a_crowd():
    """Ten comparisons exactly at the tolerance, the hardest that must not fail."""
    sessions, failed = 300, 0
    settings = GateSettings(looks=(8,))
    for number in range(sessions):
        chance = random.Random(number)
        found = {}
        for name in "abcdefghij":
            baseline = [chance.lognormvariate(0, 0.02) for _ in range(8)]
            candidate = [1.05 * chance.lognormvariate(0, 0.02) for _ in range(8)]
            found[name] = decide(baseline, candidate, settings)
        held = holm_verdicts(found, settings.fail_level)
        failed += combined_outcome(one.outcome for one in held.values()) == "fail"
    # 1 % of 300 and three standard deviations.
    assert failed <= 8


@given(OUTCOMES)
def test_the_whole_fails_with_any_and_passes_with_all(outcomes):
    found = combined_outcome(outcomes)
    assert (found == "fail") == ("fail" in outcomes)
    assert (found == "pass") == (bool(outcomes) and set(outcomes) == {"pass"})
