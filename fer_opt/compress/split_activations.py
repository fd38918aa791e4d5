"""Exact: activations become layers of their own, in terms TensorFlow Lite has in 8 bits."""

from __future__ import annotations

from typing import Any

from fer_opt.backend import tf, tf_keras
from fer_opt.compress.graph import Call, Copy, is_linear, rebuild

__all__ = ["is_relu", "split_activations"]

_LAYERS = tf_keras.layers
_ACTIVATIONS = tf_keras.activations
_RELUS = (_ACTIVATIONS.relu, tf.nn.relu, tf.nn.relu6)
_SWISHES = (_ACTIVATIONS.swish, tf.nn.silu)


def is_relu(activation: Any) -> bool:
    """Whether TensorFlow Lite computes an activation within the operator before it."""
    return any(activation is known for known in _RELUS)


def split_activations(network: Any) -> Any:
    """Take activations other than ReLU and ReLU6 out of their layers and break them up.

    swish(x) = x * sigmoid(x), and Keras 2's hard sigmoid, clip(0.2 x + 0.5, 0, 1), is
    relu6(1.2 x + 3) / 6.

    Args:
        network: flat functional ``tf_keras.Model``.
    """

    def visit(call: Call, copy: Copy) -> Any:
        layer = call.layer
        if getattr(layer, "symbol", None) in ("nn.silu", "nn.swish") and len(call.arguments) == 1:
            return _activated(call.inputs[0], tf.nn.silu, layer.name)
        activation = getattr(layer, "activation", None)
        if activation is None or is_linear(layer) or is_relu(activation):
            return call.apply(copy(layer))
        if type(layer) is _LAYERS.Activation:
            return _activated(call.inputs[0], activation, layer.name)
        output = call.apply(copy(layer, activation="linear"))
        return _activated(output, activation, f"{layer.name}_activation")

    return rebuild(network, visit)


def _activated(tensor: Any, activation: Any, name: str) -> Any:
    if any(activation is known for known in _SWISHES):
        gate = _LAYERS.Activation("sigmoid", name=f"{name}_gate")(tensor)
        return _LAYERS.Multiply(name=name)([tensor, gate])
    if activation is _ACTIVATIONS.hard_sigmoid:
        return _LAYERS.ReLU(6.0, name=name)(tensor * 1.2 + 3.0) * (1.0 / 6.0)
    return _LAYERS.Activation(activation, name=name)(tensor)
