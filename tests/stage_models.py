"""Small real classifiers of face crops."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from conftest import sharpened

from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.flatbuffer import with_convention


def crop_model(folder: Path, convention: InputConvention | None = None) -> Path:
    """An untrained float32 classifier of 24x24 grey faces whose outputs differ."""
    convention = convention or InputConvention(24, 24, 1, 0.0, 1.0, AFFECTNET_LABELS)
    path = folder / "classifier.tflite"
    path.write_bytes(with_convention(_content(convention.channels), convention))
    return path


def recipe_models(folder: Path, *recipes: str) -> list[Path]:
    """The same network through each recipe."""
    from fer_opt.convert import file_stem, make_variant
    from fer_opt.data import DataSpec, batches, open_dataset
    from fer_opt.keras_io import from_keras
    from fer_opt.recipe import parse_recipe

    convention = InputConvention(24, 24, 1, 0.0, 1.0, AFFECTNET_LABELS)
    spec = DataSpec(kind="synthetic", split="train", size=64, image_size=24)
    (some, _), *_ = batches(open_dataset(spec), convention, 64)
    model = from_keras(_network(1), source="crops", format_="Keras 2", sha256="0")
    paths = []
    for text in recipes:
        recipe = parse_recipe(text)
        name = f"{file_stem(recipe)}.tflite"
        make_variant(model, recipe, convention, some, some, folder, name)
        paths.append(folder / name)
    return paths


def unlabelled() -> bytes:
    """The same file's content, without a word about its input."""
    return _content(1)


@functools.cache
def _content(channels: int) -> bytes:
    from fer_opt.backend import tf

    return bytes(tf.lite.TFLiteConverter.from_keras_model(_network(channels)).convert())


@functools.cache
def _network(channels: int) -> Any:
    from fer_opt.backend import tf_keras

    tf_keras.utils.set_random_seed(3)
    layers = tf_keras.layers
    return sharpened(
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
