"""Walking a functional Keras model call by call, and building another from it.

Every transformation of :mod:`fer_opt.compress` and every graph pass works on a *flat* functional
``tf_keras.Model``: one image in, one row of labels out, no model nested in another, float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fer_opt.backend import tf, tf_keras

__all__ = ["Call", "Copy", "Visit", "calls", "consumers", "is_linear", "rebuild"]


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a layer; a shared layer is called several times.

    Attributes:
        layer: the original's.
        inputs: tensors it is given, in order; the original's in :func:`calls`, those of the model
            being built in :func:`rebuild`.
        output: the original's output tensor.
        arguments: positional arguments of the call, tensors replaced as in ``inputs``.
        keywords: keyword arguments of the call, likewise.
    """

    layer: Any
    inputs: tuple[Any, ...]
    output: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    def apply(self, layer: Any) -> Any:
        """Call ``layer`` with this call's arguments."""
        return layer(*self.arguments, **self.keywords)


Copy = Callable[..., Any]
"""``copy(layer, **changes)``: the layer's namesake in the new model, made once from its
configuration with ``changes``; its weights are copied afterwards where their shapes agree."""

Visit = Callable[[Call, Copy], Any]
"""Returns the new model's tensor in the place of the call's output."""


def calls(network: Any) -> Iterator[Call]:
    """The calls of a functional model in the order of data flow, inputs left out."""
    for depth in sorted(network._nodes_by_depth, reverse=True):
        for node in network._nodes_by_depth[depth]:
            if not node.is_input:
                yield Call(
                    node.layer,
                    tuple(node.keras_inputs),
                    node.outputs,
                    tuple(node.call_args),
                    dict(node.call_kwargs),
                )


def consumers(network: Any) -> dict[int, list[Call]]:
    """Who reads each tensor, by the tensor's ``id``."""
    found: dict[int, list[Call]] = {}
    for call in calls(network):
        for tensor in call.inputs:
            found.setdefault(id(tensor), []).append(call)
    return found


def is_linear(layer: Any) -> bool:
    """Whether a layer has no activation of its own, or the identity."""
    return getattr(layer, "activation", None) in (None, tf_keras.activations.linear)


def rebuild(network: Any, visit: Visit) -> Any:
    """A new model in which every call became what ``visit`` returned for it.

    The simplest visit, ``lambda call, copy: call.apply(copy(call.layer))``, copies the model;
    returning ``call.inputs[0]`` drops a layer. A layer that ``visit`` makes itself keeps the
    weights it sets itself. The new model shares no layer with the old one.
    """
    tensors: dict[int, Any] = {}
    copies: dict[int, tuple[Any, Any]] = {}

    def copy(layer: Any, **changes: Any) -> Any:
        if id(layer) not in copies:
            new = type(layer).from_config({**layer.get_config(), **changes})
            copies[id(layer)] = (layer, new)
        return copies[id(layer)][1]

    inputs = []
    for old in network.inputs:
        name = old.name.split(":")[0]
        inputs.append(tf_keras.Input(old.shape[1:], dtype=old.dtype, name=name))
        tensors[id(old)] = inputs[-1]

    def renewed(value: Any) -> Any:
        return tf.nest.map_structure(lambda item: tensors.get(id(item), item), value)

    for call in calls(network):
        moved = Call(
            call.layer,
            tuple(tensors[id(item)] for item in call.inputs),
            call.output,
            tuple(renewed(list(call.arguments))),
            renewed(call.keywords),
        )
        tensors[id(call.output)] = visit(moved, copy)
    outputs = [tensors[id(old)] for old in network.outputs]
    result = tf_keras.Model(inputs, outputs[0] if len(outputs) == 1 else outputs, name=network.name)
    for old_layer, new in copies.values():
        weights = old_layer.get_weights()
        if [item.shape for item in weights] == [tuple(item.shape) for item in new.weights]:
            new.set_weights(weights)
    return result
