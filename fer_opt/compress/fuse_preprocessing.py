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

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.convention import InputConvention
from fer_opt.errors import ConversionError, RecipeError
from fer_opt.flatbuffer import pack, unpack

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
        ConversionError: the input is of another type.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(content)
    graph = model.subgraphs[0]
    image = int(graph.inputs[0])
    kind = graph.tensors[image].type
    if kind not in (schema.TensorType.FLOAT32, schema.TensorType.INT8):
        raise ConversionError(
            "the preprocessing cannot be put into a file whose input is neither float32 nor int8; "
            "leave input=crop out."
        )
    front = _Front(model)
    pixels = front.resized(convention.height, convention.width)
    if convention.channels == 3 and (convention.low, convention.high) == (0, 1):
        front.convert(pixels, image)
    else:
        unit = front.unit(kind, convention)
        front.convert(pixels, unit)
        front.scaled(unit, image, convention)
    graph.operators = [*front.operators, *graph.operators]
    graph.inputs = np.int32([front.crop])
    for signature in model.signatureDefs or ():
        signature.inputs[0].tensorIndex = front.crop
    return pack(model)


class _Front:
    """Tensors and operators added to the first graph of a ``ModelT``.

    Attributes:
        crop: index of the new input tensor.
        operators: the new ones, in order.
    """

    def __init__(self, model: Any) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema, self._model = schema, model
        self._graph = model.subgraphs[0]
        self.operators: list[Any] = []
        self.crop = -1

    def resized(self, height: int, width: int) -> int:
        """The new input and its pixels (1, height, width, 3), resized.

        The input has the model's size unless an interpreter is told another: most tools can then
        do with it what they do with any file.
        """
        schema, shape = self._schema, (1, height, width, 3)
        kind = schema.TensorType.UINT8
        self.crop = self._tensor("", kind, shape, scale=(STEP,))
        self._graph.tensors[self.crop].shapeSignature = np.int32([1, -1, -1, 3])
        pixels = self._tensor("/resized", kind, shape, scale=(STEP,))
        size = self._tensor(
            "/size", schema.TensorType.INT32, (2,), values=np.int32([height, width])
        )
        options = schema.ResizeBilinearOptionsT()
        options.halfPixelCenters, options.alignCorners = True, False
        self._operator("ResizeBilinear", 3, (self.crop, size), pixels, options)
        return pixels

    def unit(self, kind: int, convention: InputConvention) -> int:
        """A tensor for the resized pixels as the model's type, black 0 and white 1."""
        shape = (1, convention.height, convention.width, 3)
        if kind == self._schema.TensorType.FLOAT32:
            return self._tensor("/unit", kind, shape)
        return self._tensor("/unit", kind, shape, scale=(STEP,), zero_point=-128)

    def convert(self, pixels: int, target: int) -> None:
        """From 8-bit pixels to a tensor of another type and the same values."""
        name = "Dequantize" if self._is_float(target) else "Quantize"
        options = getattr(self._schema, f"{name}OptionsT")()
        self._operator(name, 2 if name == "Quantize" else 1, (pixels,), target, options)

    def scaled(self, unit: int, image: int, convention: InputConvention) -> None:
        """From 0..1 to ``low``..``high``, and from RGB to grey where the model is grey."""
        schema, grey = self._schema, convention.channels == 1
        span, channels = convention.high - convention.low, convention.channels
        if self._is_float(image):
            values: Any = np.float32(np.float32(LUMA) if grey else np.ones(3)) * np.float32(span)
            kernel = self._tensor("/kernel", schema.TensorType.FLOAT32, (1, 1, 1, 3), values=values)
            bias = self._tensor(
                "/bias",
                schema.TensorType.FLOAT32,
                (channels,),
                values=np.full(channels, convention.low, np.float32),
            )
        else:
            # A depthwise kernel has its channels in the last place, with a scale for each.
            steps = np.int8(LUMA_STEPS if grey else [127] * 3)
            scale = (span / float(steps.sum() if grey else 127),) * channels
            kernel = self._tensor(
                "/kernel",
                schema.TensorType.INT8,
                (1, 1, 1, 3),
                values=steps,
                scale=scale,
                axis=0 if grey else 3,
            )
            low = round(convention.low / (scale[0] * STEP))
            if abs(low) > np.iinfo(np.int32).max:
                raise ConversionError(
                    f"the input range {convention.low:g} to {convention.high:g} lies too far from "
                    "zero for 8 bits; leave input=crop out."
                )
            bias = self._tensor(
                "/bias",
                schema.TensorType.INT32,
                (channels,),
                values=np.full(channels, low, np.int32),
                scale=tuple(one * STEP for one in scale),
            )
        options = schema.Conv2DOptionsT() if grey else schema.DepthwiseConv2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideH = options.strideW = 1
        options.dilationHFactor = options.dilationWFactor = 1
        if not grey:
            options.depthMultiplier = 1
        self._operator(
            "Conv2D" if grey else "DepthwiseConv2D",
            1 if self._is_float(image) else 3,
            (unit, kernel, bias),
            image,
            options,
        )

    def _is_float(self, tensor: int) -> bool:
        return bool(self._graph.tensors[tensor].type == self._schema.TensorType.FLOAT32)

    def _tensor(
        self,
        name: str,
        kind: int,
        shape: Sequence[int],
        *,
        values: npt.NDArray[Any] | None = None,
        scale: Sequence[float] = (),
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        """Add a tensor; its index."""
        schema = self._schema
        tensor = schema.TensorT()
        tensor.name, tensor.type = (PREFIX + name).encode(), kind
        tensor.shape, tensor.buffer = np.int32(shape), 0
        if values is not None:
            stored = schema.BufferT()
            stored.data = np.frombuffer(values.tobytes(), np.uint8)
            self._model.buffers.append(stored)
            tensor.buffer = len(self._model.buffers) - 1
        if scale:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.float32(scale)
            tensor.quantization.zeroPoint = np.full(len(scale), zero_point, np.int64)
            tensor.quantization.quantizedDimension = axis
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _operator(
        self, name: str, version: int, inputs: Sequence[int], output: int, options: Any
    ) -> None:
        """Add an operator; ``name`` is that of its options in the schema, without the ending."""
        schema = self._schema
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(_CODES[name], version)
        operator.inputs, operator.outputs = np.int32(inputs), np.int32([output])
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{name}Options")
        self.operators.append(operator)

    def _code(self, name: str, version: int) -> int:
        """Index of the operator's code in the file, of that version at least."""
        schema = self._schema
        number = getattr(schema.BuiltinOperator, name)
        for index, code in enumerate(self._model.operatorCodes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == number:
                code.version = max(code.version, version)
                return index
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = version
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1


_CODES = {
    "ResizeBilinear": "RESIZE_BILINEAR",
    "Quantize": "QUANTIZE",
    "Dequantize": "DEQUANTIZE",
    "Conv2D": "CONV_2D",
    "DepthwiseConv2D": "DEPTHWISE_CONV_2D",
}
