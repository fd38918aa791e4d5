"""Functions of ``keras.ops`` that Keras 3 models use as layers, said in tf_keras."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fer_opt.backend import tf, tf_keras
from fer_opt.keras_io import rearranging
from fer_opt.keras_io.activations import apply_activation
from fer_opt.keras_io.naming import NotExactError, Place, TranslationError, described

__all__ = ["combine", "is_tensor", "plain_constant", "translate_operation"]


def translate_operation(
    operation: Any, place: Place, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> Any:
    """The output tensor, or list of tensors, of one use of a Keras 3 operation.

    Args:
        operation: a ``keras.Operation`` that is no layer.
        place: where its layers are made.
        arguments: of the call, tensors being those of the network being built.
        keywords: likewise.

    Raises:
        TranslationError: it, or one of its options, has no exact counterpart.
    """
    where = described(operation)
    translate = _TRANSLATIONS.get(type(operation).__name__)
    if translate is None or not type(operation).__module__.startswith("keras.src."):
        raise TranslationError(f"{where} has no exact counterpart in tf_keras")
    options = {
        name: value
        for name, value in vars(operation).items()
        if not name.startswith("_") and name != "name"
    }
    options |= keywords
    known = inspect.signature(translate).parameters
    for name in [name for name in options if name not in known]:
        if options.pop(name) is not None:
            raise TranslationError(f"{where} has the option {name!r}, which tf_keras lacks")
    try:
        return translate(place, *(plain_constant(value, where) for value in arguments), **options)
    except NotExactError as exc:
        raise TranslationError(f"{where} {exc}") from exc


def combine(place: Place, kind: str, left: Any, right: Any) -> Any:
    """Add, subtract, multiply, divide or compare element by element, broadcasting as NumPy does."""
    tensors = [item for item in (left, right) if is_tensor(item)]
    # Layers align tensors of different ranks at the front, functions at the back.
    if kind in _MERGING and len(tensors) == 2 and len(left.shape) == len(right.shape):
        return place.layer(kind)([left, right])
    # TensorFlow takes the type of the first operand, Keras that of the tensor.
    return place.function(_ARITHMETIC[kind])(_as_float(left), _as_float(right))


def _as_float(value: Any) -> Any:
    if isinstance(value, bool | int):
        return float(value)
    return value.astype(np.float32) if isinstance(value, np.ndarray) else value


def is_tensor(value: Any) -> bool:
    """Whether ``value`` is a tensor of the network being built."""
    # tf_keras.backend.is_keras_tensor raises for everything that is no tensor.
    return isinstance(value, _KERAS_TENSOR)


def plain_constant(value: Any, where: str) -> Any:
    """A constant operand as float32 or a Python number; tensors and other things as they are.

    Raises:
        TranslationError: it is a variable, a weight that belongs to no layer.
    """
    if is_tensor(value) or isinstance(value, str | bool | int | float | None):
        return value
    if isinstance(value, tf.Variable) or type(value).__module__.startswith("keras.src"):
        raise TranslationError(f"{where} reads a variable that belongs to no layer")
    if not isinstance(value, np.ndarray | np.generic) and not tf.is_tensor(value):
        return value
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer) and array.dtype != bool:
        array = array.astype(np.float32)
    return array if array.ndim else array.item()


# The class has no public name.
_KERAS_TENSOR = type(tf_keras.Input(())).__mro__[-2]
_MERGING = {"Add", "Maximum", "Minimum", "Multiply", "Subtract"}
_ARITHMETIC = {
    "Add": "math.add",
    "Divide": "math.divide",
    "Maximum": "math.maximum",
    "Minimum": "math.minimum",
    "Multiply": "math.multiply",
    "Power": "math.pow",
    "Subtract": "math.subtract",
    "TrueDivide": "math.divide",
}
_ELEMENTWISE = {
    "Absolute": "math.abs",
    "Exp": "math.exp",
    "Log": "math.log",
    "Negative": "math.negative",
    "Rsqrt": "math.rsqrt",
    "Sqrt": "math.sqrt",
    "Square": "math.square",
}
_ACTIVATIONS = {
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "Mish": "mish",
    "Relu6": "relu6",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Silu": "swish",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
_REDUCTIONS = {
    "Max": ("math.reduce_max", "GlobalMaxPooling2D"),
    "Mean": ("math.reduce_mean", "GlobalAveragePooling2D"),
    "Min": ("math.reduce_min", None),
    "Sum": ("math.reduce_sum", None),
}


def _arithmetic(kind: str) -> Callable[..., Any]:
    return lambda place, left, right: combine(place, kind, left, right)


def _elementwise(symbol: str) -> Callable[..., Any]:
    return lambda place, x: place.function(symbol)(x)


def _activation(name: str) -> Callable[..., Any]:
    return lambda place, x: apply_activation(place, name, x)


def _reduction(symbol: str, pooling: str | None) -> Callable[..., Any]:
    def translate(place: Place, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        rank = len(x.shape)
        axes = range(rank) if axis is None else [axis] if isinstance(axis, int) else list(axis)
        axes = sorted(item % rank for item in axes)
        if pooling and rank == 4 and axes == [1, 2]:
            return place.layer(pooling, keepdims=keepdims)(x)
        return place.function(symbol)(x, axis=axes, keepdims=keepdims)

    return translate


def _relu(
    place: Place, x: Any, negative_slope: Any = 0.0, max_value: Any = None, threshold: Any = 0.0
) -> Any:
    return place.layer(
        "ReLU", negative_slope=negative_slope, max_value=max_value, threshold=threshold
    )(x)


def _leaky_relu(place: Place, x: Any, negative_slope: float = 0.2) -> Any:
    return place.layer("LeakyReLU", alpha=negative_slope)(x)


def _elu(place: Place, x: Any, alpha: float = 1.0) -> Any:
    return place.layer("ELU", alpha=alpha)(x)


def _gelu(place: Place, x: Any, approximate: bool = True) -> Any:
    if approximate:
        return place.function("nn.gelu")(x, approximate=True)
    return apply_activation(place, "gelu", x)


def _softmax(place: Place, x: Any, axis: int = -1) -> Any:
    if axis in (-1, len(x.shape) - 1):
        return apply_activation(place, "softmax", x)
    return place.layer("Softmax", axis=axis)(x)


def _log_softmax(place: Place, x: Any, axis: int = -1) -> Any:
    return place.function("nn.log_softmax")(x, axis=axis)


def _clip(place: Place, x: Any, x_min: Any = None, x_max: Any = None) -> Any:
    if not all(isinstance(end, int | float) for end in (x_min, x_max)):
        raise NotExactError("clips at ends that are no plain numbers")
    return place.function("clip_by_value")(x, float(x_min), float(x_max))


def _cast(place: Place, x: Any, dtype: str) -> Any:
    del place
    if not tf.as_dtype(dtype).is_floating:
        raise NotExactError(f"turns scores into {dtype}")
    return x


def _unchanged(place: Place, x: Any) -> Any:
    del place
    return x


def _matmul(place: Place, left: Any, right: Any) -> Any:
    return place.function("linalg.matmul")(left, right)


_TRANSLATIONS: dict[str, Callable[..., Any]] = {
    **{name: _arithmetic(name) for name in _ARITHMETIC},
    **{name: _elementwise(symbol) for name, symbol in _ELEMENTWISE.items()},
    **{name: _activation(function) for name, function in _ACTIVATIONS.items()},
    **{name: _reduction(*how) for name, how in _REDUCTIONS.items()},
    "Cast": _cast,
    "Clip": _clip,
    "Concatenate": rearranging.concatenate,
    "Elu": _elu,
    "ExpandDims": rearranging.expand_dims,
    "Gelu": _gelu,
    "GetItem": rearranging.get_item,
    "Identity": _unchanged,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _log_softmax,
    "Matmul": _matmul,
    "Pad": rearranging.pad,
    "ReLU": _relu,
    "Relu": _relu,
    "Reshape": rearranging.reshape,
    "Softmax": _softmax,
    "Split": rearranging.split,
    "Squeeze": rearranging.squeeze,
    "StopGradient": _unchanged,
    "Transpose": rearranging.transpose,
}
