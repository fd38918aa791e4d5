"""The trained model a run starts from: read from a file, or trained here first."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fer_opt.convention import InputConvention
from fer_opt.data import Dataset, parse_preprocessing, to_tf_data
from fer_opt.experiment.sources import Sources
from fer_opt.experiment.specification import Experiment, InputSection, ModelSection
from fer_opt.export import export
from fer_opt.keras_io import TrainedModel, load_model
from fer_opt.models import architecture, build
from fer_opt.progress import Progress
from fer_opt.reports.record import TrainingEpoch
from fer_opt.training import TrainingSettings, read_history, train, validation_set

__all__ = ["given_model", "train_model", "trained_input", "training_convention"]


def given_model(section: ModelSection, base: Path) -> TrainedModel | None:
    """The model the experiment names by path; None where it is to be trained here.

    Raises:
        ModelError: it cannot be read, or is no image classifier.
    """
    if section.path is None:
        return None
    weights = None if section.weights is None else base / section.weights
    return load_model(base / section.path, weights, allow_code=section.allow_code)


def train_model(
    experiment: Experiment, sources: Sources, out: Path, progress: Progress
) -> tuple[TrainedModel, tuple[TrainingEpoch, ...]]:
    """Train the experiment's architecture in ``out/trained``, or finish or fetch it.

    Raises:
        ConventionError: images, labels and architecture do not fit together.
        DatasetError: an image cannot be read.
        ExperimentError: the folder holds another training.
    """
    name, wanted = str(experiment.model.architecture), experiment.training
    assert sources.training is not None
    convention = training_convention(experiment, sources.training)
    network = build(
        name,
        input_shape=convention.input_shape,
        classes=len(convention.labels),
        seed=wanted.seed,
    )
    settings = TrainingSettings(
        epochs=wanted.epochs,
        batch_size=wanted.batch,
        learning_rate=wanted.learning_rate,
        seed=wanted.seed,
        data=sources.training.facts().fingerprint,
    )
    folder = out / "trained"
    with progress.stage(f"Training {name}", wanted.epochs * len(sources.training)) as advance:
        advance(len(read_history(folder)) * len(sources.training))
        history = train(
            network,
            to_tf_data(
                sources.training, convention, batch_size=wanted.batch, shuffle_seed=wanted.seed
            ),
            to_tf_data(validation_set(sources.evaluation), convention, batch_size=wanted.batch),
            settings,
            folder,
            on_batch=advance,
            on_epoch=lambda epoch: progress.say(
                f"Epoch {epoch.epoch}: accuracy {epoch.accuracy:.3f}, "
                f"validation {epoch.validation_accuracy:.3f}."
            ),
        )
    path = folder / "model.keras"
    if not path.is_file():
        export(network, folder, ["keras"])
    trained = dataclasses.replace(
        load_model(path), name=name, source=f"{architecture(name).title}, trained here"
    )
    return trained, history


def training_convention(experiment: Experiment, dataset: Dataset) -> InputConvention:
    """What an architecture to be trained will expect: as stated, else as the images come.

    Raises:
        DatasetError: the first image, which tells the size, cannot be read.
    """
    stated = experiment.input
    height, width = dataset.read(0).shape[:2]
    if stated.size is not None:
        height, width = (stated.size, stated.size) if isinstance(stated.size, int) else stated.size
    low, high = stated.range or (0.0, 1.0)
    return InputConvention(
        height=height,
        width=width,
        channels=stated.channels or 1,
        low=low,
        high=high,
        labels=stated.labels or dataset.labels,
        interpolation=stated.interpolation or "bilinear",
        preprocessing=parse_preprocessing(stated.preprocessing),
    )


def trained_input(experiment: Experiment, sources: Sources) -> InputSection:
    """The input of a model trained here, which needs no guessing."""
    assert sources.training is not None
    convention = training_convention(experiment, sources.training)
    return dataclasses.replace(
        experiment.input,
        range=(convention.low, convention.high),
        labels=convention.labels,
    )
