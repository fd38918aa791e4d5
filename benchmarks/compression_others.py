"""Networks other people designed, trained just enough that their labels mean something."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from compression_rows import Bench, open_bench, refuse_other_training

from fer_opt.backend import keras3
from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.data import Dataset, Sample
from fer_opt.experiment.settle import gather
from fer_opt.files import make_folder, write_atomically
from fer_opt.keras_io import load_model

OTHERS = {
    "MobileNetV2": (-1.0, 1.0),
    "MobileNetV3Small": (0.0, 255.0),
    "EfficientNetB0": (0.0, 255.0),
    "ResNet50": (-1.0, 1.0),
    "DenseNet121": (-1.0, 1.0),
}
"""Of ``keras.applications``, and what their input holds."""
SIDE = 64
TRAINING = {"epochs": 12, "batch_size": 32, "learning_rate": 1e-3}


def prepare_other(name: str, folder: Path) -> Bench:
    """A network of Keras 3, saved and loaded as a user's would be."""
    make_folder(folder)
    convention = InputConvention(SIDE, SIDE, 3, *OTHERS[name], AFFECTNET_LABELS)
    training, test = patterns(320, 1), patterns(256, 2)
    path, kept = folder / f"{name}.keras", folder / "training.json"
    settings = {**TRAINING, "images": len(training), "side": SIDE}
    if path.is_file():
        refuse_other_training(kept, settings)
    else:
        write_atomically(kept, json.dumps(settings))
        learnt(name, *gather(training, convention)).save(path)
    model = dataclasses.replace(load_model(path), name=name)
    return open_bench(model, path, convention, training, test, folder)


def patterns(size: int, seed: int) -> Dataset:
    """Eight patterns of 4x4 colours in noise."""
    colours = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3)).repeat(16, 1).repeat(16, 2)
    noise = np.random.default_rng(seed).integers(0, 256, (size, SIDE, SIDE, 3))
    labels = np.arange(size) % 8
    images = ((2 * colours[labels] + noise) // 3).astype(np.uint8)
    return Dataset(
        name="patterns",
        source=f"seed {seed}",
        labels=AFFECTNET_LABELS,
        samples=tuple(Sample(str(place), int(label)) for place, label in enumerate(labels)),
        skipped=(),
        reader=lambda sample: images[int(sample.source)],
    )


def learnt(name: str, images: np.ndarray, labels: np.ndarray) -> Any:
    """From random weights, a few passes over the images."""
    keras = keras3()
    keras.utils.set_random_seed(0)
    network = getattr(keras.applications, name)(
        input_shape=(SIDE, SIDE, 3), weights=None, classes=8
    )
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.8  # Keras's 0.99 or 0.999 wants thousands of steps
    network.compile(
        keras.optimizers.Adam(TRAINING["learning_rate"]), "sparse_categorical_crossentropy"
    )
    network.fit(
        images,
        labels,
        epochs=TRAINING["epochs"],
        batch_size=TRAINING["batch_size"],
        verbose=0,
    )
    return network
