"""One layer of either Keras rebuilt in tf_keras, float32, with nothing lost but training's options.

Initializers, regularizers, constraints, seeds and ``trainable`` say how a model was trained, not
what it computes; the new layer has tf_keras's own, and all of it can be trained.
"""

from __future__ import annotations

import functools
import inspect
import math
from typing import Any

import numpy as np

from fer_opt.backend import tf_keras
from fer_opt.keras_io.activations import SAME, split_activation
from fer_opt.keras_io.naming import TranslationError, described

__all__ = [
    "ends_with_activation",
    "own_weights",
    "rebuild_layer",
    "refuse_foreign",
    "transfer_weights",
]

_TRAINING_OPTIONS = ("_constraint", "_initializer", "_regularizer", "seed", "trainable")
# Options of Keras 3 that choose between implementations, or act only with another option.
_INERT = {
    "fill_mode", "fill_value", "flash_attention", "lora_alpha", "renorm_clipping",
    "renorm_momentum", "synchronized", "use_cudnn",
}  # fmt: skip
# Options of Keras 3 that tf_keras lacks, and at which value the layers of both do the same.
_WITHOUT_EFFECT = {
    "antialias": False,
    "data_format": "channels_last",
    "gptq_unpacked_column_size": None,
    "lora_rank": None,
    "pad_to_aspect_ratio": False,
    "quantization_config": None,
    "renorm": False,
    "rms_scaling": False,
    "sliding_window": None,
    "use_gate": False,
    "zero_output_for_mask": False,
}
_RENAMED = {("LeakyReLU", "negative_slope"): "alpha"}


def ends_with_activation(layer: Any) -> bool:
    """Whether a layer's activation function is the last thing it does."""
    name = type(layer).__name__
    return name in ("Activation", "Dense", "EinsumDense") or (
        "Conv" in name and "LSTM" not in name and hasattr(layer, "activation")
    )


def rebuild_layer(layer: Any, name: str, *, keras3: bool) -> Any:
    """The ``tf_keras`` layer that does the same in float32; it has no weights yet.

    The activation that :func:`~fer_opt.keras_io.activations.split_activation` puts behind the layer
    is left out.

    Args:
        layer: built, of either Keras; no model.
        name: for the new one.
        keras3: which of the two.

    Raises:
        TranslationError: it is a custom layer, or something would be lost.
    """
    refuse_foreign(layer, keras3=keras3)
    where = described(layer)
    kind = _counterpart(layer, keras3=keras3)
    config = {
        option: value
        for option, value in layer.get_config().items()
        if not option.endswith(_TRAINING_OPTIONS) and option not in ("name", "dtype")
    }
    if config.get("data_format") == "channels_first":
        raise TranslationError(f"{where} has data_format='channels_first', which no phone computes")
    if ends_with_activation(layer):
        config["activation"] = split_activation(layer)[0]
    config |= _settled_constants(layer)
    own = {"name": name, "dtype": "float32"}
    if not keras3:
        new = kind.from_config({**config, **own})
        if any(item.compute_dtype != "float32" for item in new._flatten_layers()):
            raise TranslationError(f"{where} wraps a layer that does not compute in float32")
        return new
    new, lost = _from_keras3(kind, config, own)
    if lost:
        options = ", ".join(f"{option}={value!r}" for option, value in sorted(lost.items()))
        raise TranslationError(f"{where} has {options}, which tf_keras lacks")
    return new


def refuse_foreign(layer: Any, *, keras3: bool) -> None:
    """Refuse layers that are none of Keras's own, or have been quantized.

    Raises:
        TranslationError: ``layer`` is one.
    """
    where = described(layer)
    home = "keras.src.layers." if keras3 else "tf_keras.src."
    module = type(layer).__module__
    if not module.startswith(home) or ".applications." in module:
        raise TranslationError(f"{where} is a custom layer")
    if type(layer).__name__ == "Lambda":
        raise TranslationError(f"{where} is code of its own")
    if mode := getattr(layer, "quantization_mode", None):
        raise TranslationError(f"{where} is quantized to {mode} already")


def _counterpart(layer: Any, *, keras3: bool) -> Any:
    if not keras3:
        return type(layer)
    kind = getattr(tf_keras.layers, type(layer).__name__, None)
    if kind is None:
        raise TranslationError(f"{described(layer)} has no counterpart in tf_keras")
    return kind


