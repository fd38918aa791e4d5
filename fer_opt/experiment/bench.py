"""A bench of .tflite files on phones, kept in a folder and gone on with after a kill."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import fer_opt
from fer_opt.device.phone.results import PhoneRun, TimedModel
from fer_opt.device.phone.several import PhoneOutcome
from fer_opt.device.protocol import TimingJob
from fer_opt.errors import ExperimentError, RecordError
from fer_opt.experiment.folder import RECORD_NAME, locked
from fer_opt.experiment.phone import PhoneRequest, bench_on, merged
from fer_opt.files import make_folder
from fer_opt.progress import SILENT, Progress
from fer_opt.reports.bench_record import (
    BENCH_KIND,
    BenchRecord,
    read_bench_record,
    write_bench_record,
)
from fer_opt.reports.record import SCHEMA_VERSION

__all__ = ["DEFAULT_FOLDER", "bench_files", "bench_folder"]

DEFAULT_FOLDER = Path("runs/bench")

INESSENTIAL = frozenset({
    "rounds", "operator_profile", "outputs", "canary_limit", "cool_down_s", "tries",
    "least_battery_percent",
})  # fmt: skip
"""Settings that leave what was measured before as good as it was."""


def bench_folder(jobs: Sequence[TimingJob], request: PhoneRequest) -> Path:
    """Where a bench goes that was not told: ``runs/bench``, numbered where that is taken.

    A folder is taken by a record of other files or settings; one of these is gone on with.
    """
    wanted = _fingerprint(jobs, request)
    for place in _places():
        path = place / RECORD_NAME
        if not path.exists():
            return place
        try:
            if read_bench_record(path).fingerprint == wanted:
                return place
        except RecordError:
            continue
    raise AssertionError("places do not end")


def _places() -> Iterator[Path]:
    yield DEFAULT_FOLDER
    number = 2
    while True:
        yield DEFAULT_FOLDER.with_name(f"{DEFAULT_FOLDER.name}-{number}")
        number += 1


def bench_files(
    jobs: Sequence[TimingJob],
    request: PhoneRequest,
    folder: Path,
    *,
    command: str,
    target_ms: float,
    fresh: bool = False,
    progress: Progress = SILENT,
    progress_of: Callable[[str], Progress] | None = None,
) -> tuple[BenchRecord, tuple[PhoneOutcome, ...]]:
    """Time ``jobs`` on phones, or what is left of it, and keep everything in ``folder``.

    The record is written after every change; after a kill the same call goes on where it stopped.

    Args:
        jobs: the models, each under its own name.
        request: which phones, and how.
        folder: of the record.
        command: what the user typed.
        target_ms: the budget for one image.
        fresh: start over, whatever ``folder`` holds.
        progress: is told how it goes.
        progress_of: makes what is told of one of several phones.

    Returns:
        The record, and what became of each phone.

    Raises:
        ExperimentError: the folder holds another bench, or is in use.
        PhoneError: there is no phone to use.
    """
    fingerprint = _fingerprint(jobs, request)
    path = folder / RECORD_NAME
    if not fresh:
        _previous(path, fingerprint)
    with locked(make_folder(folder)):
        previous = None if fresh else _previous(path, fingerprint)
        if previous is not None and previous.phones:
            progress.say(f"Going on with the bench in {folder}.")
        record = dataclasses.replace(
            previous or _begin(jobs, fingerprint), command=command, target_ms=target_ms
        )

        def save(run: PhoneRun) -> None:
            nonlocal record
            phones = merged(record.phones, run)
            done = all(one.complete for one in phones)
            record = dataclasses.replace(record, phones=phones, complete=done)
            write_bench_record(record, path)

        outcomes = bench_on(request, jobs, record.phones, save, progress, progress_of)
        for outcome in outcomes:
            if outcome.run is not None:
                save(outcome.run)
        if any(outcome.error for outcome in outcomes) and path.exists():
            record = dataclasses.replace(record, complete=False)
            write_bench_record(record, path)
    return record, outcomes


def _previous(path: Path, fingerprint: str) -> BenchRecord | None:
    """The record to go on with, if there is one of this very bench."""
    if not path.exists():
        return None
    try:
        record = read_bench_record(path)
    except RecordError as exc:
        raise ExperimentError(f"{exc} Or pass --fresh to start over.") from exc
    if record.fingerprint != fingerprint:
        raise ExperimentError(
            f"{path.parent} holds a bench of other files or settings; choose another --out, or "
            "pass --fresh to start over."
        )
    return record


def _begin(jobs: Sequence[TimingJob], fingerprint: str) -> BenchRecord:
    return BenchRecord(
        schema_version=SCHEMA_VERSION,
        kind=BENCH_KIND,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        fer_opt_version=fer_opt.__version__,
        command="",
        fingerprint=fingerprint,
        target_ms=0.0,
        models=tuple(
            TimedModel(job.model, str(job.path), job.sha256, job.path.stat().st_size)
            for job in jobs
        ),
    )


def _fingerprint(jobs: Sequence[TimingJob], request: PhoneRequest) -> str:
    """A hash of the files and of everything that makes their times another thing."""
    settings = dataclasses.asdict(request.settings)
    facts = {
        "models": sorted((job.model, job.sha256) for job in jobs),
        "settings": {name: value for name, value in settings.items() if name not in INESSENTIAL},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
