"""Functions of ``keras.ops`` that move numbers about without changing them, said in tf_keras."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fer_opt.keras_io.naming import NotExactError, Place

__all__ = [
    "concatenate",
    "expand_dims",
    "get_item",
    "pad",
    "reshape",
    "split",
    "squeeze",
    "transpose",
]


def reshape(place: Place, x: Any, newshape: Any) -> Any:
    """``keras.ops.reshape``, which leaves the images apart."""
    target = [-1 if side is None else side for side in newshape]
    if target[1:].count(-1) == 1:
        known = math.prod(side for side in target[1:] if side != -1)
        target = [
            target[0],
            *(x_side if x_side != -1 else _size(x) // known for x_side in target[1:]),
        ]
    if not all(isinstance(side, int) for side in target) or math.prod(target[1:]) != _size(x):
        raise NotExactError(f"changes the number of images, reshaping to {tuple(newshape)}")
    return place.layer("Reshape", target_shape=target[1:])(x)


def _size(x: Any) -> int:
    return math.prod(x.shape[1:])


def expand_dims(place: Place, x: Any, axis: Any) -> Any:
    """``keras.ops.expand_dims``."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    rank = len(x.shape) + len(axes)
    sides = iter(x.shape)
    shape = [1 if at in {item % rank for item in axes} else next(sides) for at in range(rank)]
    return _with_shape(place, x, shape)


def squeeze(place: Place, x: Any, axis: Any = None) -> Any:
    """``keras.ops.squeeze``."""
    rank = len(x.shape)
    axes = [at for at in range(1, rank) if x.shape[at] == 1]
    if axis is not None:
        axes = [item % rank for item in ([axis] if isinstance(axis, int) else axis)]
    return _with_shape(place, x, [side for at, side in enumerate(x.shape) if at not in axes])


def _with_shape(place: Place, x: Any, shape: Sequence[Any]) -> Any:
    if not shape or shape[0] is not None:
        raise NotExactError("moves the axis of the images")
    return place.layer("Reshape", target_shape=list(shape[1:]))(x)


def transpose(place: Place, x: Any, axes: Any = None) -> Any:
    """``keras.ops.transpose`` of the axes within an image."""
    order = [] if axes is None else [axis % len(x.shape) for axis in axes]
    if order[:1] != [0]:
        raise NotExactError("moves the axis of the images")
    return place.layer("Permute", dims=order[1:])(x)


def concatenate(place: Place, xs: Sequence[Any], axis: int = -1) -> Any:
    """``keras.ops.concatenate``."""
    return place.layer("Concatenate", axis=axis)(list(xs))


def split(place: Place, x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """``keras.ops.split`` as as many slices."""
    at, side = axis % len(x.shape), x.shape[axis]
    if at == 0 or side is None:
        raise NotExactError("splits the axis of the images")
    if isinstance(indices_or_sections, int):
        step = side // indices_or_sections
        ends = [0, *range(step, side, step), side]
    else:
        ends = [0, *indices_or_sections, side]
    everything = slice(None)
    return [
        get_item(place.beside(str(number)), x, key)
        for number, key in enumerate(
            (*[everything] * at, slice(start, end)) for start, end in itertools.pairwise(ends)
        )
    ]


def get_item(place: Place, x: Any, key: Any) -> Any:
    """``tensor[key]`` with plain numbers."""
    keys = list(key) if isinstance(key, tuple | list) else [key]
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        keys[at : at + 1] = [slice(None)] * (len(x.shape) - len(keys) + 1)
    for item in keys:
        ends = (item.start, item.stop, item.step) if isinstance(item, slice) else (item,)
        if not all(end is None or isinstance(end, int) for end in ends) or item is None:
            raise NotExactError("cuts out a part that is given by something else than numbers")
    spelt = tuple(
        {"start": item.start, "stop": item.stop, "step": item.step}
        if isinstance(item, slice)
        else item
        for item in keys
    )
    return place.function("__operators__.getitem", kind="SlicingOpLambda")(x, spelt)


def pad(
    place: Place, x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None
) -> Any:
    """``keras.ops.pad``."""
    widths = np.broadcast_to(np.asarray(pad_width), (len(x.shape), 2)).tolist()
    if mode == "constant" and not constant_values and len(widths) == 4:
        batch, height, width, channels = widths
        if not any(batch) and not any(channels):
            return place.layer("ZeroPadding2D", padding=[height, width])(x)
    if mode not in ("constant", "reflect", "symmetric"):
        raise NotExactError(f"pads in the mode {mode!r}, which tf_keras lacks")
    return place.function("pad")(x, widths, mode=mode, constant_values=constant_values or 0)
