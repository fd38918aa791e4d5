"""The thesis's architectures: parameter counts, shapes, names, refusals."""

from __future__ import annotations

import functools
import subprocess
import sys

import numpy as np
import pytest
from settled import settled

from fer_opt.backend import tf, tf_keras
from fer_opt.errors import ConventionError, ModelError
from fer_opt.interpreter import Classifier
from fer_opt.models import ARCHITECTURES, NAMES, architecture, build
from fer_opt.reports.published import published_table

OWN = ("baseline", "baseline_enhanced", "xcao", "xcao_two_stream", "fractal")


@functools.cache
def small(name):
    """The architecture at its smallest, built once."""
    side = architecture(name).minimum_side
    return build(name, input_shape=(side, side, 1))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("baseline", 102_830_056),
        ("baseline_enhanced", 102_830_856),
        ("xcao", 6_970_728),
        ("xcao_two_stream", 7_509_672),
        ("fractal", 26_395_128),
        ("googlenet", 21_818_600),
        ("mobilenet", 3_236_488),
    ],
)
def test_parameters_at_the_size_of_the_thesis(name, parameters):
    model = build(name)
    assert model.count_params() == parameters == architecture(name).parameters
    assert model.input_shape == (None, 224, 224, 1)
    assert model.output_shape == (None, 8)


@pytest.mark.parametrize(
    ("name", "input_shape"), [("googlenet", (299, 299, 3)), ("mobilenet", (224, 224, 3))]
)
def test_reference_models_meet_the_published_count_as_keras_ships_them(name, input_shape):
    model = build(name, input_shape=input_shape, classes=1000)
    assert model.count_params() == architecture(name).thesis_parameters


def test_published_figures_are_those_of_table_5():
    rows = {row["name"]: row for row in published_table(5).records()}
    assert set(rows) == set(NAMES)
    for item in ARCHITECTURES:
        row = rows[item.name]
        assert (item.title, item.thesis_parameters) == (row["model"], row["parameters"])
        assert (item.thesis_accuracy, item.thesis_loss) == (row["accuracy"], row["loss"])


def test_counts_that_differ_from_the_published_ones_say_why():
    different = {item.name for item in ARCHITECTURES if item.parameters != item.thesis_parameters}
    assert different == {"baseline", "fractal", "googlenet", "mobilenet"}
    assert different == {item.name for item in ARCHITECTURES if item.note}
    fractal = architecture("fractal")
    assert abs(fractal.parameters / fractal.thesis_parameters - 1) < 0.005


def test_what_batch_normalization_adds_to_the_baseline():
    difference = architecture("baseline_enhanced").parameters - architecture("baseline").parameters
    assert difference == 768 + 32


def test_the_second_stream_adds_exactly_one_trunk():
    model = build("xcao")
    head = {"dense", "logits", "logits_bn"}
    trunk = sum(layer.count_params() for layer in model.layers if layer.name not in head)
    assert trunk == 538_944
    assert build("xcao_two_stream").count_params() - model.count_params() == trunk


def test_listing_loads_no_tensorflow():
    code = (
        "import sys, fer_opt.models as m; assert len(m.ARCHITECTURES) == 7; "
        "sys.exit(bool({'tensorflow', 'keras', 'tf_keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("input_shape", [(48, 48, 1), (35, 50, 3)])
def test_other_sizes_and_label_counts(name, input_shape):
    images = np.random.default_rng(0).random((3, *input_shape), dtype=np.float32)
    model = settled(build(name, input_shape=input_shape, classes=7, seed=0), images)
    outputs = model(images).numpy()
    assert outputs.shape == (3, 7)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_smallest_images_pass_and_smaller_ones_are_refused(name):
    side = architecture(name).minimum_side
    assert small(name).output_shape == (None, 8)
    with pytest.raises(ConventionError, match=f"{name} needs images of at least {side}x{side}"):
        build(name, input_shape=(side - 1, side, 1))


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("xcoa", "xcao"),
        ("XCAO", "xcao"),
        ("xcao-two-stream", "xcao_two_stream"),
        ("base_line", "baseline"),
        ("googlnet", "googlenet"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_and_all(asked, nearest):
    with pytest.raises(ModelError, match=f"did you mean '{nearest}'") as caught:
        build(asked)
    assert all(name in str(caught.value) for name in NAMES)


def test_a_name_like_no_other_is_refused_without_a_guess():
    with pytest.raises(ModelError, match="no architecture 'q'; all of them are baseline"):
        build("q")


@pytest.mark.parametrize("input_shape", [(48, 48, 2), (48, 48), (48, 48, 0)])
def test_images_that_are_neither_grey_nor_rgb_are_refused(input_shape):
    with pytest.raises(ConventionError, match="1 \\(grey\\) or 3 \\(RGB\\)"):
        build("xcao", input_shape=input_shape)


def test_a_single_label_is_refused():
    with pytest.raises(ConventionError, match="2 or more"):
        build("xcao", classes=1)


@pytest.mark.parametrize("name", NAMES)
def test_input_and_output_have_their_names(name):
    model = small(name)
    assert model.input_names == ["image"]
    assert model.output_names == ["label"]
    assert isinstance(model.layers[-1], tf_keras.layers.Activation)
    assert model.layers[-1].activation is tf_keras.activations.softmax
    assert model.name == name


@pytest.mark.parametrize("name", OWN)
def test_a_second_build_has_the_same_layer_names(name):
    again = build(name, input_shape=(32, 32, 1))
    assert [layer.name for layer in again.layers] == [layer.name for layer in small(name).layers]


@pytest.mark.parametrize("name", OWN)
def test_dropout_as_section_3_2_2_says(name):
    layers = small(name).layers
    rates = [layer.rate for layer in layers if isinstance(layer, tf_keras.layers.Dropout)]
    if name == "baseline":
        assert rates == []
        return
    assert set(rates) == {0.25, 0.5}
    names = [layer.name for layer in layers]
    assert layers[names.index("dense_dropout")].rate == 0.5
    assert names.index("dense") < names.index("dense_dropout") < names.index("logits")


@pytest.mark.parametrize("name", OWN)
def test_every_convolution_is_3x3_same_relu_and_normalized(name):
    model = small(name)
    layers = {layer.name: layer for layer in model.layers}
    found = [layer for layer in model.layers if isinstance(layer, tf_keras.layers.Conv2D)]
    for layer in found:
        assert layer.kernel_size == (3, 3)
        assert layer.padding == "same"
        assert layer.activation is tf_keras.activations.relu
        follower = layer.outbound_nodes[0].outbound_layer
        if name == "baseline":
            assert not isinstance(follower, tf_keras.layers.BatchNormalization)
        else:
            assert follower is layers[layer.name.replace("_conv", "_bn")]


def test_the_same_seed_gives_the_same_weights():
    one, same, other = (
        build("xcao", input_shape=(32, 32, 1), seed=seed).get_weights() for seed in (3, 3, 4)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "name",
    [
        "xcao",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in NAMES
            if name not in ("xcao", "googlenet")
        ),
    ],
)
def test_tflite_gives_the_same_outputs(name, tmp_path):
    images = np.random.default_rng(0).random((4, 40, 40, 1), dtype=np.float32)
    model = settled(build(name, input_shape=(40, 40, 1), classes=7, seed=0), images)
    path = tmp_path / "model.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    outputs = Classifier(path).predict(images)
    # The converter folds batch normalization into convolutions, which rounds differently.
    np.testing.assert_allclose(outputs, model(images).numpy(), atol=1e-4)
