"""The experiment file: TOML in, a frozen :class:`Experiment` out, every key checked."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from fer_opt.convention import Interpolation
from fer_opt.errors import ExperimentError
from fer_opt.recipe import STANDARD_RECIPES, parse_recipe

__all__ = [
    "CalibrationSection",
    "DataSection",
    "Experiment",
    "InputSection",
    "LatencySection",
    "ModelSection",
    "TrainingSection",
    "check_experiment",
    "experiment_toml",
    "read_experiment",
    "section",
]

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, config=STRICT)
class ModelSection:
    """``[model]``: a trained model's file, or an architecture to train here.

    Attributes:
        path: of the trained model, relative to the experiment file.
        weights: of a JSON model, relative to the experiment file.
        architecture: of the thesis, to be trained on ``[data]`` first.
        allow_code: load models that carry code of their own, which runs it.
    """

    path: str | None = None
    weights: str | None = None
    architecture: str | None = None
    allow_code: bool = False


@dataclass(frozen=True, slots=True, config=STRICT)
class InputSection:
    """``[input]``: what the model expects; what is not stated is guessed, aloud.

    Attributes:
        size: side of a square input in pixels, or [height, width].
        channels: 1 (grey) or 3 (RGB).
        range: what black and white become, e.g. [0, 1] or [-1, 1].
        labels: in the order of the model's outputs.
        interpolation: how images are resized.
        preprocessing: steps such as ``equalize`` or ``gamma(0.75)``.
    """

    size: int | tuple[int, int] | None = None
    channels: Literal[1, 3] | None = None
    range: tuple[float, float] | None = None
    labels: tuple[str, ...] | None = None
    interpolation: Interpolation | None = None
    preprocessing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, config=STRICT)
class DataSection:
    """``[data]``: the labelled images accuracy is measured on.

    Attributes:
        kind: fer2013, folder, affectnet or synthetic; told from ``path`` where not stated.
        path: of the CSV or folder, relative to the experiment file.
        split: which part is evaluated.
        annotations: AffectNet's CSV, relative to the experiment file.
        cache: folder for AffectNet's crops, relative to the experiment file.
        image_size: side in pixels of AffectNet's faces (224) and of synthetic ones (48).
        samples: how many synthetic faces the split has.
        seed: of the synthetic faces and of every split.
        reduce: stratified share of the samples to keep (the thesis used 0.1 of AffectNet).
        skip_bad: leave out files that cannot be read, and list them.
    """

    kind: Literal["fer2013", "folder", "affectnet", "synthetic"] | None = None
    path: str | None = None
    split: str | None = None
    annotations: str | None = None
    cache: str | None = None
    image_size: int | None = None
    samples: int | None = None
    seed: int = 0
    reduce: float = 1.0
    skip_bad: bool = False


@dataclass(frozen=True, slots=True, config=STRICT)
class TrainingSection:
    """``[training]``: section 3.3 of the thesis, for a model that is an ``architecture``.

    Recipes that train a network use the same images, batch and seed; epochs and learning rate stand
    in their steps.

    Attributes:
        split: which part of ``[data]`` is trained on.
        samples: how many synthetic faces it has.
        epochs: passes over it.
        batch: images in one step.
        learning_rate: Adam's.
        seed: of the initial weights and the order of images.
    """

    split: str = "train"
    samples: int | None = None
    epochs: int = 10
    batch: int = 64
    learning_rate: float = 0.001
    seed: int = 0


@dataclass(frozen=True, slots=True, config=STRICT)
class CalibrationSection:
    """``[calibration]``: the representative dataset of integer variants.

    Attributes:
        split: which part of ``[data]`` it is drawn from; the training split where there is one.
        samples: how many, spread over the labels.
        seed: of the draw.
    """

    split: str | None = None
    samples: int = 100
    seed: int = 0


@dataclass(frozen=True, slots=True, config=STRICT)
class LatencySection:
    """``[latency]``: how variants are timed on this computer.

    Attributes:
        processes: fresh processes for each variant; 0 times nothing.
        runs: counted inferences in each process.
        threads: of the interpreter.
        cpus: CPUs to pin processes to; chosen where not stated.
        seed: of the random order.
    """

    processes: int = 8
    runs: int = 20
    threads: int = 1
    cpus: tuple[int, ...] | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, config=STRICT)
class Experiment:
    """Everything a run is told.

    Attributes:
        name: of the run, in reports.
        model: trained model or architecture.
        data: evaluated images.
        input: what the model expects.
        recipes: of the variants, e.g. ``int8``.
        target_ms: the budget for one image; the thesis's is 500 ms.
        training: for an architecture.
        calibration: for integer variants.
        latency: how variants are timed.
    """

    name: str
    model: ModelSection
    data: DataSection
    input: InputSection = InputSection()
    recipes: tuple[str, ...] = STANDARD_RECIPES
    target_ms: float = 500.0
    training: TrainingSection = TrainingSection()
    calibration: CalibrationSection = CalibrationSection()
    latency: LatencySection = LatencySection()

    @property
    def trains(self) -> bool:
        """Whether any recipe trains the network."""
        return any(parse_recipe(text).trains for text in self.recipes)


_ADAPTER = TypeAdapter(Experiment)
_SECTIONS: dict[str, type] = {
    "model": ModelSection,
    "data": DataSection,
    "input": InputSection,
    "training": TrainingSection,
    "calibration": CalibrationSection,
    "latency": LatencySection,
}


def read_experiment(path: Path) -> Experiment:
    """Read an experiment file; paths in it stay as written, relative to its folder.

    Raises:
        ExperimentError: missing, no TOML, an unknown key (the nearest valid one is named), a value
            of the wrong kind, or a contradiction.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise ExperimentError(
            f"{path} cannot be read ({exc.strerror}); give an experiment file in TOML."
        ) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ExperimentError(f"{path} is not valid TOML: {exc}; mend that line.") from exc
    document.setdefault("name", path.stem)
    try:
        experiment = _ADAPTER.validate_python(document)
    except ValidationError as exc:
        raise ExperimentError(f"{path}: {_explain(exc)}") from exc
    return check_experiment(experiment, str(path))


