from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

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
