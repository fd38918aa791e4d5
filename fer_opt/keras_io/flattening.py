"""A functional or sequential model of either Keras, call by call, as one flat tf_keras network."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fer_opt.backend import keras3, tf, tf_keras
from fer_opt.keras_io.activations import apply_activation, split_activation
from fer_opt.keras_io.layers import ends_with_activation, rebuild_layer, transfer_weights
from fer_opt.keras_io.naming import Names, Place, Untranslatable, clean, described
from fer_opt.keras_io.operations import combine, plain_constant, translate_operation

__all__ = ["flatten", "is_keras3"]

# Augmentation and noise: in use they give back what they are given.
_TRAINING_ONLY = {
    "ActivityRegularization", "AlphaDropout", "AugMix", "CutMix", "GaussianDropout",
    "GaussianNoise", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration",
    "RandomColorJitter", "RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip",
    "RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue", "RandomInvert",
    "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom",
    "Solarization",
}  # fmt: skip
_DROPOUT = {"Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"}
_OPERATION_LAYERS = {"SlicingOpLambda", "TFOpLambda"}
_ARITHMETIC_SYMBOLS = {
    "__operators__.add": "Add", "math.add": "Add", "math.maximum": "Maximum",
    "math.minimum": "Minimum", "math.multiply": "Multiply", "math.subtract": "Subtract",
}  # fmt: skip


def flatten(model: Any, shape: tuple[int, int, int]) -> Any:
    """A flat float32 functional ``tf_keras.Model`` that computes what ``model`` does in inference.

    Args:
        model: of either Keras, one input and one output.
        shape: height, width, channels of the input.

    Raises:
        Untranslatable: something would be lost.
    """
    source = model.inputs[0]
    first = [source, *getattr(model, "operations", model.layers)]
    flattening = _Flattening(is_keras3(model), Names(_without_inputs(first)))
    image = tf_keras.Input(shape, dtype="float32", name=clean(source.name.split(":")[0]))
    scores = flattening.inlined(model, [image], owner="", training=None)
    network = tf_keras.Model(image, scores[0], name=clean(model.name))
    flattening.transfer_weights()
    return network


def is_keras3(model: Any) -> bool:
    """Whether a model or layer is of Keras 3; tf_keras is the other."""
    return any(base.__module__.startswith("keras.src.") for base in type(model).__mro__)
