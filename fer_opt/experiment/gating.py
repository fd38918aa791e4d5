"""A gate: measured in one session, decided as it goes, kept in a folder, gone on with after a kill.

Each candidate has pairs of its own with the baseline, one candidate after the other.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path

import fer_opt
from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.protocol import TimingJob
from fer_opt.errors import (
    ExperimentError,
    MeasurementError,
    PhoneError,
    RecordError,
    RunnerError,
)
from fer_opt.experiment.folder import RECORD_NAME, locked
from fer_opt.experiment.gate_request import HOST, GateRequest, timed_model
from fer_opt.experiment.gating_host import host_device, time_here
from fer_opt.experiment.gating_phone import time_on_phone
from fer_opt.files import make_folder
from fer_opt.progress import SILENT, Progress
from fer_opt.reports.gate.decision import Verdict
from fer_opt.reports.gate.judging import is_decided, judged, looked
from fer_opt.reports.gate.non_inferiority import AccuracyVerdict
from fer_opt.reports.gate.plain import plain
from fer_opt.reports.gate.record import (
    GATE_KIND,
    GATE_SCHEMA_VERSION,
    Comparison,
    GateRecord,
    read_gate_record,
    write_gate_record,
)

__all__ = ["DEFAULT_FOLDER", "gate"]

DEFAULT_FOLDER = Path("runs/gate")

Accuracies = Callable[[TimingJob], AccuracyVerdict]


def gate(
    request: GateRequest,
    folder: Path,
    *,
    command: str,
    fresh: bool = False,
    accuracy: Accuracies | None = None,
    progress: Progress = SILENT,
) -> GateRecord:
    """Measure what is missing and judge; every pair is kept in ``folder`` as soon as it is made.

    Args:
        request: the models, where, and what they are held to.
        folder: of the record.
        command: what the user typed.
        fresh: start over, whatever ``folder`` holds.
        accuracy: judges a candidate's; asked after everything has been timed.
        progress: is told how it goes.

    Returns:
        The judged record. Where a candidate could not be measured to the end (a process failed, the
        phone is gone) its reason is among what is not valid; the folder keeps what was measured,
        and the same call goes on there.

    Raises:
        ExperimentError: the folder holds another gate or that of another machine, or is in use.
    """
    path = folder / RECORD_NAME
    if not fresh:
        _previous(path, request)
    with locked(make_folder(folder)):
        previous = None if fresh else _previous(path, request)
        if previous is not None and previous.outcome == "invalid":
            progress.say(f"The measurement in {folder} was not valid; measuring anew.")
            previous = None
        elif previous is not None and previous.outcome is not None:
            progress.say(f"Judging what {folder} holds; --fresh measures again.")
        elif previous is not None:
            progress.say(f"Going on with the gate in {folder}.")
        book = _Book(request, path, command, previous)
        book.write(book.record)
        if request.needs_times and (broken := _measure_all(book, progress)):
            return judged(broken, request.budgets)
        book.write(judged(book.record, request.budgets))
        if accuracy is not None:
            for place, candidate in enumerate(request.candidates):
                one = book.record.comparisons[place]
                book.put(place, dataclasses.replace(one, accuracy=accuracy(candidate)))
            book.write(judged(book.record, request.budgets))
    return book.record


class _Book:
    """The record as it is, written down with every change."""

    def __init__(
        self, request: GateRequest, path: Path, command: str, previous: GateRecord | None
    ) -> None:
        self.request, self.path = request, path
        record = previous or _begin(request)
        # Verdicts are of what is asked for now.
        comparisons = tuple(
            dataclasses.replace(one, verdict=None, budgets=(), accuracy=None, invalid=())
            for one in record.comparisons
        )
        self.record = dataclasses.replace(
            record, command=plain(command), comparisons=comparisons, outcome=None
        )

    def write(self, record: GateRecord) -> None:
        """Keep ``record``."""
        self.record = record
        write_gate_record(record, self.path)

    def put(self, place: int, comparison: Comparison) -> Comparison:
        """Keep a changed comparison."""
        comparisons = list(self.record.comparisons)
        comparisons[place] = comparison
        self.write(dataclasses.replace(self.record, comparisons=tuple(comparisons)))
        return comparison

    def device(self, device: DeviceFacts) -> None:
        """Enter the machine.

        Raises:
            ExperimentError: the pairs there are were measured on another one.
        """
        known = self.record.device
        if known is not None and (known.kind, known.fingerprint) != (
            device.kind,
            device.fingerprint,
        ):
            raise ExperimentError(
                f"{self.path.parent} was begun on another machine or another state of it "
                f"({known.name}, now {device.name}); pass --fresh to start over."
            )
        self.record = dataclasses.replace(self.record, device=device)


def _measure_all(book: _Book, progress: Progress) -> GateRecord | None:
    """Measure what is missing; where that fails, the record with the reason, which is not kept."""
    for place, candidate in enumerate(book.request.candidates):
        try:
            _measure(book, place, candidate, progress)
        except (MeasurementError, PhoneError, RunnerError) as exc:
            comparisons = list(book.record.comparisons)
            comparisons[place] = dataclasses.replace(comparisons[place], invalid=(str(exc),))
            return dataclasses.replace(book.record, comparisons=tuple(comparisons))
    return None


def _measure(book: _Book, place: int, candidate: TimingJob, progress: Progress) -> None:
    request = book.request
    if request.on == HOST:
        book.device(host_device())

    def save(comparison: Comparison) -> Comparison:
        if comparison.phone is not None:
            book.device(comparison.phone.device)
        return book.put(place, dataclasses.replace(comparison, looks=_looks(book, comparison)))

    def enough(comparison: Comparison) -> bool:
        looks = _looks(book, comparison)
        return is_decided(looks, request.settings, len(request.candidates))

    comparison = book.record.comparisons[place]
    if comparison.phone is not None and comparison.phone.complete and enough(comparison):
        return
    time = time_here if request.on == HOST else time_on_phone
    time(request, candidate, comparison, save=save, enough=enough, progress=progress)


def _looks(book: _Book, comparison: Comparison) -> tuple[Verdict, ...]:
    """The verdicts so far; none where the pairs are nothing to judge by, which the end will say."""
    baseline, device = book.request.baseline, book.record.device
    if baseline is None or device is None:
        return ()
    try:
        return looked(comparison, baseline.model, device, book.request.settings).looks
    except MeasurementError:
        return ()


def _previous(path: Path, request: GateRequest) -> GateRecord | None:
    """The record to go on with, if there is one of this very gate."""
    if not path.exists():
        return None
    try:
        record = read_gate_record(path)
    except RecordError as exc:
        raise ExperimentError(f"{exc} Or pass --fresh to start over.") from exc
    if record.fingerprint != request.fingerprint():
        raise ExperimentError(
            f"{path.parent} holds a gate of other files or settings; choose another --out, or "
            "pass --fresh to start over."
        )
    return record


def _begin(request: GateRequest) -> GateRecord:
    return GateRecord(
        schema_version=GATE_SCHEMA_VERSION,
        kind=GATE_KIND,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        fer_opt_version=fer_opt.__version__,
        command="",
        fingerprint=request.fingerprint(),
        on=request.on,
        settings=request.settings,
        latency=request.latency(),
        device=None,
        baseline=None if request.baseline is None else timed_model(request.baseline),
        comparisons=tuple(Comparison(timed_model(job)) for job in request.candidates),
    )
