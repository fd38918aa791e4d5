"""Networks trained with 8-bit rounding, and the TFLite files they become."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fer_opt.backend import keras3, tf, tf_keras
from fer_opt.compress.fake_quant import FakeQuant, is_quantize_aware
from fer_opt.compress.materials import Materials
from fer_opt.compress.quantize_aware import quantize_aware
from fer_opt.compress.structure import structure_of
from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.conversion_check import look_inside
from fer_opt.convert import convert, make_variant
from fer_opt.data import DataSpec, open_dataset, to_tf_data
from fer_opt.errors import RecipeError
from fer_opt.flatbuffer import take_census
from fer_opt.interpreter import Classifier
from fer_opt.keras_io import from_keras, to_functional
from fer_opt.models import NAMES, build
from fer_opt.recipe import parse_recipe

L = tf_keras.layers
RECIPE = parse_recipe("quantize_aware(0) > int8")
SIDE = 16


def model_of(network: Any) -> Any:
    return from_keras(network, source="test", format_="Keras 2", sha256="0")


def convention_of(shape: tuple[int, ...]) -> InputConvention:
    return InputConvention(*shape[:3], 0.0, 1.0, AFFECTNET_LABELS)


def calibrated(network: Any, images: np.ndarray) -> Any:
    labels = np.zeros(len(images), np.int64)
    return quantize_aware(network, Materials(images, labels), epochs=0).network


def as_tflite(network: Any, folder: Path) -> Path:
    path = folder / "network.tflite"
    convention = convention_of(network.input_shape[1:])
    path.write_bytes(convert(model_of(network), RECIPE, convention))
    return path


def assert_integer_throughout(path: Path) -> None:
    census = take_census(path)
    assert census.float_operators == {}
    assert look_inside(path).conversions == ()
    assert (census.inputs[0].dtype, census.outputs[0].dtype) == ("int8", "int8")
    assert census.outputs[0].scale == pytest.approx(1 / 256)


def small(body: Callable[[Any], Any], seed: int = 1) -> Any:
    """A convolution, ``body``, and a classifier whose outputs differ from image to image."""
    tf_keras.utils.set_random_seed(seed)
    image = tf_keras.Input((SIDE, SIDE, 3))
    tensor = body(L.Conv2D(8, 3, padding="same")(image))
    tensor = tensor if len(tensor.shape) == 2 else L.Flatten()(tensor)
    dense = L.Dense(8)
    network = tf_keras.Model(image, L.Softmax()(dense(tensor)))
    logits = tf_keras.Model(image, dense.output)
    found = logits.predict(np.random.default_rng(9).random((32, SIDE, SIDE, 3)), verbose=0)
    factor = 2 / found.std(axis=0).mean()
    dense.set_weights([dense.get_weights()[0] * factor, -found.mean(axis=0) * factor])
    return network


def same(**options: Any) -> Any:
    return L.Conv2D(8, 3, padding="same", **options)


def _residual_with_activations(tensor: Any) -> Any:
    tensor = L.ReLU(6.0)(L.Add()([same()(tensor), tensor]))
    tensor = L.LeakyReLU(0.2)(L.DepthwiseConv2D(3, depth_multiplier=2)(tensor))
    return L.PReLU(shared_axes=[1, 2])(L.BatchNormalization()(L.Activation("tanh")(tensor)))


def _gates(tensor: Any) -> Any:
    """Swish, hard swish in two spellings, and squeeze-and-excite with sigmoid and hard sigmoid."""
    tensor = same(activation="swish")(tensor)
    tensor = L.Multiply()([tensor, L.ReLU(6.0)(tensor + 3.0) * (1.0 / 6.0)])
    tensor = same()(tensor)
    tensor = tensor * tf.nn.relu6(tensor + 3.0) * (1.0 / 6.0)
    for activation in ("sigmoid", "hard_sigmoid"):
        gate = L.GlobalAveragePooling2D(keepdims=True)(tensor)
        gate = L.Conv2D(8, 1, activation=activation)(L.Conv2D(4, 1, activation="relu")(gate))
        tensor = L.Multiply()([tensor, gate])
    return tensor


def _joined(tensor: Any) -> Any:
    """A dense block, a maximum of three, and ranges that joining cannot change."""
    for _ in range(2):
        tensor = L.Concatenate()([tensor, same(activation="relu")(L.BatchNormalization()(tensor))])
    tensor = L.AveragePooling2D(3, strides=1, padding="same")(tensor)
    tensor = L.Maximum()([L.Conv2D(8, 1)(tensor), L.Conv2D(8, 1)(tensor), tensor[..., :8]])
    tensor = L.Minimum()([same()(tensor), L.MaxPooling2D(3, strides=1, padding="same")(tensor)])
    return L.Concatenate()([same()(tensor), L.Activation("sigmoid")(tensor)])


def _sums(tensor: Any) -> Any:
    convolution = same(activation="relu")
    three = [convolution(tensor), convolution(convolution(tensor)), tensor]
    tensor = L.Average()([L.Add()(three), L.Subtract()(three[:2])])
    return L.SeparableConv2D(12, 3, strides=2, activation="relu")(tensor)


def _moved_about(tensor: Any) -> Any:
    tensor = L.UpSampling2D()(L.Cropping2D(2)(tensor))
    tensor = L.ZeroPadding2D(1)(L.Permute((2, 1, 3))(tensor))
    tensor = same(dilation_rate=2)(tensor[:, 1:-1, ::2])
    return tf.reshape(L.Reshape((12, 26, 8))(tensor), (-1, 12 * 26 * 8))


def _rows(tensor: Any) -> Any:
    tensor = L.BatchNormalization()(L.GlobalMaxPooling2D()(L.ReLU()(tensor)))
    tensor = L.Dropout(0.5)(L.Activation("relu")(tensor))
    tensor = L.Dense(16, activation="swish")(tensor)
    return L.BatchNormalization()(L.Dense(16, activation="relu", use_bias=False)(tensor))


BODIES = (_residual_with_activations, _gates, _joined, _sums, _moved_about, _rows)


@pytest.mark.parametrize("body", BODIES)
def test_operations_convert_without_floats_and_changes_of_scale(body, tmp_path):
    network = small(body)
    images = np.random.default_rng(0).random((96, SIDE, SIDE, 3), np.float32)
    rounded = calibrated(network, images[:64])
    path = as_tflite(rounded, tmp_path)
    assert_integer_throughout(path)
    plain, expected = network.predict(images, verbose=0), rounded.predict(images, verbose=0)
    found = Classifier(path).predict(images)
    assert plain.std(axis=0).mean() > 0.1
    # The file follows the rounded network closely, and the rounded network the float one.
    assert np.abs(expected - found).mean() < 0.01
    assert np.abs(plain - expected).mean() < 0.05
    assert np.mean(expected.argmax(1) == found.argmax(1)) >= 0.95


def test_hard_swish_is_one_operator(tmp_path):
    network = small(_gates)
    path = as_tflite(
        calibrated(network, np.random.default_rng(0).random((32, SIDE, SIDE, 3), np.float32)),
        tmp_path,
    )
    assert take_census(path).operators["HARD_SWISH"] == 2


@pytest.mark.parametrize("recipe", ["int8", "quantize_aware(0) > int8"])
def test_hard_swish_of_keras3_is_one_operator(recipe, tmp_path):
    layers = keras3().layers
    image = layers.Input((SIDE, SIDE, 3))
    tensor = layers.Conv2D(8, 3, activation="hard_silu")(image)
    tensor = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(tensor))
    tensor = layers.Activation("hard_silu")(tensor)
    gate = layers.Conv2D(8, 1, activation="hard_sigmoid")(
        layers.GlobalAveragePooling2D(keepdims=True)(tensor)
    )
    tensor = layers.GlobalAveragePooling2D()(layers.Multiply()([tensor, gate]))
    made = keras3().Model(image, layers.Dense(8, activation="softmax")(tensor))
    images = np.random.default_rng(0).random((32, SIDE, SIDE, 3), np.float32)
    network = to_functional(model_of(made))
    if recipe != "int8":
        network = calibrated(network, images)
    path = tmp_path / "network.tflite"
    path.write_bytes(
        convert(model_of(network), parse_recipe(recipe), convention_of(image.shape[1:]), images)
    )
    census = take_census(path)
    assert census.operators["HARD_SWISH"] == 2
    assert "DEPTHWISE_CONV_2D" not in census.operators
    assert census.float_operators == {}


REFUSED = {
    "gelu": lambda tensor: L.Activation("gelu", name="culprit")(tensor),
    "elu": lambda tensor: L.ELU(name="culprit")(tensor),
    "elu_by_name": lambda tensor: L.Activation("elu", name="culprit")(tensor),
    "square": lambda tensor: L.Flatten(name="culprit")(tf.square(tensor)),
    "transposed": lambda tensor: L.Conv2DTranspose(8, 3, name="culprit")(tensor),
    "conv1d": lambda tensor: L.Conv1D(8, 3, name="culprit")(L.Reshape((-1, 8))(tensor)),
    "resizing": lambda tensor: L.Resizing(8, 8, name="culprit")(tensor),
    "exp": lambda tensor: L.Flatten(name="culprit")(tf.exp(tensor)),
    "layer_norm": lambda tensor: L.LayerNormalization(name="culprit")(tensor),
    "lambda": lambda tensor: L.Lambda(lambda x: x * 2, name="culprit")(tensor),
    "other_axis": lambda tensor: L.BatchNormalization(axis=1, name="culprit")(tensor),
    "dense_on_images": lambda tensor: L.Dense(4, name="culprit")(tensor),
    "groups": lambda tensor: L.Conv2D(8, 3, groups=2, name="culprit")(tensor),
    "relu_to_one": lambda tensor: L.ReLU(1.0, name="culprit")(tensor),
    "dropout_in_use": lambda tensor: L.Dropout(0.5, name="culprit")(tensor, training=True),
    "cubic": lambda tensor: L.UpSampling2D(interpolation="bicubic", name="culprit")(tensor),
    "softmax_over_rows": lambda tensor: L.Softmax(axis=1, name="culprit")(tensor),
    "joined_rows": lambda tensor: L.Concatenate(name="culprit")(
        [L.Flatten()(tensor), L.Flatten()(L.Activation("sigmoid")(tensor))]
    ),
}


FLOAT_ONLY = dict.fromkeys(("elu", "elu_by_name", "square"), "no 8-bit operator for it; replace")
REASONS = FLOAT_ONLY | {
    "other_axis": "it cannot fold",
    "dense_on_images": "only on rows of features",
    "groups": "its channels are in groups",
    "softmax_over_rows": "another axis than the last",
    "joined_rows": "",
}


@pytest.mark.parametrize("body", REFUSED)
def test_an_operation_without_counterpart_is_refused_by_name(body):
    images = np.zeros((2, SIDE, SIDE, 3), np.float32)
    name = f"tf.math.{body}" if body in ("square", "exp") else "culprit"
    with pytest.raises(RecipeError, match=f"quantize_aware cannot round .*{name}") as caught:
        calibrated(small(REFUSED[body]), images)
    unknown = "does not know how TensorFlow Lite rounds it; convert with int8 alone, which may well"
    assert REASONS.get(body, unknown) in str(caught.value)


def test_a_dead_filter_with_a_bias_does_not_overflow(tmp_path):
    network = small(lambda tensor: L.ReLU()(tensor))
    kernel, bias = network.layers[1].get_weights()
    kernel[..., 0], bias[0] = 0.0, 3.0
    kernel[..., 1], bias[1] = 1e-9, -2.0
    network.layers[1].set_weights([kernel, bias])
    images = np.random.default_rng(0).random((64, SIDE, SIDE, 3), np.float32)
    rounded = calibrated(network, images)
    found = Classifier(as_tflite(rounded, tmp_path)).predict(images)
    assert np.abs(found - rounded.predict(images, verbose=0)).max() < 0.05


def test_ranges_are_those_of_the_images_with_zero():
    network = small(lambda tensor: L.ReLU()(tensor))
    images = np.random.default_rng(0).uniform(0.25, 0.75, (64, SIDE, SIDE, 3)).astype(np.float32)
    first = next(item for item in calibrated(network, images).layers if isinstance(item, FakeQuant))
    assert first.low.numpy()[0] == 0
    assert first.high.numpy()[0] == images.max()


def test_a_second_quantize_aware_is_refused():
    images = np.random.default_rng(0).random((8, SIDE, SIDE, 3), np.float32)
    network = calibrated(small(lambda tensor: tensor), images)
    with pytest.raises(RecipeError, match="is quantization-aware already"):
        calibrated(network, images)


def test_training_wants_images():
    images = np.random.default_rng(0).random((8, SIDE, SIDE, 3), np.float32)
    with pytest.raises(RecipeError, match="there are no images to train on"):
        quantize_aware(small(lambda tensor: tensor), Materials(images, np.zeros(8, np.int64)))


def settled(network: Any, images: np.ndarray) -> Any:
    """Batch normalization that fits what it is given, so that signals keep their size."""
    for layer in network.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.momentum = 0.5
    step = tf.function(lambda: network(images, training=True))
    for _ in range(6):
        step()
    return network


SLOW = ("googlenet", "mobilenet", "xcao_two_stream")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NAMES]
)
def test_every_architecture_becomes_integer_throughout(name, tmp_path):
    shape = (75, 75, 1) if name == "googlenet" else (32, 32, 1)
    network = build(name, input_shape=shape, classes=8, seed=0)
    images = np.random.default_rng(1).random((24, *shape), np.float32)
    check_architecture(settled(network, images), images, tmp_path)


@pytest.mark.slow
def test_mobilenet_v3_becomes_integer_throughout(tmp_path):
    """As users of Keras 3 have it: preprocessing inside, residuals, gates, hard swish."""
    keras3().utils.set_random_seed(0)
    made = keras3().applications.MobileNetV3Small(input_shape=(64, 64, 3), weights=None, classes=8)
    images = 255 * np.random.default_rng(1).random((24, 64, 64, 3), np.float32)
    network = settled(to_functional(model_of(made)), images)
    check_architecture(network, images, tmp_path)
    convention = dataclasses.replace(convention_of((64, 64, 3)), high=255.0)
    path = tmp_path / "plain.tflite"
    path.write_bytes(convert(model_of(network), parse_recipe("int8"), convention, images))
    assert take_census(path).float_operators == {}


def check_architecture(network: Any, images: np.ndarray, folder: Path) -> None:
    rounded = calibrated(network, images)
    path = as_tflite(rounded, folder)
    assert_integer_throughout(path)
    plain = network.predict(images, verbose=0)
    expected, found = rounded.predict(images, verbose=0), Classifier(path).predict(images)
    # Untrained networks give near ties, so labels prove nothing; differences must stay within what
    # rounding itself does, a step of the output included.
    assert np.abs(expected - found).mean() <= np.abs(plain - expected).mean() + 1 / 256


# --- A small network trained on synthetic faces -------------------------------------------------

FACE = (24, 24, 1)


def _faces(split: str, size: int) -> Any:
    dataset = open_dataset(DataSpec("synthetic", split=split, size=size, image_size=24))
    return lambda batch, seed: to_tf_data(
        dataset, convention_of(FACE), batch_size=batch, shuffle_seed=seed
    )


def _gathered(stream: Any) -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(*((x.numpy(), y.numpy()) for x, y in stream(64, None)), strict=True)
    return np.concatenate(images), np.concatenate(labels)


@pytest.fixture(scope="module")
def faces() -> Materials:
    training, validation = _faces("train", 1200), _faces("validation", 160)
    images, labels = _gathered(training)
    return Materials(images[:100], labels[:100], training, validation)


@pytest.fixture(scope="module")
def test_faces() -> tuple[np.ndarray, np.ndarray]:
    return _gathered(_faces("test", 400))


@pytest.fixture(scope="module")
def trained(faces) -> Any:
    """Batch normalization before and after ReLU, a residual, a concatenation, two dense layers."""
    tf_keras.utils.set_random_seed(0)
    image = tf_keras.Input(FACE)
    tensor = L.Conv2D(16, 3, padding="same", activation="relu", name="first")(image)
    tensor = L.MaxPooling2D()(L.BatchNormalization(momentum=0.8)(tensor))
    branch = L.Conv2D(16, 3, padding="same", use_bias=False, name="second")(tensor)
    branch = L.ReLU()(L.BatchNormalization(momentum=0.8)(branch))
    tensor = L.Concatenate()([L.Add()([branch, tensor]), branch])
    tensor = L.Conv2D(24, 3, strides=2, activation="relu", name="third")(tensor)
    tensor = L.Dropout(0.2)(L.Flatten()(L.BatchNormalization(momentum=0.8)(tensor)))
    tensor = L.Dense(48, activation="relu", name="hidden")(tensor)
    tensor = L.BatchNormalization(momentum=0.8)(L.Dense(8, name="logits")(tensor))
    network = tf_keras.Model(image, L.Softmax()(tensor))
    network.compile(
        tf_keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    network.fit(faces.training(32, 0), epochs=8, verbose=0)
    return network


@pytest.fixture(scope="module")
def quantized(trained, faces) -> Any:
    return quantize_aware(trained, faces, epochs=1)


def accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(outputs.argmax(axis=1) == labels))


def test_accuracy_survives_rounding(trained, quantized, test_faces, tmp_path):
    images, labels = test_faces
    before = accuracy(trained.predict(images, verbose=0), labels)
    assert before > 0.6
    assert accuracy(quantized.network.predict(images, verbose=0), labels) >= before - 0.03
    variant = make_variant(
        model_of(quantized.network),
        RECIPE,
        convention_of(FACE),
        None,
        images[:256],
        tmp_path,
        "a.tflite",
    )
    assert variant.check.flags == ()
    assert variant.check.float_operators == {}
    assert variant.check.label_agreement >= 0.98
    found = Classifier(tmp_path / "a.tflite", batch=32).predict(images)
    assert accuracy(found, labels) >= before - 0.03
    assert_integer_throughout(tmp_path / "a.tflite")


def test_the_step_tells_and_leaves_its_network_alone(trained, quantized):
    assert quantized.notes[0] == (
        "Batch normalizations: 1 folded into convolutions, 1 folded into dense layers, "
        "1 folded around ReLUs, 1 rewritten as 1x1 depthwise convolutions."
    )
    assert any("trained 1 epoch" in note for note in quantized.notes)
    assert not is_quantize_aware(trained)
    assert is_quantize_aware(quantized.network)
    assert not is_quantize_aware(None)


def test_a_stored_network_is_the_same(quantized, test_faces, tmp_path):
    images, _ = test_faces
    quantized.network.save(tmp_path / "network.keras")
    loaded = tf_keras.models.load_model(tmp_path / "network.keras", compile=False)
    assert is_quantize_aware(loaded)
    np.testing.assert_array_equal(
        loaded.predict(images[:32], verbose=0), quantized.network.predict(images[:32], verbose=0)
    )
    convention = convention_of(FACE)
    assert convert(model_of(loaded), RECIPE, convention) == convert(
        model_of(quantized.network), RECIPE, convention
    )


@pytest.mark.parametrize(
    "text", ["float32", "float16", "dynamic", "int16x8", "int8(backend=ai_edge)"]
)
def test_other_formats_are_refused(text, quantized, test_faces):
    with pytest.raises(RecipeError, match="trained for 8-bit ranges"):
        convert(
            model_of(quantized.network),
            parse_recipe(text),
            convention_of(FACE),
            test_faces[0][:10],
        )


def test_float_input_and_output(quantized, test_faces, tmp_path):
    path = tmp_path / "float.tflite"
    recipe = parse_recipe("quantize_aware > int8(io=float)")
    path.write_bytes(convert(model_of(quantized.network), recipe, convention_of(FACE)))
    census, inside = take_census(path), look_inside(path)
    assert (census.inputs[0].dtype, census.outputs[0].dtype) == ("float32", "float32")
    assert census.float_operators == {}
    assert inside.conversions == ()
    assert inside.image is not None
    assert inside.image.scale == pytest.approx(1 / 255, rel=0.05)


# --- Pruned, clustered and quantized ------------------------------------------------------------

CLUSTERS, SPARSITY = 16, 0.5
KERNELS = ("first", "second", "third", "hidden", "logits")


def _clustered(kernel: np.ndarray) -> np.ndarray:
    """The smaller half zero, the others moved to the nearest of fifteen values."""
    flat = kernel.ravel().copy()
    flat[np.argsort(np.abs(flat))[: int(SPARSITY * flat.size)]] = 0
    kept = flat[flat != 0]
    centers = np.quantile(kept, np.linspace(0, 1, CLUSTERS - 1)).astype(np.float32)
    flat[flat != 0] = centers[np.abs(kept[:, None] - centers).argmin(axis=1)]
    return flat.reshape(kernel.shape)


@pytest.fixture(scope="module")
def collapsed(trained) -> Any:
    network = tf_keras.models.clone_model(trained)
    network.set_weights(trained.get_weights())
    for name in KERNELS:
        layer = network.get_layer(name)
        layer.set_weights([_clustered(layer.get_weights()[0]), *layer.get_weights()[1:]])
    return network


def _integer_kernels(path: Path) -> list[np.ndarray]:
    """Kernels of more than 100 weights in a .tflite file, in the order of data flow."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    graph = model.subgraphs[0]
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) in (
            schema.BuiltinOperator.CONV_2D,
            schema.BuiltinOperator.FULLY_CONNECTED,
        ):
            tensor = graph.tensors[operator.inputs[1]]
            found.append(np.asarray(model.buffers[tensor.buffer].data).view(np.int8))
    return [kernel for kernel in found if kernel.size > 100]


