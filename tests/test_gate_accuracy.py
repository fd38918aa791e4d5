"""Whether a candidate lost accuracy: Tango's interval, the verdict, and what runs kept."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_record import sample_record
from scipy.optimize import minimize_scalar
from scipy.stats import multinomial

from fer_opt.errors import GateError, MeasurementError, RecordError
from fer_opt.reports.gate.non_inferiority import PairedAnswers, judge_accuracy, score_interval
from fer_opt.reports.gate.predictions import pair_answers, stored_answers
from fer_opt.reports.record import RunRecord


@st.composite
def answers(draw: st.DrawFn) -> PairedAnswers:
    both, baseline, candidate, neither = (draw(st.integers(0, 400)) for _ in range(4))
    return PairedAnswers(both + baseline + candidate + neither or 1, both, baseline, candidate)


def likeliest_score(found: PairedAnswers, change: float) -> float:
    """The score statistic, its nuisance parameter found by searching the likelihood."""
    n, b, c = found.samples, found.only_candidate_right, found.only_baseline_right

    def loss(q: float) -> float:
        parts = ((b, q + change), (c, q), (n - b - c, 1 - 2 * q - change))
        return -sum(count * math.log(max(share, 1e-300)) for count, share in parts if count)

    inside = (max(0.0, -change), (1 - change) / 2)
    q = minimize_scalar(loss, bounds=inside, method="bounded", options={"xatol": 1e-13}).x
    return (b - c - n * change) / math.sqrt(n * (2 * q + change - change**2))


@pytest.mark.parametrize(
    "found",
    [
        PairedAnswers(44, 43, 1, 0),  # Tango's own example: a crossover trial of 44 lenses
        PairedAnswers(100, 70, 5, 12),
        PairedAnswers(1200, 800, 60, 40),
        PairedAnswers(50, 40, 0, 0),
    ],
)
def test_bounds_are_where_the_score_is_the_normal_quantile(found):
    low, high = score_interval(found, 0.975)
    assert likeliest_score(found, low) == pytest.approx(1.959964, abs=1e-4)
    assert likeliest_score(found, high) == pytest.approx(-1.959964, abs=1e-4)


@given(answers())
def test_every_bound_is_where_the_likelihood_puts_it(found):
    low, high = score_interval(found, 0.95)
    for bound, wanted in ((low, 1.644854), (high, -1.644854)):
        if abs(bound) < 0.999:
            assert likeliest_score(found, bound) == pytest.approx(wanted, abs=2e-3)


def test_without_discordant_answers_the_interval_has_its_known_width():
    # With b = c = 0 the score is -n·Δ / √(n·|Δ|·(1 - |Δ|) ...): z² / (n + z²) either way.
    z = 1.959964
    assert score_interval(PairedAnswers(50, 40, 0, 0), 0.975) == pytest.approx(
        (-(z**2) / (50 + z**2), z**2 / (50 + z**2)), abs=1e-6
    )


@given(answers())
def test_swapped_models_give_the_mirrored_interval(found):
    swapped = dataclasses.replace(
        found,
        only_baseline_right=found.only_candidate_right,
        only_candidate_right=found.only_baseline_right,
    )
    low, high = score_interval(found, 0.95)
    assert -1 <= low <= found.change <= high <= 1
    assert score_interval(swapped, 0.95) == pytest.approx((-high, -low), abs=1e-9)


@given(answers(), st.floats(0.001, 0.9))
def test_a_verdict_is_what_its_bounds_say(found, drop):
    verdict = judge_accuracy(found, drop)
    assert (verdict.outcome == "pass") == (verdict.low > -drop)
    assert (verdict.outcome == "fail") == (verdict.high < -drop)
    if abs(verdict.high + drop) > 1e-9:
        assert (verdict.fail_p < 0.01) == (verdict.outcome == "fail")


@given(answers(), st.floats(0.001, 0.5), st.floats(1, 1.9))
def test_a_larger_drop_is_never_judged_worse(found, drop, factor):
    order = ("fail", "inconclusive", "pass")
    tight, loose = judge_accuracy(found, drop), judge_accuracy(found, factor * drop)
    assert order.index(loose.outcome) >= order.index(tight.outcome)


@pytest.mark.parametrize(("gained", "lost"), [(0.0, 0.1), (0.02, 0.12), (0.1, 0.2)])
def test_wrong_verdicts_are_rare_over_every_outcome(gained, lost):
    """The true drop is the allowed one, so both pass and fail are wrong: exactly enumerated."""
    n = 60
    wrong = {"pass": 0.0, "fail": 0.0, "inconclusive": 0.0}
    for b, c in itertools.product(range(n + 1), repeat=2):
        if b + c > n:
            continue
        chance = multinomial.pmf([b, c, n - b - c], n, [gained, lost, 1 - gained - lost])
        if chance > 1e-9:
            wrong[judge_accuracy(PairedAnswers(n, 0, c, b), 0.1).outcome] += float(chance)
    # Answers are discrete, and the score interval keeps its level nearly, not in every corner.
    assert wrong["pass"] < 0.06
    assert wrong["fail"] < 0.02


def test_more_samples_decide():
    few, many = PairedAnswers(100, 90, 1, 1), PairedAnswers(4000, 3600, 40, 40)
    assert judge_accuracy(few, 0.01).outcome == "inconclusive"
    assert judge_accuracy(many, 0.01).outcome == "pass"
    assert judge_accuracy(PairedAnswers(4000, 3400, 200, 40), 0.01).outcome == "fail"


@pytest.mark.parametrize("drop", [0.0, -0.01, 1.0, math.nan])
def test_a_drop_that_cannot_be_shown_is_refused(drop):
    with pytest.raises(GateError, match="cannot be shown"):
        judge_accuracy(PairedAnswers(100, 90, 1, 1), drop)


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (10, 9, 1, 1), (10, -1, 1, 1)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(MeasurementError, match="cannot be answered"):
        PairedAnswers(*counts)


# --- what runs kept ---


@pytest.fixture
def run(tmp_path: Path) -> tuple[RunRecord, Path]:
    """A record with predictions of two variants on disk."""
    record = sample_record(variants=2)
    labels, random = len(record.convention.labels), np.random.default_rng(0)
    truth = random.integers(0, labels, record.accuracies[0].samples)
    for place, accuracy in enumerate(record.accuracies):
        probabilities = random.random((len(truth), labels)) / 2
        right = np.arange(len(truth)) % 10 >= place
        probabilities[right, truth[right]] = 1.0
        probabilities[~right, (truth[~right] + 1) % labels] = 1.0
        path = tmp_path / accuracy.predictions_path
        path.parent.mkdir(exist_ok=True)
        np.savez_compressed(path, probabilities=probabilities, truth=truth)
    return record, tmp_path


def test_kept_predictions_are_paired(run):
    record, folder = run
    baseline, candidate = (stored_answers(record, folder, one.recipe) for one in record.accuracies)
    found = pair_answers(baseline, candidate)
    samples = record.accuracies[0].samples
    wrong = len(range(0, samples, 10))
    assert found == PairedAnswers(samples, samples - wrong, wrong, 0)
    assert judge_accuracy(found, 0.05).outcome == "fail"
    assert pair_answers(candidate, baseline).change == -found.change


def test_a_variant_without_accuracy_is_refused(run):
    with pytest.raises(GateError, match=r"no accuracy of int4 \(it has float32"):
        stored_answers(*run, "int4")


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "pickle", "shape", "nan", "label"])
def test_damaged_predictions_are_refused(run, damage):
    record, folder = run
    path = folder / record.accuracies[0].predictions_path
    with np.load(path) as kept:
        held = {"probabilities": kept["probabilities"], "truth": kept["truth"]}
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "text":
        path.write_text("no archive")
    elif damage == "pickle":
        np.savez(path, probabilities=np.array([{}], dtype=object), truth=held["truth"])
    else:
        if damage == "shape":
            held["probabilities"] = held["probabilities"][:-1]
        elif damage == "nan":
            held["probabilities"][0, 0] = np.nan
        else:
            held["truth"][0] = 99
        np.savez(path, **held)
    with pytest.raises(RecordError, match="run the experiment again"):
        stored_answers(record, folder, record.accuracies[0].recipe)


@pytest.mark.parametrize("difference", ["dataset", "truth", "labels"])
def test_answers_to_other_samples_are_refused(run, difference):
    record, folder = run
    one = stored_answers(record, folder, record.accuracies[0].recipe)
    other = {
        "dataset": dataclasses.replace(one, dataset="0" * 64),
        "truth": dataclasses.replace(one, truth=one.truth[::-1]),
        "labels": dataclasses.replace(one, labels=one.labels[::-1]),
    }[difference]
    with pytest.raises(GateError, match="labels apart" if difference == "labels" else "different"):
        pair_answers(one, other)
