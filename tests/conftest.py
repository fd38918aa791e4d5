"""Small real models and faces that many tests share; each is made once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_opt.convention import AFFECTNET_LABELS, InputConvention

REAL_DATA = os.environ.get("FER_OPT_REAL_DATA", "")


def pytest_configure() -> None:
    """Hear Ctrl-C and a closed terminal also where the suite was started to ignore them.

    A shell's background jobs and nohup do that, and processes that tests start would inherit it.
    """
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory) -> Iterator[None]:
    """Keep what steps make out of the user's cache, and the user's cache out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_OPT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A folder with mini_XCEPTION.hdf5 and fer2013/test, models and faces made by others."""
    if not (Path(REAL_DATA) / "mini_XCEPTION.hdf5").is_file() or not REAL_DATA:
        pytest.skip("FER_OPT_REAL_DATA does not point to a folder with mini_XCEPTION.hdf5")
    return Path(REAL_DATA)


@pytest.fixture(scope="session")
def convention() -> InputConvention:
    """A small grey input, eight labels."""
    return InputConvention(24, 24, 1, 0.0, 1.0, AFFECTNET_LABELS)


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Random images that fit :func:`convention`."""
    return np.random.default_rng(7).random((40, 24, 24, 1), np.float32)


def sharpened(model: Any) -> Any:
    """Scale the last dense layer up, so that an untrained model has outputs that differ."""
    layer = [item for item in model.layers if type(item).__name__ == "Dense"][-1]
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * 8, bias])
    return model


@pytest.fixture(scope="session")
def keras2_model() -> Any:
    """A small classifier of tf_keras: convolution, batch norm after ReLU, pooling, dense."""
    from fer_opt.backend import tf_keras

    tf_keras.utils.set_random_seed(3)
    layers = tf_keras.layers
    return sharpened(
        tf_keras.Sequential(
            [
                layers.Input((24, 24, 1), name="image"),
                layers.Conv2D(8, 3, padding="same", activation="relu"),
                layers.BatchNormalization(),
                layers.MaxPooling2D(),
                layers.Conv2D(16, 3, padding="same", activation="relu"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(8, activation="softmax"),
            ]
        )
    )


@pytest.fixture(scope="session")
def keras3_model() -> Any:
    """The same of Keras 3, with a residual add."""
    from fer_opt.backend import keras3

    keras = keras3()
    keras.utils.set_random_seed(4)
    layers = keras.layers
    image = layers.Input((24, 24, 1))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.Add()([x, layers.SeparableConv2D(8, 3, padding="same")(x)])
    x = layers.BatchNormalization()(x)
    x = layers.Flatten()(layers.MaxPooling2D(4)(x))
    return sharpened(keras.Model(image, layers.Dense(8, activation="softmax")(x)))
