"""Preprocessing as the first operators of a .tflite file: it then takes 8-bit pixels of a face.

    crop  uint8 (1, any height, any width, 3) RGB
     |    RESIZE_BILINEAR to the model's height and width, on 8 bits as OpenCV does it
     |    QUANTIZE to int8, or DEQUANTIZE to float32: the same pixels, 0 to 1
     |    CONV_2D 1x1 to grey (RGB models: DEPTHWISE_CONV_2D 1x1, or nothing where 0 to 1 will do)
    image, as the model took it before

The convolution scales to the convention's ``low``..``high`` and to the scale the image is quantized
with, in its weights and bias, so scaling costs nothing.

The rest of the file stays as it is, bit for bit, whoever made it and however it was calibrated:
no image of a calibration passes through these operators, for their scales are known beforehand.
"""

from __future__ import annotations

import numpy as np

from fer_opt.compress.tflite_head import Head
from fer_opt.convention import InputConvention
from fer_opt.errors import ConversionError, RecipeError

__all__ = ["PREFIX", "check_fusable", "fuse_preprocessing"]

PREFIX = "crop"
"""Begins the names of the tensors that are added; the input itself has no other name."""

LUMA = (0.299, 0.587, 0.114)
"""Grey of red, green and blue: ITU-R 601, as :func:`fer_opt.data.prepare` has it."""

LUMA_STEPS = (55, 108, 21)
"""The same in 8 bits, of 184: of all triples up to 127, that with the smallest error (1.3e-4).

They add up to the whole, so that a grey pixel stays what it is."""

STEP = 1 / 255
"""Scale of pixels: black is 0, white is 1."""


def check_fusable(convention: InputConvention, recipe: str) -> None:
    """Refuse what no operator of TensorFlow Lite does.

    Raises:
        RecipeError: the convention has preprocessing steps, or another interpolation.
    """
    if convention.preprocessing:
        raise RecipeError(
            f"the recipe {recipe} cannot be carried out: the preprocessing "
            f"{', '.join(convention.preprocessing)} is no operator of TensorFlow Lite, so it "
            "cannot go into the file; leave input=crop out, or train without that preprocessing."
        )
    if convention.interpolation != "bilinear":
        raise RecipeError(
            f"the recipe {recipe} cannot be carried out: images are resized by "
            f"{convention.interpolation} interpolation, and inside the file only bilinear gives "
            "the same pixels; leave input=crop out, or state interpolation = bilinear."
        )


def fuse_preprocessing(content: bytes, convention: InputConvention) -> bytes:
    """The bytes of the file with its preprocessing in front.

    Args:
        content: of a .tflite file at batch 1 whose one input is float32 or int8.
        convention: what that input holds.

    Raises:
        ConversionError: the input is of another type, or too far from zero for 8 bits.
    """
    from ai_edge_litert import schema_py_generated as schema

    head = Head(content, PREFIX)
    if head.kind not in (schema.TensorType.FLOAT32, schema.TensorType.INT8):
        raise ConversionError(
            "the preprocessing cannot be put into a file whose input is neither float32 nor int8; "
            "leave input=crop out."
        )
    is_float = head.kind == schema.TensorType.FLOAT32
    shape = (1, convention.height, convention.width, 3)
    # Of the model's size unless an interpreter is told another: tools that know nothing of crops
    # then do with the file what they do with any.
    crop = head.tensor("", schema.TensorType.UINT8, shape, scale=(STEP,))
    resized = head.tensor("/resized", schema.TensorType.UINT8, shape, scale=(STEP,))
    _resize(head, crop, resized, convention)
    if convention.channels == 3 and (convention.low, convention.high) == (0, 1):
        _change_type(head, resized, head.image, is_float)
    elif is_float:
        unit = head.tensor("/unit", head.kind, shape)
        _change_type(head, resized, unit, is_float)
        _scale_floats(head, unit, convention)
    else:
        unit = head.tensor("/unit", head.kind, shape, scale=(STEP,), zero_point=-128)
        _change_type(head, resized, unit, is_float)
        _scale_integers(head, unit, convention)
    return head.finish(crop, sides_vary=(False, True, True, False))


def _resize(head: Head, crop: int, resized: int, convention: InputConvention) -> None:
    from ai_edge_litert import schema_py_generated as schema

    size = np.array([convention.height, convention.width], np.int32)
    sides = head.tensor("/size", schema.TensorType.INT32, size.shape, values=size)
    options = head.operator("ResizeBilinear", (crop, sides), resized, version=3)
    # OpenCV's centers of pixels; with either of the other two ways whole pixels are off.
    options.halfPixelCenters, options.alignCorners = True, False


def _change_type(head: Head, pixels: int, target: int, is_float: bool) -> None:
    """From 8-bit pixels to another type and the same values."""
    if is_float:
        head.operator("Dequantize", (pixels,), target)
    else:
        head.operator("Quantize", (pixels,), target, version=2)


def _scale_floats(head: Head, unit: int, convention: InputConvention) -> None:
    """From 0..1 to ``low``..``high``, and to grey where the model is grey."""
    from ai_edge_litert import schema_py_generated as schema

    share = LUMA if convention.channels == 1 else (1.0, 1.0, 1.0)
    weights = np.array(share, np.float32) * np.float32(convention.high - convention.low)
    low = np.full(convention.channels, convention.low, np.float32)
    kernel = head.tensor("/kernel", schema.TensorType.FLOAT32, (1, 1, 1, 3), values=weights)
    bias = head.tensor("/bias", schema.TensorType.FLOAT32, low.shape, values=low)
    _convolve(head, (unit, kernel, bias), convention, version=1)


def _scale_integers(head: Head, unit: int, convention: InputConvention) -> None:
    """The same on integers, the kernel in 8 bits and the bias in 32."""
    from ai_edge_litert import schema_py_generated as schema

    grey, channels = convention.channels == 1, convention.channels
    weights = np.array(LUMA_STEPS if grey else (127, 127, 127), np.int8)
    whole = int(weights.sum(dtype=int)) if grey else 127
    scale = (convention.high - convention.low) / whole
    low = round(convention.low / (scale * STEP))
    if abs(low) > np.iinfo(np.int32).max:
        raise ConversionError(
            f"the input range {convention.low:g} to {convention.high:g} lies too far from zero for "
            "8 bits; leave input=crop out."
        )
    kernel = head.tensor(
        "/kernel",
        schema.TensorType.INT8,
        (1, 1, 1, 3),
        values=weights,
        scale=(scale,) * channels,
        axis=0 if grey else 3,  # where a kernel has the channels it makes
    )
    bias = head.tensor(
        "/bias",
        schema.TensorType.INT32,
        (channels,),
        values=np.full(channels, low, np.int32),
        scale=(scale * STEP,) * channels,
    )
    _convolve(head, (unit, kernel, bias), convention, version=3)


def _convolve(
    head: Head, inputs: tuple[int, int, int], convention: InputConvention, version: int
) -> None:
    """A 1x1 convolution that gives the image the model took before."""
    from ai_edge_litert import schema_py_generated as schema

    name = "Conv2D" if convention.channels == 1 else "DepthwiseConv2D"
    options = head.operator(name, inputs, head.image, version)
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = 1
    options.dilationHFactor = options.dilationWFactor = 1
    if convention.channels == 3:
        options.depthMultiplier = 1
