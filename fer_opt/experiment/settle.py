"""Settling what the model expects of its input: stated, read off the model, or guessed aloud."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fer_opt.convention import (
    AFFECTNET_LABELS,
    FER2013_LABELS,
    InputConvention,
    canonical_label,
    match_labels,
)
from fer_opt.data import Dataset, batches, parse_preprocessing, stratified_sample
from fer_opt.errors import ConventionError
from fer_opt.experiment.specification import InputSection
from fer_opt.interpreter import Classifier
from fer_opt.progress import Progress

__all__ = ["Network", "assume_convention", "gather", "settle_convention", "suspect_range"]


class Network(Protocol):
    """What settling needs of a model, be it Keras or TFLite."""

    @property
    def source(self) -> str:
        """The file's name."""

    @property
    def input_shape(self) -> tuple[int | None, int | None, int]:
        """Height and width (None where any will do), and channels."""

    @property
    def classes(self) -> int:
        """Number of outputs."""

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Outputs (n, classes) for images (n, height, width, channels)."""


COMMON_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
PROBE_SAMPLES = 128
SUSPICIOUS_GAIN = 0.15
"""How much better another range must do, in accuracy, before a stated one is called in doubt."""


def settle_convention(
    model: Network, stated: InputSection, dataset: Dataset, progress: Progress
) -> InputConvention:
    """Unite what was stated with what the model and the data say, and guess the rest aloud.

    Raises:
        ConventionError: statement, model and data contradict one another.
    """
    height, width = _size(model, stated)
    channels = _channels(model, stated)
    labels, labels_guessed = _labels(model, stated, dataset)
    low, high = stated.range or COMMON_RANGES[0]
    guessed = (["labels"] if labels_guessed else []) + (["range"] if not stated.range else [])
    convention = InputConvention(
        height=height,
        width=width,
        channels=channels,
        low=low,
        high=high,
        labels=labels,
        interpolation=stated.interpolation or "bilinear",
        preprocessing=parse_preprocessing(stated.preprocessing),
        guessed=tuple(guessed),
        input="crop" if isinstance(model, Classifier) and model.takes_crops else "tensor",
    )
    match_labels(dataset.labels, labels)
    if stated.range is None:
        convention = _guess_range(model, convention, dataset, progress)
    if labels_guessed:
        progress.say(
            f"Nobody stated the order of the model's labels; guessing {', '.join(labels)} "
            "(state them with labels = [...] or --labels)."
        )
    return convention


def assume_convention(model: Network, stated: InputSection, progress: Progress) -> InputConvention:
    """The convention of a model there are no images for; what is not stated is assumed, aloud.

    Raises:
        ConventionError: the statement contradicts the model.
    """
    height, width = _size(model, stated)
    guessed = [key for key in ("labels", "range") if getattr(stated, key) is None]
    labels = stated.labels or tuple(f"output {index}" for index in range(model.classes))
    if len(labels) != model.classes:
        raise _wrong_label_count(model, labels)
    low, high = stated.range or COMMON_RANGES[0]
    if guessed:
        progress.say(
            f"Without --data the {' and the '.join(guessed)} of the input cannot be checked; "
            f"writing down {low:g} to {high:g} and the labels {', '.join(labels)}."
        )
    return InputConvention(
        height=height,
        width=width,
        channels=_channels(model, stated),
        low=low,
        high=high,
        labels=labels,
        interpolation=stated.interpolation or "bilinear",
        preprocessing=parse_preprocessing(stated.preprocessing),
        guessed=tuple(guessed),
    )


def suspect_range(model: Network, convention: InputConvention, dataset: Dataset) -> str | None:
    """A sentence of doubt where another common range does much better than the one stated."""
    scores = _score_ranges(model, convention, dataset)
    stated = scores[(convention.low, convention.high)]
    best = max(scores, key=lambda key: scores[key])
    if scores[best] - stated < SUSPICIOUS_GAIN:
        return None
    return (
        f"The stated input range {convention.low:g} to {convention.high:g} looks wrong: on a "
        f"sample the model is right {stated:.0%} of the time with it, and {scores[best]:.0%} with "
        f"{best[0]:g} to {best[1]:g}."
    )


def _size(model: Network, stated: InputSection) -> tuple[int, int]:
    height, width, _ = model.input_shape
    if stated.size is None:
        if height is None or width is None:
            raise ConventionError(
                f"{model.source} takes images of any size; state the one to use with size = N "
                "under [input] or --size."
            )
        return height, width
    sides = (stated.size, stated.size) if isinstance(stated.size, int) else stated.size
    if (height or sides[0], width or sides[1]) != sides:
        raise ConventionError(
            f"size {sides[1]}x{sides[0]} was stated, but {model.source} takes {width}x{height} "
            "pixels; leave the size out or correct it."
        )
    return sides


def _channels(model: Network, stated: InputSection) -> int:
    channels = model.input_shape[2]
    if stated.channels not in (None, channels):
        raise ConventionError(
            f"channels = {stated.channels} was stated, but {model.source} takes {channels}; "
            "leave it out or correct it."
        )
    return channels


def _labels(model: Network, stated: InputSection, dataset: Dataset) -> tuple[tuple[str, ...], bool]:
    """The model's labels, and whether they are a guess."""
    if stated.labels is not None:
        if len(stated.labels) != model.classes:
            raise _wrong_label_count(model, stated.labels)
        return stated.labels, False
    wanted = {canonical_label(label) for label in dataset.labels}
    for known in (dataset.labels, FER2013_LABELS, AFFECTNET_LABELS):
        if len(known) == model.classes and wanted <= {canonical_label(name) for name in known}:
            return tuple(known), True
    raise ConventionError(
        f"{model.source} has {model.classes} outputs, but the data has the {len(dataset.labels)} "
        f"labels {', '.join(dataset.labels)}; state the model's labels in the order of its "
        "outputs, or use data that fits."
    )


