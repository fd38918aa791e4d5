"""Whether a converted file still is the network it came from."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.accuracy import wilson_interval
from fer_opt.compress.fuse_preprocessing import PREFIX
from fer_opt.convention import InputConvention
from fer_opt.flatbuffer import Census, read_convention, read_tflite
from fer_opt.interpreter import Classifier
from fer_opt.keras_io import TrainedModel
from fer_opt.recipe import Recipe, Step
from fer_opt.reports.record import ConversionCheck
from fer_opt.stages.crop_classifier import CropClassifier

__all__ = ["Inside", "Scale", "check_conversion", "input_range_problem", "look_inside"]

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
_INTEGER = ("int8", "int16x8")

_CROP_NOTE = (
    "It takes 8-bit RGB pixels of a face, of any size: its times hold resize, grey and scaling, "
    "which an app does itself before every variant that takes a tensor."
)

_SWING = 16
"""How far pixels of an enlarged crop lie from the one they were, in levels of 256."""

# Share of the convention's range that calibration on a few dozen images should reach at least, and
# by how much it may go beyond; a set scaled wrongly misses by two orders of magnitude.
_NARROW, _FAR_TOO_NARROW, _TOO_WIDE = 0.6, 0.2, 1.6

_FIXED_SCALES = {"INT8": 1 / 256, "UINT8": 1 / 256, "INT16": 1 / 32768}
"""Of probabilities, prescribed by TensorFlow Lite's quantization specification. LiteRT refuses a
softmax of another scale, but not a change of scale after it."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How a tensor is quantized: value = scale * (integer - zero_point)."""

    dtype: str
    scale: float
    zero_point: int

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        bits = 16 if self.dtype == "INT16" else 8
        low = 0 if self.dtype == "UINT8" else -(2 ** (bits - 1))
        return (
            self.scale * (low - self.zero_point),
            self.scale * (low + 2**bits - 1 - self.zero_point),
        )


@dataclass(frozen=True, slots=True)
class Inside:
    """What lies between the input and the output of a .tflite file.

    Attributes:
        conversions: names of the tensors that a QUANTIZE or DEQUANTIZE between layers gives; those
            at the input and output of a file that takes and gives floats do not count, nor the one
            that 8-bit pixels of a crop need.
        image: how the image is quantized; None where it is not.
        result: how the scores are quantized; None where they are not.
        ends_in_probabilities: whether the last operator is a softmax or logistic function.
    """

    conversions: tuple[str, ...]
    image: Scale | None
    result: Scale | None
    ends_in_probabilities: bool


def check_conversion(
    model: TrainedModel, recipe: Recipe, path: Path, census: Census, samples: Floats
) -> ConversionCheck:
    """Compare a converted file with the model it came from, and look at its operators.

    Args:
        model: what was converted: the trained model, or what the recipe's steps made of it.
        recipe: whose last step is the number format.
        path: of the file.
        census: of the file.
        samples: float32 images (n, height, width, channels).
    """
    step = recipe.steps[-1]
    convention = read_convention(path)
    samples, found = _outputs(path, convention, samples)
    expected = model.predict(samples)
    difference = float(np.max(np.abs(expected - found))) if np.isfinite(found).all() else np.inf
    agreement = float(np.mean(expected.argmax(axis=1) == found.argmax(axis=1)))
    flags = list(_output_flags(step, difference, agreement, found, len(samples)))
    notes = [_CROP_NOTE] if step.takes_crops else []
    if step.name in _INTEGER:
        inside = look_inside(path)
        flags.extend(_integer_flags(census, inside))
        notes.extend(_integer_notes(step, inside))
        if inside.image is not None and convention is not None:
            problem, serious = input_range_problem(inside.image, convention, samples)
            if problem:
                (flags if serious else notes).append(problem)
    return ConversionCheck(
        operators=census.operators,
        float_operators=census.float_operators if step.name in _INTEGER else {},
        compared=len(samples),
        max_abs_difference=difference,
        label_agreement=agreement,
        flags=tuple(flags),
        notes=tuple(notes),
    )


def _outputs(
    path: Path, convention: InputConvention | None, samples: Floats
) -> tuple[Floats, Floats]:
    """What a file says of samples, and the samples it was really given.

    A file that takes crops is given 8-bit pixels, twice as high and wide as the model's input, so
    that it has to resize them.
    """
    if convention is None or convention.input == "tensor":
        return samples, Classifier(path, batch=32).predict(samples)
    pixels = convention.crops(samples)
    classifier = CropClassifier(path, threads=os.cpu_count() or 1)
    found = np.stack([classifier.outputs(_enlarged(crop)) for crop in pixels])
    return convention.scale(pixels[..., : convention.channels]), found


