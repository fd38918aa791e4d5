import dataclasses
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from data_files import counted, face, smooth, write_folder

from fer_opt.convention import FER2013_LABELS, InputConvention
from fer_opt.data import (
    Dataset,
    DataSpec,
    Sample,
    batches,
    dataset_errors,
    open_dataset,
    prepare,
    to_tf_data,
)
from fer_opt.errors import ConventionError, DatasetError

GREY = InputConvention(48, 48, 1, 0.0, 1.0, ("label 1", "label 0"))


@pytest.mark.parametrize(
    ("channels", "low", "high"), [(1, 0.0, 1.0), (1, -1.0, 1.0), (3, 0.0, 255.0), (3, -1.0, 1.0)]
)
def test_an_image_is_prepared_as_the_model_wants_it(channels: int, low: float, high: float) -> None:
    convention = InputConvention(20, 30, channels, low, high, ("a", "b"))
    for pixels in (face(1), smooth(48, 40)):
        ready = prepare(pixels, convention)
        assert ready.shape == (20, 30, channels)
        assert ready.dtype == np.float32
        code = {
            (2, 1): None, (3, 3): None, (2, 3): cv2.COLOR_GRAY2RGB, (3, 1): cv2.COLOR_RGB2GRAY,
        }[pixels.ndim, channels]  # fmt: skip
        same = pixels if code is None else cv2.cvtColor(pixels, code)
        small = cv2.resize(same, (30, 20), interpolation=cv2.INTER_LINEAR)
        expected = small.reshape(20, 30, channels) / 255 * (high - low) + low
        np.testing.assert_allclose(ready, expected, atol=1e-4)


def test_black_and_white_reach_the_ends_of_the_range() -> None:
    pixels = np.array([[0, 255]], np.uint8)
    convention = InputConvention(1, 2, 1, -1.0, 1.0, ("a", "b"))
    np.testing.assert_allclose(prepare(pixels, convention).ravel(), [-1, 1], atol=1e-6)


def test_grey_conversion_is_itu_r_601() -> None:
    colour = np.array([[[200, 100, 50]]], np.uint8)
    convention = InputConvention(1, 1, 1, 0.0, 255.0, ("a", "b"))
    assert prepare(colour, convention).item() == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)


def test_interpolation_and_preprocessing_are_the_conventions() -> None:
    pixels = face(2)
    area = dataclasses.replace(GREY, height=12, width=12, interpolation="area")
    shrunk = cv2.resize(pixels, (12, 12), interpolation=cv2.INTER_AREA) / 255
    np.testing.assert_allclose(prepare(pixels, area)[..., 0], shrunk, atol=1e-6)
    equal = dataclasses.replace(GREY, preprocessing=("equalize",))
    np.testing.assert_allclose(
        prepare(pixels, equal)[..., 0], cv2.equalizeHist(pixels) / 255, atol=1e-6
    )
    with pytest.raises(ConventionError, match="did you mean"):
        prepare(pixels, dataclasses.replace(GREY, preprocessing=("equalise",)))


def test_batches_cover_all_in_the_models_label_order() -> None:
    dataset = counted((7, 4))
    counted_off: list[int] = []
    images, labels = zip(*batches(dataset, GREY, 4, counted_off.append), strict=True)
    assert [len(part) for part in images] == [4, 4, 3] == counted_off
    assert np.concatenate(labels).dtype == np.int64
    np.testing.assert_array_equal(np.concatenate(labels), 1 - dataset.label_indices())
    np.testing.assert_array_equal(np.concatenate(images)[5], prepare(dataset.read(5), GREY))
    with pytest.raises(ConventionError, match="label 1"):
        next(batches(dataset, dataclasses.replace(GREY, labels=("label 0", "x")), 4))


