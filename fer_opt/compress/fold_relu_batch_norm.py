"""Exact: batch normalization between a ReLU and the next convolutions becomes part of both.

With gamma >= 0, a * relu(z) + b = relu(a z) + b: the scale goes back through the ReLU into the
convolution before it, the shift forward into those after it. Same padding is in the way of the
shift, for around the image a convolution reads 0 and not b. So one more channel is computed that is
constant within the image and padded with 0 like the others, and the shift becomes weights on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fer_opt.backend import tf_keras
from fer_opt.compress.affine import Affine, Doubles, Surroundings, affine_of
from fer_opt.compress.graph import Call, Copy, calls, is_linear, rebuild
from fer_opt.compress.structure import structure_of

__all__ = ["LANES", "fold_relu_batch_norm"]

LANES = 8
"""Kernels compute channels in groups of so many; one more is free unless the last group is full."""

_LAYERS = tf_keras.layers
_POOLS = (_LAYERS.MaxPooling2D, _LAYERS.AveragePooling2D)
"""Neither counts what same padding adds, so a constant passes through unchanged."""


def fold_relu_batch_norm(network: Any, *, keep_clusters: bool = False) -> Any:
    """Fold batch normalization after a ReLU into the convolutions and dense layers around it.

    Between them pools may stand, sums of several such tensors, and a flattening before dense
    layers. Where a constant channel is needed, it is only added to layers whose number of channels
    is no multiple of :data:`LANES`, for elsewhere it would cost more than it saves. What cannot
    fold is left, and where nothing can the network itself comes back.

    Args:
        network: flat functional ``tf_keras.Model``.
        keep_clusters: leave kernels of few distinct values alone.
    """
    plan = _plan(network, keep_clusters)
    if not plan.sources:
        return network

    def visit(call: Call, copy: Copy) -> Any:
        if id(call.output) in plan.dropped:
            return call.inputs[0]
        source, sink = plan.sources.get(id(call.output)), plan.sinks.get(id(call.output))
        if source is None and sink is None:
            return call.apply(copy(call.layer))
        kernel, bias = _weights(call.layer)
        if sink is not None:
            kernel, bias = sink.take_shift(kernel, bias)
        if source is not None:
            kernel, bias = source.take_scale(kernel, bias)
        config = {**call.layer.get_config(), "use_bias": True}
        if "filters" in config:
            config["filters"] = kernel.shape[-1]
        layer = type(call.layer).from_config(config)
        output = call.apply(layer)
        layer.set_weights([kernel, bias])
        return output

    return rebuild(network, visit)


@dataclass(slots=True)
class _Group:
    """Convolutions whose results are added somewhere, so that they fold together or not at all.

    ``constant`` is the value of the extra channel; 0 where none is needed.
    """

    sources: list[_Chain] = field(default_factory=list)
    sinks: list[_Sink] = field(default_factory=list)
    foldable: bool = True
    constant: float = 0.0


@dataclass(frozen=True, slots=True)
class _Chain:
    """A convolution with a ReLU, and the normalizations and pools that follow one by one.

    ``dropped`` are the normalizations, ``end`` the tensor behind the last of all.
    """

    source: Call
    end: Any
    affine: Affine
    dropped: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class _Carried:
    """A tensor without its shift (channels,); ``terms`` is how many were added in it."""

    shift: Doubles
    terms: int
    members: tuple[int, ...]
    flat: bool = False


@dataclass(frozen=True, slots=True)
class _Sink:
    """A layer that takes over the shift of what it reads."""

    call: Call
    carried: _Carried
    group: _Group

    @property
    def needs_channel(self) -> bool:
        layer = self.call.layer
        padded = getattr(layer, "padding", "valid") == "same" and max(layer.kernel_size) > 1
        return padded and bool(np.any(self.carried.shift))

    def contribution(self) -> Doubles:
        """What the shift adds at each place of a convolution's kernel (height, width, outputs)."""
        kernel, _ = _weights(self.call.layer)
        return np.tensordot(kernel, self.carried.shift, (2, 0))

    def take_shift(self, kernel: Doubles, bias: Doubles) -> tuple[Doubles, Doubles]:
        shift, constant = self.carried.shift, self.group.constant
        if self.carried.flat:
            places = kernel.reshape(-1, len(shift), kernel.shape[-1])
            bias = bias + np.einsum("pco,c->o", places, shift)
            if constant:
                places = np.pad(places, ((0, 0), (0, 1), (0, 0)))
            return places.reshape(-1, kernel.shape[-1]), bias
        if not constant:
            return kernel, bias + self.contribution().sum(axis=(0, 1))
        of_constant = self.contribution() / (constant * self.carried.terms)
        return np.concatenate([kernel, of_constant[:, :, None]], axis=2), bias


