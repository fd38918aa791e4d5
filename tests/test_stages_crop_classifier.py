"""A face's crop to the label in one step, against the same steps one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_opt.backend import tf_keras
from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.convert import file_stem, make_variant
from fer_opt.data import DataSpec, batches, open_dataset, prepare
from fer_opt.errors import ModelError
from fer_opt.interpreter import Classifier, probabilities_of
from fer_opt.keras_io import from_keras
from fer_opt.recipe import parse_recipe
from fer_opt.stages.crop_classifier import CropClassifier

CONVENTION = InputConvention(48, 48, 1, 0.0, 1.0, AFFECTNET_LABELS)

LARGEST = {"float32": 0.03, "int8": 0.08}
"""Difference of a probability: OpenCV rounds grey, then the resized grey, the file colours only."""


def faces(split: str, size: int, side: int) -> Any:
    return open_dataset(DataSpec(kind="synthetic", split=split, size=size, image_size=side))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A small network that tells most synthetic faces right, in four formats."""
    folder = tmp_path_factory.mktemp("files")
    (images, labels), *_ = batches(faces("train", 800, 48), CONVENTION, 800)
    tf_keras.utils.set_random_seed(1)
    layers = tf_keras.layers
    network = tf_keras.Sequential([layers.Input((48, 48, 1))])
    for channels in (8, 16, 32):
        network.add(layers.Conv2D(channels, 3, padding="same", activation="relu"))
        network.add(layers.MaxPooling2D())
    network.add(layers.Flatten())
    network.add(layers.Dense(8, activation="softmax"))
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(images, labels, epochs=8, batch_size=32, verbose=0)
    model = from_keras(network, source="faces", format_="Keras 2", sha256="0")
    some = images[:64]
    for text in ("float32", "int8", "float32(input=crop)", "int8(input=crop)"):
        recipe = parse_recipe(text)
        variant = make_variant(
            model,
            recipe,
            CONVENTION,
            some,
            some,
            folder,
            f"{file_stem(recipe)}.tflite",
        )
        assert variant.check.flags == ()
    return folder


def step_by_step(classifier: Classifier, crop: np.ndarray) -> np.ndarray:
    """OpenCV's grey and resize, scaling, and the file without preprocessing."""
    return probabilities_of(classifier.predict(prepare(crop, CONVENTION)[np.newaxis]))[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["float32", "int8"])
@pytest.mark.parametrize("side", [31, 48, 97, 160])
def test_faces_get_the_labels_that_single_steps_give_them(kind, side, files):
    fused = CropClassifier(files / f"{kind}_input_crop.tflite")
    plain = Classifier(files / f"{kind}.tflite")
    test = faces("test", 120, side)
    tint = np.array([1.0, 0.85, 0.7])
    differences, agree, right = [], 0, 0
    for index in range(len(test)):
        crop = (test.read(index)[..., np.newaxis] * tint).astype(np.uint8)
        found, expected = fused.classify(crop), step_by_step(plain, crop)
        differences.append(np.abs(found - expected).max())
        agree += found.argmax() == expected.argmax()
        right += found.argmax() == test.samples[index].label
    assert max(differences) <= LARGEST[kind]
    assert agree >= 0.95 * len(test)
    assert right >= 0.4 * len(test)  # chance is an eighth


@given(
    st.tuples(st.integers(1, 180), st.integers(1, 180)),
    st.sampled_from(["float32", "int8"]),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_crops_of_every_size_are_classified(files, shape, kind, seed):
    crop = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = CropClassifier(files / f"{kind}_input_crop.tflite").classify(crop)
    expected = step_by_step(Classifier(files / f"{kind}.tflite"), crop)
    assert found.shape == (8,)
    assert found.dtype == np.float32
    # Noise is nothing the network knows, and in a crop of one column a level weighs a whole row.
    assert np.abs(found - expected).max() <= 4 * LARGEST[kind]


def test_one_size_after_another_gives_what_a_new_classifier_gives(files):
    path = files / "int8_input_crop.tflite"
    kept, random = CropClassifier(path), np.random.default_rng(2)
    for height, width in [(48, 48), (300, 40), (5, 9), (300, 40), (48, 48), (1, 1)]:
        crop = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        np.testing.assert_array_equal(kept.classify(crop), CropClassifier(path).classify(crop))


def test_a_view_of_a_larger_photo_is_a_crop(files):
    photo = np.random.default_rng(3).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    classifier = CropClassifier(files / "int8_input_crop.tflite")
    view = photo[20:90, 100:190]
    np.testing.assert_array_equal(classifier.classify(view), classifier.classify(view.copy()))


def test_probabilities_are_in_the_order_of_the_labels(files):
    classifier = CropClassifier(files / "float32_input_crop.tflite", threads=2)
    assert classifier.labels == AFFECTNET_LABELS
    probabilities = classifier.classify(np.full((60, 50, 3), 200, np.uint8))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_a_file_without_its_preprocessing_is_refused(files):
    with pytest.raises(ModelError, match=r"int8\.tflite takes no crops.*int8\(input=crop\)"):
        CropClassifier(files / "int8.tflite")


def test_other_files_are_refused(files, tmp_path):
    with pytest.raises(ModelError, match=r"gone\.tflite cannot be read"):
        CropClassifier(tmp_path / "gone.tflite")
    cut = tmp_path / "cut.tflite"
    cut.write_bytes((files / "int8_input_crop.tflite").read_bytes()[:3000])
    with pytest.raises(ModelError, match=r"cut\.tflite"):
        CropClassifier(cut)


@pytest.mark.parametrize(
    "crop",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((0, 10, 3), np.uint8),
        np.zeros((10, 10, 3), np.float32),
    ],
)
def test_what_is_no_crop_is_named(crop, files):
    classifier = CropClassifier(files / "int8_input_crop.tflite")
    with pytest.raises(ModelError, match=r"int8_input_crop\.tflite cannot classify a crop of"):
        classifier.classify(crop)
