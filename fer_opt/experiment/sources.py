"""Which images a run trains on, calibrates with and evaluates."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from fer_opt.data import (
    Dataset,
    DataSpec,
    NoSuchSplitError,
    guess_kind,
    open_dataset,
    reduce_dataset,
    split_dataset,
)
from fer_opt.data.spec import canonical_split
from fer_opt.errors import DatasetError
from fer_opt.experiment.specification import DataSection, Experiment
from fer_opt.progress import Progress
from fer_opt.recipe import parse_recipe

__all__ = ["Sources", "open_sources"]

TEST_FRACTION = 0.1
"""Share held out where a dataset has no test split of its own (thesis, section 3.3.1)."""

SYNTHETIC_TRAINING, SYNTHETIC_TEST = 4000, 1000


@dataclass(frozen=True, slots=True)
class Sources:
    """The datasets of a run.

    Attributes:
        evaluation: accuracy is measured on these.
        training: the model, or the steps of a recipe, learn from these; None where nothing does.
        calibration: the representative dataset is drawn from these.
    """

    evaluation: Dataset
    training: Dataset | None
    calibration: Dataset


def open_sources(experiment: Experiment, base: Path, progress: Progress) -> Sources:
    """Open every dataset the experiment names; paths are relative to ``base``.

    Raises:
        DatasetError: one is missing, empty, or not what it claims to be, or the network would be
            judged by images it learned from.
    """
    section = data_spec(experiment.data, base)
    if experiment.learns:
        training, evaluation = _train_and_test(experiment, section, progress)
        _refuse_shared(training, evaluation, "training.split")
    else:
        training, evaluation = None, open_split(experiment.data, section, progress)
    if section.kind in ("folder", "affectnet") and not experiment.data.skip_bad:
        _read_all(evaluation, progress)
    calibration = training or evaluation
    if experiment.calibration.split is not None:
        spec = dataclasses.replace(section, split=experiment.calibration.split)
        calibration = open_split(experiment.data, spec, progress)
        if _ranks_by_calibration(experiment):
            _refuse_shared(calibration, evaluation, "calibration.split")
    return Sources(evaluation, training, calibration)


def data_spec(section: DataSection, base: Path) -> DataSpec:
    """What :func:`fer_opt.data.open_dataset` wants to know, with paths made absolute."""

    def at(path: str | None) -> str | None:
        return None if path is None else str(base / path)

    kind = section.kind or guess_kind(base / str(section.path))
    return DataSpec(
        kind=kind,
        path=at(section.path),
        split=section.split,
        annotations=at(section.annotations),
        cache=at(section.cache),
        image_size=section.image_size,
        size=section.samples or SYNTHETIC_TEST,
        seed=section.seed,
    )


def open_split(section: DataSection, spec: DataSpec, progress: Progress) -> Dataset:
    """One split of a dataset, reduced where asked for."""
    dataset = open_dataset(spec, skip_bad=section.skip_bad, progress=progress)
    if section.reduce < 1:
        dataset = reduce_dataset(dataset, section.reduce, section.seed)
    if dataset.skipped:
        progress.say(f"Left out {len(dataset.skipped)} files or samples; the record lists them.")
    return dataset


def _read_all(dataset: Dataset, progress: Progress) -> None:
    """Decode every image once, so that a bad one is named before hours are spent on the others.

    FER2013's lines were checked when it was opened, and ``skip_bad`` has decoded everything.
    """
    with progress.stage("Checking images", len(dataset)) as advance:
        for index in range(len(dataset)):
            dataset.read(index)
            advance(1)


def _train_and_test(
    experiment: Experiment, spec: DataSpec, progress: Progress
) -> tuple[Dataset, Dataset]:
    """The training and test splits, or a 90/10 split of everything where they are not apart.

    A split that the user names is evaluated or refused, never trained on.
    """
    section, wanted = experiment.data, experiment.training

    def opened(split: str | None, size: int = spec.size) -> Dataset:
        return open_split(section, dataclasses.replace(spec, split=split, size=size), progress)

    if spec.kind == "synthetic":
        training = opened(wanted.split, wanted.samples or SYNTHETIC_TRAINING)
        return training, opened(section.split or "test")
    if section.split is not None and canonical_split(section.split) != "all":
        evaluation = opened(section.split)
        try:
            return opened(wanted.split), evaluation
        except NoSuchSplitError as exc:
            raise NoSuchSplitError(
                f"{section.path} has no split {wanted.split} to learn from beside the split "
                f"{section.split}; name another as training.split, or leave data.split out to "
                "learn from 90 % of all images and evaluate on the others."
            ) from exc
    try:
        return opened(wanted.split), opened(section.split or "test")
    except NoSuchSplitError:
        whole = opened(section.split)
        progress.say(
            f"{whole.name} is not divided into images to learn from and images to judge by; "
            "training on a stratified 90 % and evaluating on the other 10 %."
        )
        return split_dataset(whole, TEST_FRACTION, section.seed)


def _refuse_shared(learned_from: Dataset, evaluation: Dataset, key: str) -> None:
    """Refuse to judge a network by images it learned from."""
    shared = {sample.source for sample in learned_from.samples}
    count = sum(sample.source in shared for sample in evaluation.samples)
    if count:
        raise DatasetError(
            f"{count} of the {len(evaluation)} images of {evaluation.name} are also in "
            f"{learned_from.name}, from which the network learns; state splits that share none as "
            f"data.split and {key}."
        )


def _ranks_by_calibration(experiment: Experiment) -> bool:
    """Whether channels are chosen by the labels of the representative dataset."""
    return any(
        step.keywords.get("importance") == "taylor"
        for text in experiment.recipes
        for step in parse_recipe(text).steps
    )
