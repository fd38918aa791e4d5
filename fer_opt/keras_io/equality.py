"""Whether a rebuilt network still computes what the model did."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf
from fer_opt.errors import ModelError
from fer_opt.keras_io.trained import TrainedModel
from fer_opt.noise import quiet

__all__ = ["LIMITS", "probing_images", "refuse_difference", "relative_difference"]

Floats = npt.NDArray[np.float32]

LIMITS = {"float32": 1e-5, "float16": 32 * 2.0**-11, "bfloat16": 32 * 2.0**-8}
"""Largest difference of outputs over the largest output, by the precision the model computes in.
For half precision, 32 times its unit roundoff, 2^-11 or 2^-8 (IEEE 754 binary16; bfloat16 has 8
significant bits): roundings add up over the depth of a network."""

_OWN_ROUNDING = 4
"""How many times what the last bit of its images does to a model's outputs a rebuilt network may
differ from it. A network that subtracts large sums has more rounding than :data:`LIMITS` allows, in
itself: a MobileNetV2 with random weights and scores scaled to differ moved by 5e-5."""

_CEILING = 1e-3
"""Beyond it no rounding is pleaded."""

_LEAST = 1e-30
"""Probabilities below it are taken as equal; the least normal float32 is 1e-38."""

_IMAGES = 4
_COARSE = 4


def refuse_difference(model: TrainedModel, network: Any) -> None:
    """Compare a rebuilt network's outputs with the model's, on seeded random images.

    Args:
        model: the original.
        network: ``tf_keras.Model`` of fixed input size.

    Raises:
        ModelError: they differ by more than :data:`LIMITS` allows and than rounding does, or there
            are none to compare.
    """
    images = probing_images(tuple(network.input_shape[1:]))
    if not tf.as_dtype(model.keras.inputs[0].dtype).is_floating:
        images = np.round(255 * np.abs(images) / np.abs(images).max(axis=(1, 2, 3), keepdims=True))
    try:
        with quiet():
            expected = np.asarray(model.network(tf.constant(images)), np.float32)
    except Exception as exc:
        height, width = images.shape[1:3]
        raise ModelError(
            f"{model.source} does not take images of {height}x{width}; give the size it was "
            "trained with."
        ) from exc
    usable = np.isfinite(expected).all(axis=1)
    if not usable.any():
        raise ModelError(
            f"{model.source} gives no finite outputs for random images, so nothing can be compared "
            "with them; check its weights."
        )
    found = np.asarray(network(tf.constant(images), training=False))
    difference = relative_difference(found[usable], expected[usable])
    precision = _precision(model.keras)
    if not difference <= LIMITS[precision] and not _is_rounding(
        difference, model, images[usable], expected[usable]
    ):
        raise ModelError(
            f"{model.source}, rebuilt for compression, gives outputs that differ by "
            f"{difference:.1e} of their size where {LIMITS[precision]:.0e} is allowed for "
            f"{precision}; convert it without compression steps, and report it, for no layer of it "
            "was known to be unlike."
        )


def _is_rounding(difference: float, model: TrainedModel, images: Floats, expected: Floats) -> bool:
    """Whether images changed in their last bit make the model itself differ about as much."""
    if not difference <= _CEILING:
        return False
    random = np.random.default_rng(1)
    moved = [
        np.nextafter(
            images, np.where(random.random(images.shape) < 0.5, -np.inf, np.inf), dtype="f4"
        )
        for _ in range(3)
    ]
    own = [
        relative_difference(np.asarray(model.network(tf.constant(one)), np.float32), expected)
        for one in moved
    ]
    return difference <= _OWN_ROUNDING * max(own)


def relative_difference(found: Floats, expected: Floats) -> float:
    """Largest difference of outputs (n, classes) over the largest of those expected.

    Of probabilities or of their logarithms, the logits less a constant, whichever is closer.
    Softmax multiplies the rounding of large logits, which images of another range than trained with
    make: a relative 1e-7 of a logit of 300 is 3e-5 of the probability.
    """
    pairs = [(found, expected)]
    if np.all(expected >= 0) and np.allclose(expected.sum(axis=1), 1.0, atol=1e-3):
        pairs.append((_logarithms(found), _logarithms(expected)))
    return min(
        float(np.abs(one - other).max()) / (float(np.abs(other).max()) or 1.0)
        for one, other in pairs
    )


def _logarithms(probabilities: Floats) -> Floats:
    return np.log(np.maximum(probabilities, np.float32(_LEAST)))


def probing_images(shape: tuple[int, int, int]) -> Floats:
    """Four images (4, height, width, channels), coarse patterns and noise.

    Nobody says which values a model expects: two images lie in 0 to 1, one in -1 to 1, one in 0
    to 255.
    """
    height, width, channels = shape
    random = np.random.default_rng(0)
    coarse = random.random((_IMAGES, _COARSE, _COARSE, channels))
    rows, columns = (np.arange(side) * _COARSE // side for side in (height, width))
    pattern = coarse[:, rows][:, :, columns]
    images = ((pattern + random.random((_IMAGES, *shape))) / 2).astype(np.float32)
    images[2] = 2 * images[2] - 1
    images[3] *= 255
    return images


def _precision(model: Any) -> str:
    """The coarsest floating-point format any layer computes in."""
    found = {str(getattr(layer, "compute_dtype", "")) for layer in model._flatten_layers()}
    return next((name for name in ("bfloat16", "float16") if name in found), "float32")
