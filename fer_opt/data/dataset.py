"""What every dataset is: labelled samples that are read one at a time, never all at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fer_opt.errors import DatasetError
from fer_opt.reports.record import DatasetFacts, SkippedFile

__all__ = [
    "BadSampleError",
    "Complaints",
    "Dataset",
    "Image",
    "NoSuchSplitError",
    "Reader",
    "Sample",
]

Image = npt.NDArray[np.uint8]
"""8-bit pixels: (height, width) grey or (height, width, 3) RGB."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Where one labelled image is found.

    Attributes:
        source: its path inside the dataset's folder, or ``fer2013.csv:17`` (the line of a file).
        label: index into :attr:`Dataset.labels`.
        offset: byte where its line begins (FER2013), its number (synthetic faces), else 0.
        length: bytes of its line or file, 0 for synthetic faces.
        box: left, top, width, height of the face in pixels; None when the image is the face.
    """

    source: str
    label: int
    offset: int = 0
    length: int = 0
    box: tuple[int, int, int, int] | None = None


class Reader(Protocol):
    """Turns a sample into pixels; safe to call from several threads at once."""

    def __call__(self, sample: Sample) -> Image:
        """Grey (h, w) or RGB (h, w, 3) pixels, or :class:`BadSampleError`."""
        ...


class BadSampleError(DatasetError):
    """One sample is not what it claims to be; ``--skip-bad`` leaves such samples out.

    Attributes:
        where: the file, with its line if it is a line of one.
        reason: what is wrong, to be read after ``where``.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where} {reason}; repair or remove it, or leave it out with --skip-bad.")
        self.where = where
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadSampleError], tuple[str, str]]:
        return (type(self), (self.where, self.reason))


class NoSuchSplitError(DatasetError):
    """The dataset is sound but lacks the split asked for, or is not divided at all."""


@dataclass(slots=True)
class Complaints:
    """Collects bad samples when they are to be skipped, raises the first one otherwise."""

    skip_bad: bool
    found: list[SkippedFile] = field(default_factory=list)

    def add(self, error: BadSampleError) -> None:
        """Note ``error``, or raise it."""
        if not self.skip_bad:
            raise error
        self.note(error.where, error.reason)

    def note(self, where: str, reason: str) -> None:
        """List something that was left out whether or not bad samples are skipped."""
        self.found.append(SkippedFile(where=where, reason=reason))


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled images, read on demand.

    Attributes:
        name: what the report calls it, e.g. ``FER2013, test``.
        source: path as the user gave it, or what stands in its place.
        labels: names of the labels, in the dataset's own order.
        samples: where the images are, in a fixed order.
        skipped: what was left out, and why.
        reader: turns a sample into pixels.
    """

    name: str
    source: str
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    skipped: tuple[SkippedFile, ...]
    reader: Reader

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, index: int) -> Image:
        """Pixels of sample ``index``: uint8, (h, w) grey or (h, w, 3) RGB.

        Raises:
            DatasetError: the sample cannot be read; the message names it.
        """
        return self.reader(self.samples[index])

    def label_indices(self) -> npt.NDArray[np.int64]:
        """The label of each sample (n,), as an index into :attr:`labels`."""
        return np.fromiter((sample.label for sample in self.samples), np.int64, len(self.samples))

    def subset(self, indices: Iterable[int], *, name: str | None = None) -> Dataset:
        """The samples at ``indices``, in that order, under the same name or a new one."""
        chosen = tuple(self.samples[index] for index in indices)
        return replace(self, samples=chosen, name=self.name if name is None else name)

    def content_digest(self, most: int = 1000) -> str:
        """SHA-256 over the pixels of ``most`` samples, evenly spaced; of all where there are fewer.

        It stays when files are copied or touched. In a larger dataset an image altered without
        changing its size may go unseen. Samples without bytes are drawn from a seed, which their
        source states, and are not read.

        Raises:
            DatasetError: a sample cannot be read.
        """
        digest = hashlib.sha256()
        for index in np.linspace(0, len(self) - 1, min(most, len(self))).astype(int):
            if self.samples[index].length:
                pixels = self.read(index)
                digest.update(f"{pixels.shape}\n".encode() + pixels.tobytes())
        return digest.hexdigest()

    def facts(self) -> DatasetFacts:
        """What a run's record says about the dataset.

        The fingerprint is SHA-256 over the labels' names and every sample's source, label, place
        and size in bytes: it changes when files are added, removed, relabelled or altered in size,
        and stays when the folder moves. A file altered without changing its size is left to
        :meth:`content_digest`, which has to read.
        """
        digest = hashlib.sha256("\0".join(self.labels).encode())
        for sample in self.samples:
            digest.update(
                f"\n{sample.source}\0{sample.label}\0{sample.offset}\0{sample.length}\0{sample.box}".encode()
            )
        counts = np.bincount(self.label_indices(), minlength=len(self.labels))
        return DatasetFacts(
            name=self.name,
            source=self.source,
            size=len(self),
            labels=self.labels,
            count_per_label=tuple(int(count) for count in counts),
            fingerprint=digest.hexdigest(),
            skipped=self.skipped,
        )
