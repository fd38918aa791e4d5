"""The experiment file: TOML in, a frozen :class:`Experiment` out, every key checked."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from fer_opt.data.spec import canonical_split
from fer_opt.errors import DatasetError, ExperimentError
from fer_opt.experiment.sections import (
    CalibrationSection,
    DataSection,
    InputSection,
    LatencySection,
    ModelSection,
    PhoneSection,
    PhotosSection,
    TrainingSection,
)
from fer_opt.recipe import STANDARD_RECIPES, parse_recipe

__all__ = [
    "CalibrationSection",
    "DataSection",
    "Experiment",
    "InputSection",
    "LatencySection",
    "ModelSection",
    "PhoneSection",
    "PhotosSection",
    "TrainingSection",
    "check_experiment",
    "experiment_toml",
    "read_experiment",
    "section",
]

STRICT = ConfigDict(extra="forbid")


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
        latency: how variants are timed on this computer.
        phone: which phones time them too, and how.
        photos: on which all five stages are timed.
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
    phone: PhoneSection = PhoneSection()
    photos: PhotosSection = PhotosSection()

    @property
    def learns(self) -> bool:
        """Whether anything is trained, or chosen by labelled images."""
        return self.model.architecture is not None or any(
            parse_recipe(text).learns for text in self.recipes
        )


_ADAPTER = TypeAdapter(Experiment)
_SECTIONS: dict[str, type] = {
    "model": ModelSection,
    "data": DataSection,
    "input": InputSection,
    "training": TrainingSection,
    "calibration": CalibrationSection,
    "latency": LatencySection,
    "phone": PhoneSection,
    "photos": PhotosSection,
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
    phone = document.get("phone")
    if isinstance(phone, dict) and isinstance(phone.get("on"), str):
        phone["on"] = [phone["on"]]
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
    model, latency, phone = experiment.model, experiment.latency, experiment.phone
    recipes = tuple(str(parse_recipe(text)) for text in experiment.recipes)
    photos = _photos(experiment.photos)
    rules = {
        "model: give either path or architecture": (model.path is None)
        == (model.architecture is None),
        'data: give path, or kind = "synthetic"': experiment.data.kind != "synthetic"
        and experiment.data.path is None,
        "data.reduce: a share above 0 and at most 1": not 0 < experiment.data.reduce <= 1,
        "data.samples: at least 2": (experiment.data.samples or 2) < 2,
        "recipes: at least one, each only once, be it by its text or by its name on the shelf": (
            not recipes or len(set(recipes)) != len(recipes)
        ),
        "training.split: another split than data.split, or accuracy is measured on images the "
        "network was trained on": experiment.learns and _one_split(experiment, where),
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
        "phone: rounds, runs and threads from 1, outputs and cool_down_s from 0": min(
            phone.rounds, phone.runs, phone.threads
        )
        < 1
        or min(phone.outputs, phone.cool_down_s) < 0,
        'photos: give either path or kind = "scenes"': None not in (photos.path, photos.kind),
        "photos: processes and threads from 1, warm_passes from 0": min(
            photos.processes, photos.threads, photos.warm_passes + 1
        )
        < 1,
        "photos.thesis, photos.faster: recipes that stand among recipes": not {
            text for text in (photos.thesis, photos.faster) if text
        }
        <= set(recipes),
        "phone.on: phones only; [latency] times this computer": "host" in phone.on,
    }
    for rule, broken in rules.items():
        if broken:
            raise ExperimentError(f"{where}: {rule}.")
    return dataclasses.replace(experiment, recipes=recipes, photos=photos)


def _photos(section: PhotosSection) -> PhotosSection:
    """The section with its recipes in their own spelling."""

    def spelt(text: str | None) -> str | None:
        return None if text is None else str(parse_recipe(text))

    return dataclasses.replace(section, thesis=spelt(section.thesis), faster=spelt(section.faster))


def _one_split(experiment: Experiment, where: str) -> bool:
    """Whether training and evaluation name the same images, in whatever words.

    ``data.split = "all"`` may be a dataset without splits, which is divided once it is open.
    """
    if experiment.data.split is None:
        return False
    try:
        evaluated = canonical_split(experiment.data.split)
        trained = canonical_split(experiment.training.split)
    except DatasetError as exc:
        raise ExperimentError(f"{where}: {exc}") from exc
    return trained in (evaluated, "all")


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
