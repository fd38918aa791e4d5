"""What each step that prunes, clusters, factorizes or fine-tunes promises."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import trained_toy as toy
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from settled import settled
from sklearn.cluster import KMeans

from fer_opt.backend import tf, tf_keras
from fer_opt.compress.cluster import cluster, first_values, nearest
from fer_opt.compress.counting import layer_facts
from fer_opt.compress.fine_tune import fine_tune
from fer_opt.compress.graph import calls
from fer_opt.compress.low_rank import factorize, low_rank
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.prune_2_4 import prune_2_4
from fer_opt.compress.prune_channels import prune_channels
from fer_opt.compress.prune_magnitude import prune_magnitude
from fer_opt.compress.simplify import fold
from fer_opt.compress.structure import structure_of
from fer_opt.compress.tuning import copied
from fer_opt.errors import RecipeError
from fer_opt.models import NAMES, build

layers = tf_keras.layers

KERNELS = ("stem", "pointwise", "conv", "dense", "logits")
"""Of the toy network, the depthwise one left out."""

ONE_SHOT = {
    "prune_magnitude": lambda network, given: prune_magnitude(network, given, epochs=0),
    "prune_2_4": lambda network, given: prune_2_4(network, given, epochs=0),
    "cluster": lambda network, given: cluster(network, given, epochs=0),
    "low_rank": lambda network, given: low_rank(network, given, energy=0.7, multiple=1),
}
TRAINED = {
    "prune_magnitude": lambda network, given: prune_magnitude(
        network, given, epochs=1, schedule="constant"
    ),
    "prune_2_4": lambda network, given: prune_2_4(network, given, epochs=1),
    "cluster": lambda network, given: cluster(network, given, epochs=1),
    "fine_tune": lambda network, given: fine_tune(network, given, epochs=1),
}


@functools.cache
def trained_once(name: str) -> Outcome:
    """What a step that trains makes of the toy network."""
    return TRAINED[name](toy.trained(), toy.materials())


def outputs(network: Any) -> np.ndarray:
    return np.asarray(network(toy.images("test")[0][:32], training=False))


def pairs_of_four(kernel: np.ndarray) -> np.ndarray:
    """Weights (groups, 4) of neighbouring input channels, filled up with zeros."""
    rows = np.moveaxis(kernel, -2, -1).reshape(-1, kernel.shape[-2])
    filled = np.pad(rows, [(0, 0), (0, -rows.shape[1] % 4)])
    return filled.reshape(-1, 4)


# What holds for every step


@pytest.mark.parametrize(
    ("name", "trains"),
    [*((name, False) for name in ONE_SHOT), *((name, True) for name in TRAINED)],
)
def test_step_gives_a_new_plain_network(name, trains):
    network, before = toy.trained(), copied(toy.trained())
    outcome = trained_once(name) if trains else ONE_SHOT[name](network, toy.without_images())
    result = outcome.network

    for old, new in zip(network.get_weights(), before.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not network._is_compiled
    assert not any(hasattr(layer, "get_prunable_weights") for layer in network.layers)

    assert not {id(layer) for layer in network.layers} & {id(layer) for layer in result.layers}
    assert {type(layer) for layer in result.layers} <= {type(layer) for layer in network.layers}
    assert all(len(layer._inbound_nodes) == 1 for layer in result.layers)
    assert {layer.name for layer in network.layers} <= {layer.name for layer in result.layers}
    assert result.input_shape == network.input_shape
    assert not result._is_compiled
    assert np.ptp(outputs(result), axis=0).max() > 0.1
    np.testing.assert_allclose(outputs(result).sum(axis=1), 1, atol=1e-5)
    assert outcome.notes
    assert all(note.endswith(".") for note in outcome.notes)


@pytest.mark.parametrize("name", TRAINED)
def test_step_that_trains_wants_images(name):
    with pytest.raises(RecipeError, match=f"^{name} trains the network, and there are no images"):
        TRAINED[name](toy.trained(), toy.without_images())


@pytest.mark.parametrize(
    ("step", "options"),
    [
        (prune_channels, {"share": 1.5}),
        (prune_channels, {"importance": "l2"}),
        (prune_channels, {"multiple": 0}),
        (prune_magnitude, {"sparsity": 1.0}),
        (prune_magnitude, {"schedule": "sudden"}),
        (prune_2_4, {"epochs": -1}),
        (cluster, {"clusters": 1}),
        (cluster, {"init": "random"}),
        (low_rank, {"energy": 0.0}),
        (low_rank, {"kernels": "depthwise"}),
        (fine_tune, {"distill": 2.0}),
    ],
)
def test_option_out_of_bounds_is_refused(step, options):
    with pytest.raises(RecipeError, match=f"^{next(iter(options))} of {step.__name__} is"):
        step(toy.trained(), toy.materials(), **options)


def poolings_only() -> Any:
    image = layers.Input((toy.SIDE, toy.SIDE, 1))
    x = layers.GlobalAveragePooling2D()(layers.DepthwiseConv2D(3, depth_multiplier=6)(image))
    return tf_keras.Model(image, layers.Softmax()(x))


@pytest.mark.parametrize("name", ONE_SHOT)
def test_network_without_such_kernels_is_refused(name):
    with pytest.raises(RecipeError, match=rf"^{name} finds no .* leave it out\.$"):
        ONE_SHOT[name](poolings_only(), toy.without_images())


def shared() -> Any:
    """A convolution and a dense layer that are each called twice."""
    tf_keras.utils.set_random_seed(2)
    image = layers.Input((8, 8, 4))
    twice = layers.Conv2D(4, 3, padding="same", activation="relu", name="twice")
    x = layers.GlobalAveragePooling2D()(twice(twice(image)))
    x = tf.nn.relu(x)  # an operation, no layer of tfmot's
    dense = layers.Dense(4, name="dense")
    return tf_keras.Model(image, layers.Softmax()(dense(dense(x))))


@pytest.mark.parametrize("name", ONE_SHOT)
def test_shared_layers_stay_shared(name):
    network = shared()
    result = ONE_SHOT[name](network, toy.without_images()).network
    called = [call.layer.name for call in calls(result)]
    assert called.count("twice") == called.count("dense") == 2
    image = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype(np.float32)
    assert np.isfinite(result(image)).all()


# Magnitude pruning


def kept_of(size: int, sparsity: float) -> int:
    """How many weights tfmot keeps."""
    return max(int(np.round(np.float32(size) * np.float32(1 - sparsity))), 1)


@pytest.mark.parametrize("sparsity", [0.3, 0.8])
def test_one_shot_zeroes_the_smallest(sparsity):
    outcome = prune_magnitude(
        toy.trained(), toy.without_images(), sparsity=sparsity, epochs=0, schedule="constant"
    )
    for name in KERNELS:
        before, after = toy.kernel(toy.trained(), name), toy.kernel(outcome.network, name)
        kept = after != 0
        assert kept.sum() == kept_of(before.size, sparsity)
        np.testing.assert_array_equal(after[kept], before[kept])
        assert np.abs(before[~kept]).max() <= np.abs(before[kept]).min()
    assert "in 5 kernels are zero." in outcome.notes[0]
    assert outcome.notes[0].startswith(f"{sparsity:.1%} of the weights")
    np.testing.assert_array_equal(
        toy.kernel(outcome.network, "depthwise"), toy.kernel(toy.trained(), "depthwise")
    )
    assert "(depthwise)" in outcome.notes[1]


def is_pruned(network: Any, sparsity: float) -> bool:
    sizes = {name: toy.kernel(network, name) for name in KERNELS}
    return all(np.count_nonzero(k) == kept_of(k.size, sparsity) for k in sizes.values())


def test_rising_sparsity_arrives_and_the_network_recovers():
    given = {"sparsity": 0.7, "learning_rate": 3e-3}
    cut = prune_magnitude(toy.trained(), toy.materials(), epochs=0, **given).network
    outcome = prune_magnitude(toy.trained(), toy.materials(), epochs=3, **given)
    assert is_pruned(cut, 0.7)
    assert is_pruned(outcome.network, 0.7)
    assert toy.accuracy(outcome.network) > toy.accuracy(cut) + 0.1
    assert "the weights are those of epoch 3" in outcome.notes[-1]


def test_sparsity_arrives_in_a_single_step_too():
    one = dataclasses.replace(toy.materials(), batch=480)
    outcome = prune_magnitude(toy.trained(), one, sparsity=0.9, epochs=1)
    assert is_pruned(outcome.network, 0.9)


def test_constant_sparsity_trains_what_is_left():
    network = trained_once("prune_magnitude").network
    assert is_pruned(network, 0.5)
    cut = prune_magnitude(toy.trained(), toy.without_images(), epochs=0).network
    for name in KERNELS:
        kernel, before = toy.kernel(network, name), toy.kernel(cut, name)
        np.testing.assert_array_equal(kernel == 0, before == 0)
        assert (kernel != before)[kernel != 0].mean() > 0.9
        assert not np.signbit(kernel[kernel == 0]).any()  # two kinds of zero compress badly


class OwnConv(layers.Conv2D):
    """A layer tfmot does not know."""


def test_layer_unknown_to_tfmot_is_left_whole_and_named():
    image = layers.Input((8, 8, 4))
    x = layers.Flatten()(OwnConv(4, 3, name="own")(image))
    network = tf_keras.Model(image, layers.Dense(3, activation="softmax", name="known")(x))
    outcome = prune_magnitude(network, toy.without_images(), epochs=0)
    np.testing.assert_array_equal(toy.kernel(outcome.network, "own"), toy.kernel(network, "own"))
    assert np.mean(toy.kernel(outcome.network, "known") == 0) == pytest.approx(0.5, abs=0.01)
    assert "1 layer kept depthwise or other kernels whole" in outcome.notes[1]
    assert "(own)" in outcome.notes[1]


def test_tfmot_leaves_both_kerases_and_the_environment_alone():
    """In a process of its own, because importing cannot be undone."""
    code = """
