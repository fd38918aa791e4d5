"""Exact: layers that act only in training are taken out."""

from __future__ import annotations

from typing import Any

from fer_opt.backend import tf_keras
from fer_opt.compress.graph import Call, Copy, calls, is_linear, rebuild

__all__ = ["drop_training_layers", "training_layers"]

_LAYERS = tf_keras.layers
_TRAINING_ONLY = {
    _LAYERS.ActivityRegularization,
    _LAYERS.AlphaDropout,
    _LAYERS.Dropout,
    _LAYERS.GaussianDropout,
    _LAYERS.GaussianNoise,
    _LAYERS.RandomBrightness,
    _LAYERS.RandomContrast,
    _LAYERS.RandomFlip,
    _LAYERS.RandomRotation,
    _LAYERS.RandomTranslation,
    _LAYERS.RandomZoom,
    _LAYERS.SpatialDropout1D,
    _LAYERS.SpatialDropout2D,
    _LAYERS.SpatialDropout3D,
}


def drop_training_layers(network: Any) -> Any:
    """Take out dropout, noise, augmentation and the identity.

    Dropout that its model switched on in use (``training=True``) is left.

    Args:
        network: flat functional ``tf_keras.Model``.
    """

    def visit(call: Call, copy: Copy) -> Any:
        if _acts_in_training_only(call) or _is_identity(call.layer):
            return call.inputs[0]
        return call.apply(copy(call.layer))

    return rebuild(network, visit)


def training_layers(network: Any) -> list[str]:
    """Names of the layers :func:`drop_training_layers` takes out, the identity apart."""
    return [call.layer.name for call in calls(network) if _acts_in_training_only(call)]


def _acts_in_training_only(call: Call) -> bool:
    switched_on = len(call.arguments) > 1 or call.keywords.get("training")
    return type(call.layer) in _TRAINING_ONLY and not switched_on


def _is_identity(layer: Any) -> bool:
    return type(layer) is _LAYERS.Identity or (
        type(layer) is _LAYERS.Activation and is_linear(layer)
    )
