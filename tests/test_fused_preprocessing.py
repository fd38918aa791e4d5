"""Files that resize, grey and scale the pixels of a face themselves."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import trained_toy
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from conftest import sharpened
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_opt.backend import tf_keras
from fer_opt.compress.quantize_aware import quantize_aware
from fer_opt.convention import AFFECTNET_LABELS, FER2013_LABELS, InputConvention
from fer_opt.conversion_check import check_conversion, look_inside
from fer_opt.convert import convert, file_stem, make_variant
from fer_opt.device.host_worker import operator_coverage
from fer_opt.errors import ConversionError, RecipeError
from fer_opt.flatbuffer import pack, read_convention, take_census, unpack
from fer_opt.interpreter import Classifier, dequantize
from fer_opt.keras_io import TrainedModel, from_keras
from fer_opt.recipe import parse_recipe
from fer_opt.reports.record import Variant

Make = Callable[..., Variant]

FUSED = {
    "float32(input=crop)": ("float32", 3),
    "float16(input=crop)": ("float32", 3),
    "dynamic(input=crop)": ("float32", 3),
    "int8(input=crop)": ("int8", 3),
    "int8(io=float, input=crop)": ("float32", 3),
    "int8(fold=off, input=crop)": ("int8", 3),
}
"""Type of the output, and operators more than in the file without."""


def model_of(network: Any) -> TrainedModel:
    return from_keras(network, source="test", format_="Keras 2", sha256="0")


@pytest.fixture
def make(keras2_model, convention, images, tmp_path) -> Make:
    def made(text: str, network: Any = keras2_model, **changes: Any) -> Variant:
        recipe = parse_recipe(text)
        settled = dataclasses.replace(convention, **changes)
        fed = images if settled.channels == 1 else images.repeat(3, axis=3)
        fed = settled.scale(np.rint(fed * 255))
        path = f"{file_stem(recipe)}.tflite"
        return make_variant(model_of(network), recipe, settled, fed[:20], fed, tmp_path, path)

    return made


@pytest.mark.parametrize("text", FUSED)
def test_a_fused_file_takes_pixels_and_agrees_with_keras(text, make):
    variant = make(text)
    assert variant.recipe == text
    assert (variant.input.dtype, variant.input.shape) == ("uint8", (1, 24, 24, 3))
    assert variant.output.dtype == FUSED[text][0]
    assert variant.check.flags == ()
    (note,) = variant.check.notes
    assert "its times hold resize, grey and scaling" in note
    assert variant.check.label_agreement >= 0.9
    if text.startswith("float32"):
        assert variant.check.max_abs_difference < 1e-5
    if text.startswith("int8"):
        assert variant.check.float_operators == {}


@pytest.mark.parametrize("text", FUSED)
def test_nothing_but_preprocessing_is_added(text, make):
    plain, fused = make(text.replace("input=crop", "input=tensor")), make(text)
    before, after = plain.check.operators, fused.check.operators
    added = {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}
    if text == "int8(io=float, input=crop)":  # it had a QUANTIZE already, for its float input
        assert added == {"RESIZE_BILINEAR": 1, "CONV_2D": 1}
    else:
        kind = "QUANTIZE" if text.startswith("int8") else "DEQUANTIZE"
        assert added == {"RESIZE_BILINEAR": 1, kind: 1, "CONV_2D": 1}
    assert not {"SHAPE", "PACK", "STRIDED_SLICE", "CAST"} & set(after)


def test_the_rest_of_the_file_stays_bit_for_bit(make, tmp_path):
    for text in ("int8", "float32"):
        plain = unpack((tmp_path / make(text).path).read_bytes())
        fused = unpack((tmp_path / make(f"{text}(input=crop)").path).read_bytes())
        rest = fused.subgraphs[0].operators[3:]
        assert len(rest) == len(plain.subgraphs[0].operators)
        for old, new in zip(plain.subgraphs[0].operators, rest, strict=True):
            assert (list(old.inputs), list(old.outputs)) == (list(new.inputs), list(new.outputs))
        for old, new in zip(plain.subgraphs[0].tensors, fused.subgraphs[0].tensors, strict=False):
            assert old.name == new.name
            before, after = plain.buffers[old.buffer].data, fused.buffers[new.buffer].data
            np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("text", ["float32", "int8"])
def test_grey_crops_of_the_models_size_give_what_the_plain_file_gives(text, make, images, tmp_path):
    plain, fused = (
        Classifier(tmp_path / make(recipe).path) for recipe in (text, f"{text}(input=crop)")
    )
    assert fused.takes_crops
    assert not plain.takes_crops
    assert fused.input_shape == plain.input_shape == (24, 24, 1)
    pixels = np.rint(images * 255) / np.float32(255)
    expected, found = plain.predict(pixels), fused.predict(pixels)
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-6 if text == "float32" else 0)


@pytest.mark.parametrize("text", ["float32(input=crop)", "int8(input=crop)"])
def test_batches_of_crops_give_what_single_crops_give(text, make, images, tmp_path):
    path = tmp_path / make(text).path
    alone, together = Classifier(path), Classifier(path, batch=16)
    assert together.batch == 16
    np.testing.assert_allclose(together.predict(images), alone.predict(images), atol=1e-6)


def network_of(channels: int) -> Any:
    tf_keras.utils.set_random_seed(5)
    layers = tf_keras.layers
    return sharpened(
        tf_keras.Sequential(
            [
                layers.Input((24, 24, channels), name="image"),
                layers.Conv2D(8, 3, activation="relu", padding="same"),
                layers.MaxPooling2D(4),
                layers.Flatten(),
                layers.Dense(8, activation="softmax"),
            ]
        )
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-3.0, -1.0)])
@pytest.mark.parametrize("text", ["float32(input=crop)", "int8(input=crop)"])
def test_every_range_and_colour_is_scaled_inside(text, channels, low, high, make):
    network = network_of(channels)
    network.layers[0].set_weights([network.layers[0].get_weights()[0] / (high - low), np.zeros(8)])
    check = make(text, network, channels=channels, low=low, high=high).check
    assert check.label_agreement >= 0.9
    assert not any("scaled wrongly" in flag for flag in check.flags)
    if text.startswith("float32"):
        assert check.flags == ()
        assert check.max_abs_difference < 1e-5


def test_colour_from_0_to_1_needs_no_operator_of_its_own(make):
    operators = make("int8(input=crop)", network_of(3), channels=3).check.operators
    assert (operators["RESIZE_BILINEAR"], operators["QUANTIZE"], operators["CONV_2D"]) == (1, 1, 1)
    assert "DEPTHWISE_CONV_2D" not in operators


def test_xnnpack_runs_all_but_the_change_of_type(make, tmp_path):
    def own(text: str) -> int:
        interpreter = Interpreter(str(tmp_path / make(text).path), num_threads=1)
        interpreter.allocate_tensors()
        operators, delegated = operator_coverage(interpreter)
        assert operators is not None
        assert delegated is not None
        return operators - delegated

    assert own("float32(input=crop)") == own("float32")
    assert own("int8(input=crop)") <= own("int8") + 1


def test_the_file_says_that_it_takes_crops(make, convention, tmp_path):
    told = read_convention(tmp_path / make("int8(input=crop)").path)
    assert told == dataclasses.replace(convention, input="crop")


def test_files_that_take_tensors_say_what_they_always_said(make, tmp_path):
    content = (tmp_path / make("int8").path).read_bytes()
    start = content.index(b'{"height"')
    told = json.JSONDecoder().raw_decode(content[start:].decode("utf-8", "ignore"))[0]
    assert "input" not in told
    assert told["guessed"] == []


def test_the_input_of_the_file_may_have_any_height_and_width(make, tmp_path):
    path = tmp_path / make("int8(input=crop)").path
    graph = unpack(path.read_bytes()).subgraphs[0]
    tensor = graph.tensors[graph.inputs[0]]
    assert tensor.name == b"crop"
    assert list(tensor.shape) == [1, 24, 24, 3]
    assert list(tensor.shapeSignature) == [1, -1, -1, 3]
    assert tensor.type == schema.TensorType.UINT8
    runner = Interpreter(str(path)).get_signature_runner()
    (name,) = runner.get_input_details()
    (scores,) = runner(**{name: np.zeros((1, 70, 50, 3), np.uint8)}).values()
    assert scores.shape == (1, 8)


def test_the_same_conversion_gives_the_same_bytes_again(make):
    assert make("int8(input=crop)").sha256 == make("int8(input=crop)").sha256


def test_images_scaled_wrongly_are_flagged_inside_a_fused_file_too(
    keras2_model, convention, images, tmp_path
):
    recipe = parse_recipe("int8(input=crop)")
    variant = make_variant(
        model_of(keras2_model), recipe, convention, images * 255, images, tmp_path, "x.tflite"
    )
    assert any("the representative images are scaled wrongly" in f for f in variant.check.flags)


def test_a_network_trained_with_quantization_takes_crops(tmp_path):
    convention = InputConvention(16, 16, 1, -9.0, 9.0, AFFECTNET_LABELS[:6])
    given, _ = trained_toy.images("test")
    images = convention.scale(np.clip(np.rint((given + 9) * 255 / 18), 0, 255))
    rounded = model_of(
        quantize_aware(trained_toy.trained(), trained_toy.without_images(), epochs=0).network
    )
    made = [
        make_variant(
            rounded, parse_recipe(text), convention, None, images, tmp_path, f"{number}.tflite"
        )
        for number, text in enumerate(
            [
                "quantize_aware(0) > int8",
                "quantize_aware(0) > int8(input=crop)",
                "quantize_aware(0) > int8(io=float, input=crop)",
            ]
        )
    ]
    assert [variant.output.dtype for variant in made] == ["int8", "int8", "float32"]
    plain, *fused = (Classifier(tmp_path / variant.path).predict(images) for variant in made)
    for variant, found in zip(made[1:], fused, strict=True):
        assert variant.check.flags == ()
        assert variant.check.float_operators == {}
        assert look_inside(tmp_path / variant.path).conversions == ()
        assert np.mean(plain.argmax(axis=1) == found.argmax(axis=1)) >= 0.99


def test_ai_edge_quantizer_takes_crops(make):
    pytest.importorskip("ai_edge_quantizer")
    for text, kind in (
        ("int8(backend=ai_edge, input=crop)", "int8"),
        ("int8(io=float, backend=ai_edge, input=crop)", "float32"),
        ("dynamic(backend=ai_edge, input=crop)", "float32"),
    ):
        variant = make(text)
        assert (variant.input.dtype, variant.output.dtype) == ("uint8", kind)
        assert variant.check.flags == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preprocessing": ("equalize", "dog(1, 2)")}, r"equalize, dog\(1, 2\) is no operator"),
        ({"interpolation": "area"}, "resized by area interpolation"),
        ({"interpolation": "nearest"}, "resized by nearest interpolation"),
    ],
)
def test_what_no_operator_does_is_refused_by_name(changes, message, make, tmp_path):
    with pytest.raises(RecipeError, match=message) as caught:
        make("int8(input=crop)", **changes)
    assert "leave input=crop out" in str(caught.value)
    assert not list(tmp_path.glob("*.tflite"))


def test_a_range_far_from_zero_is_refused_in_8_bits(make):
    with pytest.raises(ConversionError, match="too far from zero"):
        make("int8(input=crop)", low=1e6, high=1e6 + 1)


def test_16_bit_activations_take_no_crops():
    with pytest.raises(RecipeError, match="int16x8 has no option 'input'"):
        parse_recipe("int16x8(input=crop)")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("float32(input=tensor)", "float32"),
        ("int8(input=crop, io=float)", "int8(io=float, input=crop)"),
        ("int8(backend=ai_edge, input=crop)", "int8(backend=ai_edge, input=crop)"),
        ("quantize_aware(2) > int8(input=crop)", "quantize_aware(2) > int8(input=crop)"),
    ],
)
def test_recipes_with_crops_read_back(text, canonical):
    recipe = parse_recipe(text)
    assert str(recipe) == canonical
    assert parse_recipe(canonical) == recipe
    assert recipe.format.takes_crops == ("crop" in canonical)
    assert ("preprocessing inside" in recipe.title) == ("crop" in canonical)


def test_without_a_dataset_pixels_are_compared_too(keras2_model, convention, tmp_path):
    """Random values lie between pixels; Keras and the file must see the same."""
    recipe = parse_recipe("float32(input=crop)")
    samples = np.random.default_rng(1).random((32, 24, 24, 1), np.float32)
    variant = make_variant(
        model_of(keras2_model), recipe, convention, None, samples, tmp_path, "x.tflite"
    )
    assert variant.check.max_abs_difference < 1e-5


@pytest.mark.parametrize("align_corners", [True, False])
def test_a_file_that_resizes_otherwise_is_found_out(
    align_corners, make, keras2_model, images, tmp_path
):
    path = tmp_path / make("float32(input=crop)").path
    model = unpack(path.read_bytes())
    options = model.subgraphs[0].operators[0].builtinOptions
    options.halfPixelCenters, options.alignCorners = False, align_corners
    path.write_bytes(pack(model))
    check = check_conversion(
        model_of(keras2_model),
        parse_recipe("float32(input=crop)"),
        path,
        take_census(path),
        images,
    )
    assert any("differs from Keras's" in flag for flag in check.flags)


def test_pixels_come_back_out_of_what_they_became():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-0.3, 0.2)):
        convention = InputConvention(16, 16, 1, low, high, FER2013_LABELS)
        crops = convention.crops(convention.scale(pixels))
        assert crops.shape == (1, 16, 16, 3)
        assert crops.dtype == np.uint8
        np.testing.assert_array_equal(crops, pixels.repeat(3, axis=3))


def cut_after(content: bytes, operators: int) -> bytes:
    """The file up to the output of one of its first operators."""
    model = unpack(content)
    graph = model.subgraphs[0]
    graph.operators = graph.operators[:operators]
    graph.outputs = graph.operators[-1].outputs
    model.signatureDefs = []
    return pack(model)


def run(content: bytes, crop: np.ndarray) -> np.ndarray:
    """What LiteRT with XNNPACK makes of a crop, dequantized."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, (1, *crop.shape))
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, crop[np.newaxis])
    interpreter.invoke()
    output = interpreter.get_output_details()[0]
    return dequantize(interpreter.get_tensor(output["index"]), output)[0]


