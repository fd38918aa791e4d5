"""What a .tflite file says of itself: its tensors and its operators, read without running it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from fer_opt.convention import InputConvention
from fer_opt.errors import ModelError

__all__ = [
    "Census",
    "TensorFacts",
    "outputs_of",
    "pack",
    "read_convention",
    "read_tflite",
    "take_census",
    "unpack",
    "with_convention",
]

CONVENTION_KEY = "fer_opt_input_convention"
"""Name of the flatbuffer's metadata entry that holds the input convention as JSON."""


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class TensorFacts:
    """A variant's input or output: type, shape and, where quantized, scale and zero point."""

    dtype: str
    shape: tuple[int, ...]
    scale: float | None = None
    zero_point: int | None = None


@plain_dataclass(frozen=True, slots=True)
class Census:
    """The inventory of a .tflite file.

    Attributes:
        inputs: of the first subgraph.
        outputs: of the first subgraph.
        operators: how often each operator occurs, in all subgraphs.
        float_operators: those among them that read or write float32 tensors, conversions between
            float and integer (QUANTIZE, DEQUANTIZE) left out.
        conversions: how many QUANTIZE and DEQUANTIZE operators there are.
    """

    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    operators: dict[str, int]
    float_operators: dict[str, int]
    conversions: int


_CONVENTION = TypeAdapter(InputConvention)


def take_census(path: Path) -> Census:
    """Read the inventory of a .tflite file.

    Raises:
        ModelError: the file is missing, no TFLite model, or damaged.
    """
    content = read_tflite(path)
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
        operator_names = _names(schema.BuiltinOperator)
        type_names = _names(schema.TensorType)
        operators: Counter[str] = Counter()
        floats: Counter[str] = Counter()
        for graph in model.subgraphs:
            for operator in graph.operators:
                name = _operator_name(model.operatorCodes[operator.opcodeIndex], operator_names)
                operators[name] += 1
                touched = [*operator.inputs[:1], *operator.outputs]
                types = {type_names[graph.tensors[i].type] for i in touched if i >= 0}
                if "FLOAT32" in types and name not in ("QUANTIZE", "DEQUANTIZE"):
                    floats[name] += 1
        main = model.subgraphs[0]
        return Census(
            inputs=tuple(_facts(main.tensors[i], type_names) for i in main.inputs),
            outputs=tuple(_facts(main.tensors[i], type_names) for i in main.outputs),
            operators=dict(sorted(operators.items())),
            float_operators=dict(sorted(floats.items())),
            conversions=operators["QUANTIZE"] + operators["DEQUANTIZE"],
        )
    except Exception as exc:  # flatbuffers raises whatever a wrong offset leads to
        raise ModelError(f"{path} is a damaged TFLite file; convert or copy it again.") from exc


def outputs_of(path: Path, operator: str) -> tuple[int, ...]:
    """Indices of the tensors that the main graph's first such operator writes; empty without one.

    Raises:
        ModelError: the file is missing, no TFLite model, or damaged.
    """
    content = read_tflite(path)
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
        names = _names(schema.BuiltinOperator)
        for one in model.subgraphs[0].operators:
            if _operator_name(model.operatorCodes[one.opcodeIndex], names) == operator:
                return tuple(map(int, one.outputs))
    except Exception as exc:  # flatbuffers raises whatever a wrong offset leads to
        raise ModelError(f"{path} is a damaged TFLite file; convert or copy it again.") from exc
    return ()


def with_convention(content: bytes, convention: InputConvention) -> bytes:
    """A .tflite file's bytes with the input convention written into its metadata.

    So the file itself says what its input holds, wherever it is copied to; runtimes ignore it.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(content)
    # The default is left unsaid, so that files which take tensors stay what they were.
    silent = {"input"} if convention.input == "tensor" else None
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_CONVENTION.dump_json(convention, exclude=silent), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name = CONVENTION_KEY.encode()
    entry.buffer = len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    return pack(model)


def unpack(content: bytes) -> Any:
    """A .tflite file's bytes as a ``ModelT`` that can be changed."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    for stored in model.buffers:
        # Some writers keep weights behind the flatbuffer, at an offset that packing would shift.
        if stored.offset > 1:
            part = content[stored.offset : stored.offset + stored.size]
            stored.data, stored.offset, stored.size = np.frombuffer(part, np.uint8), 0, 0
    return model


def pack(model: Any) -> bytes:
    """The bytes of a .tflite file."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def read_convention(path: Path) -> InputConvention | None:
    """The input convention a .tflite file carries; None where fer-opt did not make it.

    Raises:
        ModelError: the file is missing, no TFLite model, or damaged.
    """
    content = read_tflite(path)
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.Model.GetRootAsModel(content, 0)
        for index in range(model.MetadataLength()):
            entry = model.Metadata(index)
            if entry.Name() == CONVENTION_KEY.encode():
                text = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
                return _CONVENTION.validate_json(text)
    except Exception as exc:  # flatbuffers raises whatever a wrong offset leads to
        raise ModelError(f"{path} is a damaged TFLite file; convert or copy it again.") from exc
    return None


def read_tflite(path: Path) -> bytes:
    """The bytes of a file that at least begins like a TFLite model.

    Raises:
        ModelError: the file is missing or no TFLite model.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ModelError(f"{path} cannot be read ({exc.strerror}); give a .tflite file.") from exc
    if content[4:8] != b"TFL3":
        raise ModelError(
            f"{path} is no TFLite model{' (it is empty)' if not content else ''}; "
            "give a .tflite file, or convert the Keras model first."
        )
    return content


def _names(enumeration: Any) -> dict[int, str]:
    return {value: key for key, value in vars(enumeration).items() if isinstance(value, int)}


def _operator_name(code: Any, names: dict[int, str]) -> str:
    # Old files use only the 8-bit field, new ones fill both as far as the number fits.
    name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
    return code.customCode.decode() if name == "CUSTOM" and code.customCode else name


def _facts(tensor: Any, type_names: dict[int, str]) -> TensorFacts:
    quantization = tensor.quantization
    scales = [] if quantization is None or quantization.scale is None else quantization.scale
    one = len(scales) == 1
    return TensorFacts(
        dtype=type_names[tensor.type].lower(),
        shape=tuple(int(side) for side in tensor.shape),
        scale=float(scales[0]) if one else None,
        zero_point=int(quantization.zeroPoint[0]) if one else None,
    )
