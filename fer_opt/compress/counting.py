"""What a network costs: weights and multiply-accumulates, layer by layer."""

from __future__ import annotations

import math
from typing import Any

from fer_opt.backend import tf_keras
from fer_opt.compress.graph import calls
from fer_opt.compress.structure import structure_of
from fer_opt.reports.record import LayerFacts

__all__ = ["layer_facts", "multiply_accumulates", "parameters"]


def parameters(network: Any) -> int:
    """Number of weights, trainable or not."""
    return int(network.count_params())


def multiply_accumulates(network: Any) -> int:
    """Of one inference at the network's input size, in layers with kernels.

    Batch normalization, activations, pools and element-wise layers are left out, as is customary.
    """
    return sum(item.macs for item in layer_facts(network))


def layer_facts(network: Any) -> tuple[LayerFacts, ...]:
    """Every layer with a kernel, in order of data flow; a shared layer once, its work summed."""
    macs: dict[int, int] = {}
    layers: dict[int, Any] = {}
    for call in calls(network):
        cost = _macs(call)
        if cost is not None:
            layers[id(call.layer)] = call.layer
            macs[id(call.layer)] = macs.get(id(call.layer), 0) + cost
    return tuple(_facts(layers[key], macs[key]) for key in layers)


def _facts(layer: Any, macs: int) -> LayerFacts:
    # Of a separable convolution the pointwise kernel, the one that steps prune and cluster.
    kernel = [item for item in layer.get_weights() if item.ndim >= 2][-1]
    found = structure_of(kernel)
    return LayerFacts(
        name=layer.name,
        kind=type(layer).__name__,
        channels=int(layer.get_output_shape_at(0)[-1]),
        weights=int(layer.count_params()),
        macs=macs,
        sparsity=found.sparsity,
        distinct=found.distinct,
    )


def _macs(call: Any) -> int | None:
    """Multiply-accumulates of one call; None for a layer without a kernel.

    A convolution does kernel height x width x input channels / groups of them for each value of its
    output, a depthwise one height x width, a dense layer one for each of its inputs.
    """
    layers = tf_keras.layers
    layer, outputs = call.layer, math.prod(call.output.shape[1:])
    if isinstance(layer, layers.SeparableConv2D):
        places = math.prod(call.output.shape[1:-1])
        middle = int(call.inputs[0].shape[-1]) * layer.depth_multiplier
        return int(places * middle * (math.prod(layer.kernel_size) + layer.filters))
    if isinstance(layer, layers.DepthwiseConv2D):
        return int(outputs * math.prod(layer.kernel_size))
    if isinstance(layer, layers.Conv2DTranspose):
        inputs = math.prod(call.inputs[0].shape[1:])
        return int(inputs * math.prod(layer.kernel_size) * layer.filters)
    if isinstance(layer, layers.Conv2D):
        channels = int(call.inputs[0].shape[-1]) // layer.groups
        return int(outputs * math.prod(layer.kernel_size) * channels)
    if isinstance(layer, layers.Dense):
        return int(outputs * int(call.inputs[0].shape[-1]))
    return None