def _wrong_label_count(model: Network, labels: Sequence[str]) -> ConventionError:
    return ConventionError(
        f"{len(labels)} labels were stated, but {model.source} has {model.classes} outputs; "
        "state one label for each output, in order."
    )


def _guess_range(
    model: Network, convention: InputConvention, dataset: Dataset, progress: Progress
) -> InputConvention:
    """Take the common range under which the model is most often right on a sample."""
    scores = _score_ranges(model, convention, dataset)
    low, high = max(scores, key=lambda key: scores[key])
    shown = ", ".join(f"{a:g} to {b:g}: {share:.0%}" for (a, b), share in scores.items())
    progress.say(
        f"Nobody stated the input range; {low:g} to {high:g} suits the model best "
        f"(right on a sample: {shown}). State it with range = [{low:g}, {high:g}] or --range."
    )
    return _with_range(convention, low, high)


def _score_ranges(
    model: Network, convention: InputConvention, dataset: Dataset
) -> dict[tuple[float, float], float]:
    """Accuracy on a small stratified sample, for the common ranges and the convention's own."""
    ranges = dict.fromkeys([*COMMON_RANGES, (convention.low, convention.high)])
    sample = stratified_sample(dataset, min(PROBE_SAMPLES, len(dataset)), seed=0)
    images, truth = gather(sample, _with_range(convention, 0.0, 1.0))
    return {
        (low, high): float(
            np.mean(
                model.predict(images * np.float32(high - low) + np.float32(low)).argmax(1) == truth
            )
        )
        for low, high in ranges
    }


def _with_range(convention: InputConvention, low: float, high: float) -> InputConvention:
    return dataclasses.replace(convention, low=low, high=high)


def gather(
    dataset: Dataset, convention: InputConvention
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """All of a small dataset at once: images (n, h, w, c) and labels (n,) in the model's order."""
    parts: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]] = list(
        batches(dataset, convention, 64)
    )
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
