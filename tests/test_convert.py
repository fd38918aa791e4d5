from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fer_opt.backend import tf_keras
from fer_opt.convention import InputConvention
from fer_opt.conversion_check import Scale, check_conversion, input_range_problem, look_inside
from fer_opt.convert import file_stem, make_variant
from fer_opt.errors import ConversionError, ModelError
from fer_opt.flatbuffer import read_convention, take_census
from fer_opt.interpreter import Classifier
from fer_opt.keras_io import TrainedModel, from_keras, load_model
from fer_opt.recipe import STANDARD_RECIPES, parse_recipe
from fer_opt.reports.record import Variant

Make = Callable[..., Variant]


@pytest.fixture
def make(keras2_model, convention, images, tmp_path) -> Make:
    def made(text: str, model: TrainedModel | None = None, **changes: np.ndarray) -> Variant:
        model = model or from_keras(keras2_model, source="test", format_="Keras 2", sha256="0")
        recipe = parse_recipe(text)
        representative = changes.get("representative", images[:20])
        path = f"{file_stem(recipe)}.tflite"
        return make_variant(model, recipe, convention, representative, images, tmp_path, path)

    return made


@pytest.mark.parametrize("text", [*STANDARD_RECIPES, "int8(io=float)", "int16x8(io=integer)"])
def test_every_standard_variant_agrees_with_keras(text, make, tmp_path):
    variant = make(text)
    assert variant.recipe == text
    assert variant.check.flags == ()
    assert variant.check.label_agreement >= 0.9
    assert variant.size_bytes == (tmp_path / variant.path).stat().st_size
    assert variant.input.shape == (1, 24, 24, 1)


def test_formats_hold_what_they_say(make):
    kinds = {text: make(text).input.dtype for text in [*STANDARD_RECIPES, "int8(io=float)"]}
    assert kinds == {
        "float32": "float32",
        "float16": "float32",
        "dynamic": "float32",
        "int8": "int8",
        "int16x8": "float32",
        "int8(io=float)": "float32",
    }
    sizes = {text: make(text).size_bytes for text in ("float32", "int8")}
    assert sizes["int8"] < sizes["float32"]


def test_int8_is_integer_throughout(make):
    variant = make("int8")
    assert variant.check.float_operators == {}
    assert variant.input.scale == pytest.approx(1 / 255, rel=0.05)


def test_int16x8_calls_out_its_slow_kernels(make):
    assert any("slow reference kernels" in note for note in make("int16x8").check.notes)


@pytest.mark.parametrize("which", ["keras3_model", "saved"])
def test_keras3_and_saved_models_convert(which, keras3_model, make, tmp_path):
    if which == "saved":
        keras3_model.export(tmp_path / "saved", verbose=False)
        model = load_model(tmp_path / "saved")
    else:
        model = from_keras(keras3_model, source="k3", format_="Keras 3", sha256="0")
    for text in ("float32", "int8"):
        assert make(text, model).check.flags == ()
    assert make("float32", model).check.max_abs_difference < 1e-5


def test_a_representative_set_of_the_wrong_range_is_flagged(make, images):
    variant = make("int8", representative=images[:20] * 255)
    assert any("agrees with Keras on only" in flag for flag in variant.check.flags)


def test_the_file_carries_its_input_convention(make, convention, tmp_path):
    assert read_convention(tmp_path / make("int8").path) == convention


def test_the_same_conversion_gives_the_same_bytes(make):
    assert make("int8").sha256 == make("int8").sha256


def test_integer_formats_want_images(keras2_model, convention, images, tmp_path):
    model = from_keras(keras2_model, source="m.h5", format_="Keras 2", sha256="0")
    with pytest.raises(ConversionError, match="needs a representative dataset"):
        make_variant(model, parse_recipe("int8"), convention, None, images, tmp_path, "x.tflite")
    assert not (tmp_path / "x.tflite").exists()


def test_batches_give_what_single_images_give(make, images, tmp_path):
    for text in ("float32", "int8"):
        path = tmp_path / make(text).path
        alone, together = Classifier(path), Classifier(path, batch=16)
        assert together.batch == 16
        np.testing.assert_allclose(together.predict(images), alone.predict(images), atol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"no model at all", "no TFLite model"),
        (b"\x1c\0\0\0TFL3" + b"\xff" * 64, "damaged"),
    ],
)
def test_broken_tflite_files_are_named(content, message, tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        take_census(path)
    assert "broken.tflite" in str(caught.value)
    with pytest.raises(ModelError, match=r"broken\.tflite"):
        Classifier(path)


def test_a_cut_tflite_file_is_refused(make, tmp_path):
    whole = (tmp_path / make("float32").path).read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"cut\.tflite"):
        Classifier(cut)