@pytest.mark.parametrize("keep_bytes", [0, 1024**2])
def test_the_stream_equals_the_batches(keep_bytes: int) -> None:
    dataset = counted((7, 4))
    stream = to_tf_data(dataset, GREY, batch_size=4, keep_bytes=keep_bytes)
    assert int(stream.cardinality()) == 3
    assert stream.element_spec[0].shape.as_list() == [None, 48, 48, 1]
    for _ in range(2):
        for (images, labels), (expected, truth) in zip(
            stream.as_numpy_iterator(), batches(dataset, GREY, 4), strict=True
        ):
            np.testing.assert_array_equal(images, expected)
            np.testing.assert_array_equal(labels, truth)


def test_shuffling_keeps_images_with_labels_and_follows_the_seed() -> None:
    dataset = counted((20, 20))

    def epochs(seed: int) -> list[list[bytes]]:
        stream = to_tf_data(dataset, GREY, batch_size=7, shuffle_seed=seed)
        return [
            [
                image.tobytes() + bytes([label])
                for images, labels in stream.as_numpy_iterator()
                for image, label in zip(images, labels, strict=True)
            ]
            for _ in range(2)
        ]

    straight = [
        prepare(dataset.read(index), GREY).tobytes() + bytes([1 - sample.label])
        for index, sample in enumerate(dataset.samples)
    ]
    first, second = epochs(1)
    assert first != second
    assert first != straight
    assert sorted(first) == sorted(second) == sorted(straight)
    assert epochs(1) == [first, second]
    assert epochs(2)[0] != first


def test_small_datasets_are_read_once_and_large_ones_each_epoch() -> None:
    seen: list[str] = []

    def reader(sample: Sample) -> np.ndarray:
        seen.append(sample.source)
        return face(int(sample.source))

    dataset = dataclasses.replace(counted((6, 6)), reader=reader)
    for keep_bytes, reads in ((1024**2, 12), (1024, 24)):
        seen.clear()
        stream = to_tf_data(dataset, GREY, batch_size=5, keep_bytes=keep_bytes)
        for _ in range(2):
            assert sum(len(labels) for _, labels in stream) == 12
        assert len(seen) == reads


def test_a_bad_image_in_the_stream_is_our_error(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "faces", ["label 0", "label 1"])
    (root / "label 1" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    stream = to_tf_data(open_dataset(DataSpec("folder", str(root))), GREY, batch_size=2)
    with pytest.raises(DatasetError) as caught, dataset_errors():
        list(stream)
    assert str(caught.value).startswith(f"{root}/label 1/1.png is ")
    assert str(caught.value).endswith("or leave it out with --skip-bad.")


def test_streaming_does_not_grow_with_the_dataset() -> None:
    """360 MB of images pass through; the process grows by a small part of that."""
    convention = InputConvention(224, 224, 3, 0.0, 1.0, ("label 0", "label 1"))
    small, large = (
        Dataset("", "", convention.labels, samples, (), lambda sample: face(1))
        for samples in (tuple(Sample("", 0) for _ in range(count)) for count in (64, 600))
    )
    process = psutil.Process()
    sum(len(labels) for _, labels in to_tf_data(small, convention, batch_size=8, keep_bytes=0))
    before = process.memory_info().rss
    peak, count = before, 0
    for _, labels in to_tf_data(large, convention, batch_size=8, keep_bytes=0):
        count += len(labels)
        peak = max(peak, process.memory_info().rss)
    assert count == 600
    assert peak - before < 90_000_000


@pytest.mark.real_data
def test_real_fer2013_faces_in_the_folder_layout(real_data: Path) -> None:
    dataset = open_dataset(DataSpec("folder", str(real_data / "fer2013")), skip_bad=True)
    facts = dataset.facts()
    assert facts.name == "fer2013 folder, test"
    assert facts.labels == FER2013_LABELS
    assert facts.count_per_label == (100,) * 7
    assert facts.skipped == ()
    assert {dataset.read(index).shape for index in range(0, 700, 50)} == {(48, 48)}
