"""Untrained models whose outputs differ from image to image, so that comparing them means much."""

from __future__ import annotations

from typing import Any

import numpy as np


def settled(model: Any, images: np.ndarray) -> Any:
    """Give batch normalization the statistics of ``images``, as training would.

    A model without any gets larger weights in its last dense layer.
    """
    normalizations = [
        layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"
    ]
    for layer in normalizations:
        layer.momentum = 0.0
    model(images, training=True)
    for layer in normalizations:
        layer.momentum = 0.9
    if not normalizations:
        logits = model.get_layer("logits")
        kernel, bias = logits.get_weights()
        logits.set_weights([10 * kernel, bias])
    outputs = np.asarray(model(images, training=False))
    assert np.ptp(outputs, axis=0).max() > 0.01, "these outputs hardly differ"
    return model
