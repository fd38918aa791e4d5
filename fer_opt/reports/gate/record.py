"""The record of a gate: every pair as it was measured, and the verdict at every look.

Format changes:
    1: first version.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.device.pair_measurement import PairMeasurement
from fer_opt.device.phone.results import PhoneRun, TimedModel
from fer_opt.errors import RecordError
from fer_opt.files import write_atomically
from fer_opt.reports.gate.against import AgainstVerdict
from fer_opt.reports.gate.budgets import BudgetVerdict
from fer_opt.reports.gate.decision import GateSettings, Verdict
from fer_opt.reports.gate.non_inferiority import AccuracyVerdict
from fer_opt.reports.record import LatencySettings
from fer_opt.reports.record_files import parse_record, read_object

__all__ = [
    "GATE_KIND",
    "GATE_SCHEMA_VERSION",
    "Comparison",
    "GateOutcome",
    "GateRecord",
    "gate_json_schema",
    "read_gate_record",
    "write_gate_record",
]

GATE_KIND: Literal["gate"] = "gate"
GATE_SCHEMA_VERSION = 1
READABLE_VERSIONS = (1,)

STRICT = ConfigDict(extra="forbid")

GateOutcome = Literal["pass", "fail", "inconclusive", "invalid"]
"""A verdict, or ``invalid`` where what was measured is nothing to judge by."""


@dataclass(frozen=True, slots=True, config=STRICT)
class Comparison:
    """One candidate: what was measured of it, and what that says.

    Attributes:
        candidate: its file.
        pairs: of baseline and candidate on a computer, in the order they were made.
        alone: processes of the candidate on a computer where there is no baseline.
        phone: everything the phone was asked and answered; each round is a pair, or a process of
            the candidate where there is no baseline. None on a computer.
        looks: the verdict at each look, by itself; the last one stopped the measuring or is final.
        verdict: the last look's, corrected for the number of candidates (Holm); None before the
            first look, without a baseline, and where the measurement is not valid.
        budgets: of its latency and its size.
        accuracy: against the baseline's; None where it was not asked for.
        against: what its times say against those of another day; None where both were measured.
        invalid: every reason why its times are nothing to judge by, a sentence each.
    """

    candidate: TimedModel
    pairs: tuple[PairMeasurement, ...] = ()
    alone: tuple[Measurement, ...] = ()
    phone: PhoneRun | None = None
    looks: tuple[Verdict, ...] = ()
    verdict: Verdict | None = None
    budgets: tuple[BudgetVerdict, ...] = ()
    accuracy: AccuracyVerdict | None = None
    against: AgainstVerdict | None = None
    invalid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, config=STRICT)
class GateRecord:
    """What ``fer-opt gate`` leaves.

    Attributes:
        schema_version: of this format, see the module's list of format changes.
        kind: ``gate``, which tells it from the records of runs and benches.
        created_at: when it began, ISO 8601, UTC.
        fer_opt_version: that wrote it.
        command: that repeats it.
        fingerprint: hash of the files, the place and the settings; a folder belongs to one of them.
        on: where it was asked to measure: ``host``, ``phone``, ``virtual``, an address or serial.
        settings: how it decides.
        latency: how every process timed; ``processes`` is the most there may be of each model.
        device: the machine; None before it was looked at.
        baseline: the model compared with; None where only budgets are judged.
        stored: the record whose times the candidates are held against; empty where both models
            were measured.
        comparisons: one for each candidate, in the order they were named.
        outcome: of everything together; None before it was judged.
        notes: what the reader should know, a sentence each.
    """

    schema_version: int
    kind: Literal["gate"]
    created_at: str
    fer_opt_version: str
    command: str
    fingerprint: str
    on: str
    settings: GateSettings
    latency: LatencySettings
    device: DeviceFacts | None
    baseline: TimedModel | None
    comparisons: tuple[Comparison, ...]
    stored: str = ""
    outcome: GateOutcome | None = None
    notes: tuple[str, ...] = ()


_ADAPTER = TypeAdapter(GateRecord)


def gate_json_schema() -> dict[str, object]:
    """The JSON Schema of a gate's ``record.json``."""
    return _ADAPTER.json_schema()


def write_gate_record(record: GateRecord, path: Path) -> None:
    """Write ``record`` to ``path`` as JSON, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    found = _spelled(_ADAPTER.dump_python(record))
    write_atomically(path, json.dumps(found, indent=1, allow_nan=False) + "\n")


def read_gate_record(path: Path) -> GateRecord:
    """Read and validate the record of a gate.

    Raises:
        RecordError: the file is missing, no gate's record, or of a version this fer-opt does not
            know.
    """
    text, found = read_object(path)
    if found.get("kind") != GATE_KIND:
        raise RecordError(f"{path} is not the record of a gate; choose another folder.")
    version = found.get("schema_version")
    return parse_record(path, text, version, _ADAPTER, READABLE_VERSIONS)


def _spelled(value: Any) -> Any:
    """Absurd times give infinite bounds; JSON has no number for them, so they become words."""
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: _spelled(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(one) for one in value]
    return value
