from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_opt.backend import tf, tf_keras
from fer_opt.compress.cluster import cluster
from fer_opt.compress.fine_tune import fine_tune
from fer_opt.compress.low_rank import low_rank, rank_for_energy
from fer_opt.compress.materials import Materials
from fer_opt.compress.prune_2_4 import prune_2_4
from fer_opt.compress.prune_magnitude import prune_magnitude
from fer_opt.compress.structure import structure_of
from fer_opt.errors import RecipeError
from fer_opt.models import build

layers = tf_keras.layers


@pytest.fixture(scope="module")
def network() -> Any:
    """A small network that learned where a bright bar is, with a layer of each kind."""
    tf_keras.utils.set_random_seed(1)
    made = tf_keras.Sequential(
        [
            layers.Input((12, 12, 1)),
            layers.Conv2D(16, 3, activation="relu", name="stem"),
            layers.BatchNormalization(momentum=0.8),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Conv2D(32, 1, activation="relu", name="pointwise"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="hidden"),
            layers.Dense(4, activation="softmax", name="label"),
        ]
    )
    images, labels = bars(384, seed=2)
    made.compile(tf_keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    made.fit(images, labels, epochs=6, verbose=0)
    return made


def bars(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    images = rng.random((count, 12, 12, 1), np.float32)
    for image, label in zip(images, labels, strict=True):
        image[3 * label : 3 * label + 3] += 0.6
    return images, labels


@pytest.fixture(scope="module")
def materials(network) -> Materials:
    def stream_of(count: int, seed: int) -> Any:
        images, labels = bars(count, seed)

        def stream(batch: int, order: int | None) -> Any:
            data = tf.data.Dataset.from_tensor_slices((images, labels))
            return (data if order is None else data.shuffle(count, seed=order)).batch(batch)

        return stream

    images, labels = bars(64, 5)
    return Materials(images, labels, stream_of(384, 2), stream_of(128, 3), teacher=network)


def kernel(network: Any, name: str) -> np.ndarray:
    return network.get_layer(name).get_weights()[0]


def right(network: Any) -> float:
    images, labels = bars(512, 9)
    return float(np.mean(np.asarray(network(images)).argmax(axis=1) == labels))


@pytest.mark.parametrize(
    "options",
    [
        {"sparsity": 0.75, "epochs": 0},
        {"sparsity": 0.75, "epochs": 2},
        {"sparsity": 0.75, "epochs": 1, "schedule": "constant"},
    ],
)
def test_magnitude_pruning_reaches_its_sparsity(network, materials, options):
    before = network.get_weights()
    outcome = prune_magnitude(network, materials, **options)
    for name in ("stem", "pointwise", "hidden", "label"):
        assert structure_of(kernel(outcome.network, name)).sparsity == pytest.approx(0.75, abs=0.02)
    assert structure_of(kernel(outcome.network, "depthwise")).sparsity == 0
    assert any("depthwise" in note and "left 1" in note for note in outcome.notes)
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_pruned_at_once_the_largest_weights_stay(network, materials):
    outcome = prune_magnitude(network, materials, sparsity=0.5, epochs=0)
    before, after = kernel(network, "hidden"), kernel(outcome.network, "hidden")
    assert np.abs(before[after == 0]).max() <= np.abs(after[after != 0]).min()
    np.testing.assert_array_equal(after[after != 0], before[after != 0])


@pytest.mark.parametrize("epochs", [0, 1])
def test_two_of_four_leaves_two_of_every_four_input_channels(network, materials, epochs):
    outcome = prune_2_4(network, materials, epochs=epochs)
    # TFLite lays a kernel out with its input channels last, which is where the groups must be.
    hidden = kernel(outcome.network, "hidden").T.reshape(-1, 4)
    pointwise = kernel(outcome.network, "pointwise").reshape(16, 32).T.reshape(-1, 4)
    for groups in (hidden, pointwise):
        assert np.all(np.sum(groups == 0, axis=1) >= 2)
    assert structure_of(kernel(outcome.network, "hidden")).sparsity == pytest.approx(0.5, abs=0.01)
    assert any("stem" in note and "left" in note for note in outcome.notes)


@pytest.mark.parametrize("options", [{"epochs": 0}, {"epochs": 1, "init": "linear"}])
def test_clustering_leaves_few_values(network, materials, options):
    outcome = cluster(network, materials, clusters=8, **options)
    for name in ("stem", "pointwise", "hidden", "label"):
        assert structure_of(kernel(outcome.network, name)).distinct <= 8
    assert right(outcome.network) > right(network) - 0.1


def test_zeros_and_clusters_survive_all_later_training(network, materials):
    pruned = prune_magnitude(network, materials, sparsity=0.6, epochs=0).network
    clustered = cluster(pruned, materials, clusters=8, epochs=1).network
    tuned = fine_tune(clustered, materials, epochs=2, learning_rate=0.001).network
    for name in ("pointwise", "hidden"):
        zeros = kernel(pruned, name) == 0
        for later in (clustered, tuned):
            assert np.all(kernel(later, name)[zeros] == 0)
        assert structure_of(kernel(tuned, name)).distinct <= 9
    assert not np.array_equal(kernel(tuned, "hidden"), kernel(clustered, "hidden"))


def test_fine_tuning_wins_accuracy_back_and_is_repeatable(network, materials):
    damaged = prune_magnitude(network, materials, sparsity=0.95, epochs=0).network
    first, second = (fine_tune(damaged, materials, epochs=3, learning_rate=0.003) for _ in "ab")
    assert right(first.network) > right(damaged) + 0.1
    for one, other in zip(first.network.get_weights(), second.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert any("3 epochs" in note for note in first.notes)


def test_distillation_follows_the_teacher(network, materials):
    """With labels that say nothing, only the teacher can teach."""
    images, _ = bars(384, 2)
    wrong = np.random.default_rng(0).integers(0, 4, 384)

    def stream(batch: int, order: int | None) -> Any:
        return tf.data.Dataset.from_tensor_slices((images, wrong)).batch(batch)

    given = dataclasses.replace(materials, training=stream, validation=stream)
    damaged = prune_magnitude(network, materials, sparsity=0.8, epochs=0).network
    taught = fine_tune(
        damaged, given, epochs=6, learning_rate=0.003, distill=1.0, temperature=1
    ).network
    untaught = fine_tune(damaged, given, epochs=6, learning_rate=0.003).network
    test, _ = bars(256, 11)
    apart = [np.abs(np.asarray(one(test)) - network(test)).mean() for one in (taught, untaught)]
    assert apart[0] < 0.7 * apart[1]


def test_training_without_images_or_teacher_is_refused(network, materials):
    bare = Materials(materials.representative, materials.representative_labels)
    with pytest.raises(RecipeError, match="no images to train on"):
        fine_tune(network, bare)
    with pytest.raises(RecipeError, match="no original network"):
        fine_tune(network, dataclasses.replace(materials, teacher=None), distill=0.5)
    assert prune_magnitude(network, bare, epochs=0).network is not network


def test_a_learning_rate_that_explodes_is_refused(network, materials):
    with pytest.raises(RecipeError, match="lower its learning_rate"):
        fine_tune(network, materials, epochs=2, learning_rate=1e20)


def test_low_rank_of_full_energy_changes_nothing_it_need_not(network, materials):
    tf_keras.utils.set_random_seed(0)
    wide = tf_keras.Sequential(
        [
            layers.Input((8, 8, 4)),
            layers.Conv2D(48, 1, strides=2, activation="relu", name="pointwise"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(64, activation="relu", name="hidden"),
            layers.Dense(4, activation="softmax"),
        ]
    )
    left, right_ = np.random.default_rng(0).normal(size=(2, 48, 8))
    wide.get_layer("hidden").set_weights(
        [
            (left @ np.concatenate([right_.T, right_.T], axis=1)[:, :64]).astype(np.float32),
            np.ones(64),
        ]
    )
    outcome = low_rank(wide, materials, energy=1.0, multiple=1)
    images = np.random.default_rng(1).random((4, 8, 8, 4), np.float32)
    np.testing.assert_allclose(outcome.network(images), wide(images), atol=1e-5)
    assert outcome.network.get_layer("hidden_u").units == 8
    assert outcome.network.count_params() < wide.count_params()
    pointwise = low_rank(wide, materials, rank=2, multiple=1, kernels="pointwise").network
    assert pointwise.get_layer("pointwise_u").filters == 2
    assert pointwise.get_layer("pointwise_u").strides == (2, 2)
    assert pointwise.get_layer("pointwise_v").strides == (1, 1)
    assert "hidden" in {layer.name for layer in pointwise.layers}


def test_low_rank_says_what_it_left_and_why(network, materials):
    outcome = low_rank(network, materials, energy=1.0, kernels="pointwise")
    assert any("would not be smaller: pointwise" in note for note in outcome.notes)
    plain = tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten()])
    with pytest.raises(RecipeError, match="no 1x1 convolution"):
        low_rank(plain, materials, kernels="pointwise")


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e3, width=32), min_size=1, max_size=40), st.floats(0.01, 1.0))
def test_the_rank_keeps_the_energy_and_no_more(values, energy):
    ordered = np.sort(np.array(values, np.float64))[::-1]
    rank = rank_for_energy(ordered, energy)
    squares = ordered**2
    assert 1 <= rank <= len(values)
    assert squares[:rank].sum() >= (energy - 1e-9) * squares.sum()
    if rank > 1:
        assert squares[: rank - 1].sum() < energy * squares.sum()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["baseline_enhanced", "xcao", "fractal", "mobilenet"])
def test_architectures_take_every_step(name):
    made = build(name, input_shape=(48, 48, 1), classes=8, seed=1)
    images = np.random.default_rng(0).random((4, 48, 48, 1), np.float32)
    bare = Materials(images, np.arange(4))
    for step, options in ((prune_magnitude, {"epochs": 0}), (prune_2_4, {"epochs": 0}),
                          (cluster, {"epochs": 0}), (low_rank, {"energy": 0.5})):  # fmt: skip
        outcome = step(made, bare, **options)
        assert np.isfinite(np.asarray(outcome.network(images))).all()
        assert outcome.notes
