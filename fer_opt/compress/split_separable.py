"""Exact: a separable convolution becomes the two convolutions it consists of."""

from __future__ import annotations

from typing import Any

from fer_opt.backend import tf_keras
from fer_opt.compress.graph import Call, Copy, rebuild

__all__ = ["split_separable"]


def split_separable(network: Any) -> Any:
    """Replace each ``SeparableConv2D`` by a depthwise and a pointwise convolution.

    They are called NAME_depthwise and NAME_pointwise; TensorFlow Lite, too, computes the two one
    after the other. Where there is none, the network itself comes back.

    Args:
        network: flat functional ``tf_keras.Model``.
    """
    if not any(type(layer) is tf_keras.layers.SeparableConv2D for layer in network.layers):
        return network
    parts: dict[int, tuple[Any, Any]] = {}

    def visit(call: Call, copy: Copy) -> Any:
        layer = call.layer
        if type(layer) is not tf_keras.layers.SeparableConv2D:
            return call.apply(copy(layer))
        if id(layer) in parts:
            depthwise, pointwise = parts[id(layer)]
            return pointwise(depthwise(call.inputs[0]))
        depthwise, pointwise = parts[id(layer)] = _depthwise(layer), _pointwise(layer)
        output = pointwise(depthwise(call.inputs[0]))
        kernel, *rest = layer.get_weights()
        depthwise.set_weights([kernel])
        pointwise.set_weights(rest)
        return output

    return rebuild(network, visit)


def _depthwise(layer: Any) -> Any:
    return tf_keras.layers.DepthwiseConv2D(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        depth_multiplier=layer.depth_multiplier,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
        use_bias=False,
        depthwise_regularizer=layer.depthwise_regularizer,
        depthwise_constraint=layer.depthwise_constraint,
        trainable=layer.trainable,
        name=f"{layer.name}_depthwise",
    )


def _pointwise(layer: Any) -> Any:
    return tf_keras.layers.Conv2D(
        layer.filters,
        1,
        data_format=layer.data_format,
        activation=layer.activation,
        use_bias=layer.use_bias,
        kernel_regularizer=layer.pointwise_regularizer,
        kernel_constraint=layer.pointwise_constraint,
        bias_regularizer=layer.bias_regularizer,
        bias_constraint=layer.bias_constraint,
        trainable=layer.trainable,
        name=f"{layer.name}_pointwise",
    )
