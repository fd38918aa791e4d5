"""Operators put before the first of a .tflite file, whose own stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.flatbuffer import pack, unpack

__all__ = ["Head"]

_CODES = {
    "ResizeBilinear": "RESIZE_BILINEAR",
    "Quantize": "QUANTIZE",
    "Dequantize": "DEQUANTIZE",
    "Conv2D": "CONV_2D",
    "DepthwiseConv2D": "DEPTHWISE_CONV_2D",
}
"""Of operators, by the name that their options have in the schema."""


class Head:
    """Tensors and operators to be put in front of a file's graph.

    Attributes:
        image: index of the tensor that is the graph's input so far.
        kind: its type, one of ``schema.TensorType``.
    """

    def __init__(self, content: bytes, prefix: str) -> None:
        """Read a .tflite file of one input; new tensors' names begin with ``prefix``."""
        from ai_edge_litert import schema_py_generated as schema

        self._schema, self._model, self._prefix = schema, unpack(content), prefix
        self._graph = self._model.subgraphs[0]
        self._operators: list[Any] = []
        self.image = int(self._graph.inputs[0])
        self.kind = int(self._graph.tensors[self.image].type)

    def tensor(
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
        """Add a tensor; its index.

        Args:
            name: what follows the prefix.
            kind: one of ``schema.TensorType``.
            shape: of the tensor.
            values: of a constant.
            scale: one, or one for each place along ``axis``; empty where it is not quantized.
            zero_point: the integer that stands for 0.
            axis: along which the scales differ.
        """
        schema = self._schema
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = (self._prefix + name).encode(), kind, 0
        tensor.shape = np.array(shape, np.int32)
        if values is not None:
            stored = schema.BufferT()
            stored.data = np.frombuffer(values.tobytes(), np.uint8)
            self._model.buffers.append(stored)
            tensor.buffer = len(self._model.buffers) - 1
        if scale:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.array(scale, np.float32)
            tensor.quantization.zeroPoint = np.full(len(scale), zero_point, np.int64)
            tensor.quantization.quantizedDimension = axis
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def operator(self, name: str, inputs: Sequence[int], output: int, version: int = 1) -> Any:
        """Add an operator after those added before; its options, to be filled in.

        Args:
            name: of its options in the schema, without the ending.
            inputs: indices of tensors.
            output: index of a tensor.
            version: least one of the operator that does what is wanted.
        """
        schema = self._schema
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(_CODES[name], version)
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array([output], np.int32)
        operator.builtinOptions = getattr(schema, f"{name}OptionsT")()
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{name}Options")
        self._operators.append(operator)
        return operator.builtinOptions

    def finish(self, entry: int, sides_vary: Sequence[bool]) -> bytes:
        """The bytes of the file that begins with the new operators.

        Args:
            entry: index of the tensor that is the graph's input now.
            sides_vary: for each of its sides, whether an interpreter may change it.
        """
        tensor = self._graph.tensors[entry]
        tensor.shapeSignature = np.where(sides_vary, -1, tensor.shape).astype(np.int32)
        self._graph.operators = [*self._operators, *self._graph.operators]
        self._graph.inputs = np.array([entry], np.int32)
        for signature in self._model.signatureDefs or ():
            signature.inputs[0].tensorIndex = entry
        return pack(self._model)

    def _code(self, name: str, version: int) -> int:
        """Index of an operator's code in the file, of that version at least."""
        number = getattr(self._schema.BuiltinOperator, name)
        for index, code in enumerate(self._model.operatorCodes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == number:
                code.version = max(code.version, version)
                return index
        code = self._schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = version
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1
