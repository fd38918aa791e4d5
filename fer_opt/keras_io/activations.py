"""Activation functions of both Kerases, said in layers of tf_keras."""

from __future__ import annotations

from typing import Any

from fer_opt.keras_io.naming import Place, TranslationError, described

__all__ = ["SAME", "apply_activation", "split_activation"]

SAME = {
    "elu", "exponential", "gelu", "linear", "mish", "relu", "selu", "sigmoid", "softmax",
    "softplus", "softsign", "swish", "tanh",
}  # fmt: skip
"""Names that mean the same function in Keras 3 and in tf_keras."""

_ALIASES = {"silu": "swish", "hard_swish": "hard_silu"}
# Keras 3's hard_sigmoid is relu6(x + 3) / 6, tf_keras's clip(x / 5 + 1 / 2, 0, 1).
_SPELT_OUT = {"hard_sigmoid", "hard_silu", "leaky_relu", "log_softmax", "relu6"}
_LEAKY_SLOPE = 0.2
"""What both Keras 3 and TensorFlow give the function by default; tf_keras's layer has 0.3."""


def split_activation(layer: Any) -> tuple[Any, Any]:
    """What a layer's activation becomes: a name for the new layer's own, and what follows it.

    What follows is None, a name for :func:`apply_activation`, or a layer used as a function.

    Raises:
        TranslationError: it is not one of Keras's or TensorFlow's functions.
    """
    activation = layer.activation
    if activation is None:
        return "linear", None
    if hasattr(activation, "get_config"):
        return "linear", activation
    module, name = getattr(activation, "__module__", ""), getattr(activation, "__name__", "")
    if module.startswith("tf_keras.src.activations"):
        return name, None
    if module.startswith(("keras.src.activations", "tensorflow.python")):
        name = name.removesuffix("_v2")
        name = _ALIASES.get(name, name)
        if name in SAME:
            return name, None
        if name in _SPELT_OUT:
            return "linear", name
    raise TranslationError(
        f"{described(layer)} has the activation {name or activation!r}, which tf_keras lacks"
    )


def apply_activation(place: Place, name: str, tensor: Any) -> Any:
    """An activation function of Keras 3 as layers of their own."""
    if name == "relu6":
        return place.layer("ReLU", max_value=6.0)(tensor)
    if name == "leaky_relu":
        return place.layer("LeakyReLU", alpha=_LEAKY_SLOPE)(tensor)
    if name == "log_softmax":
        return place.function("nn.log_softmax")(tensor)
    if name == "hard_sigmoid":
        return _hard_sigmoid(place, tensor)
    if name == "hard_silu":
        # The product gets the plain name, for it stands where the function stood.
        gate = _hard_sigmoid(place.beside("gate"), tensor)
        return place.layer("Multiply")([tensor, gate])
    return place.layer("Activation", activation=_ALIASES.get(name, name))(tensor)


def _hard_sigmoid(place: Place, tensor: Any) -> Any:
    # In functions, as tf_keras's own MobileNetV3 has it: folding would take a Rescaling for batch
    # normalization, and the converter would see no hard swish any more.
    shifted = place.function("math.add", "shifted")(tensor, 3.0)
    clipped = place.layer("ReLU", "clipped", max_value=6.0)(shifted)
    return place.function("math.multiply")(clipped, 1.0 / 6.0)
