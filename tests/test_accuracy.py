from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fer_opt.accuracy import compare, cross_entropy, probabilities_of, score

LABELS = ("angry", "happy", "contempt")


def one_hot(predicted: list[int]) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[predicted]


def test_figures_of_a_small_example():
    truth = np.array([0, 0, 0, 1, 1, 2])
    found = score("int8", one_hot([0, 0, 1, 1, 1, 0]), truth, LABELS, "p.npz")
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.confusion == ((2, 1, 0), (0, 2, 0), (1, 0, 0))
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 + 0) / 3)
    angry, happy, contempt = found.labels
    assert (angry.support, angry.predicted, angry.correct) == (3, 3, 2)
    assert angry.precision == pytest.approx(2 / 3)
    assert happy.f1 == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))
    assert contempt.precision is None
    assert contempt.f1 == 0.0
    assert found.never_predicted == ("contempt",)


def test_wilson_interval_of_the_thesiss_contempt():
    """0 of 317 right is not 'zero, full stop': the interval reaches 1.2 %."""
    truth = np.full(317, 2)
    found = score("float32", one_hot([0] * 317), truth, LABELS, "p.npz")
    z = 1.959963984540054
    assert found.labels[2].low == pytest.approx(0, abs=1e-12)
    assert found.labels[2].high == pytest.approx(z * z / (317 + z * z))


def test_labels_without_samples_do_not_count():
    truth = np.array([0, 0, 1, 1])
    found = score("float32", one_hot([0, 2, 1, 1]), truth, LABELS, "p.npz")
    assert found.balanced_accuracy == pytest.approx(0.75)
    assert found.labels[2].accuracy is None
    assert found.labels[2].low is None
    assert found.never_predicted == ()


def test_cross_entropy_is_keras_s():
    from fer_opt.backend import tf_keras

    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3) * 0.2, 50).astype(np.float32)
    probabilities[0] = [1, 0, 0]
    truth = random.integers(0, 3, 50)
    expected = tf_keras.losses.sparse_categorical_crossentropy(truth, probabilities).numpy().mean()
    assert cross_entropy(probabilities, truth) == pytest.approx(expected, rel=1e-5)


def test_mcnemar_on_a_known_table():
    """10 against 2 discordant pairs: exact two-sided p = 2 * P(X <= 2), X ~ Binomial(12, 1/2)."""
    truth = np.zeros(40, np.int64)
    reference = np.array([0] * 10 + [1] * 2 + [0] * 28)
    variant = np.array([1] * 10 + [0] * 2 + [0] * 28)
    base = score("int8", one_hot(variant.tolist()), truth, LABELS, "p.npz")
    found = compare(base, variant, "float32", reference, truth).versus_float
    assert found is not None
    assert (found.only_reference_right, found.only_variant_right) == (10, 2)
    expected = 2 * sum(math.comb(12, k) for k in range(3)) / 2**12
    assert found.p_value == pytest.approx(expected)


def test_no_discordant_pairs_is_no_evidence():
    truth = np.zeros(5, np.int64)
    base = score("int8", one_hot([0] * 5), truth, LABELS, "p.npz")
    found = compare(base, np.zeros(5, np.int64), "float32", np.zeros(5, np.int64), truth)
    assert found.versus_float is not None
    assert found.versus_float.p_value == 1.0


def test_logits_become_probabilities_and_softmax_outputs_stay():
    logits = np.array([[3.0, -1.0, 0.5], [0.0, 0.0, 5.0]], np.float32)
    probabilities = probabilities_of(logits)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(probabilities.argmax(1), logits.argmax(1))
    np.testing.assert_allclose(probabilities_of(probabilities), probabilities, rtol=1e-5)
    quantized = np.array([[0.5, 0.25, 0.26]], np.float32)
    np.testing.assert_allclose(probabilities_of(quantized), quantized / 1.01, rtol=1e-5)


predictions = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.int64, n, elements=st.integers(0, 2)),
        hnp.arrays(np.int64, n, elements=st.integers(0, 2)),
    )
)


@settings(max_examples=60, deadline=None)
@given(predictions)
def test_every_score_is_consistent(pair):
    truth, predicted = pair
    found = score("x", one_hot(predicted.tolist()), truth, LABELS, "p.npz")
    assert sum(map(sum, found.confusion)) == len(truth)
    assert found.low <= found.accuracy <= found.high
    assert sum(row.correct for row in found.labels) == round(found.accuracy * len(truth))
    for index, row in enumerate(found.labels):
        assert row.support == int(np.sum(truth == index))
        assert row.predicted == int(np.sum(predicted == index))
        if row.support:
            assert row.low is not None
            assert row.high is not None
            assert row.low - 1e-12 <= row.correct / row.support <= row.high + 1e-12
        assert (row.label in found.never_predicted) == (row.support > 0 and row.predicted == 0)
