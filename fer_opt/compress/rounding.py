"""Where TensorFlow Lite's 8-bit operators round, and which tensors must share a range.

Its operators fall into few kinds. Most give a tensor of its own range. Some have a fixed one.
Some only move values about, so that input and output share a range; those that join tensors want
one range for all of them. The kinds are those of its 8-bit quantization specification
(https://ai.google.dev/edge/litert/models/quantization_spec).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from fer_opt.backend import tf, tf_keras
from fer_opt.compress.affine import Surroundings
from fer_opt.compress.graph import Call, is_linear
from fer_opt.compress.split_activations import is_relu
from fer_opt.errors import RecipeError

__all__ = ["FIXED_RANGES", "Kind", "fuses_relu", "hard_swish_inside", "kind_of"]

Kind = Literal["own", "relu", "unit", "symmetric", "same", "joined"]
"""How an operator's output is rounded: to a range of its own (``relu``: likewise, and the operator
before may take it in), to a fixed one (``unit``, ``symmetric``), to its input's (``same``), to one
shared with all its inputs (``joined``)."""

FIXED_RANGES = {"unit": (0.0, 255 / 256), "symmetric": (-1.0, 127 / 128)}
"""Scale 1/256 from zero for logistic and softmax, 1/128 about zero for tanh."""

_LAYERS = tf_keras.layers
_ACTIVATIONS = tf_keras.activations

_BY_LAYER: dict[Any, Kind] = {
    _LAYERS.Add: "own",
    _LAYERS.AveragePooling2D: "same",
    _LAYERS.Concatenate: "joined",
    _LAYERS.Conv2D: "own",
    _LAYERS.Cropping2D: "same",
    _LAYERS.Dense: "own",
    _LAYERS.DepthwiseConv2D: "own",
    _LAYERS.Flatten: "same",
    _LAYERS.GlobalAveragePooling2D: "own",
    _LAYERS.GlobalMaxPooling2D: "same",
    _LAYERS.LeakyReLU: "own",
    _LAYERS.MaxPooling2D: "same",
    _LAYERS.Maximum: "joined",
    _LAYERS.Minimum: "joined",
    _LAYERS.Multiply: "own",
    _LAYERS.PReLU: "own",
    _LAYERS.Permute: "same",
    _LAYERS.Reshape: "same",
    _LAYERS.Softmax: "unit",
    _LAYERS.Subtract: "own",
    _LAYERS.ZeroPadding2D: "same",
}
_BY_SYMBOL: dict[str, Kind] = {
    "__operators__.add": "own",
    "__operators__.getitem": "same",
    "concat": "joined",
    "math.add": "own",
    "math.multiply": "own",
    "math.sigmoid": "unit",
    "math.subtract": "own",
    "math.tanh": "symmetric",
    "nn.relu": "relu",
    "nn.relu6": "relu",
    "nn.softmax": "unit",
    "reshape": "same",
}
_BY_ACTIVATION: tuple[tuple[Any, Kind], ...] = (
    (_ACTIVATIONS.relu, "relu"),
    (tf.nn.relu, "relu"),
    (tf.nn.relu6, "relu"),
    (_ACTIVATIONS.sigmoid, "unit"),
    (_ACTIVATIONS.softmax, "unit"),
    (_ACTIVATIONS.tanh, "symmetric"),
)
_FLOAT_ONLY = (_LAYERS.ELU, _ACTIVATIONS.elu, "math.square", "nn.elu")
"""What TensorFlow Lite has in float alone, found by converting it; these layers, functions and
symbols are a part only."""
_WAY_OUT = "replace it, or convert with int8 alone"
_ADDS = ("__operators__.add", "math.add")
_FUSES_RELU = (
    _LAYERS.Add,
    _LAYERS.Conv2D,
    _LAYERS.Dense,
    _LAYERS.DepthwiseConv2D,
    _LAYERS.Multiply,
    _LAYERS.Subtract,
)
_FUSES_RELU_BY_SYMBOL = (*_ADDS, "math.multiply", "math.subtract")


def kind_of(call: Call) -> Kind:
    """How the output of a call is rounded.

    Raises:
        RecipeError: nobody knows; the message names the layer.
    """
    layer = call.layer
    kind = _BY_LAYER.get(type(layer)) or _BY_SYMBOL.get(getattr(layer, "symbol", ""))
    if type(layer) is _LAYERS.Activation:
        kind = next((kind for known, kind in _BY_ACTIVATION if layer.activation is known), None)
    elif type(layer) is _LAYERS.ReLU:
        plain = not layer.negative_slope and not layer.threshold and layer.max_value in (None, 6)
        kind = "relu" if plain else None
    elif type(layer) is _LAYERS.UpSampling2D:
        kind = "same" if layer.interpolation in ("nearest", "bilinear") else None
    if kind is None or (why := _exception(call)):
        why, way_out = _unknown(layer) if kind is None else (why, _WAY_OUT)
        what = getattr(layer, "symbol", None) or type(layer).__name__
        activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
        what += "" if activation == "linear" else f", {activation}"
        raise RecipeError(
            f"quantize_aware cannot round the output of the layer {layer.name} ({what}): {why}; "
            f"{way_out}."
        )
    return kind


def _unknown(layer: Any) -> tuple[str, str]:
    """Why a layer of no kind cannot be rounded, and the way out."""
    if isinstance(layer, _LAYERS.BatchNormalization):
        return (
            "it cannot fold, for it normalizes another axis than the last or by the batch in use",
            _WAY_OUT,
        )
    names = (type(layer), getattr(layer, "activation", None), getattr(layer, "symbol", None))
    if any(name in _FLOAT_ONLY for name in names):
        return "TensorFlow Lite has no 8-bit operator for it", _WAY_OUT
    return (
        "this step of fer-opt does not know how TensorFlow Lite rounds it",
        "convert with int8 alone, which may well work, or replace it",
    )


def _exception(call: Call) -> str:
    """Why this use of a layer that is fine as a rule is not; empty where it is."""
    layer = call.layer
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return "its channels come first"
    if type(layer) is _LAYERS.Conv2D and layer.groups != 1:
        return "its channels are in groups"
    if type(layer) is _LAYERS.Dense and len(call.inputs[0].shape) != 2:
        return "a dense layer is quantized only on rows of features"
    if type(layer) in (_LAYERS.Conv2D, _LAYERS.DepthwiseConv2D, _LAYERS.Dense) and not (
        is_linear(layer) or is_relu(layer.activation)
    ):
        return "its activation is none of TensorFlow Lite's"
    if type(layer) is _LAYERS.Softmax and layer.axis not in (-1, len(call.inputs[0].shape) - 1):
        return "it is a softmax over another axis than the last"
    return ""


def fuses_relu(call: Call) -> bool:
    """Whether TensorFlow Lite takes a ReLU that follows into the operator."""
    layer = call.layer
    return (
        type(layer) in _FUSES_RELU or getattr(layer, "symbol", "") in _FUSES_RELU_BY_SYMBOL
    ) and is_linear(layer)


def hard_swish_inside(call: Call, made_by: dict[int, Call], around: Surroundings) -> list[Any]:
    """The tensors inside a hard swish that ends in a call; empty where it is no such thing.

    That is x * relu6(x + 3) / 6, multiplied in any order (Howard et al., "Searching for
    MobileNetV3", 2019). TensorFlow Lite has one operator for the whole, which rounds only at its
    end.

    Args:
        call: any.
        made_by: the call that gives each tensor, by the tensor's ``id``.
        around: of the network.
    """
    if not _is_product(call):
        return []
    factor, leaves, inside, pending = _constant(call) or 1.0, [], [], list(call.inputs)
    while pending:
        tensor = pending.pop()
        maker = made_by.get(id(tensor))
        if maker is not None and _is_product(maker) and around.only_reader(tensor):
            factor *= _constant(maker) or 1.0
            inside.append(tensor)
            pending.extend(maker.inputs)
        else:
            leaves.append(tensor)
    if len(leaves) != 2 or abs(factor - 1 / 6) > 1e-6:
        return []
    for gate, whole in (leaves, leaves[::-1]):
        relu6 = made_by.get(id(gate))
        if relu6 is None or not _is_relu6(relu6) or not around.only_reader(gate):
            continue
        moved = relu6.inputs[0]
        plus = made_by.get(id(moved))
        if plus is not None and _is_plus_three(plus) and around.only_reader(moved):
            return [*inside, gate, moved] if plus.inputs[0] is whole else []
    return []


def _is_product(call: Call) -> bool:
    is_layer = type(call.layer) is _LAYERS.Multiply and len(call.inputs) == 2
    return is_layer or getattr(call.layer, "symbol", "") == "math.multiply"


def _is_plus_three(call: Call) -> bool:
    return getattr(call.layer, "symbol", "") in _ADDS and _constant(call) == 3.0


def _is_relu6(call: Call) -> bool:
    layer = call.layer
    if type(layer) is _LAYERS.ReLU:
        return kind_of(call) == "relu" and layer.max_value == 6
    if type(layer) is _LAYERS.Activation:
        return layer.activation is tf.nn.relu6
    return getattr(layer, "symbol", "") == "nn.relu6"


def _constant(call: Call) -> float | None:
    """The number that an operator of two takes besides a tensor."""
    stated = [call.keywords.get(key) for key in ("x", "y")]
    given = tf.nest.flatten([list(call.arguments), stated])
    tensors = {id(tensor) for tensor in call.inputs}
    numbers = [np.asarray(item) for item in given if item is not None and id(item) not in tensors]
    return float(numbers[0]) if len(numbers) == 1 and numbers[0].size == 1 else None
