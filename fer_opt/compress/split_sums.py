"""Exact: sums, products and averages of many tensors become those of two."""

from __future__ import annotations

import functools
from typing import Any

from fer_opt.backend import tf_keras
from fer_opt.compress.graph import Call, Copy, rebuild

__all__ = ["split_sums"]

_LAYERS = tf_keras.layers


def split_sums(network: Any) -> Any:
    """Break ``Add`` and ``Multiply`` of more than two tensors into pairs, and ``Average`` as well.

    TensorFlow Lite adds two at a time, and each partial sum has a range of its own. An average is a
    sum times a constant.

    Args:
        network: flat functional ``tf_keras.Model``.
    """

    def visit(call: Call, copy: Copy) -> Any:
        layer, number = call.layer, len(call.inputs)
        if type(layer) is _LAYERS.Average:
            return _paired(_LAYERS.Add, call) * (1.0 / number)
        if type(layer) in (_LAYERS.Add, _LAYERS.Multiply) and number > 2:
            return _paired(type(layer), call)
        return call.apply(copy(layer))

    return rebuild(network, visit)


def _paired(kind: Any, call: Call) -> Any:
    def pair(left: Any, right: tuple[int, Any]) -> Any:
        index, tensor = right
        return kind(name=f"{call.layer.name}_{index}")([left, tensor])

    return functools.reduce(pair, enumerate(call.inputs[1:], 1), call.inputs[0])
