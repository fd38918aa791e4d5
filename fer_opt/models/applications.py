"""The reference models of section 3.1.2 and Table 5, as Keras ships them, untrained.

Table 5's 23,851,784 for "GoogleNet" is Keras's InceptionV3 with 299x299x3 and 1000 classes, not
the 22-layer network of 2014; its 4,253,864 is MobileNet v1 with 224x224x3 and 1000 classes. The
thesis says that input and output were then adapted to 224 pixels and 8 labels.
"""

from __future__ import annotations

from typing import Any

from fer_opt.backend import tf_keras
from fer_opt.models.layers import image_input, label_output

__all__ = ["googlenet", "mobilenet"]


def googlenet(input_shape: tuple[int, int, int], classes: int) -> Any:
    """Keras's InceptionV3."""
    image = image_input(input_shape)
    base = tf_keras.applications.InceptionV3(
        weights=None, input_tensor=image, classes=classes, classifier_activation=None
    )
    return tf_keras.Model(image, label_output(base.output), name="googlenet")


def mobilenet(input_shape: tuple[int, int, int], classes: int) -> Any:
    """Keras's MobileNet v1, width multiplier 1."""
    image = image_input(input_shape)
    base = tf_keras.applications.MobileNet(
        weights=None, input_tensor=image, classes=classes, classifier_activation=None
    )
    return tf_keras.Model(image, label_output(base.output), name="mobilenet")