def test_zeros_and_clusters_survive_into_the_file(collapsed, faces, test_faces, tmp_path):
    images, labels = test_faces
    outcome = quantize_aware(collapsed, faces, epochs=1, learning_rate=3e-4)
    for layer in outcome.network.layers:
        if layer.name in KERNELS:
            found = structure_of(layer.get_weights()[0])
            assert found.distinct <= CLUSTERS
            assert found.sparsity >= SPARSITY - 0.01
            assert not np.array_equal(
                layer.get_weights()[0], collapsed.get_layer(layer.name).get_weights()[0]
            )
    path = as_tflite(outcome.network, tmp_path)
    assert_integer_throughout(path)
    integer = _integer_kernels(path)
    assert len(integer) == len(KERNELS)
    for kernel in integer:
        assert len(np.unique(kernel)) <= CLUSTERS
        assert np.mean(kernel == 0) >= SPARSITY - 0.01
    expected = outcome.network.predict(images, verbose=0)
    found = Classifier(path, batch=32).predict(images)
    assert np.mean(expected.argmax(1) == found.argmax(1)) >= 0.98
    assert accuracy(found, labels) >= accuracy(collapsed.predict(images, verbose=0), labels) - 0.03


def test_folding_keeps_the_outputs_of_a_clustered_network(collapsed, faces, test_faces):
    images = test_faces[0][:64]
    rounded = quantize_aware(collapsed, faces, epochs=0).network
    difference = np.abs(rounded.predict(images, verbose=0) - collapsed.predict(images, verbose=0))
    assert difference.mean() < 0.02
