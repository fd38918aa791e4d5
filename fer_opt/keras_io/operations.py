"""Functions of ``keras.ops`` that Keras 3 models use as layers, said in tf_keras."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fer_opt.backend import tf, tf_keras
from fer_opt.keras_io.activations import apply_activation
from fer_opt.keras_io.naming import Place, Untranslatable, described

__all__ = ["combine", "plain_constant", "translate_operation"]


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
        Untranslatable: it, or one of its options, has no exact counterpart.
    """
    where = described(operation)
    translate = _TRANSLATIONS.get(type(operation).__name__)
    if translate is None or not type(operation).__module__.startswith("keras.src."):
        raise Untranslatable(f"{where} has no exact counterpart in tf_keras")
    options = {
        name: value
        for name, value in vars(operation).items()
        if not name.startswith("_") and name != "name"
    }
    options |= keywords
    known = inspect.signature(translate).parameters
    for name in [name for name in options if name not in known]:
        if options.pop(name) is not None:
            raise Untranslatable(f"{where} has the option {name!r}, which tf_keras lacks")
    try:
        return translate(place, *(plain_constant(value, where) for value in arguments), **options)
    except _NotExactError as exc:
        raise Untranslatable(f"{where} {exc}") from exc


class _NotExactError(Exception):
    """Why an operation cannot be said exactly; a clause without its subject."""


def combine(place: Place, kind: str, left: Any, right: Any) -> Any:
    """Add, subtract, multiply, divide or compare element by element, broadcasting as NumPy does."""
    tensors = [item for item in (left, right) if _is_tensor(item)]
    # Layers align tensors of different ranks at the front, functions at the back.
    if kind in _MERGING and len(tensors) == 2 and len(left.shape) == len(right.shape):
        return place.layer(kind)([left, right])
    return place.function(_ARITHMETIC[kind])(left, right)


def plain_constant(value: Any, where: str) -> Any:
    """A constant operand as float32 or a Python number; tensors and other things as they are.

    Raises:
        Untranslatable: it is a variable, a weight that belongs to no layer.
    """
    if _is_tensor(value) or isinstance(value, str | bool | int | float | None):
        return value
    if isinstance(value, tf.Variable) or type(value).__module__.startswith("keras.src"):
        raise Untranslatable(f"{where} reads a variable that belongs to no layer")
    if not isinstance(value, np.ndarray | np.generic) and not tf.is_tensor(value):
        return value
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer) and array.dtype != bool:
        array = array.astype(np.float32)
    return array if array.ndim else array.item()


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


def _is_tensor(value: Any) -> bool:
    return bool(tf_keras.backend.is_keras_tensor(value)) if hasattr(value, "shape") else False


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
        raise _NotExactError("clips at ends that are no plain numbers")
    return place.function("clip_by_value")(x, float(x_min), float(x_max))


def _reshape(place: Place, x: Any, newshape: Any) -> Any:
    target = [-1 if side is None else side for side in newshape]
    if target[1:].count(-1) == 1:
        known = math.prod(side for side in target[1:] if side != -1)
        target = [target[0], *(x_side if x_side != -1 else _size(x) // known for x_side in target[1:])]
    if not all(isinstance(side, int) for side in target) or math.prod(target[1:]) != _size(x):
        raise _NotExactError(f"changes the number of images, reshaping to {tuple(newshape)}")
    return place.layer("Reshape", target_shape=target[1:])(x)


def _size(x: Any) -> int:
    return math.prod(x.shape[1:])


def _expand_dims(place: Place, x: Any, axis: Any) -> Any:
    axes = [axis] if isinstance(axis, int) else list(axis)
    rank = len(x.shape) + len(axes)
    sides = iter(x.shape)
    shape = [1 if at in {item % rank for item in axes} else next(sides) for at in range(rank)]
    return _with_shape(place, x, shape)


def _squeeze(place: Place, x: Any, axis: Any = None) -> Any:
    rank = len(x.shape)
    axes = [at for at in range(1, rank) if x.shape[at] == 1]
    if axis is not None:
        axes = [item % rank for item in ([axis] if isinstance(axis, int) else axis)]
    return _with_shape(place, x, [side for at, side in enumerate(x.shape) if at not in axes])


def _with_shape(place: Place, x: Any, shape: Sequence[Any]) -> Any:
    if not shape or shape[0] is not None:
        raise _NotExactError("moves the axis of the images")
    return place.layer("Reshape", target_shape=list(shape[1:]))(x)


def _transpose(place: Place, x: Any, axes: Any = None) -> Any:
    order = [] if axes is None else [axis % len(x.shape) for axis in axes]
    if order[:1] != [0]:
        raise _NotExactError("moves the axis of the images")
    return place.layer("Permute", dims=order[1:])(x)


def _concatenate(place: Place, xs: Sequence[Any], axis: int = -1) -> Any:
    return place.layer("Concatenate", axis=axis)(list(xs))


def _split(place: Place, x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    at, side = axis % len(x.shape), x.shape[axis]
    if at == 0 or side is None:
        raise _NotExactError("splits the axis of the images")
    if isinstance(indices_or_sections, int):
        step = side // indices_or_sections
        ends = [0, *range(step, side, step), side]
    else:
        ends = [0, *indices_or_sections, side]
    everything = slice(None)
    return [
        _get_item(Place(place.names.new(f"{place.name}_{number}"), place.names), x, key)
        for number, key in enumerate(
            (*[everything] * at, slice(start, end))
            for start, end in zip(ends, ends[1:], strict=False)
        )
    ]


def _get_item(place: Place, x: Any, key: Any) -> Any:
    keys = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        keys[at : at + 1] = [slice(None)] * (len(x.shape) - len(keys) + 1)
    for item in keys:
        ends = (item.start, item.stop, item.step) if isinstance(item, slice) else (item,)
        if not all(end is None or isinstance(end, int) for end in ends) or item is None:
            raise _NotExactError("cuts out a part that is given by something else than numbers")
    spelt = tuple(
        {"start": item.start, "stop": item.stop, "step": item.step}
        if isinstance(item, slice)
        else item
        for item in keys
    )
    return place.function("__operators__.getitem", kind="SlicingOpLambda")(x, spelt)


def _pad(place: Place, x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    widths = np.broadcast_to(np.asarray(pad_width), (len(x.shape), 2)).tolist()
    if mode == "constant" and not constant_values and len(widths) == 4:
        batch, height, width, channels = widths
        if not any(batch) and not any(channels):
            return place.layer("ZeroPadding2D", padding=[height, width])(x)
    if mode not in ("constant", "reflect", "symmetric"):
        raise _NotExactError(f"pads in the mode {mode!r}, which tf_keras lacks")
    return place.function("pad")(x, widths, mode=mode, constant_values=constant_values or 0)


def _cast(place: Place, x: Any, dtype: str) -> Any:
    del place
    if not tf.as_dtype(dtype).is_floating:
        raise _NotExactError(f"turns scores into {dtype}")
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
    "Concatenate": _concatenate,
    "Elu": _elu,
    "ExpandDims": _expand_dims,
    "Gelu": _gelu,
    "GetItem": _get_item,
    "Identity": _unchanged,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _log_softmax,
    "Matmul": _matmul,
    "Pad": _pad,
    "ReLU": _relu,
    "Relu": _relu,
    "Reshape": _reshape,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _squeeze,
    "StopGradient": _unchanged,
    "Transpose": _transpose,
}