def test_a_missing_tflite_file_is_named(tmp_path: Path):
    with pytest.raises(ModelError, match=r"gone\.tflite cannot be read"):
        take_census(tmp_path / "gone.tflite")


@pytest.mark.parametrize("text", ["int8(backend=ai_edge)", "dynamic(backend=ai_edge)"])
def test_the_other_quantizer_makes_files_that_run(make, text):
    pytest.importorskip("ai_edge_quantizer")
    variant = make(text)
    assert variant.check.flags == ()
    assert variant.check.label_agreement >= 0.9
    assert variant.size_bytes < make("float32").size_bytes


def _relative_to(convention: InputConvention, low: float, high: float) -> InputConvention:
    return dataclasses.replace(convention, low=low, high=high)


@pytest.mark.parametrize("text", ["int8", "int16x8"])
def test_batch_norm_is_folded_before_calibration(text, make):
    folded, plain = make(text), make(f"{text}(fold=off)")
    assert folded.check.flags == plain.check.flags == ()
    assert {"MUL", "DEPTHWISE_CONV_2D"} & set(plain.check.operators) == {"MUL"}
    # One folds into the dense layer behind it, around the ReLU.
    assert not {"MUL", "DEPTHWISE_CONV_2D"} & set(folded.check.operators)


def test_batch_norm_of_a_keras_3_model_is_folded_too(make, keras3_model):
    model = from_keras(keras3_model, source="k3", format_="Keras 3", sha256="0")
    folded, plain = (make(text, model).check.operators for text in ("int8", "int8(fold=off)"))
    assert (plain["MUL"], plain["DEPTHWISE_CONV_2D"]) == (1, 1)
    assert "MUL" not in folded
    assert folded["DEPTHWISE_CONV_2D"] == 2


def test_what_cannot_be_folded_is_converted_as_it_is(make, keras3_model, tmp_path):
    keras3_model.export(tmp_path / "saved", verbose=False)
    model = load_model(tmp_path / "saved")
    assert make("int8", model).sha256 == make("int8(fold=off)", model).sha256


@pytest.mark.parametrize("text", ["int8(backend=ai_edge)", "int8(io=float, backend=ai_edge)"])
def test_ai_edge_quantizer_makes_full_integer_files(text, make, tmp_path):
    pytest.importorskip("ai_edge_quantizer")
    variant = make(text)
    kind = "float32" if "float" in text else "int8"
    assert (variant.input.dtype, variant.output.dtype) == (kind, kind)
    assert variant.check.flags == ()
    assert variant.check.float_operators == {}
    image = look_inside(tmp_path / variant.path).image
    assert image is not None
    assert image.scale == pytest.approx(1 / 255, rel=0.05)


def test_ai_edge_quantizer_rounds_weights_alone(make):
    pytest.importorskip("ai_edge_quantizer")
    variant = make("dynamic(backend=ai_edge)")
    assert variant.input.dtype == "float32"
    assert variant.check.flags == ()
    assert variant.size_bytes < make("float32").size_bytes


