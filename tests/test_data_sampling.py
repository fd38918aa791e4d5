import numpy as np
import pytest
from data_files import counted
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.data import Dataset, reduce_dataset, split_dataset, stratified_sample
from fer_opt.errors import DatasetError

COUNTS = st.lists(st.integers(0, 60), min_size=2, max_size=8).filter(lambda c: max(c) >= 2)
FRACTIONS = st.floats(0.01, 0.99)


def tally(dataset: Dataset) -> np.ndarray:
    return np.array(dataset.facts().count_per_label)


def sources(dataset: Dataset) -> list[int]:
    return [int(sample.source) for sample in dataset.samples]


@given(COUNTS, FRACTIONS, st.integers(0, 5))
def test_a_split_is_disjoint_complete_and_in_proportion(
    counts: list[int], fraction: float, seed: int
) -> None:
    whole = counted(counts)
    training, test = split_dataset(whole, fraction, seed)
    assert sorted(sources(training) + sources(test)) == sources(whole)
    assert np.all(np.abs(tally(test) - np.array(counts) * fraction) < 1 + 1e-9)
    for count, trained, tested in zip(counts, tally(training), tally(test), strict=True):
        assert (trained > 0) == (count > 0)
        assert (tested > 0) == (count > 1)


@given(COUNTS, FRACTIONS, st.integers(0, 5))
def test_a_reduction_keeps_the_shares(counts: list[int], fraction: float, seed: int) -> None:
    whole = counted(counts)
    part = reduce_dataset(whole, fraction, seed)
    assert len(set(sources(part))) == len(part)
    assert sources(part) == sorted(sources(part))
    assert np.all(np.abs(tally(part) - np.array(counts) * fraction) < 1 + 1e-9)
    assert np.all((tally(part) > 0) == (np.array(counts) > 0))


@given(COUNTS, st.integers(1, 300), st.integers(0, 5))
def test_a_stratified_sample_is_as_even_as_the_supply(
    counts: list[int], size: int, seed: int
) -> None:
    drawn = stratified_sample(counted(counts), size, seed)
    assert len(drawn) == min(size, sum(counts))
    assert len(set(sources(drawn))) == len(drawn)
    got = tally(drawn)
    unexhausted = got[got < np.array(counts)]
    if unexhausted.size:
        assert unexhausted.min() >= got.max() - 1


def test_a_tenth_of_affectnets_proportions() -> None:
    """The counts of the thesis's Table 2 in hundreds, to 10 % and to 90/10."""
    counts = (748, 1344, 254, 140, 63, 38, 248, 37)
    assert tally(reduce_dataset(counted(counts))).tolist() == [75, 134, 25, 14, 6, 4, 25, 4]
    training, test = split_dataset(counted(counts))
    assert (len(training), len(test)) == (2585, 287)
    assert training.name == "counted, 90 % for training"
    assert test.name == "counted, 10 % for testing"


def test_the_seed_decides() -> None:
    whole = counted((50, 50))
    for draw in (
        lambda seed: split_dataset(whole, 0.2, seed)[1],
        lambda seed: reduce_dataset(whole, 0.2, seed),
        lambda seed: stratified_sample(whole, 20, seed),
    ):
        assert sources(draw(3)) == sources(draw(3))
        assert sources(draw(3)) != sources(draw(4))


def test_impossible_wishes_are_refused() -> None:
    whole = counted((5, 5))
    for fraction in (0.0, -0.1, 1.5, float("nan")):
        with pytest.raises(DatasetError, match="fraction"):
            reduce_dataset(whole, fraction)
        with pytest.raises(DatasetError, match="fraction"):
            split_dataset(whole, fraction)
    with pytest.raises(DatasetError, match="cannot be drawn"):
        stratified_sample(whole, 0, 0)
    with pytest.raises(DatasetError, match="too few samples"):
        split_dataset(counted((1, 1)))
