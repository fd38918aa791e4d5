"""What one record says of one model on one machine: a point of its history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.device.phone.results import PhoneRun
from fer_opt.errors import MeasurementError
from fer_opt.reports.bench_record import BenchRecord
from fer_opt.reports.record import RunRecord
from fer_opt.reports.statistics import summarise_latency

__all__ = ["LeftOut", "Machine", "Point", "points_of"]


@dataclass(frozen=True, slots=True)
class Machine:
    """What must agree before two times are points of one line; unlike machines are never pooled.

    Attributes:
        kind: ``host``, ``phone`` or ``virtual`` (a virtual phone, whose times are a computer's).
        name: what a person would call it.
        fingerprint: of the device's facts.
        phone: tells phones of one type apart; empty for a computer.
        runner: hash of the program that timed; empty for a computer, whose fingerprint has it.
        threads: of the interpreter.
        cpus: how many CPUs processes were pinned to.
        delegate: what ran the graph.
    """

    kind: str
    name: str
    fingerprint: str
    phone: str
    runner: str
    threads: int
    cpus: int
    delegate: str

    @property
    def words(self) -> str:
        """E.g. ``Samsung SM-J330F (…e91c), 4 threads, XNNPACK``; a computer says that it is one."""
        what = {"host": " (a computer)", "virtual": " (virtual: a computer’s times)"}
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.name}{what.get(self.kind, '')}, {threads}, {self.delegate}"


@dataclass(frozen=True, slots=True)
class Point:
    """One model's latency in one record.

    Attributes:
        model: what it is called: a variant of a trained network with its input size, or a file.
        machine: that timed it.
        started_at: of its first process, ISO 8601, UTC.
        session: of that process, by which a copy of a record is known.
        median_ms: median over processes.
        low_ms: lower bound of its interval over processes.
        high_ms: upper bound of it.
        processes: how many.
        sha256: of the model's file.
        record: where it was read.
        doubts: why a phone's times may not be believed, a sentence each; drawn, but no change is
            sought in them.
    """

    model: str
    machine: Machine
    started_at: str
    session: str
    median_ms: float
    low_ms: float
    high_ms: float
    processes: int
    sha256: str
    record: str
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something of a record that is no point, and why, in a sentence."""

    reason: str


def points_of(record: RunRecord | BenchRecord, path: Path) -> Iterator[Point | LeftOut]:
    """Every model on every machine of a record, in its order; what cannot be a point says why."""
    prefix = ""
    if isinstance(record, RunRecord):
        side = "x".join(str(side) for side in record.model.input_shape)
        prefix = f"{record.model.name} {side} "
        if record.device is not None:
            yield from _points(record.device, record.measurements, path, prefix)
    for phone in record.phones:
        yield from _points(phone.device, phone.measurements, path, prefix, phone)


def _points(
    device: DeviceFacts,
    measurements: Sequence[Measurement],
    path: Path,
    prefix: str,
    phone: PhoneRun | None = None,
) -> Iterator[Point | LeftOut]:
    if not measurements:
        return
    label = device.name if phone is None else phone.label
    if device.kind == "emulated":
        yield LeftOut(f"{path}: {label} is emulated, and its times are no latencies.")
        return
    for model in dict.fromkeys(one.model for one in measurements):
        group = [one for one in measurements if one.model == model]
        try:
            (summary,) = summarise_latency(group)
        except MeasurementError as exc:
            yield LeftOut(f"{path}: {str(exc).rstrip('.')}.")
            continue
        first = min(group, key=lambda one: one.started_at)
        yield Point(
            model=f"{prefix}{model}",
            machine=Machine(
                kind=device.kind,
                name=label,
                fingerprint=device.fingerprint,
                phone="" if phone is None else phone.phone,
                runner="" if phone is None or phone.runner is None else phone.runner.sha256,
                threads=first.threads,
                cpus=len(first.cpus),
                delegate=first.delegate,
            ),
            started_at=first.started_at,
            session=first.session,
            median_ms=summary.median_ms,
            low_ms=summary.low_ms,
            high_ms=summary.high_ms,
            processes=summary.processes,
            sha256=first.model_sha256,
            record=str(path),
            doubts=_doubts(device.kind, phone),
        )


def _doubts(kind: str, phone: PhoneRun | None) -> tuple[str, ...]:
    # That a virtual phone is none is said by its name; it is not a doubt about this record.
    if phone is None or kind != "phone" or phone.trust.trusted:
        return ()
    return phone.trust.reasons
