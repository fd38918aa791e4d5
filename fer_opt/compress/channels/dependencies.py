"""Which channels of which tensors stand or fall together.

Every channel of every tensor has an identity. A convolution or dense layer makes new ones; an
element-wise operation of two tensors makes theirs one and the same; a concatenation lines them up;
a flattening repeats them for each place. Identities are united with a union-find structure (Tarjan,
1975), channel by channel, so that a concatenation inside a residual needs no care.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import DisjointSet

from fer_opt.backend import tf_keras
from fer_opt.compress.graph import calls

__all__ = ["Dependencies", "Group", "trace"]

Ids = npt.NDArray[np.int64]

_L = tf_keras.layers
PASSED = (
    _L.BatchNormalization, _L.ReLU, _L.LeakyReLU, _L.PReLU, _L.ELU, _L.ThresholdedReLU,
    _L.MaxPooling2D, _L.AveragePooling2D, _L.GlobalMaxPooling2D, _L.GlobalAveragePooling2D,
    _L.Dropout, _L.SpatialDropout2D, _L.GaussianNoise, _L.GaussianDropout,
    _L.ActivityRegularization, _L.ZeroPadding2D, _L.Cropping2D, _L.UpSampling2D, _L.Resizing,
)  # fmt: skip
"""Layers that work on each channel by itself."""
MERGES = (_L.Add, _L.Subtract, _L.Multiply, _L.Maximum, _L.Minimum, _L.Average)
MERGING_OPS = ("math.add", "math.subtract", "math.multiply", "math.maximum", "math.minimum",
               "__operators__.add", "math.truediv")  # fmt: skip
PASSING_OPS = ("nn.relu", "nn.relu6", "nn.silu", "nn.swish", "math.sigmoid", "nn.gelu", "nn.elu",
               "math.tanh", "clip_by_value", "identity", "cast")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """Channels that the same layers make; any part of them can be removed.

    Attributes:
        layers: names of the layers that make them.
        roots: identity of each channel.
    """

    layers: tuple[str, ...]
    roots: tuple[int, ...]


@dataclass(slots=True)
class Dependencies:
    """The identities of a network's channels.

    Attributes:
        made: per layer with a kernel, identities of its outputs.
        read: per layer with a kernel, identities of its inputs (of a dense layer after a flatten,
            one for each place and channel).
        seen: per layer that works on each channel by itself, identities of its channels.
        unknown: names of layers whose channels had to be left alone.
    """

    made: dict[str, Ids] = field(default_factory=dict)
    read: dict[str, Ids] = field(default_factory=dict)
    seen: dict[str, Ids] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    _sets: DisjointSet = field(default_factory=DisjointSet)
    _frozen: set[int] = field(default_factory=set)
    _count: int = 0

    def new(self, count: int, *, frozen: bool = False) -> Ids:
        """Fresh identities."""
        ids = np.arange(self._count, self._count + count)
        self._count += count
        for one in ids.tolist():
            self._sets.add(one)
        if frozen:
            self.freeze(ids)
        return ids

    def unite(self, first: Ids, second: Ids) -> None:
        """Make channels one and the same, place by place."""
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            self._sets.merge(one, other)

    def freeze(self, ids: Ids) -> None:
        """Never remove these."""
        self._frozen.update(ids.tolist())

    def is_frozen(self, ids: Ids) -> bool:
        """Whether these were frozen themselves."""
        return self._frozen.issuperset(ids.tolist())

    def roots(self, ids: Ids) -> Ids:
        """The one identity that stands for all it was united with."""
        return np.array([self._sets[one] for one in ids.tolist()], dtype=np.int64)

    def groups(self) -> tuple[Group, ...]:
        """What can be removed, channels with the same makers together, in order of data flow."""
        frozen = set(self.roots(np.array(sorted(self._frozen), dtype=np.int64)).tolist())
        makers: dict[int, list[str]] = defaultdict(list)
        for name, ids in self.made.items():
            for root in dict.fromkeys(self.roots(ids).tolist()):
                makers[root].append(name)
        found: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for root, names in makers.items():
            if root not in frozen:
                found[tuple(names)].append(root)
        return tuple(Group(names, tuple(roots)) for names, roots in found.items())


def trace(network: Any) -> Dependencies:
    """Follow every channel of a flat functional model from input to output."""
    found = Dependencies()
    ids: dict[int, Ids] = {
        id(tensor): found.new(int(tensor.shape[-1]), frozen=True) for tensor in network.inputs
    }
    for call in calls(network):
        ids[id(call.output)] = _follow(found, call, [ids[id(t)] for t in call.inputs])
    for tensor in network.outputs:
        found.freeze(ids[id(tensor)])
    return found


def _follow(found: Dependencies, call: Any, given: list[Ids]) -> Ids:
    """Identities of a call's output."""
    layer, kind = call.layer, type(call.layer)
    if kind in (_L.Conv2D, _L.Dense, _L.SeparableConv2D) and getattr(layer, "groups", 1) == 1:
        return _kernel(found, layer, given[0])
    if kind is _L.DepthwiseConv2D:
        _channelwise(found, layer, given[0])
        return np.repeat(given[0], layer.depth_multiplier)
    if kind is _L.Activation and layer.activation is not tf_keras.activations.softmax:
        return given[0]
    if kind in PASSED:
        if (
            kind is _L.BatchNormalization
            and list(np.atleast_1d(layer.axis)) != [3]
            and list(np.atleast_1d(layer.axis)) != [len(call.output.shape) - 1]
        ):
            return _unknown(found, call, given)
        if layer.weights and not (kind is _L.PReLU and layer.alpha.shape[-1] == 1):
            _channelwise(found, layer, given[0])
        return given[0]
    if kind in (_L.Rescaling, _L.Normalization):
        # A constant for each channel is as a rule the input's, whose channels stay anyway.
        if not all(np.size(value) == 1 for value in _constants(layer)) and not found.is_frozen(
            given[0]
        ):
            return _unknown(found, call, given)
        return given[0]
    if kind is _L.Concatenate and layer.axis in (-1, len(call.output.shape) - 1):
        return np.concatenate(given)
    if kind is _L.Flatten or (kind is _L.Reshape and len(call.output.shape) == 2):
        return np.tile(given[0], math.prod(call.inputs[0].shape[1:-1]))
    if kind is _L.Reshape and call.output.shape[-1] == call.inputs[0].shape[-1]:
        return given[0]
    if kind in MERGES:
        return _merge(found, call, given)
    return _operation(found, call, given)


