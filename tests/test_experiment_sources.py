"""No network is judged by images it learned from, in whatever words they are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_files import face, pixel_text, write_fer2013, write_folder

from fer_opt.errors import ExperimentError, FerOptError
from fer_opt.experiment.sources import Sources, open_sources
from fer_opt.experiment.specification import (
    CalibrationSection,
    DataSection,
    Experiment,
    ModelSection,
    TrainingSection,
    check_experiment,
)
from fer_opt.progress import SILENT

LEARNS = "fine_tune(1) > int8"


def opened(
    path: Path,
    split: str | None,
    learned_from: str = "train",
    recipe: str = LEARNS,
    calibration: str | None = None,
) -> Sources:
    experiment = Experiment(
        name="x",
        model=ModelSection(path="model.keras"),
        data=DataSection(path=path.name, split=split),
        training=TrainingSection(split=learned_from),
        calibration=CalibrationSection(split=calibration),
        recipes=(recipe,),
    )
    return open_sources(check_experiment(experiment, "x.toml"), path.parent, SILENT)


@pytest.fixture
def fer2013(tmp_path: Path) -> Path:
    usages = ("Training", "PublicTest", "PrivateTest")
    rows = [
        (label, pixel_text(face(label)), usage)
        for usage in usages
        for label in range(7)
        for _ in range(2)
    ]
    return write_fer2013(tmp_path / "fer2013.csv", rows)


@pytest.mark.parametrize(
    ("evaluated", "learned_from"),
    [
        ("Training", "train"),
        ("train", "training"),
        ("PrivateTest", "test"),
        ("all", "train"),
        ("test", "all"),
        ("all", "all"),
        (None, "all"),
        (None, "test"),
    ],
)
def test_images_that_are_learned_from_are_not_evaluated(evaluated, learned_from, fer2013):
    with pytest.raises(FerOptError, match=r"training\.split"):
        opened(fer2013, evaluated, learned_from)


def test_splits_by_other_names_are_found(fer2013):
    sources = opened(fer2013, "PrivateTest", "Training")
    assert sources.training is not None
    assert (sources.evaluation.name, sources.training.name) == ("FER2013, test", "FER2013, train")


def test_the_name_of_no_split_is_refused_with_the_nearest(fer2013):
    with pytest.raises(ExperimentError, match=r"x\.toml: 'tset'.*did you mean test"):
        opened(fer2013, "tset")


def test_a_named_split_is_never_trained_on(tmp_path):
    write_folder(tmp_path / "faces" / "test", ["happy", "sad"], each=10)
    with pytest.raises(FerOptError, match=r"faces has no split train .*beside the split test"):
        opened(tmp_path / "faces", "test")
    with pytest.raises(FerOptError, match="no folder validation, only test"):
        opened(tmp_path / "faces", "validation")


@pytest.mark.parametrize("split", [None, "all"])
def test_images_without_splits_are_divided(split, tmp_path):
    sources = opened(write_folder(tmp_path / "faces", ["happy", "sad"], each=10), split)
    assert sources.training is not None
    assert (len(sources.training), len(sources.evaluation)) == (18, 2)
    assert not set(sources.training.samples) & set(sources.evaluation.samples)


@pytest.mark.parametrize(
    ("recipe", "learned_from"),
    [
        ("int8", None),
        ("prune_channels(0.5) > int8", None),
        ("prune_channels(0.5, importance=taylor) > int8", "FER2013, train"),
        ("prune_channels(0.5, allocation=sensitivity) > int8", "FER2013, train"),
    ],
)
def test_channels_are_chosen_by_images_that_are_not_evaluated(recipe, learned_from, fer2013):
    sources = opened(fer2013, "test", recipe=recipe)
    assert (sources.training and sources.training.name) == learned_from
    assert sources.evaluation.name == "FER2013, test"
    assert sources.calibration.name == (learned_from or "FER2013, test")


def test_channels_are_not_ranked_by_evaluated_images_that_calibrate(fer2013):
    taylor = "prune_channels(0.5, importance=taylor) > int8"
    with pytest.raises(FerOptError, match=r"14 of the 14 images .*calibration\.split"):
        opened(fer2013, "test", recipe=taylor, calibration="test")
    assert opened(fer2013, "test", calibration="test").calibration.name == "FER2013, test"


@pytest.mark.parametrize("recipes", [("quick", "int8"), ("int8", "int8()"), ("int8", "int8")])
def test_a_recipe_stands_in_an_experiment_once_however_it_is_written(recipes):
    experiment = Experiment(
        name="x", model=ModelSection(path="m"), data=DataSection(path="d"), recipes=recipes
    )
    with pytest.raises(ExperimentError, match="each only once"):
        check_experiment(experiment, "x.toml")
