from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fer_opt.backend import keras3, tf, tf_keras
from fer_opt.errors import ModelError
from fer_opt.keras_io import load_model


def outputs(model: Any, images: np.ndarray) -> np.ndarray:
    return np.asarray(model(images, training=False))


def test_keras2_hdf5_gives_the_same_outputs(keras2_model, images, tmp_path):
    path = tmp_path / "model.h5"
    keras2_model.save(path, save_format="h5")
    loaded = load_model(path)
    assert loaded.format == "Keras 2 HDF5"
    assert loaded.input_shape == (24, 24, 1)
    assert loaded.classes == 8
    assert loaded.parameters == keras2_model.count_params()
    np.testing.assert_allclose(loaded.predict(images), outputs(keras2_model, images), atol=1e-5)


def test_keras2_archive_gives_the_same_outputs(keras2_model, images, tmp_path):
    path = tmp_path / "model.keras"
    keras2_model.save(path)
    loaded = load_model(path)
    assert loaded.format == "Keras 2 .keras"
    np.testing.assert_allclose(loaded.predict(images), outputs(keras2_model, images), atol=1e-5)


def test_keras3_archive_gives_the_same_outputs(keras3_model, images, tmp_path):
    path = tmp_path / "model.keras"
    keras3_model.save(path)
    loaded = load_model(path)
    assert loaded.format == "Keras 3 .keras"
    np.testing.assert_allclose(loaded.predict(images), outputs(keras3_model, images), atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # Keras 3 calls its own HDF5 format legacy, aloud
def test_keras3_hdf5_gives_the_same_outputs(keras3_model, images, tmp_path):
    path = tmp_path / "model.h5"
    keras3_model.save(path)
    loaded = load_model(path)
    assert loaded.format == "Keras 3 HDF5"
    np.testing.assert_allclose(loaded.predict(images), outputs(keras3_model, images), atol=1e-5)


@pytest.mark.parametrize("weights_name", ["model.weights.h5", "weights.h5", "other.h5"])
def test_json_and_weights_give_the_same_outputs(keras2_model, images, tmp_path, weights_name):
    (tmp_path / "model.json").write_text(keras2_model.to_json())
    keras2_model.save_weights(tmp_path / weights_name)
    loaded = load_model(tmp_path / "model.json")
    assert loaded.format == "Keras 2 JSON + HDF5"
    np.testing.assert_allclose(loaded.predict(images), outputs(keras2_model, images), atol=1e-5)


def test_json_and_weights_of_keras3(keras3_model, images, tmp_path):
    (tmp_path / "model.json").write_text(keras3_model.to_json())
    keras3_model.save_weights(tmp_path / "model.weights.h5")
    loaded = load_model(tmp_path / "model.json")
    assert loaded.format == "Keras 3 JSON + HDF5"
    np.testing.assert_allclose(loaded.predict(images), outputs(keras3_model, images), atol=1e-5)


def test_json_asks_for_weights_when_it_cannot_tell(keras2_model, tmp_path):
    (tmp_path / "model.json").write_text(keras2_model.to_json())
    with pytest.raises(ModelError, match="no weight files lie beside it"):
        load_model(tmp_path / "model.json")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("which", ["keras2_model", "keras3_model"])
def test_saved_model_gives_the_same_outputs(which, images, tmp_path, request):
    model = request.getfixturevalue(which)
    folder = tmp_path / "saved"
    if which == "keras2_model":
        model.save(folder, save_format="tf")
    else:
        model.export(folder, verbose=False)
    loaded = load_model(folder)
    assert loaded.format == "SavedModel"
    assert loaded.classes == 8
    np.testing.assert_allclose(loaded.predict(images), outputs(model, images), atol=1e-5)


def test_real_model_of_keras_2_0(real_data):
    loaded = load_model(real_data / "mini_XCEPTION.hdf5")
    assert (loaded.parameters, loaded.input_shape, loaded.classes) == (58423, (64, 64, 1), 7)


def test_a_lambda_layer_is_refused_unless_allowed(tmp_path):
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Flatten(),
            layers.Lambda(lambda x: x * 2, name="doubles"),
            layers.Dense(2),
        ]
    )
    for name in ("model.keras", "model.h5"):
        if name.endswith("h5"):
            model.save(tmp_path / name, save_format="h5")
        else:
            model.save(tmp_path / name)
        with pytest.raises(ModelError, match=r"Lambda layer 'doubles'.*--allow-code"):
            load_model(tmp_path / name)
        image = np.ones((1, 8, 8, 1), np.float32)
        allowed = load_model(tmp_path / name, allow_code=True)
        np.testing.assert_allclose(allowed.predict(image), outputs(model, image), atol=1e-5)


