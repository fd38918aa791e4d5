"""A trained model as TensorFlow Lite files, each compared with the model it came from."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf
from fer_opt.compress.ai_edge import quantize_dynamic, quantize_static
from fer_opt.compress.fake_quant import is_quantize_aware
from fer_opt.compress.fuse_preprocessing import check_fusable, fuse_preprocessing
from fer_opt.compress.simplify import can_simplify, simplify
from fer_opt.convention import InputConvention
from fer_opt.conversion_check import check_conversion
from fer_opt.errors import ConversionError, ModelError, RecipeError, first_line
from fer_opt.files import sha256_of, write_atomically
from fer_opt.flatbuffer import take_census, with_convention
from fer_opt.keras_io import TrainedModel, to_functional
from fer_opt.noise import quiet
from fer_opt.recipe import Recipe, Step
from fer_opt.reports.record import Variant

__all__ = ["check_conversion", "convert", "file_stem", "freeze", "make_variant"]

LONGEST_STEM = 120
"""Characters of a file name before its suffixes; file systems take 255 bytes."""

Floats = npt.NDArray[np.float32]


def make_variant(
    model: TrainedModel,
    recipe: Recipe,
    convention: InputConvention,
    representative: Floats | None,
    samples: Floats,
    folder: Path,
    path: str,
) -> Variant:
    """Convert, write, and check one variant.

    Args:
        model: the trained model, or what the recipe's steps before the last made of it.
        recipe: whose last step is the number format.
        convention: fixes the input size.
        representative: float32 (n, height, width, channels) for calibration, where needed.
        samples: float32 images on which Keras and TFLite are compared.
        folder: that holds the results.
        path: of the file to write, relative to ``folder``.

    Raises:
        ConversionError: TensorFlow Lite would not convert the model.
        OutputError: the file cannot be written.
        RecipeError: the model is quantization-aware, and the number format is not int8.
    """
    content = convert(model, recipe, convention, representative)
    write_atomically(folder / path, content)
    census = take_census(folder / path)
    return Variant(
        recipe=str(recipe),
        title=recipe.title,
        path=path,
        sha256=sha256_of(folder / path),
        size_bytes=len(content),
        gzip_bytes=len(gzip.compress(content, 9, mtime=0)),
        input=census.inputs[0],
        output=census.outputs[0],
        check=check_conversion(model, recipe, folder / path, census, samples),
    )


def file_stem(recipe: Recipe) -> str:
    """A file name of its own for a recipe: ``int8(io=float)`` becomes ``int8_io_float``.

    Words and numbers say which recipe it is; quoted text and what is cut off do not, so a hash of
    the recipe stands in their place.
    """
    text = str(recipe)
    stem = "_".join("".join(c if c.isascii() and c.isalnum() else " " for c in text).split())
    if '"' not in text and len(stem) <= LONGEST_STEM:
        return stem
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{stem[: LONGEST_STEM - 9].rstrip('_')}_{digest}"


def convert(
    model: TrainedModel,
    recipe: Recipe,
    convention: InputConvention,
    representative: Floats | None = None,
) -> bytes:
    """The bytes of a .tflite file at batch 1.

    The last step of the recipe is the number format; the steps before it must have been carried
    out on the model. A quantization-aware network brings its ranges along and needs no images.

    Raises:
        ConversionError: the recipe needs a representative dataset and has none, a package is
            missing, or TensorFlow Lite would not convert the model.
        RecipeError: the model is quantization-aware, and the number format is not int8; or the
            preprocessing cannot go into the file.
    """
    step = recipe.steps[-1]
    if step.takes_crops:
        check_fusable(convention, str(recipe))
    trained = is_quantize_aware(model.keras)
    if trained:
        _refuse_other_than_int8(step, recipe)
    elif step.needs_data and representative is None:
        raise ConversionError(
            f"the recipe {recipe} needs a representative dataset to calibrate; give one with "
            "--data or [calibration]."
        )
    try:
        with quiet():
            ready = model if trained else _simplified(model, step, convention)
            frozen, module = freeze(ready, convention)
            converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], module)
            if step.keywords.get("backend") == "ai_edge":
                content = _by_ai_edge(bytes(converter.convert()), step, representative)
            else:
                _configure(converter, step, None if trained else representative)
                content = bytes(converter.convert())
            if step.takes_crops:
                content = fuse_preprocessing(content, convention)
                convention = dataclasses.replace(convention, input="crop")
            return with_convention(content, convention)
    except ConversionError:
        raise
    except Exception as exc:
        cause = first_line(exc)[:200]
        raise ConversionError(
            f"{model.source} cannot be converted to {recipe} ({cause}); TFLite lacks an operator "
            f"the model uses, or its shapes are not fixed{_advice(step)}."
        ) from exc


def _advice(step: Step) -> str:
    return "" if step.name == "float32" else ": try float32 first"


def _refuse_other_than_int8(step: Step, recipe: Recipe) -> None:
    if step.name != "int8" or step.keywords.get("backend") == "ai_edge":
        raise RecipeError(
            f"the recipe {recipe} cannot be carried out: the network was trained for 8-bit ranges, "
            "which only int8 by TensorFlow's converter takes over; end the recipe with int8, or "
            "leave quantize_aware out."
        )


def _simplified(model: TrainedModel, step: Step, convention: InputConvention) -> TrainedModel:
    """The model with its batch normalization folded, where the step wants that and it can be."""
    if step.keywords.get("fold") != "on" or not _has_batch_norm(model.keras):
        return model
    flat = model.keras
    if not can_simplify(flat):
        try:
            flat = to_functional(model, size=(convention.height, convention.width))
        except ModelError:
            return model  # no step can work on it, but it converts as it is
    network = simplify(flat).network
    return dataclasses.replace(
        model, keras=network, network=lambda images: network(images, training=False)
    )


def _has_batch_norm(network: Any) -> bool:
    layers = network._flatten_layers() if hasattr(network, "_flatten_layers") else ()
    return any("BatchNormalization" in type(layer).__name__ for layer in layers)


def freeze(model: TrainedModel, convention: InputConvention) -> tuple[Any, Any]:
    """The model's graph at batch 1 with its weights as constants, and the module that holds it.

    Freezing first makes one path of Keras 2, Keras 3 and SavedModels; handing a Keras 3 model to
    the converter unfrozen has silently given files full of NaN.
    """
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    signature = tf.TensorSpec((1, *convention.input_shape), tf.float32, name="image")
    concrete = tf.function(model.network).get_concrete_function(signature)
    frozen = convert_variables_to_constants_v2(concrete)
    module = tf.Module()
    module.frozen = frozen
    return frozen, module


def _configure(converter: Any, step: Step, representative: Floats | None) -> None:
    """Set the converter up for one number format.

    Without representative images, integer formats take the ranges the network itself holds.
    """
    lite = tf.lite
    if step.name == "float32":
        return
    converter.optimizations = [lite.Optimize.DEFAULT]
    if step.name == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if step.name in ("int8", "int16x8"):
        eight = step.name == "int8"
        if representative is not None:
            converter.representative_dataset = lambda: _one_by_one(representative)
            # Without images to calibrate on, the converter takes these for a contradiction.
            converter.target_spec.supported_ops = [
                lite.OpsSet.TFLITE_BUILTINS_INT8
                if eight
                else lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            ]
        kind = tf.int8 if eight else tf.int16
        if step.option("io") == "integer":
            converter.inference_output_type = kind
        if step.option("io") == "integer" or step.takes_crops:
            converter.inference_input_type = kind


def _by_ai_edge(content: bytes, step: Step, representative: Floats | None) -> bytes:
    """A float32 .tflite file in the step's number format."""
    if step.name == "dynamic":
        return quantize_dynamic(content)
    assert representative is not None
    ends = {"OUTPUT"} if step.takes_crops else {"INPUT", "OUTPUT"}
    return quantize_static(
        content, representative, left_float=ends if step.option("io") == "float" else ()
    )


def _one_by_one(images: Floats) -> Iterable[list[Floats]]:
    for start in range(len(images)):
        yield [images[start : start + 1]]
