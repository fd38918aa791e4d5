"""The output tensors a runner wrote to a file: raw values, one tensor after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.errors import MeasurementError
from fer_opt.flatbuffer import TensorFacts

__all__ = ["read_outputs", "real_values"]

Array = npt.NDArray[Any]

# As TFLite names them; all Android processors are little-endian.
_TYPES = {
    "float16": "<f2", "float32": "<f4", "float64": "<f8",
    "int8": "<i1", "int16": "<i2", "int32": "<i4", "int64": "<i8",
    "uint8": "<u1", "uint16": "<u2", "uint32": "<u4", "uint64": "<u8", "bool": "?",
}  # fmt: skip


def read_outputs(raw: bytes, details: Sequence[TensorFacts]) -> tuple[Array, ...]:
    """The tensors as they are stored, in the model's order.

    Args:
        raw: the file that --output_filepath named; it holds the last inference only.
        details: type and shape of every output.

    Raises:
        MeasurementError: the file's length is not that of these tensors, or a type has no fixed
            length.
    """
    types = [_type(one) for one in details]
    sizes = [math.prod(one.shape) * kind.itemsize for one, kind in zip(details, types, strict=True)]
    if len(raw) != sum(sizes):
        raise MeasurementError(
            f"The outputs' file holds {len(raw)} bytes instead of {sum(sizes)}; the phone may be "
            "out of space, or the model's outputs have no fixed shape."
        )
    arrays = []
    start = 0
    for one, kind, size in zip(details, types, sizes, strict=True):
        # A copy, in the machine's own order, that may be written to.
        stored = np.frombuffer(raw[start : start + size], kind).reshape(one.shape)
        arrays.append(stored.astype(kind.newbyteorder("=")))
        start += size
    return tuple(arrays)


def real_values(stored: Array, details: TensorFacts) -> npt.NDArray[np.float64]:
    """What stored values mean: (value − zero point) · scale where they are quantized."""
    real = stored.astype(np.float64)
    if details.scale is None:
        return real
    return (real - (details.zero_point or 0)) * details.scale


def _type(details: TensorFacts) -> np.dtype[Any]:
    try:
        return np.dtype(_TYPES[details.dtype])
    except KeyError as exc:
        raise MeasurementError(
            f"Outputs of type {details.dtype} cannot be compared; convert the model with a float "
            "or 8-bit output."
        ) from exc
