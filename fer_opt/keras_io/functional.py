"""Any Keras classifier as one flat functional ``tf_keras`` model in float32.

tensorflow-model-optimization and the graph transformations here know Keras 2 only, and Keras 3's
files never load in it. So a model is rebuilt layer by layer: nested models are taken apart, layers
that work in training alone and change images are left out, mixed precision becomes float32. What
would be lost is refused by name, and the outputs are compared at the end.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fer_opt.backend import tf, tf_keras
from fer_opt.errors import ModelError
from fer_opt.keras_io.trained import TrainedModel
from fer_opt.noise import quiet

__all__ = ["to_functional"]

_AUGMENTATION = {
    "ActivityRegularization", "AlphaDropout", "GaussianDropout", "GaussianNoise",
    "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomHeight", "RandomRotation",
    "RandomTranslation", "RandomWidth", "RandomZoom",
}  # fmt: skip
"""Layers that do nothing outside training."""

_HARMLESS = {
    "batch_input_shape", "batch_shape", "build_config", "dtype", "lora_alpha", "lora_rank",
    "module", "optional", "quantization_config", "ragged", "registered_name", "seed", "sparse",
    "synchronized", "trainable",
}  # fmt: skip
"""Options that have no bearing on what a trained layer computes."""

_LIKE_DEFAULT = {("data_format", "channels_last"), ("fill_mode", "constant"), ("fill_value", 0.0)}

_MERGES = {
    "Add": "Add", "Subtract": "Subtract", "Multiply": "Multiply", "Maximum": "Maximum",
    "Minimum": "Minimum",
}  # fmt: skip

_SAME_ACTIVATION = {"silu": "swish"}
_HARD = {"hard_sigmoid", "hard_silu", "hard_swish"}
"""Activations that Keras 3 defines otherwise than Keras 2, or Keras 2 lacks."""

_WAY_OUT = "recipes of a number format alone (float32, int8 ...) still take it"


@dataclass(frozen=True, slots=True)
class _Node:
    """One call in either Keras."""

    layer: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    outputs: list[Any]


@dataclass(slots=True)
class _Rebuilding:
    """What has been made so far; a layer used twice is made once."""

    source: str
    made: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def unique(self, name: str) -> str:
        """A name not used yet."""
        found, number = name, 1
        while found in self.names:
            number += 1
            found = f"{name}_{number}"
        self.names.add(found)
        return found


def to_functional(model: TrainedModel, *, size: tuple[int, int] | None = None) -> Any:
    """The model as a flat functional ``tf_keras.Model``.

    Args:
        model: of Keras 2 or Keras 3.
        size: height and width of the input, where the model takes any.

    Raises:
        ModelError: the model is no graph of layers, or a layer, option or weight would be lost.
    """
    if model.keras is None:
        raise ModelError(
            f"{model.source} is a SavedModel, whose layers cannot be told any more; give the Keras "
            f"file it was exported from, or take a recipe without steps ({_WAY_OUT})."
        )
    work = _Rebuilding(model.source)
    (old,) = model.keras.inputs
    height, width, channels = model.input_shape
    height, width = height or (size and size[0]), width or (size and size[1])
    name = work.unique(old.name.split(":")[0])
    image = tf_keras.Input((height, width, channels), dtype="float32", name=name)
    try:
        with quiet():
            (output,) = _model(model.keras, [image], work)
            network = tf_keras.Model(image, output, name=model.keras.name)
            _copy_weights(work)
    except ModelError:
        raise
    except Exception as exc:
        cause = (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
        raise ModelError(
            f"{model.source} cannot be rebuilt layer by layer ({cause}); {_WAY_OUT}."
        ) from exc
    _compare(model, network, (height or 32, width or 32, channels))
    return network


def _model(model: Any, inputs: list[Any], work: _Rebuilding) -> list[Any]:
    """A model's outputs when its layers are called on ``inputs``."""
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise ModelError(
            f"{work.source}: {model.name} ({type(model).__name__}) is a class with code of its own "
            f"instead of a graph of layers; rebuild it with Keras's functional API, or note that "
            f"{_WAY_OUT}."
        )
    old_inputs = graph.inputs
    tensors = {id(old): new for old, new in zip(old_inputs, inputs, strict=True)}

    def renewed(value: Any) -> Any:
        return tf.nest.map_structure(lambda item: tensors.get(id(item), item), value)

    for node in _nodes(graph):
        made = _call(node, renewed(list(node.arguments)), renewed(node.keywords), work)
        for old, new in zip(node.outputs, made, strict=True):
            tensors[id(old)] = new
    return [tensors[id(old)] for old in graph.outputs]


