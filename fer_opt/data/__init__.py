"""Datasets of labelled faces: opening, dividing, preparing and streaming them."""

from __future__ import annotations

from fer_opt.data.dataset import BadSampleError, Dataset, NoSuchSplitError, Sample
from fer_opt.data.opening import open_dataset
from fer_opt.data.pipeline import batches, dataset_errors, prepare, to_tf_data
from fer_opt.data.preprocessing import parse_preprocessing
from fer_opt.data.sampling import reduce_dataset, split_dataset, stratified_sample
from fer_opt.data.spec import DataKind, DataSpec, guess_kind

__all__ = [
    "BadSampleError",
    "DataKind",
    "DataSpec",
    "Dataset",
    "NoSuchSplitError",
    "Sample",
    "batches",
    "dataset_errors",
    "guess_kind",
    "open_dataset",
    "parse_preprocessing",
    "prepare",
    "reduce_dataset",
    "split_dataset",
    "stratified_sample",
    "to_tf_data",
]
