"""The story of a run: model, variants, accuracy, latency, record, report."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import fer_opt
from fer_opt.convention import InputConvention
from fer_opt.errors import ExperimentError, RecordError
from fer_opt.experiment.evaluation import measure_accuracy
from fer_opt.experiment.folder import RECORD_NAME, locked
from fer_opt.experiment.phone_stages import measure_stages_on_phones
from fer_opt.experiment.phone_timing import measure_on_phones
from fer_opt.experiment.settle import settle_convention, suspect_range
from fer_opt.experiment.sources import Sources, open_sources
from fer_opt.experiment.specification import Experiment, experiment_toml
from fer_opt.experiment.stages import check_photos, measure_stages
from fer_opt.experiment.store import StepStore, default_store
from fer_opt.experiment.timing import measure_latency
from fer_opt.experiment.trained import given_model, train_model, trained_input
from fer_opt.experiment.variants import make_variants
from fer_opt.files import make_folder
from fer_opt.keras_io import TrainedModel
from fer_opt.progress import SILENT, Progress
from fer_opt.reports.record import (
    SCHEMA_VERSION,
    RunRecord,
    TrainingEpoch,
    read_record,
    write_record,
)

__all__ = ["RECORD_NAME", "run_experiment"]

PACKAGES = (
    "ai-edge-litert",
    "keras",
    "numpy",
    "opencv-python-headless",
    "tensorflow",
    "tensorflow-model-optimization",
    "tf-keras",
)


def run_experiment(
    experiment: Experiment,
    base: Path,
    out: Path,
    *,
    command: str,
    fresh: bool = False,
    progress: Progress = SILENT,
    progress_of: Callable[[str], Progress] | None = None,
    store: StepStore | None = None,
) -> RunRecord:
    """Carry out an experiment, or what is left of it, and return its record.

    Everything is kept in ``out`` as it is made; after a kill the same call goes on where the last
    one stopped.

    Args:
        experiment: what to do.
        base: the folder its paths are relative to.
        out: the run folder.
        command: what the user typed, for the record.
        fresh: start over, whatever ``out`` holds.
        progress: is told how it goes.
        progress_of: makes what is told of one of several phones.
        store: of the results of compression steps; the user's cache by default.

    Raises:
        PhoneError: everything is done but what a phone was to do; the record is in ``out``.
        FerOptError: anything that stops it, as one sentence.
    """
    # Everything the user can have got wrong is looked at before the run folder is made.
    check_photos(experiment.photos, base)
    sources = open_sources(experiment, base, progress)
    given = given_model(experiment.model, base)
    fingerprint = _fingerprint(experiment, sources, given)
    with locked(make_folder(out)):
        previous = _previous(out, fingerprint, fresh)
        if given is None:
            model, history = train_model(experiment, sources, out, progress)
            stated = trained_input(experiment, sources)
        else:
            model, history, stated = given, (), experiment.input
        if previous is None:
            convention = settle_convention(model, stated, sources.evaluation, progress)
        else:
            convention = previous.convention
            progress.say(f"Going on with the run in {out}.")
        record = _going_on(previous, experiment, command) or _begin(
            experiment, sources, fingerprint, model, history, convention, command
        )

        def save(updated: RunRecord) -> None:
            write_record(updated, out / RECORD_NAME)

        save(record)
        record = make_variants(
            record, experiment, model, sources, out, save, progress, store or default_store()
        )
        record = measure_accuracy(record, sources.evaluation, out, save, progress)
        record = measure_latency(record, experiment, sources.evaluation, out, save, progress)
        record = measure_stages(record, experiment, base, out, save, progress)
        record = measure_on_phones(
            record, experiment, sources.evaluation, base, out, save, progress, progress_of
        )
        record = measure_stages_on_phones(record, experiment, base, out, save, progress)
        record = dataclasses.replace(record, complete=True)
        save(record)
    return record


def _going_on(previous: RunRecord | None, experiment: Experiment, command: str) -> RunRecord | None:
    """An earlier record, and how to repeat it where phones or photos have been added since."""
    if previous is None or not (experiment.phone.on or experiment.photos.wanted):
        return previous
    return dataclasses.replace(previous, experiment=experiment_toml(experiment), command=command)


def _fingerprint(experiment: Experiment, sources: Sources, given: TrainedModel | None) -> str:
    """A hash of everything the results depend on: the experiment and the content it names.

    Phones and photos are left out: each has its results to itself, and others may be added any
    time.
    """
    asked = dataclasses.asdict(experiment)
    del asked["phone"], asked["photos"]
    facts = {
        "experiment": asked,
        "model": given and given.sha256,
        "evaluation": sources.evaluation.facts().fingerprint,
        "calibration": sources.calibration.facts().fingerprint,
        "training": sources.training and sources.training.facts().fingerprint,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _previous(out: Path, fingerprint: str, fresh: bool) -> RunRecord | None:
    """The record to go on with, if the folder has one of this very experiment."""
    path = out / RECORD_NAME
    if fresh:
        path.unlink(missing_ok=True)
        for folder in ("models", "predictions", "trained"):
            shutil.rmtree(out / folder, ignore_errors=True)
    if not path.exists():
        return None
    try:
        record = read_record(path)
    except RecordError as exc:
        raise ExperimentError(f"{exc} Or pass --fresh to start over.") from exc
    if record.experiment_fingerprint != fingerprint:
        raise ExperimentError(
            f"{out} holds the run {record.name!r} of another experiment (its file, model or data "
            "differ); choose another --out, or pass --fresh to start over."
        )
    return record


def _begin(
    experiment: Experiment,
    sources: Sources,
    fingerprint: str,
    model: TrainedModel,
    history: tuple[TrainingEpoch, ...],
    convention: InputConvention,
    command: str,
) -> RunRecord:
    """A record with everything known before the first variant."""
    doubt = None
    if "range" not in convention.guessed and experiment.model.architecture is None:
        doubt = suspect_range(model, convention, sources.evaluation)
    notes = [f"The {what} was guessed, not stated." for what in convention.guessed]
    return RunRecord(
        schema_version=SCHEMA_VERSION,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        fer_opt_version=fer_opt.__version__,
        name=experiment.name,
        experiment=experiment_toml(experiment),
        experiment_fingerprint=fingerprint,
        command=command,
        target_ms=experiment.target_ms,
        model=model.facts(convention.height, convention.width),
        convention=convention,
        dataset=sources.evaluation.facts(),
        representative=None,
        training=history,
        device=None,
        latency=None,
        packages={name: importlib.metadata.version(name) for name in PACKAGES},
        notes=tuple([doubt] if doubt else []) + tuple(notes),
    )
