"""Exact: batch normalization after a linear convolution becomes part of its kernel and bias."""

from __future__ import annotations

from typing import Any

import numpy as np

from fer_opt.backend import tf_keras
from fer_opt.compress.affine import Affine, Surroundings
from fer_opt.compress.graph import Call, Copy, calls, is_linear, rebuild

__all__ = ["fold_conv_batch_norm"]

_LAYERS = tf_keras.layers
_KERNEL_AXES = {
    # axis of the output channels in the kernel that makes them
    _LAYERS.Conv1D: -1,
    _LAYERS.Conv2D: -1,
    _LAYERS.Conv2DTranspose: -2,
    _LAYERS.SeparableConv2D: -1,
}


def fold_conv_batch_norm(network: Any) -> Any:
    """Fold batch normalization (and rescaling) back into the convolution that alone feeds it.

    W' = a W and b' = a b + shift with a = gamma / sqrt(variance + epsilon), along the output
    channels (Jacob et al., 2018, section 3.2). A convolution that is used twice, feeds something
    else too or has an activation is left, as is anything that stands between the two. Where there
    is nothing to fold, the network itself comes back.

    Args:
        network: flat functional ``tf_keras.Model``.
    """
    around = Surroundings(network)
    folded: dict[int, Affine] = {}
    dropped: set[int] = set()
    for call in calls(network):
        if _can_take(call.layer) and around.used_once(call.layer):
            affine, chain = around.affine_after(call.output)
            if affine is not None:
                folded[id(call.output)] = affine
                dropped.update(id(item.output) for item in chain)

    if not folded:
        return network

    def visit(call: Call, copy: Copy) -> Any:
        if id(call.output) in dropped:
            return call.inputs[0]
        affine = folded.get(id(call.output))
        if affine is None:
            return call.apply(copy(call.layer))
        layer = type(call.layer).from_config({**call.layer.get_config(), "use_bias": True})
        output = call.apply(layer)
        layer.set_weights(_folded(call.layer, affine))
        return output

    return rebuild(network, visit)


def _can_take(layer: Any) -> bool:
    known = type(layer) in _KERNEL_AXES or type(layer) is _LAYERS.DepthwiseConv2D
    return known and is_linear(layer) and layer.data_format == "channels_last"


def _folded(layer: Any, affine: Affine) -> list[Any]:
    weights = [item.astype(np.float64) for item in layer.get_weights()]
    bias = weights.pop() if layer.use_bias else 0.0
    if type(layer) is _LAYERS.DepthwiseConv2D:
        scale = affine.scale.reshape(weights[-1].shape[2:])
    else:
        axis = _KERNEL_AXES[type(layer)]
        scale = affine.scale.reshape((-1,) + (1,) * (-1 - axis))
    weights[-1] = weights[-1] * scale
    return [*weights, bias * affine.scale + affine.shift]
