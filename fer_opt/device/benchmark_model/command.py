"""Which words run ``benchmark_model`` as wanted, with the flags that one build knows."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from fer_opt.device.benchmark_model.log import BenchmarkLog
from fer_opt.errors import MeasurementError, RunnerError

__all__ = ["BenchmarkRequest", "InputFile", "build_words", "check_echo", "left_out"]

DISPENSABLE = (
    "max_secs",
    "op_profiling_output_mode",
    "output_filepath",
    "report_peak_memory_footprint",
)
"""Flags whose absence changes neither what is measured nor how."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """What one input tensor is fed.

    Attributes:
        name: of the tensor, as the model has it.
        shape: of the tensor.
        path: on the phone, of a file that holds its raw values and nothing else.
    """

    name: str
    shape: tuple[int, ...]
    path: str


@dataclass(frozen=True, slots=True)
class BenchmarkRequest:
    """One process of the runner.

    Attributes:
        graph: path of the model on the phone.
        runs: counted inferences, exactly.
        warm_up_runs: inferences before them, exactly.
        threads: of the interpreter.
        max_s: after which the runner starts no more inferences, for each of both phases.
        xnnpack: whether that delegate is asked for; None leaves it to the runner.
        inputs: of the model, in its order, all of them; empty feeds random values.
        output_path: on the phone, to write the last inference's outputs to.
        operator_profile: whether the log is to tell each operator's time.
        peak_memory: whether the process's footprint is watched, by a thread that wakes every 50 ms.

    Raises:
        MeasurementError: nothing can be timed so, or an input's name, shape or path cannot be
            written in a flag.
    """

    graph: str
    runs: int
    warm_up_runs: int
    threads: int
    max_s: float = 150.0
    xnnpack: bool | None = None
    inputs: tuple[InputFile, ...] = ()
    output_path: str | None = None
    operator_profile: bool = False
    peak_memory: bool = False

    def __post_init__(self) -> None:
        for name, least in (("runs", 1), ("warm_up_runs", 0), ("threads", 1)):
            if getattr(self, name) < least:
                raise MeasurementError(
                    f"{name} = {getattr(self, name)} cannot be timed with; give {least} or more."
                )
        if not (self.max_s > 0 and math.isfinite(self.max_s)):
            raise MeasurementError(f"max_s = {self.max_s:g} is not a positive number.")
        if not self.graph:
            raise MeasurementError("No model is named; give its path on the phone.")
        for one in self.inputs:
            _check_input(one)


def build_words(runner: str, request: BenchmarkRequest, flags: Collection[str]) -> list[str]:
    """The command, a word each; nothing is quoted.

    The numbers of inferences are exact: ``num_runs`` alone is a least number as long as
    ``min_secs`` is not 0. An operator profile is asked for as "CSV", which has more digits, and
    in the log, which needs no second file.

    Args:
        runner: its path on the phone.
        request: what to run.
        flags: those this build knows, from :func:`~.help.parse_help`.

    Raises:
        RunnerError: the build lacks a flag without which something else would be measured.
    """
    wanted = _wanted(request)
    missing = [name for name in wanted if name not in flags and name not in DISPENSABLE]
    if missing:
        raise RunnerError(
            f"The runner does not know --{' and --'.join(missing)}, without which something else "
            "would be measured; take a newer one, or ask for less."
        )
    return [runner, *(f"--{name}={value}" for name, value in wanted.items() if name in flags)]


def left_out(request: BenchmarkRequest, flags: Collection[str]) -> tuple[str, ...]:
    """Flags that :func:`build_words` leaves out, since this build lacks them and it may."""
    return tuple(name for name in _wanted(request) if name not in flags and name in DISPENSABLE)


def check_echo(log: BenchmarkLog, request: BenchmarkRequest) -> None:
    """Refuse a log of other settings than those asked for: the runner misread a flag.

    Raises:
        MeasurementError: it repeats another model, other numbers of inferences or of threads.
    """
    told: dict[str, tuple[object, object]] = {
        "the model": (log.parameters.get("Graph", request.graph), request.graph),
        "the number of runs": (log.asked.runs, request.runs),
        "the number of warm-up runs": (log.asked_warm_up.runs, request.warm_up_runs),
        "the number of threads": (log.threads or request.threads, request.threads),
    }
    for name, (echoed, asked) in told.items():
        if echoed != asked:
            raise MeasurementError(
                f"The runner took {echoed} for {name} instead of {asked}; take another runner, or "
                "report this."
            )


def _wanted(request: BenchmarkRequest) -> dict[str, str]:
    """All flags of a request by name, none of them optional here."""
    words = {
        "graph": request.graph,
        "num_threads": str(request.threads),
        "num_runs": str(request.runs),
        "min_secs": "0",
        "warmup_runs": str(request.warm_up_runs),
        "warmup_min_secs": "0",
        "max_secs": f"{request.max_s:g}",
    }
    if request.xnnpack is not None:
        words["use_xnnpack"] = _truth(request.xnnpack)
    if request.inputs:
        words["input_layer"] = ",".join(one.name for one in request.inputs)
        words["input_layer_shape"] = ":".join(
            ",".join(map(str, one.shape)) for one in request.inputs
        )
        words["input_layer_value_files"] = ",".join(
            f"{_escaped(one.name)}:{_escaped(one.path)}" for one in request.inputs
        )
    if request.output_path is not None:
        words["output_filepath"] = request.output_path
    if request.operator_profile:
        words["enable_op_profiling"] = "true"
        words["op_profiling_output_mode"] = "csv"
    if request.peak_memory:
        words["report_peak_memory_footprint"] = "true"
    return words


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _escaped(words: str) -> str:
    """A name or path as --input_layer_value_files takes it; --input_layer takes it as it is."""
    return words.replace(":", "::")


def _check_input(one: InputFile) -> None:
    if not one.shape or any(side < 1 for side in one.shape):
        raise MeasurementError(
            f"The input {one.name} cannot be fed in the shape {one.shape}; give every side as a "
            "number from 1."
        )
    for what, words in (("name", one.name), ("file", one.path)):
        # A comma separates inputs, and a colon that begins a path reads as part of the name's end.
        if not words or "," in words or words.startswith(":"):
            raise MeasurementError(
                f'The input\'s {what} "{words}" cannot be told to the runner, which separates '
                "inputs by commas; time this model with random inputs."
            )