def _settled_constants(layer: Any) -> dict[str, Any]:
    """What preprocessing layers hold, as plain numbers, which every way of saving keeps."""
    name = type(layer).__name__
    if name == "Rescaling":
        return {key: np.asarray(getattr(layer, key)).tolist() for key in ("scale", "offset")}
    if name != "Normalization":
        return {}
    shape = [layer.mean.shape[axis] for axis in layer._keep_axis]
    adapted = layer.input_mean is None
    mean = layer.adapt_mean if adapted else layer.input_mean
    variance = layer.adapt_variance if adapted else layer.input_variance
    return {
        key: np.broadcast_to(np.asarray(value, np.float32), shape).tolist()
        for key, value in (("mean", mean), ("variance", variance))
    }


def _from_keras3(
    kind: Any, config: dict[str, Any], own: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """A layer of ``kind`` and those of Keras 3's options that it does not have."""
    given: dict[str, Any] = {}
    lost: dict[str, Any] = {}
    for option, value in config.items():
        renamed = _RENAMED.get((kind.__name__, option), option)
        if isinstance(value, dict) or (
            # One that is not the layer's last deed; the last is settled before.
            option.endswith("activation") and value not in (*SAME, None)
        ):
            lost[option] = value.get("class_name", value) if isinstance(value, dict) else value
        elif renamed in _options(kind):
            given[renamed] = value
        elif not _without_effect(option, value):
            lost[option] = value
    if lost:
        return None, lost
    new = kind.from_config({**given, **own})
    taken = new.get_config()
    for option, value in given.items():
        same = _same(taken[option], value) if option in taken else _without_effect(option, value)
        if not same:
            lost[option] = value
    return new, lost


def _without_effect(option: str, value: Any) -> bool:
    return option in _INERT or (option in _WITHOUT_EFFECT and _same(value, _WITHOUT_EFFECT[option]))


@functools.cache
def _options(kind: Any) -> frozenset[str]:
    """Names that a layer class and its bases take, Layer itself left out."""
    bases = [item for item in kind.__mro__ if issubclass(item, tf_keras.layers.Layer)]
    return frozenset(
        name
        for base in bases
        if base is not tf_keras.layers.Layer
        for name in inspect.signature(base.__init__).parameters
    )


def _same(left: Any, right: Any) -> bool:
    """Whether two options mean the same, however they are spelt."""
    left, right = _plain(left), _plain(right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=1e-6)
    return bool(left == right)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        items = list(value)
        return items[0] if len(items) == 1 else items
    return value


def transfer_weights(old: Any, new: Any) -> None:
    """Give a rebuilt layer the old one's weights.

    Raises:
        TranslationError: a weight has no place in the new layer, or the new one has more weights.
    """
    if type(old).__name__ == "Normalization":
        return  # its weights became options
    pairs = [(_name_of(variable), value) for variable, value in own_weights(old)]
    places = [(_name_of(variable), tuple(variable.shape)) for variable in new.weights]
    # Keras 3 says kernel where tf_keras says depthwise_kernel; the order is the same.
    fits = [
        place.endswith(name) and shape == value.shape
        for (place, shape), (name, value) in zip(places, pairs, strict=False)
    ]
    if len(places) != len(pairs) or not all(fits):
        at = fits.index(False) if False in fits else min(len(places), len(pairs))
        lost, found = (
            f"the weight {these[at][0]!r} of {these[at][1]}"
            if at < len(these)
            else "no such weight"
            for these in ([(name, value.shape) for name, value in pairs], places)
        )
        raise TranslationError(f"{described(old)} has {lost}, its counterpart {found}")
    new.set_weights(
        [
            value.astype(variable.dtype.as_numpy_dtype)
            for (_, value), variable in zip(pairs, new.weights, strict=True)
        ]
    )


def own_weights(layer: Any) -> list[tuple[Any, Any]]:
    """A layer's variables and their values, those of a layer it has as its activation left out."""
    others = {id(item) for item in getattr(getattr(layer, "activation", None), "weights", ())}
    return [
        (variable, np.asarray(value))
        for variable, value in zip(layer.weights, layer.get_weights(), strict=True)
        if id(variable) not in others and "seed_generator" not in _path_of(variable)
    ]


def _path_of(variable: Any) -> str:
    return str(getattr(variable, "path", None) or variable.name)


def _name_of(variable: Any) -> str:
    return _path_of(variable).split("/")[-1].split(":")[0]
