"""The trained model a run starts from: read from a file, or trained here first."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from fer_opt.convention import InputConvention
from fer_opt.data import (
    dataset_errors,
    parse_preprocessing,
    split_dataset,
    to_tf_data,
)
from fer_opt.experiment.sources import Sources
from fer_opt.experiment.specification import Experiment, InputSection, ModelSection
from fer_opt.files import make_folder
from fer_opt.keras_io import TrainedModel, load_model
from fer_opt.models import build
from fer_opt.progress import Progress
from fer_opt.reports.record import TrainingEpoch
from fer_opt.training import TrainingSettings, train

__all__ = ["given_model", "train_model", "training_convention"]

VALIDATION_FRACTION = 0.1
"""Share of the test split that training is watched with (thesis, section 3.3.3)."""


def given_model(section: ModelSection, base: Path) -> TrainedModel | None:
    """The model the experiment names by path; None where it is to be trained here.

    Raises:
        ModelError: it cannot be read, or is no image classifier.
    """
    if section.path is None:
        return None
    weights = None if section.weights is None else base / section.weights
    return load_model(base / section.path, weights, allow_code=section.allow_code)