@dataclass(frozen=True, slots=True)
class _Source:
    """What becomes of a convolution before a ReLU."""

    scale: Doubles
    constant: float

    def take_scale(self, kernel: Doubles, bias: Doubles) -> tuple[Doubles, Doubles]:
        kernel, bias = kernel * self.scale, bias * self.scale
        if not self.constant:
            return kernel, bias
        return np.pad(kernel, ((0, 0),) * 3 + ((0, 1),)), np.append(bias, self.constant)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is changed, by the ``id`` of each call's output."""

    sources: dict[int, _Source]
    sinks: dict[int, _Sink]
    dropped: set[int]


def _plan(network: Any, keep_clusters: bool) -> _Plan:
    around = Surroundings(network)

    def may_change(layer: Any) -> bool:
        return around.used_once(layer) and not (
            keep_clusters and structure_of(layer.get_weights()[0]).cluster is not None
        )

    chains = [
        chain
        for call in calls(network)
        if _is_convolution(call.layer) and may_change(call.layer)
        if (chain := _chain_after(call, around)) is not None
    ]
    groups = _groups(network, chains, around, may_change)
    for group in groups:
        _settle(group)
    alive = [group for group in groups if group.foldable]
    return _Plan(
        sources={
            id(chain.source.output): _Source(chain.affine.scale, group.constant)
            for group in alive
            for chain in group.sources
        },
        sinks={id(sink.call.output): sink for group in alive for sink in group.sinks},
        dropped={
            id(call.output) for group in alive for chain in group.sources for call in chain.dropped
        },
    )


def _chain_after(source: Call, around: Surroundings) -> _Chain | None:
    """The chain a convolution begins; None where no normalization is in it or a scale is below 0.

    A pool takes the largest, which a scale below 0 would make the smallest.
    """
    channels = source.layer.filters
    affine = Affine(np.ones(channels), np.zeros(channels))
    rectified = source.layer.activation is tf_keras.activations.relu
    if not rectified and not is_linear(source.layer):
        return None
    tensor, dropped = source.output, []
    while (reader := around.only_reader(tensor)) is not None:
        following = affine_of(reader)
        if following is not None and rectified:
            affine = affine.then(following)
            dropped.append(reader)
        elif not dropped and not rectified and _is_relu(reader.layer):
            rectified = True
        elif not _is_pool(reader.layer):
            break
        tensor = reader.output
    if not dropped or np.any(affine.scale < 0):
        return None
    return _Chain(source, tensor, affine, tuple(dropped))


