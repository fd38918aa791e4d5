"""From what the user stated to a dataset that can be relied upon."""

from __future__ import annotations

import dataclasses

from fer_opt.data.affectnet import open_affectnet
from fer_opt.data.dataset import BadSampleError, Complaints, Dataset
from fer_opt.data.fer2013 import open_fer2013
from fer_opt.data.folder import open_folder
from fer_opt.data.spec import DataSpec
from fer_opt.data.synthetic import open_synthetic
from fer_opt.errors import DatasetError
from fer_opt.progress import SILENT, Progress
from fer_opt.reports.record import SkippedFile

__all__ = ["open_dataset"]


def open_dataset(spec: DataSpec, *, skip_bad: bool = False, progress: Progress = SILENT) -> Dataset:
    """The dataset ``spec`` describes, indexed but not in memory.

    FER2013's lines are checked here. Image files are decoded when they are read; with
    ``skip_bad`` they are also decoded once here, so that the samples are settled before anything
    is measured on them, and whatever is bad stands in :attr:`Dataset.skipped` in place of the
    samples.

    Raises:
        DatasetError: missing, empty or not what it claims to be; without ``skip_bad`` also the
            first bad sample (:class:`BadSampleError`).
        NoSuchSplitError: a DatasetError too; the data is there, but not the split asked for.
        OutputError: AffectNet's cache folder cannot be used.
    """
    complaints = Complaints(skip_bad)
    if spec.kind == "synthetic":
        return open_synthetic(spec)
    if spec.kind == "fer2013":
        dataset = open_fer2013(spec, complaints, progress)
    else:
        opener = open_folder if spec.kind == "folder" else open_affectnet
        dataset = opener(spec, complaints, progress)
        if skip_bad:
            dataset = _leave_out_bad(dataset, progress)
    if not dataset.samples:
        left_out = f" ({len(dataset.skipped)} bad ones were left out)" if dataset.skipped else ""
        raise DatasetError(
            f"{dataset.source} holds no usable sample{left_out}; give a dataset with images in it."
        )
    return dataset


def _leave_out_bad(dataset: Dataset, progress: Progress) -> Dataset:
    """Decode every image once and keep the samples for which that works."""
    good, bad = [], list(dataset.skipped)
    with progress.stage("Checking images", len(dataset)) as advance:
        for sample in dataset.samples:
            try:
                dataset.reader(sample)
                good.append(sample)
            except BadSampleError as error:
                bad.append(SkippedFile(where=error.where, reason=error.reason))
            advance(1)
    return dataclasses.replace(dataset, samples=tuple(good), skipped=tuple(bad))