def _kernel(found: Dependencies, layer: Any, given: Ids) -> Ids:
    """A layer that reads all of its input's channels and makes new ones."""
    if layer.name in found.read:
        found.unite(found.read[layer.name], given)
    else:
        found.read[layer.name] = given
        found.made[layer.name] = found.new(
            layer.units if isinstance(layer, _L.Dense) else layer.filters
        )
        if getattr(layer, "activation", None) is tf_keras.activations.softmax:
            found.freeze(found.made[layer.name])
    return found.made[layer.name]


def _channelwise(found: Dependencies, layer: Any, given: Ids) -> None:
    if layer.name in found.seen:
        found.unite(found.seen[layer.name], given)
    found.seen.setdefault(layer.name, given)


def _merge(found: Dependencies, call: Any, given: list[Ids]) -> Ids:
    """Element by element; a tensor of one channel is spread over the others' and stays."""
    widest = max(given, key=len)
    for one in given:
        if len(one) == len(widest):
            found.unite(widest, one)
        else:
            found.freeze(one)
    return widest


def _operation(found: Dependencies, call: Any, given: list[Ids]) -> Ids:
    """A TensorFlow function in the graph, or a layer nobody foresaw."""
    name = getattr(call.layer, "function", None) and call.layer.get_config().get("function", "")
    if name in MERGING_OPS and _plain(call):
        return _merge(found, call, given)
    if name in PASSING_OPS and _plain(call):
        return given[0]
    if name == "math.reduce_mean" and not _over_channels(call):
        return given[0]
    return _unknown(found, call, given)


def _plain(call: Any) -> bool:
    """Whether everything besides tensors is a single number."""
    tensors = {id(tensor) for tensor in call.inputs}
    others = [*call.arguments, *call.keywords.values()]
    return all(np.size(value) == 1 for value in others if id(value) not in tensors)


def _constants(layer: Any) -> tuple[Any, Any]:
    if isinstance(layer, _L.Rescaling):
        return layer.scale, layer.offset
    return layer.mean, layer.variance


def _over_channels(call: Any) -> bool:
    """Whether a mean is taken over the last axis."""
    axes = call.keywords.get("axis", call.arguments[1] if len(call.arguments) > 1 else None)
    last = len(call.inputs[0].shape) - 1
    return axes is None or any(axis in (-1, last) for axis in np.ravel(axes))


def _unknown(found: Dependencies, call: Any, given: list[Ids]) -> Ids:
    for one in given:
        found.freeze(one)
    softmax = getattr(call.layer, "activation", None) is tf_keras.activations.softmax or isinstance(
        call.layer, _L.Softmax
    )
    if given and not softmax:
        found.unknown.append(call.layer.name)
    return found.new(int(call.output.shape[-1] or 1), frozen=True)
