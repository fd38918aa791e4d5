"""A trained model as TensorFlow Lite files, each compared with the model it came from."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.accuracy import wilson_interval
from fer_opt.backend import tf
from fer_opt.convention import InputConvention
from fer_opt.errors import ConversionError
from fer_opt.files import sha256_of, write_atomically
from fer_opt.flatbuffer import Census, take_census, with_convention
from fer_opt.interpreter import Classifier
from fer_opt.keras_io import TrainedModel
from fer_opt.noise import quiet
from fer_opt.recipe import Recipe, Step
from fer_opt.reports.record import ConversionCheck, Variant

__all__ = ["check_conversion", "convert", "file_stem", "freeze", "make_variant"]

Floats = npt.NDArray[np.float32]

# Largest difference of a probability and smallest label agreement with Keras that a faithful
# conversion shows. With 8-bit activations or weights a single image on the fence can swing from
# one label to another, so the largest difference proves nothing there and only agreement counts.
_LIMITS = {
    "float32": (1e-3, 0.999),
    "float16": (2e-2, 0.99),
    "dynamic": (None, 0.95),
    "int8": (None, 0.9),
    "int16x8": (0.25, 0.97),
}


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
        model: the trained model.
        recipe: what to make of it.
        convention: fixes the input size.
        representative: float32 (n, height, width, channels) for calibration, where needed.
        samples: float32 images on which Keras and TFLite are compared.
        folder: that holds the results.
        path: of the file to write, relative to ``folder``.

    Raises:
        ConversionError: TensorFlow Lite would not convert the model.
        OutputError: the file cannot be written.
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
    """A file name for a recipe: ``int8(io=float)`` becomes ``int8_io_float``."""
    return "_".join("".join(c if c.isalnum() else " " for c in str(recipe)).split())


def convert(
    model: TrainedModel,
    recipe: Recipe,
    convention: InputConvention,
    representative: Floats | None = None,
) -> bytes:
    """The bytes of a .tflite file at batch 1.

    Raises:
        ConversionError: the recipe needs a representative dataset and has none, or TensorFlow
            Lite would not convert the model.
    """
    (step,) = recipe.steps
    if recipe.needs_data and representative is None:
        raise ConversionError(
            f"the recipe {recipe} needs a representative dataset to calibrate; give one with "
            "--data or [calibration]."
        )
    try:
        with quiet():
            frozen, module = freeze(model, convention)
            converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], module)
            _configure(converter, step, representative)
            return with_convention(bytes(converter.convert()), convention)
    except Exception as exc:
        cause = (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
        raise ConversionError(
            f"{model.source} cannot be converted to {recipe} ({cause}); TFLite lacks an operator "
            "the model uses, or its shapes are not fixed: try float32 first."
        ) from exc


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
    """Set the converter up for one number format."""
    lite = tf.lite
    if step.name == "float32":
        return
    converter.optimizations = [lite.Optimize.DEFAULT]
    if step.name == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if step.name in ("int8", "int16x8"):
        assert representative is not None
        converter.representative_dataset = lambda: _one_by_one(representative)
        eight = step.name == "int8"
        converter.target_spec.supported_ops = [
            lite.OpsSet.TFLITE_BUILTINS_INT8
            if eight
            else lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        if step.option("io") == "integer":
            kind = tf.int8 if eight else tf.int16
            converter.inference_input_type = converter.inference_output_type = kind


def _one_by_one(images: Floats) -> Iterable[list[Floats]]:
    for start in range(len(images)):
        yield [images[start : start + 1]]


def check_conversion(
    model: TrainedModel, recipe: Recipe, path: Path, census: Census, samples: Floats
) -> ConversionCheck:
    """Compare a converted file with the model it came from, and look at its operators."""
    (step,) = recipe.steps
    expected = model.predict(samples)
    found = Classifier(path, batch=32).predict(samples)
    difference = float(np.max(np.abs(expected - found))) if np.isfinite(found).all() else np.inf
    agreement = float(np.mean(expected.argmax(axis=1) == found.argmax(axis=1)))
    integer = step.name in ("int8", "int16x8")
    return ConversionCheck(
        operators=census.operators,
        float_operators=census.float_operators if integer else {},
        compared=len(samples),
        max_abs_difference=difference,
        label_agreement=agreement,
        flags=tuple(_flags(step, census, difference, agreement, found, len(samples))),
        notes=tuple(_notes(step, census)),
    )


def _flags(
    step: Step, census: Census, difference: float, agreement: float, found: Floats, compared: int
) -> Iterable[str]:
    """What makes a variant unfit to be recommended."""
    if not np.isfinite(found).all():
        yield "Its outputs are not numbers (NaN or infinite)."
        return
    largest, least = _LIMITS[step.name]
    # Few samples are weak evidence: flag only where the agreement's 95 % interval excludes it.
    if wilson_interval(round(agreement * compared), compared)[1] < least:
        yield (
            f"It agrees with Keras on only {agreement:.1%} of {compared} samples "
            f"(a sound {step.name} conversion: at least {least:.1%})."
        )
    if largest is not None and difference > largest:
        yield (
            f"A probability differs from Keras's by {difference:.3g} "
            f"(a sound {step.name} conversion: at most {largest:g})."
        )
    if compared > 1 and np.all(found == found[0]):
        yield "It gives the same output for every sample."
    if step.name in ("int8", "int16x8") and census.float_operators:
        shown = ", ".join(f"{count} {name}" for name, count in census.float_operators.items())
        yield f"It is not fully integer: {shown} still work on floats."


def _notes(step: Step, census: Census) -> Iterable[str]:
    """What the reader should know, without holding it against the variant."""
    if step.name == "int16x8":
        yield (
            "Most hosts run 16-bit activations with slow reference kernels (XNNPACK has none); "
            "expect it to be many times slower than int8."
        )
    if step.name not in ("int8", "int16x8"):
        return
    edge = 2 if step.option("io") == "float" else 0
    if census.conversions > edge:
        yield (
            f"{census.conversions - edge} QUANTIZE or DEQUANTIZE operators inside the graph "
            "change scales between layers and cost time."
        )
