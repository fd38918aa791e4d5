"""Batch normalization between a ReLU and the next layers goes, and the outputs stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_opt.backend import tf_keras
from fer_opt.compress.fold_relu_batch_norm import LANES, fold_relu_batch_norm
from fer_opt.compress.materials import Materials
from fer_opt.compress.prune_channels import prune_channels
from fer_opt.compress.simplify import simplify
from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.convert import convert
from fer_opt.errors import RecipeError
from fer_opt.flatbuffer import take_census
from fer_opt.keras_io import from_keras
from fer_opt.models import build
from fer_opt.recipe import parse_recipe

L = tf_keras.layers
IMAGES = np.random.default_rng(5).random((6, 12, 12, 3), np.float32)
FACES = np.random.default_rng(6).random((6, 32, 32, 1), np.float32)
MATERIALS = Materials(FACES, np.zeros(6, np.int64))


def with_statistics(network: Any, seed: int = 0, least_gamma: float = 0.3) -> Any:
    random = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, L.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(random.normal(0.3, 0.5, shape))
            layer.moving_variance.assign(random.uniform(0.05, 3, shape))
            if layer.scale:
                layer.gamma.assign(random.uniform(least_gamma, 2, shape))
            if layer.center:
                layer.beta.assign(random.normal(0, 0.5, shape))
    return network


def network_of(body: Any, seed: int = 0, least_gamma: float = 0.3) -> Any:
    tf_keras.utils.set_random_seed(seed)
    image = tf_keras.Input((12, 12, 3))
    output = L.Dense(4)(L.Flatten()(body(image)))
    return with_statistics(tf_keras.Model(image, output), seed, least_gamma)


def norms(network: Any) -> int:
    return sum(isinstance(layer, L.BatchNormalization) for layer in network.layers)


def assert_same(one: Any, other: Any, images: np.ndarray = IMAGES) -> None:
    expected, found = one(images, training=False).numpy(), other(images, training=False).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def block(tensor: Any, channels: int = 7, **options: Any) -> Any:
    named = {"padding": "same", "activation": "relu", **options}
    return L.BatchNormalization()(L.Conv2D(channels, 3, **named)(tensor))


def _two_streams(image: Any) -> Any:
    return block(L.Add()([L.MaxPooling2D(2)(block(image)) for _ in range(3)]), 5)


def _stated_relu(image: Any) -> Any:
    return block(L.BatchNormalization()(L.ReLU()(L.Conv2D(7, 3, padding="same")(image))))


def _read_twice(image: Any) -> Any:
    tensor = block(image)
    return L.Concatenate()([
        L.Conv2D(3, 3, padding="same")(tensor), L.Conv2D(2, 5, padding="same")(tensor)
    ])  # fmt: skip


FOLDABLE = {
    "one after another": lambda image: block(block(block(image))),
    "strides": lambda image: block(block(image, strides=2), strides=2),
    "dilation": lambda image: block(block(image), dilation_rate=2),
    "no bias": lambda image: block(block(image, use_bias=False), use_bias=False),
    "a pool between": lambda image: block(L.MaxPooling2D(2, padding="same")(block(image))),
    "a mean between": lambda image: block(L.AveragePooling2D(5, 3, padding="same")(block(image))),
    "a norm after the pool": lambda image: block(
        L.BatchNormalization()(L.MaxPooling2D(2)(block(image)))
    ),
    "sums": _two_streams,
    "a ReLU of its own": _stated_relu,
    "two readers": _read_twice,
    "valid padding, full channels": lambda image: block(block(image, LANES), padding="valid"),
    "1x1, full channels": lambda image: L.Conv2D(3, 1)(block(image, LANES)),
}


@pytest.mark.parametrize("body", FOLDABLE)
def test_nothing_is_left_and_the_outputs_are_the_same(body: str) -> None:
    network = network_of(FOLDABLE[body])
    folded = fold_relu_batch_norm(network)
    assert norms(network) > 0
    assert norms(folded) == 0
    assert_same(network, folded)


def test_the_shift_is_exact_at_the_border() -> None:
    # A 5x5 kernel on what is mostly border; the constant channel is worth something.
    network = network_of(
        lambda image: L.Conv2D(6, 5, padding="same")(L.MaxPooling2D(4)(block(image)))
    )
    folded = fold_relu_batch_norm(network)
    assert norms(folded) == 0
    assert [layer.filters for layer in folded.layers if isinstance(layer, L.Conv2D)] == [8, 6]
    assert_same(network, folded)


def _shared(image: Any) -> Any:
    shared = L.Conv2D(3, 3, padding="same", activation="relu")
    return L.Conv2D(2, 3, padding="same")(
        L.BatchNormalization()(shared(L.BatchNormalization()(shared(image))))
    )


LEFT = {
    "full channels": lambda image: L.Conv2D(2, 3, padding="same")(block(image, LANES)),
    "another activation": lambda image: L.Conv2D(2, 3)(block(image, activation="tanh")),
    "ReLU6": lambda image: L.Conv2D(2, 3)(
        L.BatchNormalization()(L.ReLU(6.0)(L.Conv2D(5, 3)(image)))
    ),
    "a reader that is no convolution": lambda image: L.Softmax()(block(image)),
    "a separable reader": lambda image: L.SeparableConv2D(2, 3)(block(image)),
    "a sum that other things are in": lambda image: L.Conv2D(2, 3)(
        L.Add()([block(image), L.Conv2D(7, 3, padding="same")(image)])
    ),
    "a sum of unlike shapes": lambda image: L.Conv2D(2, 3)(
        L.Add()([block(image), L.MaxPooling2D(12)(block(image))])
    ),
    "a convolution used twice": _shared,
}  # fmt: skip


@pytest.mark.parametrize("body", LEFT)
def test_what_cannot_fold_is_left_as_it_is(body: str) -> None:
    network = network_of(LEFT[body])
    assert fold_relu_batch_norm(network) is network


def test_a_scale_below_zero_is_left_and_the_others_fold() -> None:
    network = network_of(lambda image: L.Conv2D(5, 3)(block(block(image))))
    first = next(layer for layer in network.layers if isinstance(layer, L.BatchNormalization))
    first.gamma.assign(np.r_[-1.0, np.ones(6)])
    folded = fold_relu_batch_norm(network)
    assert norms(folded) == 1
    assert_same(network, folded)


def test_a_scale_of_zero_folds() -> None:
    network = network_of(lambda image: L.Conv2D(5, 3, padding="same")(block(image)))
    layer = next(layer for layer in network.layers if isinstance(layer, L.BatchNormalization))
    layer.gamma.assign(np.zeros(7))
    folded = fold_relu_batch_norm(network)
    assert norms(folded) == 0
    assert_same(network, folded)


@settings(max_examples=25, deadline=None)
@given(
    channels=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    streams=st.integers(1, 3),
    pools=st.booleans(),
    same=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_chain_gives_the_same(channels, streams, pools, same, seed) -> None:
    def body(image: Any) -> Any:
        for count in channels:
            padding = "same" if same or image.shape[1] < 3 else "valid"
            parts = [block(image, count, padding=padding) for _ in range(streams)]
            image = L.Add()(parts) if streams > 1 else parts[0]
            if pools and image.shape[1] > 3:
                image = L.MaxPooling2D(2, padding="same")(image)
        return image

    network = network_of(body, seed, least_gamma=-0.05)
    assert_same(network, fold_relu_batch_norm(network))


def test_clusters_are_kept_where_asked() -> None:
    network = network_of(lambda image: L.Conv2D(5, 3, padding="same")(block(image)))
    layer = next(layer for layer in network.layers if isinstance(layer, L.Conv2D))
    kernel, bias = layer.get_weights()
    layer.set_weights([np.where(kernel > 0, 0.1, -0.1), bias])
    assert fold_relu_batch_norm(network, keep_clusters=True) is network
    assert norms(fold_relu_batch_norm(network)) == 0


@pytest.mark.parametrize("name", ["xcao", "xcao_two_stream"])
def test_the_thesis_s_network_has_no_normalization_left_once_pruned_to_spare_a_channel(
    name: str,
) -> None:
    network = with_statistics(build(name, input_shape=(32, 32, 1), classes=8, seed=0))
    pruned = prune_channels(network, MATERIALS, share=0.5, spare=1).network
    widths = {layer.filters for layer in pruned.layers if isinstance(layer, L.Conv2D)}
    assert widths == {7, 15, 31, 63}
    outcome = simplify(pruned)
    assert "folded around ReLUs" in outcome.notes[0]
    assert "depthwise" not in outcome.notes[0]
    assert {layer.filters for layer in outcome.network.layers if isinstance(layer, L.Conv2D)} == {
        8, 16, 32, 64, 63
    }  # fmt: skip
    assert_same(pruned, outcome.network, FACES)


@pytest.mark.parametrize("text", ["int8", "float32"])
def test_its_file_has_no_operator_for_normalization(text: str, tmp_path: Path) -> None:
    convention = InputConvention(32, 32, 1, 0.0, 1.0, AFFECTNET_LABELS)
    network = with_statistics(build("xcao", input_shape=(32, 32, 1), classes=8, seed=0))
    pruned = prune_channels(network, MATERIALS, share=0.5, spare=1).network
    recipe = parse_recipe(text)
    given = pruned if text == "int8" else simplify(pruned).network  # int8 folds by itself
    model = from_keras(given, source="xcao", format_="Keras 2", sha256="")
    (tmp_path / "x.tflite").write_bytes(convert(model, recipe, convention, FACES))
    operators = take_census(tmp_path / "x.tflite").operators
    assert operators["CONV_2D"] == 14
    assert not set(operators) & {"MUL", "ADD", "DEPTHWISE_CONV_2D"}


def test_more_spared_than_there_is_in_a_multiple_is_refused() -> None:
    network = build("xcao", input_shape=(32, 32, 1), classes=8, seed=0)
    with pytest.raises(RecipeError, match="cannot spare 4 of every 4 channels"):
        prune_channels(network, MATERIALS, multiple=4, spare=4)


def test_pruning_after_folding_is_refused() -> None:
    with pytest.raises(RecipeError, match="channels that hold a constant"):
        parse_recipe("fold > prune_channels(0.5) > int8")
