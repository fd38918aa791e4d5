"""From stored pixels to what a model is fed: one image, batches, or a tf.data stream."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fer_opt.convention import InputConvention, match_labels
from fer_opt.data.dataset import Dataset, Image
from fer_opt.data.preprocessing import INTERPOLATIONS, preprocess
from fer_opt.errors import DatasetError
from fer_opt.progress import Advance

__all__ = ["KEEP_BYTES", "batches", "dataset_errors", "prepare", "to_tf_data"]

KEEP_BYTES = 128 * 1024**2
"""Datasets up to this size in 8-bit pixels are kept once read: all of FER2013, by and large."""

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


def prepare(image: Image, convention: InputConvention) -> npt.NDArray[np.float32]:
    """One image as the model wants it: (height, width, channels), ``low`` to ``high``.

    In this order: to grey or RGB, preprocessing, resize (the aspect ratio is not kept), scale.
    Grey is ITU-R 601's luma, 0.299 R + 0.587 G + 0.114 B, as OpenCV rounds it; RGB of a grey
    image repeats it.

    Args:
        image: uint8, (h, w) grey or (h, w, 3) RGB.
        convention: what the model expects.

    Raises:
        ConventionError: the convention names an unknown preprocessing step.
    """
    return convention.scale(_resized(image, convention))


def batches(
    dataset: Dataset,
    convention: InputConvention,
    batch_size: int,
    on_progress: Advance | None = None,
) -> Iterator[Batch]:
    """The whole dataset in order, prepared, ``batch_size`` at a time (the last may be smaller).

    Yields:
        Images (n, height, width, channels) as float32, and labels (n,) as int64 indices into
        ``convention.labels``.

    Raises:
        DatasetError: a sample cannot be read.
        ConventionError: the dataset has a label the model lacks.
    """
    outputs = _outputs(dataset, convention)
    read = _Rows(dataset, convention, keep_bytes=0)
    for start in range(0, len(dataset), batch_size):
        indices = np.arange(start, min(start + batch_size, len(dataset)))
        yield convention.scale(read(indices)), outputs[indices]
        if on_progress is not None:
            on_progress(len(indices))


def to_tf_data(
    dataset: Dataset,
    convention: InputConvention,
    *,
    batch_size: int,
    shuffle_seed: int | None = None,
    keep_bytes: int = KEEP_BYTES,
) -> Any:
    """The dataset as a ``tf.data.Dataset`` of (images, labels), shaped as :func:`batches` yields.

    Images are read and prepared as they are needed, several batches at once. With
    ``shuffle_seed`` the samples come in a new random order each epoch, the same one each time for
    the same seed. Iterate inside :func:`dataset_errors`.

    Memory does not grow with the dataset: its index aside, a dataset of more than ``keep_bytes``
    8-bit pixels at the model's input size is read anew each epoch, a smaller one only once.

    Raises:
        ConventionError: the dataset has a label the model lacks, or an unknown preprocessing step.
    """
    from fer_opt.backend import tf

    outputs = _outputs(dataset, convention)
    read = _Rows(dataset, convention, keep_bytes)

    def load(indices: npt.NDArray[np.int64]) -> Batch:
        return convention.scale(read(indices)), outputs[indices]

    def load_batch(indices: Any) -> Any:
        images, labels = tf.numpy_function(load, [indices], (tf.float32, tf.int64), stateful=False)
        return (
            tf.ensure_shape(images, (None, *convention.input_shape)),
            tf.ensure_shape(labels, (None,)),
        )

    stream = tf.data.Dataset.range(len(dataset))
    if shuffle_seed is not None:
        stream = stream.shuffle(
            max(len(dataset), 1), seed=shuffle_seed, reshuffle_each_iteration=True
        )
    return (
        stream.batch(batch_size)
        .map(load_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(2)
    )


@contextlib.contextmanager
def dataset_errors() -> Iterator[None]:
    """Turn TensorFlow's wrapping of a DatasetError back into one, around ``fit`` and the like.

    Raises:
        DatasetError: a sample of a :func:`to_tf_data` stream could not be read.
    """
    from fer_opt.backend import tf

    try:
        yield
    except tf.errors.OpError as exc:
        found = _WRAPPED.search(exc.message or "")
        if found is None:
            raise
        raise DatasetError(found[1]) from exc


_WRAPPED = re.compile(r"(?:BadSampleError|DatasetError): (.+?--skip-bad\.|[^\n]+)", re.DOTALL)
"""TensorFlow keeps only the text: the exception's name, its message, a traceback."""


def _outputs(dataset: Dataset, convention: InputConvention) -> npt.NDArray[np.int64]:
    where = np.array(match_labels(dataset.labels, convention.labels), np.int64)
    return where[dataset.label_indices()]


class _Rows:
    """Reads samples by index as 8-bit pixels (n, h, w, c), keeping them if all have room.

    Threads may read the same sample at once; both then write the same pixels, and ``kept`` is
    set only after them.
    """

    def __init__(self, dataset: Dataset, convention: InputConvention, keep_bytes: int) -> None:
        self.dataset = dataset
        self.convention = convention
        shape = (len(dataset), *convention.input_shape)
        self.pixels = np.empty(shape, np.uint8) if math.prod(shape) <= keep_bytes else None
        self.kept = np.zeros(len(dataset), np.bool_)

    def __call__(self, indices: npt.NDArray[np.int64]) -> Image:
        if self.pixels is None:
            rows = np.empty((len(indices), *self.convention.input_shape), np.uint8)
            for row, index in enumerate(indices):
                rows[row] = _resized(self.dataset.read(int(index)), self.convention)
            return rows
        for index in indices[~self.kept[indices]]:
            self.pixels[index] = _resized(self.dataset.read(int(index)), self.convention)
            self.kept[index] = True
        return self.pixels[indices]


def _resized(image: Image, convention: InputConvention) -> Image:
    """8-bit pixels (height, width, channels), all but scaled."""
    if convention.channels == 1 and image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)  # type: ignore[assignment]
    elif convention.channels == 3 and image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)  # type: ignore[assignment]
    image = preprocess(image, convention.preprocessing, convention.interpolation)
    size = (convention.width, convention.height)
    if image.shape[1::-1] != size:
        image = cv2.resize(image, size, interpolation=INTERPOLATIONS[convention.interpolation])  # type: ignore[assignment]
    return image.reshape(convention.input_shape)
