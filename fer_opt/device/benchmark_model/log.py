"""What a run of ``benchmark_model`` printed, read into values; nothing measured is an error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from fer_opt.device.benchmark_model.delegate import Delegate, read_delegate
from fer_opt.device.benchmark_model.diagnosis import failed_write, find_failure
from fer_opt.device.benchmark_model.failures import BenchmarkFailedError, Cause, Failure
from fer_opt.device.benchmark_model.lines import Line, quoted, read_lines, tail
from fer_opt.device.benchmark_model.memory import Memory, read_memory
from fer_opt.device.benchmark_model.phases import Asked, Phases, read_phases
from fer_opt.device.benchmark_model.rules import first_match
from fer_opt.device.benchmark_model.timings import NUMBER
from fer_opt.device.measurement import InferenceSummary

__all__ = ["BenchmarkLog", "parse_log"]

COARSE_MS = 0.1
"""Times are whole microseconds; below this, that alone is an error of 1 % or more."""

_PARAMETER = re.compile(r"([^\[\]:]{1,80}): \[(.*)\]\s*$")
_MODEL_SIZE = re.compile(rf"The input model file size \(MB\): ({NUMBER})\s*$")


@dataclass(frozen=True, slots=True)
class BenchmarkLog:
    """A run that measured what it was asked to.

    Attributes:
        parameters: as the runner echoes them, by its own names: those set, all with --verbose.
        initialisation_ms: loading the model, applying delegates and allocating tensors.
        first_inference_ms: the first of the warm-up; None where there was none.
        warm_up: its inferences; None where there were none.
        counted: the inferences that count; at least as many as asked.
        asked_warm_up: what the runner understood of the warm-up asked for.
        asked: what it understood of the counted inferences asked for.
        threads: asked for; None where the runner chose.
        delegate: what ran the graph.
        memory: of the process.
        model_bytes: size of the model's file, known to six digits; None where it is not told.
        warnings: what the runner or the runtime warned of, and what limits the times' precision,
            a line each.
    """

    parameters: dict[str, str]
    initialisation_ms: float
    first_inference_ms: float | None
    warm_up: InferenceSummary | None
    counted: InferenceSummary
    asked_warm_up: Asked
    asked: Asked
    threads: int | None
    delegate: Delegate
    memory: Memory
    model_bytes: int | None
    warnings: tuple[str, ...]


def parse_log(text: str, status: int) -> BenchmarkLog:
    """Read what a run printed.

    Args:
        text: both streams, in any order; lines may end in CR LF, with or without ``INFO: ``.
        status: exit status, 128 + n where signal n ended it.

    Returns:
        Values that all stand in ``text``.

    Raises:
        BenchmarkFailedError: (a MeasurementError) nothing was measured, fewer inferences than
            asked, something other than asked, or numbers that contradict each other. Also where
            the median inference takes less than a microsecond: the runner counts whole ones, and
            no ratio can be made of zero.
    """
    lines = read_lines(text)
    parameters = _parameters(lines)
    model = quoted(PurePosixPath(parameters.get("Graph", "")).name) or "The model"
    if failure := find_failure(lines, status):
        raise BenchmarkFailedError(model, failure, tail(lines))
    phases = read_phases(lines)
    if isinstance(phases, Failure):
        # Where the exit status was lost, a known line still tells why the log breaks off.
        broken_off = phases.cause in (Cause.CUT_OFF, Cause.NO_LOG)
        told = first_match(lines) if broken_off else None
        raise BenchmarkFailedError(model, told or phases, tail(lines))
    if failure := failed_write(lines):
        raise BenchmarkFailedError(model, failure, tail(lines))
    return _log(lines, parameters, phases)


def _log(lines: tuple[Line, ...], parameters: dict[str, str], phases: Phases) -> BenchmarkLog:
    return BenchmarkLog(
        parameters=parameters,
        initialisation_ms=phases.initialisation_ms,
        first_inference_ms=phases.warm_up.first_ms,
        warm_up=phases.warm_up.summary,
        counted=phases.counted,
        asked_warm_up=phases.asked_warm_up,
        asked=phases.asked,
        threads=_threads(parameters),
        delegate=read_delegate(lines, parameters),
        memory=read_memory(lines),
        model_bytes=_model_bytes(lines),
        warnings=_warnings(lines, phases.counted),
    )


def _parameters(lines: tuple[Line, ...]) -> dict[str, str]:
    """What is echoed before the first inference, as ``Num threads: [1]``."""
    found: dict[str, str] = {}
    for line in lines:
        if line.text.startswith("Running benchmark for "):
            break
        if line.level in ("", "INFO") and (echo := _PARAMETER.match(line.text)):
            found.setdefault(echo[1].strip(), echo[2])
    return found


def _threads(parameters: dict[str, str]) -> int | None:
    for name in ("#threads used for CPU inference", "Num threads"):
        value = parameters.get(name, "")
        if re.fullmatch(r"\d{1,4}", value):
            return int(value)
    return None


def _model_bytes(lines: tuple[Line, ...]) -> int | None:
    sizes = (_MODEL_SIZE.match(line.text) for line in lines if line.whole)
    size = next((found[1] for found in sizes if found), None)
    # Bounded, since the exponent may be anything in a log that is damaged.
    return None if size is None or not 0 < float(size) < 1e9 else round(float(size) * 1e6)


def _warnings(lines: tuple[Line, ...], counted: InferenceSummary) -> tuple[str, ...]:
    said = [line.text.strip() for line in lines if line.level in ("WARN", "ERROR")]
    typical_ms = counted.mean_ms if counted.median_ms is None else counted.median_ms
    if typical_ms < COARSE_MS:
        said.append(
            f"Its times are whole microseconds, so a time of {typical_ms:g} ms is known to "
            f"{0.1 / typical_ms:.0f} % at best."
        )
    return tuple(dict.fromkeys(said))