def section(name: str, **values: object) -> Any:
    """One section from values as a command line has them, checked like a file's.

    Raises:
        ExperimentError: a value of the wrong kind.
    """
    try:
        return TypeAdapter(_SECTIONS[name]).validate_python(values)
    except ValidationError as exc:
        raise ExperimentError(_explain(exc)) from exc


def check_experiment(experiment: Experiment, where: str) -> Experiment:
    """Refuse values that contradict one another or make no sense.

    Raises:
        ExperimentError: naming ``where`` and the key.
        RecipeError: a recipe cannot be read.
    """
    model, latency = experiment.model, experiment.latency
    trains = model.architecture is not None or experiment.trains
    rules = {
        "model: give either path or architecture": (model.path is None)
        == (model.architecture is None),
        'data: give path, or kind = "synthetic"': experiment.data.kind != "synthetic"
        and experiment.data.path is None,
        "data.reduce: a share above 0 and at most 1": not 0 < experiment.data.reduce <= 1,
        "data.samples: at least 2": (experiment.data.samples or 2) < 2,
        "recipes: at least one, each only once": not experiment.recipes
        or len(set(experiment.recipes)) != len(experiment.recipes),
        "training.split: another split than data.split, or accuracy is measured on images the "
        "network was trained on": trains and experiment.data.split == experiment.training.split,
        "target_ms: above 0": not experiment.target_ms > 0,
        "training: epochs, batch and learning_rate above 0": min(
            experiment.training.epochs,
            experiment.training.batch,
            experiment.training.learning_rate,
        )
        <= 0,
        "calibration.samples: at least 1": experiment.calibration.samples < 1,
        "latency: processes from 0, runs and threads from 1": latency.processes < 0
        or latency.runs < 1
        or latency.threads < 1,
    }
    for rule, broken in rules.items():
        if broken:
            raise ExperimentError(f"{where}: {rule}.")
    recipes = tuple(str(parse_recipe(text)) for text in experiment.recipes)
    return dataclasses.replace(experiment, recipes=recipes)


def experiment_toml(experiment: Experiment) -> str:
    """The experiment as a TOML file with every default filled in, fit to be run again."""
    import tomli_w

    return tomli_w.dumps(_without_none(json.loads(_ADAPTER.dump_json(experiment))))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value


def _explain(exc: ValidationError) -> str:
    """The first thing wrong, in words."""
    error = exc.errors()[0]
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _keys_of(location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}."
        return f"unknown key {key}; {hint}"
    if error["type"] in ("missing", "missing_argument"):
        return f"{key} is missing; see the example in the README."
    return f"{key}: {error['msg']} (it is {error['input']!r})."


def _keys_of(location: list[str]) -> list[str]:
    """The keys an experiment file may have at ``location``."""
    owner: Any = _SECTIONS[location[0]] if location else Experiment
    return [field.name for field in dataclasses.fields(owner)]
