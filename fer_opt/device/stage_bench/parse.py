"""What ``stage_bench`` prints, as values: text in, frozen dataclasses out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from pydantic import TypeAdapter, ValidationError

from fer_opt.device.benchmark_model.lines import quoted
from fer_opt.device.stage_bench.log import PhotoFailure, PhotoStages, StageBenchLog
from fer_opt.device.stage_bench.rows import (
    Bitmap,
    End,
    Failed,
    Grey,
    ProgramFacts,
    Refusal,
    Resize,
    Row,
)
from fer_opt.errors import MeasurementError, RunnerError

__all__ = ["parse_stages"]

FORMAT = 1
"""Of the lines; ``FORMAT`` of ``stage_bench.c``."""

LAST_LINES = 3

_ROW: TypeAdapter[Row] = TypeAdapter(Row)
_FACTS = TypeAdapter(ProgramFacts)
_END = TypeAdapter(End)
_REFUSAL = TypeAdapter(Refusal)


def parse_stages(output: str, status: int) -> StageBenchLog:
    """Everything one process printed.

    Args:
        output: of both streams.
        status: it exited with: 1 where photos failed.

    Raises:
        RunnerError: the program is of another version, and has to be built anew.
        MeasurementError: it was stopped, refused its command line, or printed something else;
            the sentence quotes its last lines.
    """
    lines = [line for line in output.replace("\r", "").split("\n") if line.strip()]
    try:
        return _log(lines, status)
    except (ValueError, RecursionError) as exc:  # pydantic's and json's errors are ValueErrors
        said = " / ".join(quoted(line) for line in lines[-LAST_LINES:]) or "nothing"
        raise MeasurementError(
            f"stage_bench did not time the photos ({_why(exc, lines, status)}); its last lines: "
            f"{said}"
        ) from exc


def _log(lines: Sequence[str], status: int) -> StageBenchLog:
    """The same; raises ValueError for whatever is not whole."""
    values = [json.loads(line) for line in lines]
    if not values:
        raise ValueError("it printed nothing")
    if isinstance(values[0], dict) and values[0].get("stage_bench", FORMAT) != FORMAT:
        raise RunnerError(
            f"this stage_bench prints lines of format {quoted(str(values[0]['stage_bench']))}, and "
            f"fer-opt reads {FORMAT}; build it anew with device/stage_bench/build.py."
        )
    program = _FACTS.validate_python(values[0])
    end = _END.validate_python(values[-1])
    rows = [_ROW.validate_python(value) for value in values[1:-1]]
    passes, failures = [], []
    visits = 0
    for visit in _visits(rows):
        visits += 1
        if isinstance(visit[0], Failed) and len(visit) == 1:
            failures.append(PhotoFailure(visit[0].photo, visit[0].order, visit[0].error))
        else:
            passes.append(_stages(visit))
    if end.end != visits or status != (1 if failures else 0):
        raise ValueError(f"{visits} of {end.end} photos' lines arrived, with status {status}")
    _check_whole(program, rows)
    return StageBenchLog(program, tuple(passes), tuple(failures))


def _visits(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows of the same photo in the same pass."""
    visit: list[Row] = []
    for row in rows:
        if visit and isinstance(row, Bitmap | Failed):
            yield visit
            visit = []
        visit.append(row)
    if visit:
        yield visit


def _stages(visit: Sequence[Row]) -> PhotoStages:
    bitmap = visit[0]
    kinds = tuple(type(row) for row in visit)
    if not isinstance(bitmap, Bitmap) or kinds not in ((Bitmap,), (Bitmap, Resize, Grey)):
        raise ValueError("a photo has other stages than bitmap, resize and grey")
    same = {(row.photo, row.pass_index, row.order, row.warm_up) for row in visit}
    if len(same) != 1:
        raise ValueError("lines of several photos are mixed")
    resize = visit[1] if len(visit) > 1 else None
    left, top, width, height = resize.crop if isinstance(resize, Resize) else (0, 0, 0, 0)
    return PhotoStages(
        photo=bitmap.photo,
        pass_index=bitmap.pass_index,
        order_index=bitmap.order,
        warm_up=bitmap.warm_up,
        stages_ms={row.stage: row.ms for row in visit if not isinstance(row, Failed)},
        width=bitmap.width,
        height=bitmap.height,
        full_width=bitmap.full_width,
        full_height=bitmap.full_height,
        crop=(left, top, width, height) if resize is not None else None,
        damaged=bitmap.warnings,
    )


def _check_whole(program: ProgramFacts, rows: Sequence[Row]) -> None:
    """Every photo in every pass, in order, until it failed.

    Raises:
        ValueError: they are not.
    """
    passes = program.warm_up + program.runs
    failed_in: dict[int, int] = {}
    names: dict[int, str] = {}
    visits = 0
    latest = (-1, program.photos)
    for row in rows:
        if names.setdefault(row.order, row.photo) != row.photo:
            raise ValueError("a photo changes its name")
        if row.warm_up != (row.pass_index < program.warm_up):
            raise ValueError("a pass is marked wrongly")
        if isinstance(row, Resize | Grey):
            continue
        place = (row.pass_index, row.order)
        inside = row.pass_index < passes and row.order < program.photos
        if not inside or place <= latest or row.order in failed_in:
            raise ValueError("photos come twice, or in another order")
        latest = place
        visits += 1
        if isinstance(row, Failed):
            failed_in[row.order] = row.pass_index
    left_out = sum(passes - 1 - index for index in failed_in.values())
    if visits != program.photos * passes - left_out:
        raise ValueError("photos are missing")


def _why(exc: Exception, lines: Sequence[str], status: int) -> str:
    try:
        refusal = _REFUSAL.validate_python(json.loads(lines[-1]) if lines else None)
    except (ValueError, RecursionError):
        pass
    else:
        return quoted(refusal.error).rstrip(".")
    if status > 128:
        return f"signal {status - 128} ended it"
    if isinstance(exc, ValidationError | json.JSONDecodeError | RecursionError):
        return f"a line is not one of its own; status {status}"
    return str(exc)
