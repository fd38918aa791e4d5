import numpy as np
import pytest

from fer_opt.convention import AFFECTNET_LABELS
from fer_opt.data import Dataset, DataSpec, NoSuchSplitError, open_dataset
from fer_opt.data.synthetic import draw_face
from fer_opt.errors import DatasetError

MEAN_GREY = (144.90, 133.74, 122.75, 141.60, 137.25, 141.49, 137.61, 144.10)
"""Of the first twenty faces of each label of seed 1."""


def faces(**options: object) -> Dataset:
    return open_dataset(DataSpec(kind="synthetic", **options))  # type: ignore[arg-type]


def pixels(dataset: Dataset) -> np.ndarray:
    return np.stack([dataset.read(index) for index in range(len(dataset))])


def test_faces_are_grey_of_any_size_and_spread_over_the_labels() -> None:
    dataset = faces(size=20)
    assert dataset.labels == AFFECTNET_LABELS
    assert dataset.facts().count_per_label == (3, 3, 3, 3, 2, 2, 2, 2)
    for side in (None, 8, 17, 160):
        face = faces(size=8, image_size=side).read(3)
        assert face.dtype == np.uint8
        assert face.shape == (side or 48,) * 2
        assert face.std() > 5


def test_counts_per_label_can_be_stated() -> None:
    counts = (4, 0, 1, 2, 0, 0, 3, 9)
    assert faces(counts=counts).facts().count_per_label == counts


def test_a_face_depends_on_seed_split_and_number_alone() -> None:
    small, large = faces(size=16, seed=5), faces(size=48, seed=5)
    np.testing.assert_array_equal(pixels(small), pixels(large)[:16])
    backwards = np.stack([large.read(index) for index in reversed(range(16))])[::-1]
    np.testing.assert_array_equal(backwards, pixels(small))
    others = [faces(size=16, seed=6)] + [
        faces(size=16, seed=5, split=split) for split in ("train", "validation", "test")
    ]
    drawn = [pixels(dataset).tobytes() for dataset in [small, *others]]
    assert len(set(drawn)) == 5
    prints = {dataset.facts().fingerprint for dataset in [small, large, *others]}
    assert len(prints) == 6


def test_no_two_faces_are_alike() -> None:
    assert len({face.tobytes() for face in pixels(faces(size=400))}) == 400


def test_drawing_is_stable_across_versions() -> None:
    """Records of different versions must compare, so the faces of a seed may not change."""
    means = pixels(faces(size=160, seed=1)).reshape(20, 8, -1).mean(axis=(0, 2))
    np.testing.assert_allclose(means, MEAN_GREY, atol=0.5)


def test_expressions_can_be_told_apart_and_none_is_given_away() -> None:
    """A linear model gets far above chance, far below perfect: the label is in the drawing."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = faces(size=1200, split="train"), faces(size=400, split="test")

    def features(dataset: Dataset) -> np.ndarray:
        flat = pixels(dataset).reshape(len(dataset), -1).astype(np.float32)
        return (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)

    model = make_pipeline(
        PCA(120, random_state=0), StandardScaler(), LogisticRegression(max_iter=300, C=0.1)
    ).fit(features(train), train.label_indices())
    score = model.score(features(test), test.label_indices())
    assert 0.3 < score < 0.85


@pytest.mark.parametrize("expression", AFFECTNET_LABELS)
def test_each_expression_is_drawn_from_its_key(expression: str) -> None:
    np.testing.assert_array_equal(draw_face(expression, "k"), draw_face(expression, "k"))
    assert np.any(draw_face(expression, "k") != draw_face(expression, "l"))


def test_impossible_wishes_are_refused() -> None:
    for options in ({"size": 0}, {"counts": (1, 2)}, {"counts": (0,) * 8}, {"counts": (-1,) * 8}):
        with pytest.raises(DatasetError, match="cannot be drawn"):
            faces(**options)
    with pytest.raises(DatasetError, match="8 to 4096"):
        faces(image_size=4)
    with pytest.raises(NoSuchSplitError, match="one split at a time"):
        faces(split="all")
