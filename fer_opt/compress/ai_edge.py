"""Post-training quantization of a float .tflite file by the package ai-edge-quantizer."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.errors import ConversionError

__all__ = ["quantize_dynamic", "quantize_static"]

Floats = npt.NDArray[np.float32]


def quantize_static(
    content: bytes, representative: Floats, *, left_float: Collection[str] = ()
) -> bytes:
    """8-bit weights and activations, calibrated on representative images.

    Args:
        content: of a float32 .tflite file of one input and one output at batch 1.
        representative: float32 (n, height, width, channels).
        left_float: which of the file's ends stay float32: ``INPUT``, ``OUTPUT``.

    Raises:
        ConversionError: ai-edge-quantizer is not installed.
    """
    quantizer, recipe = _package()
    quantization = quantizer.Quantizer(bytearray(content), recipe.static_wi8_ai8())
    for edge in sorted(left_float):
        quantization.update_quantization_recipe(
            ".*", edge, algorithm_key=quantizer.AlgorithmName.NO_QUANTIZE
        )
    signature, name = _signature(content)
    images = [{name: representative[index : index + 1]} for index in range(len(representative))]
    calibration = quantization.calibrate({signature: images}, num_threads=os.cpu_count() or 1)
    return _result(quantization, calibration)


def quantize_dynamic(content: bytes) -> bytes:
    """8-bit weights, float activations that are rounded as the kernels run.

    Args:
        content: of a float32 .tflite file.

    Raises:
        ConversionError: ai-edge-quantizer is not installed.
    """
    quantizer, recipe = _package()
    return _result(quantizer.Quantizer(bytearray(content), recipe.dynamic_wi8_afp32()), None)


def _package() -> tuple[Any, Any]:
    try:
        from ai_edge_quantizer import quantizer, recipe
    except ImportError as exc:
        raise ConversionError(
            "backend=ai_edge needs the package ai-edge-quantizer, which is not installed; "
            "pip install fer-opt[ai-edge]."
        ) from exc
    return quantizer, recipe


def _signature(content: bytes) -> tuple[str, str]:
    """Name of the file's signature and of its one input."""
    from ai_edge_litert.interpreter import Interpreter

    ((signature, names),) = Interpreter(model_content=content).get_signature_list().items()
    return signature, names["inputs"][0]


def _result(quantization: Any, calibration: Any) -> bytes:
    result = quantization.quantize(
        calibration, enable_progress_bar=False, enable_progress_report=False
    )
    return bytes(result.quantized_model)
