"""A record as a gate reads it, and candidates held against the times it keeps of another day."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from fer_opt.device.phone.results import TimedModel
from fer_opt.errors import GateError, NoBaselineError
from fer_opt.reports.bench_record import BenchRecord, read_any_record
from fer_opt.reports.gate.against import judge_against
from fer_opt.reports.gate.fingerprint import fingerprint_of
from fer_opt.reports.gate.judging import settled
from fer_opt.reports.gate.measured import baseline_processes, candidate_processes
from fer_opt.reports.gate.record import (
    GATE_KIND,
    GateRecord,
    read_gate_record,
)
from fer_opt.reports.gate.stored import StoredTimes, stored_times
from fer_opt.reports.record import RunRecord
from fer_opt.reports.record_files import read_object

__all__ = ["Stored", "held_against", "open_stored"]

FLOAT = "float32"


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as a gate reads it.

    Attributes:
        path: of it.
        record: of a run, a bench or a gate.
        machine: asked for; None where there is one only.
    """

    path: Path
    record: RunRecord | BenchRecord | GateRecord
    machine: str | None = None

    def models(self) -> dict[str, TimedModel]:
        """Files that it has times of or tells of, by name."""
        record = self.record
        if isinstance(record, RunRecord):
            return {
                one.recipe: TimedModel(one.recipe, one.path, one.sha256, one.size_bytes)
                for one in record.variants
            }
        if isinstance(record, BenchRecord):
            return {one.name: one for one in record.models}
        found = [*filter(None, [record.baseline]), *(one.candidate for one in record.comparisons)]
        return {one.name: one for one in found}

    def model(self, name: str) -> TimedModel:
        """One of them.

        Raises:
            NoBaselineError: there is none of that name.
        """
        models = self.models()
        if name not in models:
            raise NoBaselineError(
                f"{self.path} holds no model named {name}; it has {', '.join(models) or 'none'}."
            )
        return models[name]

    def reference(self, named: str | None) -> TimedModel:
        """The baseline: the one named, float32, or the only one.

        Raises:
            NoBaselineError: which one is meant cannot be told.
        """
        models = self.models()
        if named is not None:
            return self.model(named)
        if FLOAT in models or len(models) == 1:
            return models.get(FLOAT) or next(iter(models.values()))
        if isinstance(self.record, GateRecord) and self.record.baseline is not None:
            return self.record.baseline
        raise NoBaselineError(
            f"{self.path} has several models ({', '.join(models)}); say which is the baseline with "
            "--baseline-name."
        )

    def times(self, name: str) -> StoredTimes:
        """Its times of one model.

        Raises:
            GateError: it has none, or several machines have.
            MeasurementError: they are nothing to compare with.
        """
        if not isinstance(self.record, GateRecord):
            return stored_times(self.record, name, self.machine)
        return times_of_gate(self.record, self.model(name))


def open_stored(path: Path, machine: str | None = None) -> Stored:
    """A record, or the one in a folder.

    Raises:
        NoBaselineError: there is no such file.
        RecordError: it is no record.
    """
    path = path / "record.json" if path.is_dir() else path
    if not path.exists():
        raise NoBaselineError(
            f"{path} does not exist, so there is nothing to compare with; give the record.json of "
            "a run, a bench or a gate."
        )
    _, found = read_object(path)
    if found.get("kind") == GATE_KIND:
        return Stored(path, read_gate_record(path), machine)
    return Stored(path, read_any_record(path), machine)


def times_of_gate(record: GateRecord, model: TimedModel) -> StoredTimes:
    """A model's times in a gate's record, by the wall clock.

    Raises:
        GateError: it was not timed.
    """
    device = record.device
    for one in record.comparisons:
        processes = candidate_processes(one) if one.candidate == model else baseline_processes(one)
        if not processes or device is None or processes[0].model_sha256 != model.sha256:
            continue
        runner = one.phone.runner if one.phone is not None else None
        return StoredTimes(
            model=model.name,
            model_sha256=model.sha256,
            made_at=record.created_at,
            machine="host" if one.phone is None else one.phone.label,
            kind=device.kind,
            medians_ms=tuple(process.datum_ms for process in processes),
            sessions=len({process.session for process in processes}),
            fingerprint=fingerprint_of(processes[0], device, runner),
            doubts=one.invalid,
        )
    raise GateError(f"the record holds no times of {model.name}; gate it again.")


def held_against(
    record: GateRecord,
    stored: Stored,
    baseline: TimedModel,
    *,
    may_decide: bool,
    baseline_sha256: str | None,
) -> GateRecord:
    """A record of candidates measured alone, each judged against the stored baseline.

    Raises:
        GateError: the record has no times of the baseline.
        MeasurementError: nothing can be said honestly.
    """
    base = stored.times(baseline.name)
    comparisons = tuple(
        dataclasses.replace(
            one,
            against=judge_against(
                base,
                times_of_gate(record, one.candidate),
                record.settings,
                may_decide=may_decide,
                baseline_sha256=baseline_sha256,
            ),
        )
        for one in record.comparisons
    )
    return settled(
        dataclasses.replace(
            record, baseline=baseline, stored=str(stored.path), comparisons=comparisons
        )
    )
