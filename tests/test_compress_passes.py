"""Exact rewritings: the outputs must not change, whatever the statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_opt.backend import keras3, tf, tf_keras
from fer_opt.compress.drop_training_layers import drop_training_layers
from fer_opt.compress.fold_conv_batch_norm import fold_conv_batch_norm
from fer_opt.compress.fold_dense_batch_norm import fold_dense_batch_norm
from fer_opt.compress.materials import Materials
from fer_opt.compress.rewrite_batch_norm import rewrite_batch_norm
from fer_opt.compress.simplify import can_simplify, fold, simplify
from fer_opt.compress.split_activations import split_activations
from fer_opt.compress.split_separable import split_separable
from fer_opt.compress.split_sums import split_sums
from fer_opt.models import NAMES, build

L = tf_keras.layers
IMAGES = np.random.default_rng(5).random((6, 12, 12, 3), np.float32)
NO_MATERIALS = Materials(IMAGES, np.zeros(6, np.int64))


def randomize(network: Any, seed: int = 0) -> Any:
    """Give batch normalization statistics and parameters that are far from the identity."""
    random = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, L.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(random.normal(0, 0.5, shape))
            layer.moving_variance.assign(random.uniform(0.05, 3, shape))
            if layer.scale:
                layer.gamma.assign(random.normal(1, 0.7, shape))
            if layer.center:
                layer.beta.assign(random.normal(0, 0.5, shape))
    return network


def network_of(body: Callable[[Any], Any], seed: int = 0) -> Any:
    tf_keras.utils.set_random_seed(seed)
    image = tf_keras.Input((12, 12, 3))
    return randomize(tf_keras.Model(image, body(image)), seed)


def difference(one: Any, other: Any, images: np.ndarray = IMAGES) -> float:
    """Largest difference of the outputs, relative to the largest output."""
    expected, found = one(images, training=False).numpy(), other(images, training=False).numpy()
    assert expected.shape == found.shape
    return float(np.abs(expected - found).max() / np.abs(expected).max())


def kinds(network: Any) -> list[str]:
    return [type(layer).__name__ for layer in network.layers]


def same(network: Any, changed: Any) -> None:
    assert difference(network, changed) <= 1e-5


CONVOLUTIONS = {
    "conv": lambda: L.Conv2D(8, 3, strides=2, padding="same"),
    "conv_without_bias": lambda: L.Conv2D(8, 3, use_bias=False),
    "depthwise": lambda: L.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
    "separable": lambda: L.SeparableConv2D(8, 3, depth_multiplier=2),
    "transposed": lambda: L.Conv2DTranspose(8, 3, strides=2),
    "dilated": lambda: L.Conv2D(8, 3, dilation_rate=2),
}


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_batch_norm_folds_into_a_linear_convolution(convolution, center, scale):
    network = network_of(
        lambda image: L.ReLU()(
            L.BatchNormalization(center=center, scale=scale)(CONVOLUTIONS[convolution]()(image))
        )
    )
    folded = fold_conv_batch_norm(network)
    assert "BatchNormalization" not in kinds(folded)
    assert len(folded.layers) == len(network.layers) - 1
    same(network, folded)


def _read_twice(image: Any) -> Any:
    shared = L.Conv2D(4, 3)(image)
    return L.Add()([L.BatchNormalization()(shared), shared])


def _used_twice(image: Any) -> Any:
    convolution = L.Conv2D(3, 3, padding="same")
    return L.BatchNormalization()(convolution(convolution(image)))


UNFOLDABLE = {
    "activation": lambda image: L.BatchNormalization()(L.Conv2D(4, 3, activation="relu")(image)),
    "padding": lambda image: L.BatchNormalization()(L.ZeroPadding2D()(L.Conv2D(4, 3)(image))),
    "read_twice": _read_twice,
    "used_twice": _used_twice,
}


@pytest.mark.parametrize("body", UNFOLDABLE)
def test_what_does_not_fold_is_left_and_then_rewritten(body):
    network = network_of(UNFOLDABLE[body])
    left = fold_conv_batch_norm(network)
    assert kinds(left) == kinds(network)
    same(network, left)
    rewritten = rewrite_batch_norm(left)
    assert "BatchNormalization" not in kinds(rewritten)
    same(network, rewritten)


def test_a_convolution_that_is_itself_a_result_is_left():
    image = tf_keras.Input((12, 12, 3))
    middle = L.Conv2D(4, 3)(image)
    network = randomize(tf_keras.Model(image, [middle, L.BatchNormalization()(middle)]))
    left = fold_conv_batch_norm(network)
    assert kinds(left) == kinds(network)


@pytest.mark.parametrize(
    "batch_norm",
    [
        lambda tensor: L.BatchNormalization(axis=1)(tensor),
        lambda tensor: L.BatchNormalization()(tensor, training=True),
    ],
    ids=["other_axis", "statistics_of_the_batch"],
)
def test_batch_norm_of_another_meaning_is_left_and_said(batch_norm):
    network = network_of(lambda image: L.Flatten()(batch_norm(L.Conv2D(4, 3)(image))))
    outcome = simplify(network)
    assert "BatchNormalization" in kinds(outcome.network)
    assert any("could neither fold nor be rewritten" in note for note in outcome.notes)
    same(network, outcome.network)


def test_batch_norm_folds_back_into_a_linear_dense_layer():
    network = network_of(
        lambda image: L.Softmax()(
            L.BatchNormalization()(L.Dense(5, use_bias=False)(L.Flatten()(image)))
        )
    )
    folded = fold_dense_batch_norm(network)
    assert "BatchNormalization" not in kinds(folded)
    same(network, folded)


def test_batch_norm_folds_forward_into_every_dense_layer_it_feeds():
    def body(image: Any) -> Any:
        rows = L.Dense(16, activation="relu")(L.Flatten()(image))
        rows = L.BatchNormalization()(L.Dropout(0.5)(rows))
        return L.Add()([L.Dense(5, activation="tanh")(rows), L.Dense(5, use_bias=False)(rows)])

    network = network_of(body)
    folded = fold_dense_batch_norm(network)
    assert "BatchNormalization" not in kinds(folded)
    same(network, folded)


def test_batch_norm_that_feeds_something_else_too_is_not_folded_forward():
    def body(image: Any) -> Any:
        rows = L.BatchNormalization()(L.Flatten()(image))
        return L.Concatenate()([L.Dense(5)(rows), rows])

    network = network_of(body)
    assert kinds(fold_dense_batch_norm(network)) == kinds(network)
    same(network, simplify(network).network)


def test_clustered_dense_kernels_can_be_kept():
    network = network_of(lambda image: L.BatchNormalization()(L.Dense(8)(L.Flatten()(image))))
    dense = network.layers[2]
    kernel, bias = dense.get_weights()
    dense.set_weights([np.round(kernel * 100) / 100, bias])
    outcome = simplify(network, keep_clusters=True)
    kept = next(item for item in outcome.network.layers if isinstance(item, L.Dense))
    np.testing.assert_array_equal(kept.get_weights()[0], dense.get_weights()[0])
    same(network, outcome.network)


REWRITTEN = {
    "image": lambda image: L.BatchNormalization()(L.ReLU()(image)),
    "row": lambda image: L.BatchNormalization()(L.GlobalMaxPooling2D()(image)),
    "sequence": lambda image: L.BatchNormalization()(L.Reshape((36, 12))(image)),
    "two_in_a_row": lambda image: L.BatchNormalization()(L.BatchNormalization()(image)),
    "rescaling": lambda image: L.Rescaling(1 / 127.5, -1.0)(image),
    "standardized": lambda image: L.BatchNormalization()(
        L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(L.Rescaling(2.0)(image))
    ),
}


@pytest.mark.parametrize("body", REWRITTEN)
def test_what_folds_nowhere_becomes_one_depthwise_convolution(body):
    network = network_of(REWRITTEN[body])
    rewritten = rewrite_batch_norm(network)
    assert kinds(rewritten).count("DepthwiseConv2D") == 1
    assert not {"BatchNormalization", "Rescaling", "Normalization"} & set(kinds(rewritten))
    same(network, rewritten)


def test_layers_that_act_in_training_only_are_dropped():
    def body(image: Any) -> Any:
        tensor = L.RandomFlip()(L.GaussianNoise(0.1)(image))
        tensor = L.SpatialDropout2D(0.2)(L.Conv2D(4, 3)(tensor))
        return L.Activation("linear")(L.Dropout(0.5)(L.Flatten()(tensor)))

    network = network_of(body)
    dropped = drop_training_layers(network)
    assert kinds(dropped) == ["InputLayer", "Conv2D", "Flatten"]
    same(network, dropped)


def test_dropout_that_is_meant_for_use_is_left():
    network = network_of(lambda image: L.Dropout(0.5)(L.Flatten()(image), training=True))
    assert "Dropout" in kinds(drop_training_layers(network))


def test_separable_convolutions_are_split():
    def body(image: Any) -> Any:
        shared = L.SeparableConv2D(3, 3, padding="same", activation="relu")
        tensor = shared(shared(image))
        return L.SeparableConv2D(8, 3, strides=2, depth_multiplier=2, use_bias=False)(tensor)

    network = network_of(body)
    split = split_separable(network)
    assert sorted(kinds(split)) == sorted(["InputLayer", *["DepthwiseConv2D"] * 2, *["Conv2D"] * 2])
    same(network, split)


@pytest.mark.parametrize(
    "activation", ["swish", "hard_sigmoid", "tanh", "softmax", "relu", tf.nn.relu6, "gelu"]
)
def test_activations_are_split(activation):
    network = network_of(
        lambda image: L.Activation(activation)(L.Conv2D(4, 3, activation=activation)(image) * 6)
    )
    split = split_activations(network)
    same(network, split)
    assert "swish" not in [
        getattr(getattr(layer, "activation", None), "__name__", "") for layer in split.layers
    ]


def test_sums_of_many_become_sums_of_two():
    def body(image: Any) -> Any:
        three = [L.Conv2D(4, 3)(image) for _ in range(3)]
        return L.Multiply()([L.Add()(three), L.Average()(three), three[0]])

    network = network_of(body)
    split = split_sums(network)
    same(network, split)
    assert all(
        len(layer.input) == 2 for layer in split.layers if isinstance(layer, L.Add | L.Multiply)
    )


def everything(image: Any) -> Any:
    tensor = L.BatchNormalization()(L.Conv2D(8, 3, activation="relu")(L.Rescaling(2.0)(image)))
    tensor = L.ReLU()(L.BatchNormalization(scale=False)(L.SeparableConv2D(8, 3)(tensor)))
    tensor = L.Dropout(0.3)(L.MaxPooling2D()(tensor))
    tensor = L.Add()([tensor, L.BatchNormalization()(L.Conv2D(8, 3, padding="same")(tensor))])
    tensor = L.BatchNormalization(center=False)(L.Flatten()(tensor))
    tensor = L.BatchNormalization()(L.Dropout(0.5)(L.Dense(16, activation="relu")(tensor)))
    return L.BatchNormalization()(L.Dense(5)(tensor))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_any_statistics_leave_the_outputs_as_they_are(seed):
    network = network_of(everything, seed)
    outcome = simplify(network)
    assert not {"BatchNormalization", "Dropout"} & set(kinds(outcome.network))
    same(network, outcome.network)


def test_the_step_says_what_it_did_and_leaves_the_network_alone():
    network = network_of(everything)
    before, names = network.get_weights(), [layer.name for layer in network.layers]
    outcome = fold(network, NO_MATERIALS)
    assert outcome.notes == (
        "Batch normalizations: 2 folded into convolutions, 3 folded into dense layers, "
        "1 rewritten as 1x1 depthwise convolutions.",
        outcome.notes[1],
    )
    assert "2 training-only layers taken out (dropout" in outcome.notes[1]
    assert [layer.name for layer in network.layers] == names
    assert all(map(np.array_equal, network.get_weights(), before))
    assert not {id(layer) for layer in network.layers} & {
        id(layer) for layer in outcome.network.layers
    }


def test_a_network_without_anything_to_fold_comes_back_the_same():
    network = network_of(lambda image: L.Dense(5)(L.Flatten()(image)))
    outcome = fold(network, NO_MATERIALS)
    assert outcome.notes == ()
    assert difference(network, outcome.network) == 0


SLOW = ("googlenet", "xcao_two_stream")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NAMES]
)
def test_every_architecture_keeps_its_outputs(name):
    shape = (75, 75, 1) if name == "googlenet" else (32, 32, 1)
    network = randomize(build(name, input_shape=shape, classes=8, seed=0))
    network = tf_keras.Model(network.inputs, network.layers[-1].input)  # before the softmax
    outcome = simplify(network)
    assert "BatchNormalization" not in kinds(outcome.network)
    images = np.random.default_rng(1).random((2, *shape), np.float32)
    assert difference(network, outcome.network, images) <= 1e-5


def test_only_flat_functional_float32_networks_can_be_simplified(keras2_model):
    image = tf_keras.Input((24, 24, 1))
    half = tf_keras.Sequential(
        [tf_keras.Input((4,)), L.Dense(2, dtype="mixed_float16", name="half")]
    )
    assert can_simplify(keras2_model)
    assert not can_simplify(tf_keras.Model(image, keras2_model(image)))
    assert not can_simplify(tf_keras.Model(image, [image, image]))
    assert not can_simplify(half)
    assert not can_simplify(None)
    three = keras3()
    assert not can_simplify(three.Sequential([three.Input((4,)), three.layers.Dense(2)]))