@pytest.fixture(scope="module")
def heads(keras2_model, images) -> dict[str, bytes]:
    """What makes 24x24 pixels of a crop, and what makes the image of them, in two formats."""
    convention = InputConvention(24, 24, 1, 0.0, 1.0, AFFECTNET_LABELS)
    ends = np.concatenate([images[:20], np.zeros_like(images[:1]), np.ones_like(images[:1])])
    whole = {
        name: convert(model_of(keras2_model), parse_recipe(f"{name}(input=crop)"), convention, ends)
        for name in ("float32", "int8")
    }
    images_of = {name: cut_after(content, 3) for name, content in whole.items()}
    return {"pixels": cut_after(whole["int8"], 1), **images_of}


@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2])
)
@settings(deadline=None, max_examples=60)
def test_pixels_are_those_of_opencv(heads, height, width, seed, blur):
    random = np.random.default_rng(seed)
    crop = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if blur:
        crop = cv2.GaussianBlur(crop, (0, 0), blur)
    resized = cv2.resize(crop, (24, 24), interpolation=cv2.INTER_LINEAR)
    found = run(heads["pixels"], crop) * 255
    assert np.abs(found - resized).max() <= 1.01
    # OpenCV rounds twice, grey and resized grey; so does the file, colours and the image.
    grey = cv2.resize(
        cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (24, 24), interpolation=cv2.INTER_LINEAR
    )
    for name in ("float32", "int8"):
        image = run(heads[name], crop)[..., 0] * 255
        assert np.abs(image - grey).max() <= 2.01
