"""A small trained network, the images it was trained on, and what steps are given of them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from fer_opt.backend import tf, tf_keras
from fer_opt.compress.materials import Materials, Stream

CLASSES = 6
SIDE = 16


@functools.cache
def images(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Six patterns in noise, so much of it that not every image is told right."""
    patterns = np.random.default_rng(1).normal(size=(CLASSES, 4, 4))
    patterns = patterns.repeat(SIDE // 4, 1).repeat(SIDE // 4, 2)
    size, seed = {"training": (480, 2), "validation": (120, 3), "test": (240, 4)}[part]
    random = np.random.default_rng(seed)
    labels = np.arange(size) % CLASSES
    noise = random.normal(scale=3.0, size=(size, SIDE, SIDE))
    return (patterns[labels] + noise)[..., None].astype(np.float32), labels.astype(np.int64)


def stream(given: np.ndarray, labels: np.ndarray) -> Stream:
    def made(batch: int, seed: int | None) -> Any:
        data = tf.data.Dataset.from_tensor_slices((given, labels))
        if seed is not None:
            data = data.shuffle(max(len(given), 1), seed=seed, reshuffle_each_iteration=True)
        return data.batch(batch)

    return made


def untrained(seed: int = 5) -> Any:
    """Of every kind of layer the steps tell apart."""
    tf_keras.utils.set_random_seed(seed)
    layers = tf_keras.layers
    image = layers.Input((SIDE, SIDE, 1), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(image)
    x = layers.BatchNormalization(momentum=0.9, name="stem_bn")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2D(16, 1, strides=2, padding="same", activation="relu", name="pointwise")(x)
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(momentum=0.9, name="conv_bn")(x)
    x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    x = layers.Dense(32, activation="relu", name="dense")(x)
    x = layers.Dense(CLASSES, name="logits")(x)
    return tf_keras.Model(image, layers.Activation("softmax", name="label")(x), name="toy")


@functools.cache
def trained() -> Any:
    network = untrained()
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(*images("training"), epochs=6, batch_size=32, verbose=0)
    return _uncompiled(network)


def _uncompiled(network: Any) -> Any:
    copy = tf_keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


@functools.cache
def materials() -> Materials:
    return Materials(
        *(item[:32] for item in images("training")),
        training=stream(*images("training")),
        validation=stream(*images("validation")),
        teacher=trained(),
        batch=32,
        seed=11,
    )


def without_images() -> Materials:
    return dataclasses.replace(materials(), training=None, validation=None)


def accuracy(network: Any) -> float:
    given, labels = images("test")
    return float(np.mean(network.predict(given, verbose=0).argmax(axis=1) == labels))


def loss(network: Any, part: str = "validation") -> float:
    """Mean cross-entropy."""
    given, labels = images(part)
    outputs = network.predict(given, verbose=0)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(outputs, 1e-12)).mean())


def kernel(network: Any, name: str) -> np.ndarray:
    return np.asarray(network.get_layer(name).get_weights()[0])
