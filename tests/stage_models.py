"""Small real classifiers of face crops."""

from __future__ import annotations

import functools
from pathlib import Path

from conftest import sharpened

from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.flatbuffer import with_convention


def crop_model(folder: Path, convention: InputConvention | None = None) -> Path:
    """An untrained float32 classifier of 24x24 grey faces whose outputs differ."""
    convention = convention or InputConvention(24, 24, 1, 0.0, 1.0, AFFECTNET_LABELS)
    path = folder / "classifier.tflite"
    path.write_bytes(with_convention(_content(convention.channels), convention))
    return path


def unlabelled() -> bytes:
    """The same file's content, without a word about its input."""
    return _content(1)


@functools.cache
def _content(channels: int) -> bytes:
    from fer_opt.backend import tf, tf_keras

    tf_keras.utils.set_random_seed(3)
    layers = tf_keras.layers
    model = sharpened(
        tf_keras.Sequential(
            [
                layers.Input((24, 24, channels), batch_size=1),
                layers.Conv2D(8, 3, activation="relu"),
                layers.MaxPooling2D(),
                layers.Conv2D(16, 3, activation="relu"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(8, activation="softmax"),
            ]
        )
    )
    return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