def test_a_foreign_module_in_a_keras3_archive_is_refused(keras3_model, tmp_path):
    path, evil = tmp_path / "model.keras", tmp_path / "evil.keras"
    keras3_model.save(path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(evil, "w") as target:
        for item in source.namelist():
            content = source.read(item)
            if item == "config.json":
                config = json.loads(content)
                config["config"]["layers"][1]["module"] = "os.path"
                content = json.dumps(config).encode()
            target.writestr(item, content)
    with pytest.raises(ModelError, match=r"module 'os.path'"):
        load_model(evil)


def test_custom_layers_are_named(tmp_path):
    class Swirl(tf_keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs

    model = tf_keras.Sequential(
        [
            tf_keras.layers.Input((8, 8, 1)),
            Swirl(),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(2),
        ]
    )
    model.save(tmp_path / "model.h5", save_format="h5")
    with pytest.raises(ModelError, match="uses Swirl"):
        load_model(tmp_path / "model.h5")


def test_a_saved_model_that_writes_files_is_refused(tmp_path):
    class Writer(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 4, 4, 1), tf.float32)])
        def __call__(self, image: Any) -> Any:
            tf.io.write_file("/tmp/never", "x")
            return {"out": tf.reshape(image, (-1, 16))}

    module = Writer()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.__call__)
    with pytest.raises(ModelError, match="WriteFile"):
        load_model(tmp_path / "m")


def test_models_that_are_no_classifiers_are_refused(tmp_path):
    layers = tf_keras.layers
    image = layers.Input((8, 8, 1))
    segmenter = tf_keras.Model(image, layers.Conv2D(2, 3)(image))
    segmenter.save(tmp_path / "segmenter.keras")
    with pytest.raises(ModelError, match=r"no image classifier.*\(any, 6, 6, 2\)|any, 6, 6, 2"):
        load_model(tmp_path / "segmenter.keras")
    flat = layers.Flatten()(image)
    twins = tf_keras.Model(image, [layers.Dense(2)(flat), layers.Dense(3)(flat)])
    twins.save(tmp_path / "twins.keras")
    with pytest.raises(ModelError, match="2 outputs"):
        load_model(tmp_path / "twins.keras")


def test_broken_files_are_named_with_a_way_out(keras2_model, tmp_path):
    good = tmp_path / "good.h5"
    keras2_model.save(good, save_format="h5")
    content = good.read_bytes()
    cases = {
        "missing.h5": (None, "No such file"),
        "empty.h5": (b"", "it is empty"),
        "text.h5": (b"hello world", "no known format"),
        "cut.h5": (content[: len(content) // 3], "damaged"),
        "zip.keras": (b"PK\x03\x04 not really", "damaged or foreign archive"),
        "list.json": (b"{]", "not valid JSON"),
        "other.json": (b'{"a": 1}', "no Keras model"),
        "lite.tflite": (b"\x1c\0\0\0TFL3xxxx", "already a TFLite model"),
    }
    for name, (data, message) in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=message) as caught:
            load_model(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_weights_alone_are_refused(keras2_model, tmp_path):
    keras2_model.save_weights(tmp_path / "only.h5")
    with pytest.raises(ModelError, match="weights without the model's structure"):
        load_model(tmp_path / "only.h5")


def test_weights_of_another_structure_are_refused(keras2_model, keras3_model, tmp_path):
    (tmp_path / "model.json").write_text(keras2_model.to_json())
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["layer_names"] = []
    with pytest.raises(ModelError, match="weights do not fit"):
        load_model(tmp_path / "model.json")


def test_a_folder_without_a_model_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="no SavedModel"):
        load_model(tmp_path)


def test_a_damaged_saved_model_is_refused(keras3_model, tmp_path):
    keras3_model.export(tmp_path / "m", verbose=False)
    shutil.rmtree(tmp_path / "m" / "variables")
    with pytest.raises(ModelError, match="damaged"):
        load_model(tmp_path / "m")
    assert keras3().__version__.startswith("3")
