"""Times that a record holds of one model on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.device.phone.results import PhoneRun
from fer_opt.errors import GateError, MeasurementError
from fer_opt.reports.bench_record import BenchRecord
from fer_opt.reports.gate.fingerprint import Fingerprint, differences, fingerprint_of
from fer_opt.reports.record import RunRecord

__all__ = ["StoredTimes", "stored_times"]


@dataclass(frozen=True, slots=True)
class StoredTimes:
    """One model's processes on one machine.

    Attributes:
        model: its name.
        model_sha256: of its file.
        made_at: when the record was begun, ISO 8601, UTC.
        machine: ``host``, or the label of a phone.
        kind: of the machine, see :class:`fer_opt.device.measurement.DeviceFacts`.
        medians_ms: of its processes, in the order they were made.
        sessions: how many uninterrupted runs of fer-opt they come from.
        fingerprint: how they were timed.
        doubts: why the times are not to be trusted, a sentence each.
    """

    model: str
    model_sha256: str
    made_at: str
    machine: str
    kind: str
    medians_ms: tuple[float, ...]
    sessions: int
    fingerprint: Fingerprint
    doubts: tuple[str, ...] = ()


def stored_times(
    record: RunRecord | BenchRecord, model: str, machine: str | None = None
) -> StoredTimes:
    """What ``record`` holds of ``model``.

    Args:
        record: of a run or a bench.
        model: a recipe's string, or a file's name, as its measurements carry it.
        machine: ``host``, or a phone's label or name; None where only one machine timed it.

    Raises:
        GateError: the record has no such model, or several machines timed it and none was named.
        MeasurementError: the times are an emulator's, or of processes that were not timed alike.
    """
    found = [one for one in _sources(record, model) if machine in (None, *one.names)]
    if not found:
        timed = [f"{name} on {one.names[0]}" for one in _sources(record) for name in one.models]
        where = "" if machine is None else f" on {machine}"
        raise GateError(
            f"the record holds no times of {model}{where}; it has "
            f"{', '.join(timed) or 'none at all'}."
        )
    if len(found) > 1:
        raise GateError(
            f"{model} was timed on several machines ({', '.join(one.names[0] for one in found)}); "
            "name one of them."
        )
    return _stored(record, model, found[0])


@dataclass(frozen=True, slots=True)
class _Source:
    """A machine of a record and what it timed."""

    names: tuple[str, ...]
    device: DeviceFacts
    run: PhoneRun | None
    measurements: tuple[Measurement, ...]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.model for one in self.measurements))


def _sources(record: RunRecord | BenchRecord, model: str | None = None) -> Iterator[_Source]:
    """Machines that timed ``model``, or anything."""

    def of(measurements: tuple[Measurement, ...]) -> tuple[Measurement, ...]:
        return tuple(one for one in measurements if model in (None, one.model))

    if isinstance(record, RunRecord) and record.device is not None and of(record.measurements):
        yield _Source(("host",), record.device, None, of(record.measurements))
    for run in record.phones:
        if of(run.measurements):
            yield _Source((run.label, run.phone), run.device, run, of(run.measurements))


def _stored(record: RunRecord | BenchRecord, model: str, source: _Source) -> StoredTimes:
    if source.device.kind == "emulated":
        raise MeasurementError(
            f"the times of {model} are an emulator's, which mean nothing; measure on a real device."
        )
    runner = source.run.runner if source.run is not None else None
    prints = [fingerprint_of(one, source.device, runner) for one in source.measurements]
    for other in prints[1:]:
        if unlike := differences(prints[0], other):
            raise MeasurementError(
                f"the record's processes of {model} are unlike in {'; '.join(unlike)}, and unlike "
                "processes are never judged together; measure into a new record."
            )
    hashes = {one.model_sha256 for one in source.measurements}
    if len(hashes) > 1:
        raise MeasurementError(
            f"the record holds times of {len(hashes)} different files named {model}; measure into "
            "a new record."
        )
    doubts: tuple[str, ...] = ()
    if source.run is not None and not source.run.trust.trusted:
        doubts = source.run.trust.reasons or ("The phone's times are not to be trusted.",)
    return StoredTimes(
        model=model,
        model_sha256=hashes.pop(),
        made_at=record.created_at,
        machine=source.names[0],
        kind=source.device.kind,
        medians_ms=tuple(one.datum_ms for one in source.measurements),
        sessions=len({one.session for one in source.measurements}),
        fingerprint=prints[0],
        doubts=doubts,
    )
