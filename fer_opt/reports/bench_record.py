"""The record of a bench on phones: the files that were timed, and everything the phones told.

Its versions are those of :mod:`fer_opt.reports.record`; there is none before 3.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from fer_opt.device.phone.results import PhoneRun, TimedModel
from fer_opt.device.stage_timing import StagesRun
from fer_opt.errors import RecordError
from fer_opt.files import write_atomically
from fer_opt.reports.record import SCHEMA_VERSION, RunRecord, read_record
from fer_opt.reports.record_files import parse_record, read_object

__all__ = [
    "BENCH_KIND",
    "BenchRecord",
    "bench_json_schema",
    "read_any_record",
    "read_bench_record",
    "write_bench_record",
]

BENCH_KIND: Literal["bench"] = "bench"
READABLE_VERSIONS = (3, 4, 5)


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class BenchRecord:
    """What ``fer-opt bench --on …`` leaves.

    Attributes:
        schema_version: of this format, shared with run records.
        kind: ``bench``, which tells it from a run's record.
        created_at: when it began, ISO 8601, UTC.
        fer_opt_version: that wrote it.
        command: that repeats it.
        fingerprint: hash of the files and of how they are timed; a folder belongs to one of them.
        target_ms: the budget for one image; the thesis's is 500 ms.
        models: that are timed, in the order they were named.
        phones: what each phone was asked and answered, in the order they were found.
        notes: what the reader should know about the bench as a whole, a sentence each.
        complete: whether every phone has timed every model, or told why it cannot.
        stages: all five stages of classifying photos, timed on this computer and on phones.
    """

    schema_version: int
    kind: Literal["bench"]
    created_at: str
    fer_opt_version: str
    command: str
    fingerprint: str
    target_ms: float
    models: tuple[TimedModel, ...]
    phones: tuple[PhoneRun, ...] = ()
    notes: tuple[str, ...] = ()
    complete: bool = False
    stages: tuple[StagesRun, ...] = ()


_ADAPTER = TypeAdapter(BenchRecord)


def bench_json_schema() -> dict[str, object]:
    """The JSON Schema of a bench's ``record.json``."""
    return _ADAPTER.json_schema()


def write_bench_record(record: BenchRecord, path: Path) -> None:
    """Write ``record`` to ``path`` as JSON, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, _ADAPTER.dump_json(record, indent=1) + b"\n")


def read_bench_record(path: Path) -> BenchRecord:
    """Read and validate the record of a bench.

    Raises:
        RecordError: the file is missing, no bench's record, or of a version this fer-opt does not
            know.
    """
    record = read_any_record(path)
    if isinstance(record, RunRecord):
        raise RecordError(f"{path} is the record of a run, not of a bench; choose another folder.")
    return record


def read_any_record(path: Path) -> RunRecord | BenchRecord:
    """Read and validate a record of either kind.

    Raises:
        RecordError: the file is missing, no record, or of a version this fer-opt does not know.
    """
    text, found = read_object(path)
    if found.get("kind") != BENCH_KIND:
        return read_record(path)
    record = parse_record(path, text, found.get("schema_version"), _ADAPTER, READABLE_VERSIONS)
    return replace(record, schema_version=SCHEMA_VERSION)