def test_a_missing_ai_edge_quantizer_says_how_to_get_it(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    for text in ("int8(backend=ai_edge)", "dynamic(backend=ai_edge)"):
        with pytest.raises(ConversionError, match=r"pip install fer-opt\[ai-edge\]"):
            make(text)


@pytest.mark.parametrize("text", ["int8", "int8(io=float)", "int16x8", "int8(backend=ai_edge)"])
@pytest.mark.parametrize("factor", [255.0, 1 / 255])
def test_images_scaled_wrongly_are_flagged_whatever_the_labels_say(text, factor, make, images):
    check = make(text, representative=images[:20] * np.float32(factor)).check
    assert any("the representative images are scaled wrongly" in flag for flag in check.flags)


def int8_from(low: float, high: float) -> Scale:
    scale = (high - low) / 255
    return Scale("INT8", scale, round(-128 - low / scale))


@pytest.mark.parametrize(
    ("stated", "found", "problem"),
    [
        ((0.0, 1.0), int8_from(0, 1), ""),
        ((0.0, 1.0), int8_from(0, 0.8), ""),
        ((-1.0, 1.0), int8_from(-0.9, 1), ""),
        ((0.0, 255.0), int8_from(0, 250), ""),
        ((0.0, 1.0), int8_from(0, 255), "flag"),
        ((0.0, 255.0), int8_from(0, 1), "flag"),
        ((0.0, 1.0), int8_from(-1, 1), "flag"),
        ((-1.0, 1.0), int8_from(0, 1), "flag"),
        ((0.0, 1.0), int8_from(0, 0.4), "flag"),
        ((0.0, 1.0), Scale("INT16", 1 / 32767, 0), ""),
        ((-1.0, 1.0), Scale("INT16", 1 / 32767, 0), ""),
        ((0.0, 255.0), Scale("INT16", 1 / 32767, 0), "flag"),
        ((0.0, 1.0), Scale("INT16", 255 / 32767, 0), "flag"),
    ],
)
def test_the_input_must_hold_what_the_convention_says(stated, found, problem, convention):
    samples = _relative_to(convention, *stated).scale(np.arange(256))
    sentence, serious = input_range_problem(found, _relative_to(convention, *stated), samples)
    assert serious == (problem == "flag")
    assert bool(sentence) == serious


def test_dim_images_make_a_narrow_range_which_is_only_noted(convention):
    samples = np.linspace(0, 0.4, 50, dtype=np.float32)
    sentence, serious = input_range_problem(int8_from(0, 0.4), convention, samples)
    assert "images beyond that are cut off" in sentence
    assert not serious


def test_changes_of_scale_inside_the_graph_are_named(convention, images, tmp_path):
    """ai-edge-quantizer gives the inputs of a maximum scales of their own, then changes them."""
    pytest.importorskip("ai_edge_quantizer")
    image = tf_keras.Input((24, 24, 1))
    branches = [tf_keras.layers.Conv2D(4, 3, name=f"branch{side}")(image) for side in "ab"]
    pooled = [tf_keras.layers.MaxPooling2D()(branch) for branch in branches]
    tensor = tf_keras.layers.Maximum(name="larger")(pooled)
    tensor = tf_keras.layers.Dense(8, activation="softmax")(tf_keras.layers.Flatten()(tensor))
    model = from_keras(tf_keras.Model(image, tensor), source="test", format_="Keras 2", sha256="0")
    recipe = parse_recipe("int8(backend=ai_edge)")
    variant = make_variant(model, recipe, convention, images, images, tmp_path, "x.tflite")
    (note,) = variant.check.notes
    number = len(look_inside(tmp_path / "x.tflite").conversions)
    assert number >= 1
    assert note.startswith(f"{number} QUANTIZE or DEQUANTIZE operator")
    assert "larger" in note or "pool" in note


def test_probabilities_of_another_scale_are_flagged(make, keras2_model, images, tmp_path):
    """LiteRT refuses a softmax of another scale, but not one that is changed afterwards."""
    path = tmp_path / make("int8").path
    content = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    graph = content.subgraphs[0]
    (old,) = graph.outputs
    changed = copy.deepcopy(graph.tensors[old])
    changed.quantization.scale = np.float32([1 / 200])
    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    content.operatorCodes.append(code)
    operator.opcodeIndex = len(content.operatorCodes) - 1
    operator.inputs, operator.outputs = [old], [len(graph.tensors)]
    graph.tensors.append(changed)
    graph.operators.append(operator)
    graph.outputs = [len(graph.tensors) - 1]
    for signature in content.signatureDefs:
        signature.outputs[0].tensorIndex = graph.outputs[0]
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(content.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    model = from_keras(keras2_model, source="test", format_="Keras 2", sha256="0")
    check = check_conversion(model, parse_recipe("int8"), path, take_census(path), images)
    assert any("Its probabilities come in steps of 0.005" in flag for flag in check.flags)


def test_only_the_last_step_of_a_recipe_is_the_number_format(make):
    variant = make("fine_tune(1) > int8(io=float)")
    assert variant.recipe == "fine_tune(1) > int8(io=float)"
    assert variant.input.dtype == "float32"
    assert variant.check.float_operators == {}