import os, warnings
warnings.simplefilter("error", DeprecationWarning)
before = dict(os.environ)
from fer_opt.compress.tfmot import prunable, tfmot
from fer_opt.backend import keras3, tf_keras
before = {**before, **{k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}}
tfmot()
assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())
assert keras3().__version__.startswith("3.")
layer = tf_keras.layers.Dense(2); layer.build((None, 3))
assert [item is layer.kernel for item in prunable(layer)] == [True]
assert not hasattr(layer, "get_prunable_weights")
keras = keras3()
model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
assert model.predict(__import__("numpy").ones((1, 2)), verbose=0).shape == (1, 3)
"""
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_refusal_of_tfmot_is_one_sentence(monkeypatch):
    from fer_opt.compress.tfmot import tfmot

    def refuse(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("no\nsuch luck")

    monkeypatch.setattr(tfmot().sparsity.keras, "prune_low_magnitude", refuse)
    with pytest.raises(RecipeError) as caught:
        prune_magnitude(toy.trained(), toy.without_images(), epochs=0)
    assert str(caught.value) == (
        "tensorflow-model-optimization would not carry out prune_magnitude on this network (no); "
        "leave prune_magnitude out."
    )


# 2:4


@pytest.mark.parametrize("epochs", [0, 1])
def test_two_of_four_neighbouring_input_channels_are_zero(epochs):
    if epochs:
        outcome = trained_once("prune_2_4")
    else:
        outcome = prune_2_4(toy.trained(), toy.without_images(), epochs=0)
    for name in KERNELS[1:]:
        groups = pairs_of_four(toy.kernel(outcome.network, name))
        assert (np.count_nonzero(groups, axis=1) == 2).all()
        if not epochs:
            before = np.sort(np.abs(pairs_of_four(toy.kernel(toy.trained(), name))), axis=1)
            np.testing.assert_array_equal(np.sort(np.abs(groups), axis=1)[:, 2:], before[:, 2:])
    assert np.count_nonzero(toy.kernel(outcome.network, "stem")) == 72
    assert "in 4 kernels" in outcome.notes[0]
    assert "(stem)" in outcome.notes[1]
    assert "(depthwise)" in outcome.notes[2]


@pytest.mark.parametrize(("channels", "zeros"), [(2, 0), (3, 1), (4, 2), (6, 2), (8, 4)])
def test_last_group_is_filled_up_with_zeros(channels, zeros):
    image = layers.Input((6, 6, channels))
    conv = layers.Conv2D(5, 3, name="conv")
    x = layers.Flatten()(conv(image))
    network = tf_keras.Model(image, layers.Dense(3, activation="softmax")(x))
    outcome = prune_2_4(network, toy.without_images(), epochs=0)
    kernel = toy.kernel(outcome.network, "conv")
    np.testing.assert_array_equal((kernel == 0).sum(axis=2), zeros)
    if zeros:
        dense = outcome.network.layers[-1].get_weights()[0]
        share = np.mean(np.concatenate([kernel.ravel(), dense.ravel()]) == 0)
        assert outcome.notes[0] == f"{share:.1%} of the weights in 2 kernels are zero."


def test_folding_keeps_the_zeros_of_2_4():
    image = layers.Input((6, 6, 4))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, name="conv")(image))
    x = layers.BatchNormalization()(layers.GlobalAveragePooling2D()(layers.ReLU()(x)))
    network = tf_keras.Model(image, layers.Dense(4, activation="softmax", name="dense")(x))
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([np.linspace(0.5, 1.5, 8)] * 4)
    pruned = prune_2_4(network, toy.without_images(), epochs=0).network
    folded = fold(pruned, toy.without_images()).network
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in folded.layers)
    for name in ("conv", "dense"):
        before, after = toy.kernel(pruned, name), toy.kernel(folded, name)
        assert np.any(before != after)
        np.testing.assert_array_equal(before == 0, after == 0)


def test_facts_of_a_separable_convolution_are_of_the_kernel_that_steps_act_on():
    image = layers.Input((8, 8, 4))
    x = layers.GlobalAveragePooling2D()(layers.SeparableConv2D(16, 3)(image))
    network = tf_keras.Model(image, layers.Dense(4, activation="softmax")(x))
    pruned = prune_magnitude(network, toy.without_images(), sparsity=0.5, epochs=0).network
    assert layer_facts(pruned)[0].sparsity == 0.5
    clustered = cluster(network, toy.without_images(), clusters=4, epochs=0).network
    assert layer_facts(clustered)[0].distinct == 4


def test_pattern_lies_along_the_rows_of_a_tflite_file():
    network = prune_2_4(toy.trained(), toy.without_images(), epochs=0).network
    content = tf.lite.TFLiteConverter.from_concrete_functions(
        [tf.function(network).get_concrete_function(tf.TensorSpec((1, toy.SIDE, toy.SIDE, 1)))],
        network,
    ).convert()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    operators = {
        value: name for name, value in vars(schema.BuiltinOperator).items() if name[0] != "_"
    }
    shapes = []
    (graph,) = model.subgraphs
    for operator in graph.operators:
        name = operators[model.operatorCodes[operator.opcodeIndex].builtinCode]
        if name not in ("CONV_2D", "FULLY_CONNECTED"):
            continue
        tensor = graph.tensors[operator.inputs[1]]
        values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32)
        values = values.reshape(tensor.shape)
        if values.shape[-1] > 1:
            shapes.append(values.shape)
            groups = values.reshape(-1, 4)
            assert (np.count_nonzero(groups, axis=1) <= 2).all()
            assert np.mean(groups != 0) == pytest.approx(0.5)
    assert sorted(shapes) == [(6, 32), (16, 1, 1, 8), (16, 3, 3, 16), (32, 256)]


def test_transposed_convolution_is_left_whole():
    """Its kernel has the output channels where tfmot takes the input channels to be."""
    image = layers.Input((6, 6, 4))
    x = layers.Flatten()(layers.Conv2DTranspose(8, 3, name="up")(image))
    network = tf_keras.Model(image, layers.Dense(4, activation="softmax")(x))
    outcome = prune_2_4(network, toy.without_images(), epochs=0)
    assert np.count_nonzero(toy.kernel(outcome.network, "up")) == 9 * 4 * 8
    assert "(up)" in outcome.notes[1]


# Clustering


@pytest.mark.parametrize("init", ["kmeans", "linear", "density"])
@pytest.mark.parametrize("clusters", [2, 5, 16])
def test_kernels_have_few_distinct_values(init, clusters):
    outcome = cluster(toy.trained(), toy.without_images(), clusters=clusters, init=init, epochs=0)
    for name in KERNELS:
        before, after = toy.kernel(toy.trained(), name), toy.kernel(outcome.network, name)
        values = np.unique(after)
        assert 2 <= len(values) <= clusters
        distance = np.abs(before[..., None] - values).min(axis=-1)
        np.testing.assert_allclose(np.abs(before - after), distance, atol=1e-7)
    assert outcome.notes[0] == f"5 kernels have at most {clusters} distinct values each."
    np.testing.assert_array_equal(
        toy.kernel(outcome.network, "depthwise"), toy.kernel(toy.trained(), "depthwise")
    )
    assert "(depthwise)" in outcome.notes[1]


def test_training_moves_the_values_but_not_the_members():
    cut = cluster(toy.trained(), toy.without_images(), clusters=4, epochs=0).network
    outcome = cluster(toy.trained(), toy.materials(), clusters=4, epochs=3, learning_rate=3e-3)
    for name in KERNELS:
        before, after = toy.kernel(cut, name), toy.kernel(outcome.network, name)
        values, index = np.unique(before, return_inverse=True)
        assert len(np.unique(after)) == len(values)
        for number in range(len(values)):
            assert len(np.unique(after.reshape(-1)[index.reshape(-1) == number])) == 1
        assert not np.array_equal(before, after)
    assert toy.loss(outcome.network) < toy.loss(cut)


def test_small_kernels_keep_their_values():
    outcome = cluster(toy.trained(), toy.without_images(), clusters=40, epochs=0)
    for name in ("stem", "pointwise"):
        np.testing.assert_array_equal(
            toy.kernel(outcome.network, name), toy.kernel(toy.trained(), name)
        )
    assert outcome.notes[1] == (
        "2 kernels of fewer than 160 weights kept their own values (stem, pointwise)."
    )


def test_pruned_network_wants_a_value_for_zero():
    pruned = prune_magnitude(toy.trained(), toy.without_images(), epochs=0).network
    with pytest.raises(RecipeError, match=r"cannot give stem 2 distinct values.* use 3 or more"):
        cluster(pruned, toy.without_images(), clusters=2, epochs=0)


@pytest.mark.parametrize("init", ["kmeans", "linear", "density"])
@pytest.mark.parametrize("clusters", [3, 16])
def test_clustering_keeps_zeros_and_signs(init, clusters):
    pruned = prune_magnitude(toy.trained(), toy.without_images(), epochs=0).network
    result = cluster(pruned, toy.without_images(), clusters=clusters, init=init, epochs=0).network
    for name in KERNELS:
        before, after = toy.kernel(pruned, name), toy.kernel(result, name)
        np.testing.assert_array_equal(np.sign(before), np.sign(after))
        assert len(np.unique(after)) <= clusters


def test_kernel_of_one_sign_is_clustered_with_its_zeros():
    network = copied(toy.trained())
    kernel = np.maximum(toy.kernel(network, "dense"), 0)
    network.get_layer("dense").kernel.assign(kernel)
    after = toy.kernel(
        cluster(network, toy.without_images(), clusters=4, epochs=0).network, "dense"
    )
    np.testing.assert_array_equal(after == 0, kernel == 0)
    assert len(np.unique(after)) == 4


weights = hnp.arrays(
    np.float32, st.integers(1, 200), elements=st.floats(-2, 2, width=32, allow_subnormal=False)
)


@settings(deadline=None)
@given(weights, st.integers(1, 20), st.sampled_from(["kmeans", "linear", "density"]))
def test_values_are_few_ascending_and_nearest(kernel, number, init):
    values = first_values(kernel, number, init)
    assert 1 <= len(values) <= number
    assert (np.diff(values) > 0).all()
    assert kernel.min() - 1e-6 <= values[0] <= values[-1] <= kernel.max() + 1e-6
    distance = np.abs(nearest(kernel, values) - kernel)
    best = np.abs(kernel[:, None] - values).min(axis=1)
    np.testing.assert_allclose(distance, best, atol=1e-6)
    if len(np.unique(kernel)) <= number:
        np.testing.assert_array_equal(nearest(kernel, values), kernel)


@pytest.mark.parametrize("draw", ["normal", "laplace", "uniform"])
def test_k_means_is_as_good_as_scikit_learns(draw):
    random = np.random.default_rng(3)
    kernel = getattr(random, draw)(size=4000).astype(np.float32)

    def error(values: np.ndarray) -> float:
        return float(np.mean((nearest(kernel, values) - kernel) ** 2))

    for number in (16, 64):
        fitted = KMeans(number, n_init=3, random_state=0).fit(kernel[:, None])
        ours = error(first_values(kernel, number, "kmeans"))
        assert ours < 1.05 * error(np.sort(fitted.cluster_centers_.reshape(-1)))
        assert ours < error(first_values(kernel, number, "linear"))
        assert ours < error(first_values(kernel, number, "density"))


# One after another


@pytest.mark.parametrize("first", ["prune_magnitude", "prune_2_4"])
def test_zeros_and_clusters_survive_what_follows(first):
    pruned = ONE_SHOT[first](toy.trained(), toy.without_images()).network
    clustered = cluster(pruned, toy.materials(), clusters=8, epochs=1, learning_rate=1e-3).network
    tuned = fine_tune(clustered, toy.materials(), epochs=2, learning_rate=1e-3, distill=0.5)
    result = tuned.network
    for name in KERNELS:
        before, after = toy.kernel(pruned, name), toy.kernel(result, name)
        np.testing.assert_array_equal(before == 0, after == 0)
        assert structure_of(after).distinct <= 8
    assert not np.array_equal(toy.kernel(clustered, "dense"), toy.kernel(result, "dense"))
    assert toy.loss(result) < toy.loss(pruned)


# Fine-tuning


def distance_to_teacher(network: Any) -> float:
    given, _ = toy.images("test")
    wanted = np.maximum(toy.trained().predict(given, verbose=0), 1e-9)
    found = np.maximum(network.predict(given, verbose=0), 1e-9)
    return float(np.mean(np.sum(wanted * np.log(wanted / found), axis=1)))


def test_distillation_draws_towards_the_teacher():
    start = low_rank(toy.trained(), toy.without_images(), energy=0.7, multiple=1).network
    options = {"epochs": 3, "learning_rate": 1e-3}
    alone = fine_tune(start, toy.materials(), **options).network
    taught = fine_tune(start, toy.materials(), distill=1.0, temperature=1.0, **options).network
    assert distance_to_teacher(alone) < distance_to_teacher(start)
    assert distance_to_teacher(taught) < 0.8 * distance_to_teacher(alone)


def test_distillation_wants_a_teacher():
    given = dataclasses.replace(toy.materials(), teacher=None)
    with pytest.raises(RecipeError, match="there is no original network to learn from"):
        fine_tune(toy.trained(), given, distill=0.1)


def test_fine_tuning_never_ends_worse_on_the_validation_images():
    outcome = fine_tune(toy.trained(), toy.materials(), epochs=2, learning_rate=0.5)
    assert toy.loss(outcome.network) == pytest.approx(toy.loss(toy.trained()))


# Low rank

matrices = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: hnp.arrays(
        np.float32, shape, elements=st.floats(-3, 3, width=32, allow_subnormal=False)
    )
)


@settings(deadline=None)
@given(matrices, st.floats(0.05, 1.0))
def test_factors_keep_the_energy_with_the_least_rank(matrix, energy):
    factors = factorize(matrix, energy)
    squares = np.linalg.svd(matrix.astype(np.float64), compute_uv=False) ** 2
    total = squares.sum()
    error = np.sum((factors.first.astype(np.float64) @ factors.second - matrix) ** 2)
    # Eckart and Young: no matrix of that rank comes closer.
    np.testing.assert_allclose(error, squares[factors.rank :].sum(), atol=1e-6 * (1 + total))
    assert squares[: factors.rank].sum() >= energy * total * (1 - 1e-6)
    assert squares[: factors.rank - 1].sum() <= energy * total * (1 + 1e-6) + 1e-9
    assert factors.energy == pytest.approx(
        squares[: factors.rank].sum() / total if total else 1.0, abs=1e-6
    )


@settings(deadline=None)
@given(matrices, st.integers(1, 20), st.integers(1, 8))
def test_rank_is_rounded_up_to_a_multiple(matrix, rank, multiple):
    found = factorize(matrix, 0.5, rank, multiple).rank
    assert found == min(-(-rank // multiple) * multiple, *matrix.shape)


@settings(deadline=None)
@given(matrices)
def test_full_rank_is_exact(matrix):
    factors = factorize(matrix, 1.0, min(matrix.shape))
    np.testing.assert_allclose(factors.first @ factors.second, matrix, atol=1e-5)


def thin(rank: int) -> Any:
    """Kernels of a low rank, in layers with everything a layer can have."""
    tf_keras.utils.set_random_seed(4)
    image = layers.Input((9, 9, 24))
    x = layers.Conv2D(32, 1, strides=2, padding="same", activation="relu", name="pointwise")(image)
    x = layers.Conv2D(8, 3, name="conv")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(40, activation="tanh", name="dense", kernel_constraint="max_norm")(x)
    network = tf_keras.Model(image, layers.Dense(6, activation="softmax", name="logits")(x))
    random = np.random.default_rng(6)
    for name in ("pointwise", "dense"):
        kernel, bias = network.get_layer(name).get_weights()
        left = random.normal(size=(kernel.shape[-2], rank))
        product = left @ random.normal(size=(rank, kernel.shape[-1])) * 0.2
        bias = random.normal(size=bias.shape)
        network.get_layer(name).set_weights([product.reshape(kernel.shape), bias])
    return network


@pytest.mark.parametrize(
    ("options", "rank"),
    [
        ({"energy": 1.0, "multiple": 4}, 4),
        ({"rank": 4, "multiple": 8}, 8),
    ],
)
def test_kernels_of_low_rank_lose_nothing(options, rank):
    network = thin(rank=4)
    outcome = low_rank(network, toy.without_images(), **options)
    image = np.random.default_rng(0).normal(size=(5, 9, 9, 24)).astype(np.float32)
    np.testing.assert_allclose(outcome.network(image), network(image), atol=1e-5)
    result = outcome.network
    assert toy.kernel(result, "pointwise_low_rank").shape == (1, 1, 24, rank)
    assert toy.kernel(result, "dense").shape == (rank, 40)
    assert result.get_layer("pointwise_low_rank").strides == (2, 2)
    assert result.get_layer("pointwise").strides == (1, 1)
    assert not result.get_layer("dense_low_rank").use_bias
    assert result.count_params() < network.count_params()
    assert outcome.notes == (
        f"2 layers became two each: pointwise 24x32 by rank {rank}, 100.0% of its energy, "
        f"dense 72x40 by rank {rank}, 100.0% of its energy.",
        "1 layer stayed whole, for two would multiply as much (logits).",
    )


@pytest.mark.parametrize(
    ("kernels", "split"), [("dense", {"dense", "logits"}), ("pointwise", {"pointwise"})]
)
def test_kind_of_kernel_can_be_chosen(kernels, split):
    outcome = low_rank(thin(4), toy.without_images(), kernels=kernels, multiple=1)
    made = {layer.name for layer in outcome.network.layers if layer.name.endswith("_low_rank")}
    assert made == {f"{name}_low_rank" for name in split}


def test_nothing_to_gain_is_said():
    outcome = low_rank(toy.trained(), toy.without_images(), rank=32)
    assert outcome.notes == (
        "3 layers stayed whole, for two would multiply as much (pointwise, dense, logits).",
    )
    np.testing.assert_array_equal(outputs(outcome.network), outputs(toy.trained()))


def test_factors_can_be_split_again():
    once = low_rank(thin(8), toy.without_images(), rank=8, multiple=1).network
    twice = low_rank(once, toy.without_images(), rank=2, multiple=1).network
    image = np.random.default_rng(0).normal(size=(1, 9, 9, 24)).astype(np.float32)
    assert np.isfinite(twice(image)).all()
    assert len({layer.name for layer in twice.layers}) == len(twice.layers)


def test_kernel_that_is_no_number_is_refused():
    network = copied(toy.trained())
    network.get_layer("dense").kernel.assign(np.full((256, 32), np.nan))
    with pytest.raises(RecipeError, match="cannot split dense, because its kernel holds"):
        low_rank(network, toy.without_images(), rank=4, multiple=1)


# The thesis's architectures


def thesis_network(name: str) -> tuple[Any, np.ndarray]:
    side = 75 if name == "googlenet" else 48
    images = np.random.default_rng(1).random((4, side, side, 1), np.float32)
    return settled(build(name, input_shape=(side, side, 1), seed=2), images), images


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_thesis_architecture_goes_through_every_step(name):
    network, images = thesis_network(name)
    given = Materials(images, np.zeros(4, np.int64))
    results = {step: run(network, given) for step, run in ONE_SHOT.items() if step != "low_rank"}
    results["low_rank"] = low_rank(network, given, energy=0.5)
    for step, outcome in results.items():
        found = np.asarray(outcome.network(images, training=False))
        assert np.isfinite(found).all(), step
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-4)

    for layer in network.layers:
        if type(layer) not in (layers.Conv2D, layers.Dense):
            continue
        kernel = layer.get_weights()[0]
        pruned = toy.kernel(results["prune_magnitude"].network, layer.name)
        # Weights of equal size at the border all stay.
        assert 0 <= np.count_nonzero(pruned) - kept_of(kernel.size, 0.5) <= 4
        groups = pairs_of_four(toy.kernel(results["prune_2_4"].network, layer.name))
        if kernel.shape[-2] > 2:
            assert (np.count_nonzero(groups, axis=1) <= 2).all()
        clustered = toy.kernel(results["cluster"].network, layer.name)
        assert len(np.unique(clustered)) <= 16 or kernel.size < 64
    assert results["low_rank"].network.count_params() < network.count_params()