def _nodes(graph: Any) -> Iterator[_Node]:
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input:
                continue
            outputs = tf.nest.flatten(node.outputs)
            if hasattr(node, "operation"):
                given = node.arguments
                yield _Node(node.operation, tuple(given.args), dict(given.kwargs), outputs)
            else:
                yield _Node(node.layer, tuple(node.call_args), dict(node.call_kwargs), outputs)


def _call(
    node: _Node, arguments: list[Any], keywords: dict[str, Any], work: _Rebuilding
) -> list[Any]:
    """What one call gives in the new model."""
    layer = node.layer
    if hasattr(layer, "layers"):
        return _model(layer, tf.nest.flatten(arguments), work)
    if type(layer).__name__ in _AUGMENTATION:
        return list(tf.nest.flatten(arguments[0]))
    keywords = {
        key: value
        for key, value in keywords.items()
        if key not in ("training", "mask") and value is not None
    }
    if _is_keras3(layer) and not hasattr(layer, "get_weights"):
        return [_operation(layer, arguments, keywords, work)]
    activation = _activation_name(layer)
    hard = _is_keras3(layer) and activation in _HARD
    if id(layer) not in work.made:
        work.made[id(layer)] = (layer, _layer(layer, work, linear=hard))
    result = tf.nest.flatten(work.made[id(layer)][1](*arguments, **keywords))
    if hard:
        gate = tf_keras.layers.ReLU(6.0, name=work.unique(f"{layer.name}_relu6"))(result[0] + 3.0)
        gate = gate * (1 / 6)
        if activation != "hard_sigmoid":
            name = work.unique(f"{layer.name}_multiply")
            gate = tf_keras.layers.Multiply(name=name)([result[0], gate])
        return [gate]
    return list(result)


def _layer(layer: Any, work: _Rebuilding, *, linear: bool) -> Any:
    """The namesake in tf_keras, with nothing lost."""
    kind, config = type(layer).__name__, layer.get_config()
    if not _is_keras3(layer):
        return type(layer).from_config(
            {**config, "name": work.unique(layer.name), "dtype": "float32"}
        )
    cls = getattr(tf_keras.layers, kind, None)
    if cls is None:
        raise ModelError(
            f"{work.source}: the layer {layer.name} ({kind}) has no counterpart in Keras 2, which "
            f"compression works with; replace it and train again, or note that {_WAY_OUT}."
        )
    known = {"name", "trainable"}
    for base in cls.__mro__:
        if base in (tf_keras.layers.Layer, object):
            break
        known |= set(inspect.signature(base.__init__).parameters)
    wanted: dict[str, Any] = {}
    for key, value in config.items():
        if key in _HARMLESS or key.endswith(("_initializer", "_regularizer", "_constraint")):
            continue
        if key in known:
            wanted[key] = _SAME_ACTIVATION.get(value, value) if key == "activation" else value
        elif value not in (None, False) and (key, value) not in _LIKE_DEFAULT:
            raise ModelError(
                f"{work.source}: the layer {layer.name} ({kind}) has {key} = {value!r}, for which "
                f"Keras 2, which compression works with, has no option; train without it, or note "
                f"that {_WAY_OUT}."
            )
    if linear and "activation" in wanted:
        wanted["activation"] = "linear"
    return cls.from_config({**wanted, "name": work.unique(layer.name), "dtype": "float32"})


