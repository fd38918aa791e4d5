"""Reading many records: files, and folders searched for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_opt.errors import RecordError
from fer_opt.reports.bench_record import read_any_record
from fer_opt.reports.gate.record import GATE_KIND
from fer_opt.reports.history.points import LeftOut, Point, points_of
from fer_opt.reports.record_files import read_object

__all__ = ["RECORD_NAME", "Gathered", "gather"]

RECORD_NAME = "record.json"


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found.

    Attributes:
        points: one for each model, machine and record, the oldest first.
        records: how many records were read.
        left_out: what gave no point and why, a sentence each.
    """

    points: tuple[Point, ...]
    records: int
    left_out: tuple[str, ...]


def gather(paths: Sequence[Path]) -> Gathered:
    """Read every record named, or found in a folder named.

    A broken record that was named is refused; one found in a folder is left out and told. Records
    that overlap, such as a copied run folder, count once.

    Raises:
        RecordError: a path does not exist, a named file is no record, a folder holds none, or none
            of the records holds a time.
    """
    points: list[Point] = []
    left_out: list[str] = []
    records = 0
    for path, named in _found(paths):
        try:
            if not named and read_object(path)[1].get("kind") == GATE_KIND:
                left_out.append(f"{path} is of a gate, which compares within one session.")
                continue
            record = read_any_record(path)
        except RecordError as exc:
            if named:
                raise
            left_out.append(str(exc))
            continue
        records += 1
        for item in points_of(record, path):
            if isinstance(item, LeftOut):
                left_out.append(item.reason)
            else:
                points.append(item)
    once = _once(points, left_out)
    if not once:
        why = f": {left_out[0]}" if left_out else "; time models with fer-opt bench or run first."
        raise RecordError(f"none of the {records} records holds a time{why}")
    return Gathered(tuple(sorted(once, key=lambda one: one.started_at)), records, tuple(left_out))


def _found(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Each file once, and whether it was named itself."""
    seen = set()
    for path in paths:
        if path.is_dir():
            files = sorted(path.rglob(RECORD_NAME))
            if not files:
                raise RecordError(
                    f"{path} holds no {RECORD_NAME}; give folders of runs and benches, or their "
                    "records."
                )
        else:
            files = [path]
        for file in files:
            if (real := file.resolve()) not in seen:
                seen.add(real)
                yield file, file == path


def _once(points: Sequence[Point], left_out: list[str]) -> list[Point]:
    """The points without copies; of one record at two times the one with more processes stays."""
    kept: dict[tuple[object, ...], Point] = {}
    for point in points:
        key = (point.model, point.machine, point.session, point.started_at)
        known = kept.get(key)
        if known is not None:
            left_out.append(f"{point.record} repeats times of {known.record}; they count once.")
        if known is None or point.processes > known.processes:
            kept[key] = point
    return list(kept.values())