def _groups(
    network: Any, chains: list[_Chain], around: Surroundings, may_change: Any
) -> list[_Group]:
    """The chains by which of them are added, with the layers that read them."""
    ends = {id(chain.end): index for index, chain in enumerate(chains)}
    group_of = [_Group(sources=[chain]) for chain in chains]
    carried: dict[int, _Carried] = {
        tensor: _Carried(chains[index].affine.shift, 1, (index,)) for tensor, index in ends.items()
    }

    def group_for(members: tuple[int, ...]) -> _Group:
        first = group_of[members[0]]
        for member in members[1:]:
            other = group_of[member]
            if other is not first:
                first.sources += other.sources
                first.sinks += other.sinks
                first.foldable &= other.foldable
                for index, group in enumerate(group_of):
                    if group is other:
                        group_of[index] = first
        return first

    for call in calls(network):
        given = [carried[id(tensor)] for tensor in call.inputs if id(tensor) in carried]
        if not given or id(call.output) in carried:
            continue
        group = group_for(tuple(member for one in given for member in one.members))
        result = _carried_through(call, given)
        if result is not None:
            carried[id(call.output)] = result
        elif _takes(call, given[0]) and may_change(call.layer):
            group.sinks.append(_Sink(call, given[0], group))
        else:
            group.foldable = False
    for tensor in network.outputs:
        if id(tensor) in carried:
            group_for(carried[id(tensor)].members).foldable = False
    found = {id(group): group for group in group_of}
    return [_with_itself(group) for group in found.values()]


def _with_itself(group: _Group) -> _Group:
    """The group, its sinks knowing it whatever groups they were first put in."""
    group.sinks = [_Sink(sink.call, sink.carried, group) for sink in group.sinks]
    return group


def _carried_through(call: Call, given: list[_Carried]) -> _Carried | None:
    """What a pool, sum or flattening makes of it; None of other layers, and of mixed sums."""
    first = given[0]
    if _is_pool(call.layer) and not first.flat:
        return first
    if type(call.layer) is _LAYERS.Flatten and len(call.inputs[0].shape) == 4 and not first.flat:
        return _Carried(first.shift, first.terms, first.members, flat=True)
    whole = len(given) == len(call.inputs) and not any(one.flat for one in given)
    if type(call.layer) is _LAYERS.Add and whole and _same_shapes(call):
        return _Carried(
            np.sum([one.shift for one in given], axis=0),
            sum(one.terms for one in given),
            tuple(dict.fromkeys(member for one in given for member in one.members)),
        )
    return None


def _takes(call: Call, carried: _Carried) -> bool:
    if carried.flat:
        return type(call.layer) is _LAYERS.Dense
    return _is_convolution(call.layer)


def _settle(group: _Group) -> None:
    """Decide whether a group folds, and the value of its extra channel.

    That makes its weights no larger than the largest beside them, so that they round as finely.
    """
    if not group.sinks:
        group.foldable = False
    if not group.foldable or not any(sink.needs_channel for sink in _convolutions(group)):
        return
    if any(chain.source.layer.filters % LANES == 0 for chain in group.sources):
        group.foldable = False
        return
    ratios = [
        np.abs(sink.contribution()).max(axis=(0, 1))
        / np.maximum(np.abs(_weights(sink.call.layer)[0]).max(axis=(0, 1, 2)), 1e-12)
        / sink.carried.terms
        for sink in _convolutions(group)
    ]
    group.constant = float(max(np.max(ratio) for ratio in ratios)) or 1.0


def _convolutions(group: _Group) -> Iterator[_Sink]:
    return (sink for sink in group.sinks if not sink.carried.flat)


def _weights(layer: Any) -> tuple[Doubles, Doubles]:
    kernel, *bias = (item.astype(np.float64) for item in layer.get_weights())
    return kernel, bias[0] if bias else np.zeros(kernel.shape[-1])


def _is_convolution(layer: Any) -> bool:
    return (
        type(layer) is _LAYERS.Conv2D and layer.groups == 1 and layer.data_format == "channels_last"
    )


def _is_pool(layer: Any) -> bool:
    return type(layer) in _POOLS and layer.data_format == "channels_last"


def _is_relu(layer: Any) -> bool:
    if type(layer) is _LAYERS.Activation:
        return layer.activation is tf_keras.activations.relu
    plain = type(layer) is _LAYERS.ReLU
    return plain and layer.max_value is None and not layer.negative_slope and not layer.threshold


def _same_shapes(call: Call) -> bool:
    return len({tuple(tensor.shape) for tensor in call.inputs}) == 1
