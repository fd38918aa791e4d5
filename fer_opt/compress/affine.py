"""Layers that scale and shift each channel, which other layers can take over exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf_keras
from fer_opt.compress.graph import Call, calls, consumers

__all__ = ["Affine", "Surroundings", "affine_of"]

Doubles = npt.NDArray[np.float64]

_BATCH_NORMS = (
    tf_keras.layers.BatchNormalization,
    tf_keras.layers.experimental.SyncBatchNormalization,
)


@dataclass(frozen=True, slots=True)
class Affine:
    """``scale * x + shift`` along the last axis.

    Attributes:
        scale: float64 (channels,).
        shift: float64 (channels,).
    """

    scale: Doubles
    shift: Doubles

    def then(self, other: Affine) -> Affine:
        """Itself first, ``other`` on what it gives."""
        return Affine(other.scale * self.scale, other.scale * self.shift + other.shift)


def affine_of(call: Call) -> Affine | None:
    """What a batch normalization, normalization or rescaling does in use; None of other layers.

    Batch normalization gives gamma * (x - mean) / sqrt(variance + epsilon) + beta (Ioffe and
    Szegedy, 2015, algorithm 2). None as well where it normalizes another axis than the last, uses
    the statistics of the batch in use, or has renormalization, whose meaning Keras keeps to itself.
    """
    layer = call.layer
    if len(call.arguments) != 1 or any(value is not None for value in _stated(call).values()):
        return None
    shape = call.inputs[0].shape
    channels, last = shape[-1], len(shape) - 1
    if channels is None or last < 1:
        return None
    if type(layer) in _BATCH_NORMS and not getattr(layer, "renorm", False):
        if list(layer.axis) != [last]:
            return None
        scale = 1.0 / np.sqrt(_double(layer.moving_variance) + layer.epsilon)
        scale = scale * _double(layer.gamma) if layer.scale else scale
        shift = -_double(layer.moving_mean) * scale
        return Affine(scale, shift + _double(layer.beta) if layer.center else shift)
    if type(layer) is tf_keras.layers.Normalization and not layer.invert:
        if [axis % (last + 1) for axis in layer.axis] not in ([], [last]):
            return None
        deviation = np.maximum(np.sqrt(_double(layer.variance)), tf_keras.backend.epsilon())
        return _broadcast(1.0 / deviation, -_double(layer.mean) / deviation, channels)
    if type(layer) is tf_keras.layers.Rescaling:
        return _broadcast(np.asarray(layer.scale), np.asarray(layer.offset), channels)
    return None


def _stated(call: Call) -> dict[str, Any]:
    # training=False is what inference does anyway.
    return {
        key: value for key, value in call.keywords.items() if (key, value) != ("training", False)
    }


def _double(value: Any) -> Doubles:
    return np.asarray(value, np.float64)


def _broadcast(scale: Any, shift: Any, channels: int) -> Affine | None:
    parts = [np.ravel(_double(part)) for part in (scale, shift)]
    if any(len(part) not in (1, channels) for part in parts):
        return None
    return Affine(*(np.broadcast_to(part, (channels,)).copy() for part in parts))


class Surroundings:
    """Who reads which tensor of a network, and how often each layer is used."""

    def __init__(self, network: Any) -> None:
        self._consumers = consumers(network)
        self._outputs = {id(tensor) for tensor in network.outputs}
        self._uses = Counter(id(call.layer) for call in calls(network))

    def used_once(self, layer: Any) -> bool:
        """Whether a layer is called at one place only, so that its weights may change."""
        return self._uses[id(layer)] == 1

    def readers(self, tensor: Any) -> list[Call]:
        """The calls that read a tensor."""
        return self._consumers.get(id(tensor), [])

    def is_output(self, tensor: Any) -> bool:
        """Whether a tensor is a result of the network."""
        return id(tensor) in self._outputs

    def only_reader(self, tensor: Any) -> Call | None:
        """The one call that reads a tensor; None of a result, or where there are several."""
        found = self.readers(tensor)
        return found[0] if len(found) == 1 and not self.is_output(tensor) else None

    def affine_after(self, tensor: Any) -> tuple[Affine | None, list[Call]]:
        """The affine layers that follow a tensor one by one, put together, and their calls."""
        total, chain = None, []
        while (reader := self.only_reader(tensor)) and (found := affine_of(reader)):
            total = total.then(found) if total else found
            chain.append(reader)
            tensor = reader.output
        return total, chain