def _operation(
    operation: Any, arguments: list[Any], keywords: dict[str, Any], work: _Rebuilding
) -> Any:
    """A Keras 3 operation that is no layer, as a layer or TensorFlow function."""
    kind = type(operation).__name__
    layers = tf_keras.layers
    tensors = [item for item in arguments if hasattr(item, "shape")]
    if kind in _MERGES and len(tensors) == 2 and tensors[0].shape[-1] == tensors[1].shape[-1]:
        return getattr(layers, _MERGES[kind])(name=work.unique(operation.name))(tensors)
    if kind in ("Relu", "Relu6"):
        limit = 6.0 if kind == "Relu6" else None
        return layers.ReLU(limit, name=work.unique(operation.name))(arguments[0])
    activations = {
        "Sigmoid": "sigmoid", "Tanh": "tanh", "Silu": "swish", "Softmax": "softmax", "Elu": "elu",
        "Softplus": "softplus", "Gelu": "gelu",
    }  # fmt: skip
    if kind in activations:
        name = work.unique(operation.name)
        return layers.Activation(activations[kind], name=name)(arguments[0])
    functions = {
        "Add": tf.add, "Subtract": tf.subtract, "Multiply": tf.multiply, "TrueDivide": tf.divide,
        "Divide": tf.divide, "Maximum": tf.maximum, "Minimum": tf.minimum,
    }  # fmt: skip
    if kind in functions:
        return functions[kind](*arguments)
    if kind == "Mean":
        return tf.reduce_mean(arguments[0], axis=operation.axis, keepdims=operation.keepdims)
    if kind == "Reshape":
        name = work.unique(operation.name)
        return layers.Reshape(tuple(operation.newshape[1:]), name=name)(arguments[0])
    raise ModelError(
        f"{work.source}: the operation {operation.name} ({kind}) has no counterpart that "
        f"compression knows; use a layer in its place, or note that {_WAY_OUT}."
    )


def _copy_weights(work: _Rebuilding) -> None:
    for old, new in work.made.values():
        values = [
            np.asarray(value)
            for value, variable in zip(old.get_weights(), old.weights, strict=True)
            if "seed_generator" not in getattr(variable, "path", "")
        ]
        if [value.shape for value in values] != [tuple(item.shape) for item in new.weights]:
            raise ModelError(
                f"{work.source}: the weights of the layer {old.name} ({type(old).__name__}) do not "
                f"fit its counterpart in Keras 2; replace the layer, or note that {_WAY_OUT}."
            )
        new.set_weights(
            [
                value if np.issubdtype(value.dtype, np.integer) else value.astype(np.float32)
                for value in values
            ]
        )


def _compare(model: TrainedModel, network: Any, shape: tuple[int, int, int]) -> None:
    """Refuse a rebuilt model that gives anything else."""
    images = np.random.default_rng(0).random((6, *shape), np.float32)
    images *= np.array([1, 1, -1, 1, 255, 255], np.float32)[:, None, None, None]
    expected, found = model.predict(images), np.asarray(network(images, training=False))
    mixed = any(getattr(x, "compute_dtype", "float32") != "float32" for x in _leaves(model.keras))
    # Half precision carries 11 bits (bfloat16 8), which add up over layers.
    limit = (5e-2 if mixed else 1e-5) * max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(expected - found).max())
    if not difference <= limit:
        raise ModelError(
            f"{model.source} gives other outputs once it is rebuilt layer by layer (they differ by "
            f"{difference:.3g}); some layer means something else in Keras 2: {_WAY_OUT}."
        )


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield layer


def _is_keras3(layer: Any) -> bool:
    return any(cls.__module__.split(".")[0] == "keras" for cls in type(layer).__mro__)


def _activation_name(layer: Any) -> str:
    activation = layer.get_config().get("activation") if hasattr(layer, "get_config") else None
    if isinstance(activation, dict):
        activation = activation.get("config")
    return activation if isinstance(activation, str) else ""