def _enlarged(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A crop (h, w, 3) of twice the size, whose every 2x2 pixels average to one of the crop.

    Interpolated bilinearly between centers of pixels it gives the crop exactly, otherwise not.
    """
    swing = np.minimum(np.minimum(crop, 255 - crop), _SWING).astype(np.int16)
    signs = np.array([[1, -1], [-1, 1]], np.int16)[:, :, np.newaxis]
    swings = np.tile(signs, (*crop.shape[:2], 1)) * swing.repeat(2, 0).repeat(2, 1)
    return (crop.repeat(2, 0).repeat(2, 1) + swings).astype(np.uint8)


def look_inside(path: Path) -> Inside:
    """Find the conversions between layers and the scales at both ends of a .tflite file.

    Raises:
        ModelError: the file is missing or no TFLite model.
    """
    from ai_edge_litert import schema_py_generated as schema

    content = read_tflite(path)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    types = _names(schema.TensorType)
    codes = [
        _names(schema.BuiltinOperator)[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
    graph = model.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    image, result = int(graph.inputs[0]), int(graph.outputs[0])
    inner, last = [], ""
    for operator in graph.operators:
        name, source, target = (
            codes[operator.opcodeIndex],
            int(operator.inputs[0]) if len(operator.inputs) else -1,
            int(operator.outputs[0]),
        )
        if source == image and names[source].startswith(PREFIX):
            # Preprocessing, which ends in the image.
            image = target
        elif name not in ("QUANTIZE", "DEQUANTIZE"):
            last = name
        elif name == "QUANTIZE" and source == int(graph.inputs[0]):
            image = target
        elif name == "DEQUANTIZE" and target == int(graph.outputs[0]):
            result = source
        else:
            inner.append(names[target].split(";")[0])
    return Inside(
        tuple(inner),
        _scale(graph.tensors[image], types),
        _scale(graph.tensors[result], types),
        last in ("SOFTMAX", "LOGISTIC"),
    )


def _names(enumeration: Any) -> dict[int, str]:
    return {value: key for key, value in vars(enumeration).items() if isinstance(value, int)}


def _scale(tensor: Any, types: dict[int, str]) -> Scale | None:
    found = tensor.quantization
    if found is None or found.scale is None or len(found.scale) != 1:
        return None
    return Scale(types[tensor.type], float(found.scale[0]), int(found.zeroPoint[0]))


def input_range_problem(
    image: Scale, convention: InputConvention, samples: Floats
) -> tuple[str, bool]:
    """What is wrong with the range an input was calibrated to, and whether it does damage.

    It should be the convention's, zero included, as a quantized range always is. A narrower one
    is harmless as long as the samples fit into it.

    Args:
        image: how the input is quantized.
        convention: what the input holds.
        samples: float32 images that follow it.

    Returns:
        A sentence, empty where all is well, and whether the file is unfit for use.
    """
    low, high = min(convention.low, 0.0), max(convention.high, 0.0)
    found_low, found_high = image.ends
    if image.dtype == "INT16":
        # Symmetric about zero, however one-sided the images are.
        stretch = found_high / max(high, -low)
        found_low, found_high = low * stretch, high * stretch
    covered = max(0.0, min(high, found_high) - max(low, found_low)) / (high - low)
    says = (
        f"Its input holds {found_low:.3g} to {found_high:.3g}, the model expects "
        f"{convention.low:g} to {convention.high:g}"
    )
    if found_high - found_low > _TOO_WIDE * (high - low):
        return f"{says}: the representative images are scaled wrongly.", True
    if covered >= _NARROW:
        return "", False
    margin = (found_high - found_low) / 50
    fits = found_low - margin <= samples.min() and samples.max() <= found_high + margin
    if fits and covered >= _FAR_TOO_NARROW:
        return f"{says}: images beyond that are cut off.", False
    return f"{says}: the representative images are scaled wrongly.", True


def _output_flags(
    step: Step, difference: float, agreement: float, found: Floats, compared: int
) -> Iterable[str]:
    """What its outputs say against a variant."""
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


def _integer_flags(census: Census, inside: Inside) -> Iterable[str]:
    """What its operators and scales say against an integer variant."""
    if census.float_operators:
        shown = ", ".join(f"{count} {name}" for name, count in census.float_operators.items())
        yield f"It is not fully integer: {shown} still work on floats."
    result = inside.result
    if inside.ends_in_probabilities and result is not None:
        wanted = _FIXED_SCALES.get(result.dtype)
        if wanted is not None and not np.isclose(result.scale, wanted, rtol=1e-3):
            yield (
                f"Its probabilities come in steps of {result.scale:.3g}, not of the {wanted:.3g} "
                "TensorFlow Lite prescribes; runtimes may misread them."
            )


def _integer_notes(step: Step, inside: Inside) -> Iterable[str]:
    """What the reader should know, without holding it against the variant."""
    if step.name == "int16x8":
        yield (
            "Most hosts run 16-bit activations with slow reference kernels (XNNPACK has none); "
            "expect it to be many times slower than int8."
        )
    if number := len(inside.conversions):
        shown = ", ".join(inside.conversions[:3]) + (" and others" if number > 3 else "")
        yield (
            f"{number} QUANTIZE or DEQUANTIZE operator{'s' if number > 1 else ''} inside the graph "
            f"({shown}) change{'' if number > 1 else 's'} scales between layers and cost"
            f"{'' if number > 1 else 's'} time."
        )
