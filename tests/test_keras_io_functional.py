from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_opt.backend import keras3, tf, tf_keras
from fer_opt.compress.graph import calls, rebuild
from fer_opt.errors import ModelError
from fer_opt.export import export
from fer_opt.keras_io import TrainedModel, from_keras, load_model, to_functional
from fer_opt.keras_io.equality import LIMITS, probing_images, refuse_difference
from fer_opt.models import NAMES, build

SIDES = {"googlenet": 75, "mobilenet": 32}
LAYERS = tf_keras.layers


def trained(model: Any) -> TrainedModel:
    return from_keras(model, source="given.keras", format_="live", sha256="0" * 64)


def trained_like(model: Any, seed: int = 0) -> Any:
    """Give a model weights as training leaves them: alive, with statistics of their own."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        name, shape = last_name(variable), tuple(variable.shape)
        if name == "gamma":
            value = random.uniform(0.6, 1.4, shape)
        elif name in ("beta", "bias", "alpha"):
            value = random.normal(0.0, 0.2, shape)
        elif "kernel" in name:
            value = random.normal(0.0, np.sqrt(1.5 / max(1, np.prod(shape[:-1]))), shape)
        else:
            continue
        variable.assign(value.astype(np.float32))
    normalizations = [item for item in model._flatten_layers() if hasattr(item, "moving_mean")]
    for layer in normalizations:
        layer.momentum = 0.0
    if normalizations:
        model(probing_images(tuple(model.input_shape[1:]))[:3], training=True)
    for layer in normalizations:
        mean, variance = (np.asarray(item) for item in (layer.moving_mean, layer.moving_variance))
        shift = 0.2 * np.sqrt(variance) * random.normal(0.0, 1.0, mean.shape)
        layer.moving_mean.assign((mean + shift).astype(np.float32))
        factor = random.uniform(0.8, 1.2, variance.shape)
        layer.moving_variance.assign(((variance + 1e-3) * factor).astype(np.float32))
    return model


def last_name(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name)).split("/")[-1].split(":")[0]


def assert_same(model: TrainedModel, network: Any, limit: float = LIMITS["float32"]) -> None:
    """Equal outputs that are worth comparing, and what every step may count on."""
    images = probing_images(tuple(network.input_shape[1:]))[:3]
    expected = np.asarray(model.network(tf.constant(images)), np.float32)
    found = np.asarray(network(images, training=False))
    assert np.ptp(expected, axis=0).max() > 1e-3 * np.abs(expected).max()
    assert np.abs(found - expected).max() <= limit * np.abs(expected).max()
    names = [layer.name for layer in network.layers]
    assert len(names) == len(set(names))
    assert not any(isinstance(layer, tf_keras.Model) for layer in network.layers)
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert {variable.dtype for variable in network.weights} <= {tf.float32}
    assert network.inputs[0].dtype == tf.float32
    assert all(layer.trainable for layer in network.layers)


def assert_survives(network: Any, folder: Path) -> None:
    """An identical network out of a graph pass, and out of a file."""
    images = tf.constant(probing_images(tuple(network.input_shape[1:])))
    expected = np.asarray(network(images))
    copied = rebuild(network, lambda call, copy: call.apply(copy(call.layer)))
    np.testing.assert_allclose(np.asarray(copied(images)), expected, atol=1e-6)
    network.save(folder / "network.keras")
    loaded = tf_keras.models.load_model(folder / "network.keras")
    np.testing.assert_allclose(np.asarray(loaded(images)), expected, atol=1e-6)


def kinds(network: Any) -> list[str]:
    return [type(call.layer).__name__ for call in calls(network)]


def reason(model: Any, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        to_functional(model if isinstance(model, TrainedModel) else trained(model), **options)
    assert "given.keras" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Architectures


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_own_architectures_from_every_format(name, tmp_path):
    side = SIDES.get(name, 48)
    model = trained_like(build(name, input_shape=(side, side, 1), classes=8))
    formats = {"keras": "model.keras", "json": "model.json"}
    (written, *_) = export(model, tmp_path, [list(formats)[NAMES.index(name) % 2]])
    loaded = load_model(written)
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert network.input_names == ["image"]
    assert [layer.name for layer in network.layers] == [layer.name for layer in model.layers]
    if name != "googlenet":
        assert_survives(network, tmp_path)


@pytest.mark.filterwarnings("ignore")  # Keras 3 calls HDF5 legacy, aloud
@pytest.mark.parametrize("kind", ["archive", "hdf5", "json"])
@pytest.mark.parametrize("which", ["keras2_model", "keras3_model"])
def test_both_kerases_from_every_format(which, kind, tmp_path, request):
    model = request.getfixturevalue(which)
    path = tmp_path / {"archive": "m.keras", "hdf5": "m.h5", "json": "m.json"}[kind]
    if kind == "json":
        path.write_text(model.to_json())
        model.save_weights(tmp_path / "m.weights.h5")
    else:
        model.save(path)
    loaded = load_model(path)
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert_survives(network, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["keras3", "tf_keras"])
@pytest.mark.parametrize(
    "name", ["MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "ResNet50", "DenseNet121"]
)
def test_applications(name, library, tmp_path):
    source = keras3() if library == "keras3" else tf_keras
    source.utils.set_random_seed(0)  # some weights leave an EfficientNet to its rounding
    model = getattr(source.applications, name)(
        # Logits: the softmax of random weights knows one label only, whatever the image.
        weights=None,
        input_shape=(64, 64, 3),
        classes=8,
        classifier_activation=None,
    )
    loaded = trained(trained_like(model))
    network = to_functional(loaded)
    assert_same(loaded, network)
    if name == "MobileNetV3Small":
        assert_survives(network, tmp_path)


# Structure


def nested_keras3(**policy: Any) -> Any:
    """Augmentation, preprocessing, a nested functional model with a nested sequential one."""
    keras = keras3()
    layers = keras.layers
    tile = layers.Input((12, 12, 6))
    block = keras.Sequential(
        [layers.Conv2D(6, 3, padding="same", name="conv", **policy), layers.ReLU(6.0)], name="block"
    )
    x = layers.BatchNormalization(name="bn", **policy)(block(tile))
    body = keras.Model(tile, layers.Add(name="sum")([tile, x]), name="body")
    augmentation = keras.Sequential(
        [layers.RandomFlip("horizontal"), layers.RandomZoom(0.1)], name="augmentation"
    )
    statistics = layers.Normalization(name="statistics")
    statistics.adapt(np.random.default_rng(1).normal(0.4, 0.3, (16, 24, 24, 3)).astype(np.float32))
    image = layers.Input((24, 24, 3), name="image")
    x = augmentation(image)
    x = layers.Rescaling([1.0, 2.0, 0.5], offset=[0.1, 0.0, -0.1], name="scaled")(x)
    x = layers.GaussianNoise(0.1)(statistics(x))
    x = layers.Conv2D(6, 3, strides=2, padding="same", name="conv", **policy)(x)
    x = layers.Dropout(0.2, name="dropout")(body(x, training=False))
    x = layers.GlobalAveragePooling2D()(body(x))
    scores = layers.Dense(8, activation="softmax", dtype="float32", name="label")(x)
    return keras.Model(image, scores, name="nested")


def test_a_nested_keras3_model_with_preprocessing(tmp_path):
    model = trained_like(nested_keras3())
    model.save(tmp_path / "nested.keras")
    loaded = load_model(tmp_path / "nested.keras")
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert_survives(network, tmp_path)
    assert network.name == "nested"
    assert network.input_names == ["image"]
    found = kinds(network)
    assert found.count("Dropout") == 1
    assert not {"RandomFlip", "RandomZoom", "GaussianNoise"} & set(found)
    # The outer convolution keeps its name, the inner gets its model's, and both uses share it.
    shared = [call.layer.name for call in calls(network) if "conv" in call.layer.name]
    assert shared == ["conv", "block_conv", "block_conv"]
    assert len(network.weights) == len(model.weights) - 3  # of the normalization


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_a_keras3_model_in_half_precision(policy, tmp_path):
    loaded = trained(trained_like(nested_keras3(dtype=policy)))
    network = to_functional(loaded)
    assert_same(loaded, network, LIMITS[policy.removeprefix("mixed_")])
    # What half precision loses is the only difference.
    full = nested_keras3()
    full.set_weights([weights.astype(np.float32) for weights in loaded.keras.get_weights()])
    full.get_layer("statistics").finalize_state()
    assert_same(trained(full), network)
    assert_survives(network, tmp_path)


def test_a_keras2_model_in_half_precision_with_nested_and_shared_layers(tmp_path):
    policy = tf_keras.mixed_precision.Policy("mixed_float16")
    inner = tf_keras.Sequential(
        [
            LAYERS.Conv2D(4, 3, padding="same", dtype=policy, name="conv"),
            LAYERS.BatchNormalization(dtype=policy, name="bn"),
            LAYERS.SpatialDropout2D(0.1),
        ],
        name="inner",
    )
    statistics = LAYERS.Normalization(axis=(1, 2, 3), name="statistics")
    statistics.adapt(np.random.default_rng(1).normal(0.4, 0.3, (9, 16, 16, 4)).astype(np.float32))
    image = LAYERS.Input((16, 16, 1), name="image")
    x = LAYERS.Conv2D(4, 1, dtype=policy, name="conv")(LAYERS.RandomRotation(0.1)(image))
    x = inner(inner(x), training=False)
    x = x * 0.5 + LAYERS.GaussianDropout(0.2)(tf.cast(x, tf.float16))
    x = statistics(x)
    x = LAYERS.Flatten()(x)
    model = tf_keras.Model(image, LAYERS.Dense(8, activation="softmax", dtype="float32")(x))
    loaded = trained(trained_like(model))
    network = to_functional(loaded)
    assert_same(loaded, network, LIMITS["float16"])
    assert_survives(network, tmp_path)
    names = [call.layer.name for call in calls(network) if "conv" in call.layer.name]
    assert names == ["conv", "inner_conv", "inner_conv"]
    assert kinds(network).count("Add") == 1


@pytest.mark.parametrize("library", ["keras3", "tf_keras"])
def test_a_shared_convolution_and_a_residual(library, tmp_path):
    source = keras3() if library == "keras3" else tf_keras
    layers = source.layers
    image = layers.Input((16, 16, 3), name="photo")
    shared = layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    x = layers.Add()([image, shared(shared(image))])
    x = layers.PReLU(shared_axes=[1, 2])(layers.SeparableConv2D(8, 3, name="separable")(x))
    x = layers.LeakyReLU(0.1)(layers.DepthwiseConv2D(3, depth_multiplier=2)(x))
    x = layers.Conv2DTranspose(4, 2, strides=2)(layers.GroupNormalization(4)(x))
    x = layers.Flatten()(layers.LayerNormalization()(layers.ZeroPadding2D(1)(x)))
    model = trained_like(source.Model(image, layers.Dense(5)(x)))
    loaded = trained(model)
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert_survives(network, tmp_path)
    assert network.count_params() == model.count_params()
    assert [call.layer.name for call in calls(network)].count("shared") == 2
    assert network.input_names == ["photo"]


def test_the_original_is_left_alone(keras2_model):
    before = [weights.copy() for weights in keras2_model.get_weights()]
    network = to_functional(trained(keras2_model))
    for variable in network.weights:
        variable.assign(tf.zeros_like(variable))
    for old, new in zip(before, keras2_model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not set(map(id, network.layers)) & set(map(id, keras2_model.layers))


def test_frozen_layers_can_be_trained_again():
    layers = keras3().layers
    base = keras3().Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten()])
    base.trainable = False
    image = layers.Input((8, 8, 1))
    model = keras3().Model(image, layers.Dense(3)(base(image, training=False)))
    network = to_functional(trained(model))
    assert len(network.trainable_weights) == 4


def test_names_that_tensorflow_does_not_take(tmp_path):
    layers = keras3().layers
    image = layers.Input((8, 8, 1), name="my image")
    x = layers.Conv2D(2, 3, name="conv (1)")(image)
    x = layers.Flatten(name="_flat")(layers.Conv2D(2, 3, name="conv [1]")(x))
    model = keras3().Model(image, layers.Dense(3, name="ausgänge")(x), name="my model")
    loaded = trained(model)
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert_survives(network, tmp_path)


def test_rebuilding_twice_gives_the_same_network():
    first, second = (to_functional(trained(nested_keras3())).to_json() for _ in range(2))
    unnumbered = [re.sub(r"_\d+\"", '"', text) for text in (first, second)]
    assert unnumbered[0] == unnumbered[1]
    model = trained(nested_keras3())
    assert to_functional(model).to_json() == to_functional(model).to_json()


# Preprocessing


def with_head(library: Any, before: Callable[[Any], Any], shape: Any = (16, 16, 3)) -> Any:
    """A classifier that begins with ``before``."""
    image = library.layers.Input(shape)
    x = library.layers.Conv2D(4, 3, name="conv")(before(image))
    x = library.layers.GlobalAveragePooling2D()(x)
    return trained_like(library.Model(image, library.layers.Dense(4, name="scores")(x)))


@pytest.mark.parametrize("library", ["keras3", "tf_keras"])
@pytest.mark.parametrize(
    ("preprocessing", "kept"),
    [
        (lambda layers: layers.Rescaling(1 / 127.5, -1), ["Rescaling"]),
        (
            lambda layers: layers.Normalization(mean=[1, 2, 3], variance=[4, 5, 6]),
            ["Normalization"],
        ),
        (lambda layers: layers.Normalization(mean=0.3, variance=0.2, axis=None), ["Normalization"]),
        (lambda layers: layers.Normalization(mean=2, variance=4, invert=True), ["Normalization"]),
        (lambda layers: layers.Resizing(11, 24), ["Resizing"]),
        (lambda layers: layers.Resizing(9, 9, interpolation="nearest"), ["Resizing"]),
        (lambda layers: layers.Resizing(9, 15, crop_to_aspect_ratio=True), ["Resizing"]),
        (lambda layers: layers.CenterCrop(9, 12), ["Cropping2D"]),
        (lambda layers: layers.CenterCrop(16, 16), []),
        (lambda layers: layers.CenterCrop(20, 12), ["Resizing"]),
        (lambda layers: layers.RandomCrop(16, 16), []),
        (lambda layers: layers.RandomContrast(0.3), []),
        (lambda layers: layers.RandomTranslation(0.1, 0.1), []),
        (lambda layers: layers.ActivityRegularization(0.1), []),
    ],
)
def test_preprocessing(library, preprocessing, kept, tmp_path):
    source = keras3() if library == "keras3" else tf_keras
    loaded = trained(with_head(source, preprocessing(source.layers)))
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert_survives(network, tmp_path)
    assert kinds(network)[: -len(["Conv2D", "GlobalAveragePooling2D", "Dense"])] == kept


def test_a_random_crop_of_keras2_resizes_in_use():
    loaded = trained(with_head(tf_keras, LAYERS.RandomCrop(12, 10)))
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert kinds(network)[0] == "Resizing"


def test_a_pipeline_of_keras3():
    layers = keras3().layers
    pipeline = layers.Pipeline([layers.Rescaling(2.0), layers.RandomFlip(), layers.Resizing(8, 8)])
    loaded = trained(with_head(keras3(), pipeline))
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert kinds(network)[:2] == ["Rescaling", "Resizing"]


@pytest.mark.parametrize("library", ["keras3", "tf_keras"])
def test_whole_numbers_in_become_floats(library):
    source = keras3() if library == "keras3" else tf_keras
    layers = source.layers
    image = layers.Input((8, 8, 1), dtype="uint8")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    model = trained(trained_like(source.Model(image, layers.Dense(3)(x))))
    network = to_functional(model)
    assert network.inputs[0].dtype == tf.float32
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1))
    np.testing.assert_allclose(
        network(images.astype(np.float32)),
        model.network(tf.constant(images, tf.uint8)),
        rtol=1e-4,
        atol=1e-4,
    )


# Activations and operations of Keras 3

ACTIVATIONS = [
    "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "leaky_relu", "log_softmax", "mish",
    "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_keras3(name, tmp_path):
    layers = keras3().layers
    loaded = trained(
        with_head(
            keras3(),
            lambda image: layers.Activation(name)(
                layers.Conv2D(3, 3, activation=name)(layers.Rescaling(1 / 8)(image))
            ),
        )
    )
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert_survives(network, tmp_path)


def test_hard_sigmoid_of_keras2_stays_its_own():
    loaded = trained(with_head(tf_keras, LAYERS.Conv2D(3, 3, activation="hard_sigmoid")))
    assert_same(loaded, to_functional(loaded))


@pytest.mark.parametrize("library", ["keras3", "tf_keras"])
def test_activations_that_are_layers_or_tensorflow_functions(library, tmp_path):
    source = keras3() if library == "keras3" else tf_keras
    layers = source.layers

    def before(image: Any) -> Any:
        # Keras 3 forgets the weights of an activation that is a layer.
        slopes = (layers.LeakyReLU if library == "keras3" else layers.PReLU)(name="slopes")
        x = layers.Conv2D(3, 3, activation=slopes, name="first")(image)
        x = layers.Conv2D(3, 3, activation=tf.nn.relu6, name="second")(x)
        return layers.Conv2D(3, 3, activation=tf.nn.leaky_relu, name="third")(x)

    loaded = trained(with_head(source, before))
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert_survives(network, tmp_path)
    names = [call.layer.name for call in calls(network)]
    assert names[:6] == ["first", "slopes", "second", "second_relu6", "third", "third_leaky_relu"]


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda ops, x: x + x[:, :, :, :1],
    "add a row": lambda ops, x: x + np.array([1.0, 2.0, 3.0]),
    "subtract from": lambda ops, x: 2 - x,
    "multiply": lambda ops, x: ops.multiply(x, ops.sigmoid(x)),
    "ranks": lambda ops, x: x * ops.mean(x, axis=(1, 2, 3), keepdims=True),
    "lower rank": lambda ops, x: (
        ops.add(x, ops.reshape(x[:1, 0, 0], (3,)) * 0 + 1) if False else ops.maximum(x, 0.25)
    ),
    "divide": lambda ops, x: x / 255.0,
    "divide tensors": lambda ops, x: x / (ops.exp(x / 256) + 1.0),
    "minimum": lambda ops, x: ops.minimum(x, x * 0.5),
    "power": lambda ops, x: x**2,
    "unary": lambda ops, x: ops.log(ops.sqrt(ops.square(x) + 1.0)) - abs(-x),
    "rsqrt": lambda ops, x: ops.rsqrt(ops.square(x) + 1.0),
    "clip": lambda ops, x: ops.clip(x, 0.2, 0.7),
    "relu": lambda ops, x: ops.relu(x - 0.5),
    "relu6": lambda ops, x: ops.relu6(x),
    "bounded relu": lambda ops, x: keras3().activations.relu(x, 0.1, max_value=2.0),
    "leaky relu": lambda ops, x: ops.leaky_relu(x - 0.5, 0.3),
    "elu": lambda ops, x: ops.elu(x - 0.5, 0.3),
    "selu": lambda ops, x: ops.selu(x - 0.5),
    "silu": lambda ops, x: ops.silu(x),
    "hard silu": lambda ops, x: ops.hard_silu(x),
    "hard sigmoid": lambda ops, x: ops.hard_sigmoid(x),
    "gelu": lambda ops, x: ops.gelu(x, approximate=False),
    "approximate gelu": lambda ops, x: ops.gelu(x),
    "tanh": lambda ops, x: ops.tanh(x),
    "softmax": lambda ops, x: ops.softmax(x * 4),
    "softmax of rows": lambda ops, x: ops.softmax(x * 8, axis=1),
    "log softmax": lambda ops, x: ops.log_softmax(x * 4),
    "reshape": lambda ops, x: ops.reshape(x, (-1, 8, 16, 6)),
    "reshape the rest": lambda ops, x: ops.reshape(x, (-1, 8, 8, 12)),
    "transpose": lambda ops, x: ops.transpose(x, (0, 2, 1, 3)),
    "expand and squeeze": lambda ops, x: ops.squeeze(ops.expand_dims(x, 1), 1),
    "channel maximum": lambda ops, x: x * ops.max(x, axis=-1, keepdims=True),
    "sum": lambda ops, x: x - ops.sum(x, axis=-1, keepdims=True),
    "squeeze and excite": lambda ops, x: x * ops.mean(x, axis=(1, 2), keepdims=True),
    "global maximum": lambda ops, x: x * ops.max(x, axis=[1, 2], keepdims=True),
    "concatenate": lambda ops, x: ops.concatenate([x, x * 0.5], axis=-1),
    "split": lambda ops, x: ops.add(*ops.split(x, 2, axis=1)),
    "split at": lambda ops, x: ops.concatenate(ops.split(x, [1, 2], axis=-1)[::-1], axis=-1),
    "slice": lambda ops, x: x[:, 1:-1, ::2],
    "slice the last": lambda ops, x: x[..., :2],
    "pad": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))),
    "pad by reflection": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), "reflect"),
    "cast": lambda ops, x: ops.cast(x, "float32") * 2,
    "matmul": lambda ops, x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))) / 256,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_of_keras3(name, tmp_path):
    model = with_head(keras3(), lambda image: OPERATIONS[name](keras3().ops, image))
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert_survives(network, tmp_path)


def test_functions_of_tensorflow_in_keras2(tmp_path):
    def before(image: Any) -> Any:
        x = tf.nn.relu(image - 0.5) + tf.constant([1.0, 2.0, 3.0])
        x = tf.concat([x, x[:, ::-1]], axis=-1)
        return tf.reshape(x, (-1, 16, 8, 12)) / 3.0

    loaded = trained(with_head(tf_keras, before))
    network = to_functional(loaded)
    assert_same(loaded, network)
    assert_survives(network, tmp_path)


# Sizes


def test_an_open_size_is_fixed():
    loaded = trained(with_head(keras3(), lambda image: image, (None, None, 3)))
    network = to_functional(loaded, size=(20, 14))
    assert network.input_shape == (None, 20, 14, 3)
    assert_same(loaded, network)
    assert "any size" in reason(loaded)


def test_another_size_is_refused(keras2_model):
    assert "24x24, not of 24x32" in reason(keras2_model, size=(24, 32))
    assert to_functional(trained(keras2_model), size=(24, 24)).input_shape == (None, 24, 24, 1)


# Refusals


@pytest.mark.filterwarnings("ignore")
def test_a_saved_model_is_refused(keras3_model, tmp_path):
    keras3_model.export(tmp_path / "given.keras", verbose=False)
    message = reason(load_model(tmp_path / "given.keras"))
    assert "SavedModel" in message
    assert "without compression steps" in message


@pytest.mark.parametrize("library", ["keras3", "tf_keras"])
def test_custom_layers_are_refused_by_name(library):
    source = keras3() if library == "keras3" else tf_keras

    class Swirl(source.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs * 2

    message = reason(with_head(source, Swirl(name="swirling")))
    assert "'swirling' (Swirl) is a custom layer" in message
    assert "without compression steps" in message


@pytest.mark.parametrize("library", ["keras3", "tf_keras"])
def test_lambda_layers_are_refused_by_name(library):
    source = keras3() if library == "keras3" else tf_keras
    message = reason(with_head(source, source.layers.Lambda(lambda x: x * 2, name="doubling")))
    assert "'doubling' (Lambda) is code" in message


@pytest.mark.parametrize("library", ["keras3", "tf_keras"])
def test_subclassed_models_are_refused_by_name(library):
    source = keras3() if library == "keras3" else tf_keras

    class Doubled(source.Model):
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            return 2 * super().call(inputs, training=training, mask=mask)

    image = source.layers.Input((8, 8, 1))
    scores = source.layers.Dense(2)(source.layers.Flatten()(image))
    message = reason(Doubled(inputs=image, outputs=scores, name="twofold"))
    assert "'twofold' (Doubled) is a subclass" in message
    outer = source.layers.Input((8, 8, 1))
    inner = Doubled(inputs=image, outputs=scores, name="within")
    assert "'within' (Doubled)" in reason(source.Model(outer, inner(outer)))


LOST: dict[str, tuple[Callable[[Any], Any], str]] = {
    "option": (lambda layers: layers.Resizing(8, 8, antialias=True, name="it"), "antialias=True"),
    "padding": (
        lambda layers: layers.Resizing(8, 8, pad_to_aspect_ratio=True, name="it"),
        "pad_to_aspect_ratio=True",
    ),
    "activation": (
        lambda layers: layers.Conv2D(2, 3, activation="hard_tanh", name="it"),
        "hard_tanh",
    ),
    "counterpart": (lambda layers: layers.RMSNormalization(name="it"), "no counterpart"),
    "equalizer": (lambda layers: layers.AutoContrast(name="it"), "no counterpart"),
    "wrapped": (
        lambda layers: layers.SpectralNormalization(layers.Conv2D(2, 3), name="it"),
        "layer='Conv2D'",
    ),
    "channels first": (
        lambda layers: layers.ZeroPadding2D(1, data_format="channels_first", name="it"),
        "channels_first",
    ),
}


@pytest.mark.parametrize("what", LOST)
def test_what_keras3_layers_would_lose_is_named(what):
    make, cause = LOST[what]
    message = reason(with_head(keras3(), make(keras3().layers)))
    assert "the layer 'it' (" in message
    assert cause in message


@pytest.mark.parametrize(
    ("apply", "name", "cause"),
    [
        (lambda ops, x: ops.flip(x, 1), "flip", "no exact counterpart"),
        (
            lambda ops, x: ops.cast(ops.cast(x, "int32"), "float32"),
            "cast",
            "turns scores into int32",
        ),
        (lambda ops, x: ops.max(x, axis=-1, keepdims=True, initial=0.5), "max", "'initial'"),
        (lambda ops, x: ops.reshape(x, (-1, 8, 8, 3)), "reshape", "number of images"),
        (lambda ops, x: ops.transpose(x, (1, 0, 2, 3)), "transpose", "axis of the images"),
        (lambda ops, x: ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge"), "pad", "'edge'"),
    ],
)
def test_operations_without_counterpart_are_named(apply, name, cause):
    message = reason(with_head(keras3(), lambda image: apply(keras3().ops, image)))
    assert f"the operation '{name}" in message
    assert cause in message


def test_a_variable_outside_of_layers_is_refused():
    shift = keras3().Variable([0.1, 0.2, 0.3], name="shift")
    message = reason(with_head(keras3(), lambda image: image + shift))
    assert "operation 'add" in message
    assert "belongs to no layer" in message


def test_low_rank_adaptation_and_quantized_layers_are_refused():
    model = with_head(keras3(), lambda image: image)
    model.get_layer("scores").enable_lora(2)
    message = reason(model)
    assert "'scores' (Dense) has " in message
    assert "lora_rank=2" in message
    quantized = with_head(keras3(), lambda image: image)
    quantized.get_layer("scores").quantize("int8")
    assert "'scores' (Dense) is quantized to int8" in reason(quantized)


def test_weights_that_two_layers_share_are_refused():
    image = LAYERS.Input((8, 8, 1))
    first, second = LAYERS.Dense(4, name="first"), LAYERS.Dense(4, name="second")
    x = second(first(LAYERS.GlobalAveragePooling2D()(LAYERS.Conv2D(4, 3)(image))))
    second.kernel = first.kernel
    second._trainable_weights[0] = first.kernel
    message = reason(tf_keras.Model(image, x))
    assert "'second' (Dense) shares the weight" in message
    assert "'first' (Dense)" in message


def test_a_weight_without_a_place_is_named():
    model = with_head(tf_keras, lambda image: image)
    model.get_layer("conv").add_weight(shape=(2,), name="extra")
    assert "'conv' (Conv2D) has the weight 'extra' of (2,), its counterpart no such" in reason(
        model
    )


def test_dropout_at_random_in_use_is_refused():
    def before(image: Any) -> Any:
        return LAYERS.Dropout(0.5, name="guess")(image, training=True)

    message = reason(with_head(tf_keras, before))
    assert "'guess' (Dropout) is called with training=True" in message
    # Keras 3 lets the caller decide, and so it is quiet in use.
    layers = keras3().layers
    calm = trained(with_head(keras3(), lambda image: layers.Dropout(0.5)(image, training=True)))
    assert_same(calm, to_functional(calm))


def test_layers_with_several_outputs_are_refused():
    message = reason(with_head(tf_keras, lambda image: tf.split(image, 2, axis=1)[0]))
    assert "tf.split" in message
    assert "2 outputs" in message


def test_other_outputs_are_noticed(keras2_model):
    model = trained(keras2_model)
    network = to_functional(model)
    layer = network.layers[1]
    kernel, bias = layer.get_weights()
    kernel[0, 0, 0, 0] += 0.5
    layer.set_weights([kernel, bias])
    with pytest.raises(ModelError, match=r"differ by .* of their size") as caught:
        refuse_difference(model, network)
    assert "given.keras" in str(caught.value)


def test_rounding_that_a_network_amplifies_itself_is_no_difference():
    """Scores that are small differences of large sums: a last bit shows in their fifth digit."""
    tf_keras.utils.set_random_seed(2)
    image = tf_keras.Input((24, 24, 1))
    flat = LAYERS.Flatten()(image)
    large, less = LAYERS.Dense(8, name="large"), LAYERS.Dense(8, name="less")
    built = tf_keras.Model(image, LAYERS.Subtract()([large(flat), less(flat)]))
    kernel, bias = large.get_weights()
    large.set_weights([300 * kernel, bias])
    less.set_weights([300 * kernel + less.get_weights()[0], bias])
    model = trained(built)
    network = to_functional(model)
    layer = network.get_layer("large")
    layer.set_weights([np.nextafter(300 * kernel, np.float32(np.inf)), bias])
    refuse_difference(model, network)
    layer.set_weights([300 * kernel * np.float32(1 + 1e-5), bias])
    with pytest.raises(ModelError, match="differ by"):
        refuse_difference(model, network)


def test_outputs_that_are_no_numbers_are_refused():
    model = with_head(keras3(), lambda image: image)
    conv = model.get_layer("conv")
    conv.set_weights([np.full_like(item, np.nan) for item in conv.get_weights()])
    assert "no finite outputs" in reason(model)


# Any graph


@st.composite
def recipes(draw: Any) -> list[tuple[str, str, int]]:
    kind = st.sampled_from(
        [
            "conv",
            "depthwise",
            "separable",
            "norm",
            "pool",
            "average",
            "add",
            "concat",
            "mul",
            "relu",
        ]
    )
    activation = st.sampled_from([*ACTIVATIONS[:-1], "tanh", "linear"])
    return draw(st.lists(st.tuples(kind, activation, st.integers(0, 3)), min_size=1, max_size=7))


def graph(recipe: list[tuple[str, str, int]], seed: int) -> Any:
    """A random Keras 3 graph; the number of an entry chooses which earlier tensor it reads."""
    layers, ops = keras3().layers, keras3().ops
    image = layers.Input((12, 12, 3))
    made = [layers.Conv2D(4, 1)(image)]
    for kind, activation, back in recipe:
        x = made[-1 - back % len(made)]
        same = [item for item in made if item.shape == x.shape]
        other = same[back % len(same)]
        if kind == "conv":
            y = layers.Conv2D(4, 3, strides=1 + back % 2, padding="same", activation=activation)(x)
        elif kind == "depthwise":
            y = layers.DepthwiseConv2D(3, padding="same", activation=activation, use_bias=False)(x)
        elif kind == "separable":
            y = layers.SeparableConv2D(4, 3, padding="same", dilation_rate=1 + back % 2)(x)
        elif kind == "norm":
            y = layers.BatchNormalization(scale=back != 1, center=back != 2, epsilon=1e-2)(x)
        elif kind in ("pool", "average"):
            pooling = layers.MaxPooling2D if kind == "pool" else layers.AveragePooling2D
            y = pooling(2, strides=1, padding="same")(x)
        elif kind == "add":
            y = layers.Add()([x, other]) if back % 2 else x + other
        elif kind == "concat":
            y = layers.Conv2D(4, 1)(layers.Concatenate()([x, other]))
        elif kind == "mul":
            y = ops.sigmoid(x) * other / 2.0
        else:
            y = layers.ReLU(max_value=6.0, negative_slope=0.1 * back)(x)
        made.append(y)
    pooled = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(made[-1]))
    return trained_like(keras3().Model(image, layers.Dense(3)(pooled)), seed)


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recipe=recipes(), seed=st.integers(0, 1000))
def test_any_graph_gives_the_same_outputs(recipe, seed):
    model = trained(graph(recipe, seed))
    network = to_functional(model)
    images = probing_images((12, 12, 3))[:3]
    expected = np.asarray(model.network(tf.constant(images)))
    found = np.asarray(network(images, training=False))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
