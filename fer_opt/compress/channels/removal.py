"""Taking channels out of a network for good."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf_keras
from fer_opt.compress.channels.dependencies import Dependencies
from fer_opt.compress.graph import calls, rebuild

__all__ = ["remove"]

Floats = npt.NDArray[np.float32]


def remove(network: Any, dependencies: Dependencies, removed: Collection[int]) -> Any:
    """A smaller network without the channels of these roots.

    Its outputs are those of the original with the same channels switched off wherever they are
    read.
    """
    gone = np.array(sorted(removed), dtype=np.int64)

    def kept(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return ~np.isin(dependencies.roots(ids), gone)

    copies: dict[str, tuple[Any, Any]] = {}
    channels = {id(call.output): call.inputs[0].shape[-1] for call in calls(network)}

    def visit(call: Any, copy: Any) -> Any:
        layer = call.layer
        changes: dict[str, Any] = {}
        if layer.name in dependencies.made:
            size = "units" if isinstance(layer, tf_keras.layers.Dense) else "filters"
            changes = {size: int(kept(dependencies.made[layer.name]).sum())}
        elif (
            isinstance(layer, tf_keras.layers.Reshape)
            and call.inputs[0].shape[-1] != channels[id(call.output)]
        ):
            changes = {"target_shape": _target(layer, call.inputs[0])}
        new = copy(layer, **changes)
        copies[layer.name] = (layer, new)
        return call.apply(new)

    result = rebuild(network, visit)
    for name, (old, new) in copies.items():
        if name in dependencies.made:
            inputs, outputs = kept(dependencies.read[name]), kept(dependencies.made[name])
            new.set_weights(_cut(old, inputs, outputs))
        elif name in dependencies.seen:
            new.set_weights(_cut_channelwise(old, kept(dependencies.seen[name])))
    return result


def _target(layer: Any, tensor: Any) -> tuple[int, ...]:
    """A reshape's target for fewer channels."""
    target = list(layer.target_shape)
    if len(target) > 1 and target[-1] != -1:
        target[-1] = int(tensor.shape[-1])
    elif len(target) == 1:
        target = [-1]
    return tuple(target)


def _cut(layer: Any, inputs: Any, outputs: Any) -> list[Floats]:
    weights = layer.get_weights()
    if isinstance(layer, tf_keras.layers.SeparableConv2D):
        depthwise, pointwise, *bias = weights
        middle = np.repeat(inputs, layer.depth_multiplier)
        return [
            depthwise[:, :, inputs],
            pointwise[:, :, middle][..., outputs],
            *(item[outputs] for item in bias),
        ]
    kernel, *bias = weights
    return [kernel[..., inputs, :][..., outputs], *(item[outputs] for item in bias)]


def _cut_channelwise(layer: Any, kept: Any) -> list[Floats]:
    if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
        kernel, *bias = layer.get_weights()
        spread = np.repeat(kept, layer.depth_multiplier)
        return [kernel[:, :, kept], *(item[spread] for item in bias)]
    return [item[..., kept] for item in layer.get_weights()]
