"""Why a run of ``benchmark_model`` measured nothing: the causes, who can mend them, and how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from fer_opt.errors import MeasurementError

__all__ = ["BenchmarkFailedError", "Blame", "Cause", "Failure"]

Blame = Literal["model", "inputs", "settings", "runner", "phone"]
"""Where the way out begins.

``model``: this model cannot run here, others may. ``inputs``: what it was fed does not fit it.
``settings``: how it was asked to be timed. ``runner``: nothing can be timed with this program.
``phone``: the phone's state; the same run may succeed later.
"""


class Cause(StrEnum):
    """What went wrong, told apart."""

    MODEL_MISSING = "model missing"
    MODEL_UNREADABLE = "model unreadable"
    MODEL_EMPTY = "model empty"
    MODEL_DAMAGED = "model damaged"
    CUSTOM_OPERATOR = "custom operator"
    FLEX_OPERATOR = "Flex operator"
    NEWER_OPERATOR = "newer operator version"
    UNKNOWN_OPERATOR = "unknown operator"
    OPERATOR_REFUSED = "operator refused"
    INFERENCE_FAILED = "inference failed"
    SIGNATURE = "signature"
    INPUT_LAYERS = "input layers"
    INPUT_SHAPE = "input shape"
    INPUT_FILE_MISSING = "input file missing"
    INPUT_FILE_SIZE = "input file of the wrong size"
    INPUT_TYPE = "input type"
    FLAG_VALUE = "flag value"
    NO_GRAPH = "no model named"
    UNKNOWN_FLAGS = "unknown flags"
    DELEGATE = "delegate"
    RESULT_FILE = "result file"
    TOO_FEW_RUNS = "too few runs"
    NO_RUNS = "no runs"
    TOO_FAST = "too fast"
    OUT_OF_MEMORY = "out of memory"
    CRASH = "crash"
    WRONG_PROCESSOR = "wrong processor"
    RUNNER_UNUSABLE = "runner unusable"
    TIMEOUT = "timeout"
    STOPPED = "stopped from outside"
    NO_LOG = "no log"
    CUT_OFF = "log cut off"
    CONTRADICTION = "contradiction"
    OTHER = "other"


_MENDED: dict[Cause, tuple[Blame, str]] = {
    Cause.MODEL_MISSING: ("phone", "push it again"),
    Cause.MODEL_UNREADABLE: ("phone", "give a .tflite file and push it again"),
    Cause.MODEL_EMPTY: ("model", "convert the model again"),
    Cause.MODEL_DAMAGED: ("model", "convert or copy the model again"),
    Cause.CUSTOM_OPERATOR: (
        "model",
        "convert the model without it, or build a runner that holds it (--runner)",
    ),
    Cause.FLEX_OPERATOR: (
        "model",
        "convert the model with TensorFlow Lite's own operators, or take the runner that brings "
        "TensorFlow's (benchmark_model_plus_flex, --runner)",
    ),
    Cause.NEWER_OPERATOR: ("model", "take a newer runner, or convert with an older TensorFlow"),
    Cause.UNKNOWN_OPERATOR: ("model", "take a newer runner, or convert the model again"),
    Cause.OPERATOR_REFUSED: ("model", "convert the model again, or time it without XNNPACK"),
    Cause.INFERENCE_FAILED: ("model", "try it on this computer, or time it without XNNPACK"),
    Cause.SIGNATURE: ("model", "convert the model with one signature only"),
    Cause.INPUT_LAYERS: ("inputs", "take a newer runner, or time with random inputs"),
    Cause.INPUT_SHAPE: ("inputs", "give inputs of the model's own shape"),
    Cause.INPUT_FILE_MISSING: ("phone", "push the inputs again"),
    Cause.INPUT_FILE_SIZE: ("inputs", "give inputs of the model's own shape and type"),
    Cause.INPUT_TYPE: ("inputs", "time it with input files, or convert it with a float input"),
    Cause.FLAG_VALUE: ("settings", "change that setting, or take a newer runner"),
    Cause.NO_GRAPH: ("settings", "report this together with the log"),
    Cause.UNKNOWN_FLAGS: ("runner", "take a newer runner, or report this together with the log"),
    Cause.DELEGATE: ("settings", "leave the choice of delegate to the runner"),
    Cause.RESULT_FILE: ("phone", "free some space on the phone and try again"),
    Cause.TOO_FEW_RUNS: ("settings", "allow more time, or ask for fewer runs"),
    Cause.NO_RUNS: ("settings", "ask for one run or more"),
    Cause.TOO_FAST: ("model", "time a larger model"),
    Cause.OUT_OF_MEMORY: ("phone", "close other apps or time a smaller model"),
    Cause.CRASH: ("model", "convert the model again, or take another runner"),
    Cause.WRONG_PROCESSOR: ("runner", "take the runner built for this phone's ABI"),
    Cause.RUNNER_UNUSABLE: ("runner", "push the runner again"),
    Cause.TIMEOUT: ("settings", "ask for fewer runs, allow more time, or leave this model out"),
    Cause.STOPPED: ("phone", "try again"),
    Cause.NO_LOG: ("phone", "try again, and restart the phone if it happens again"),
    Cause.CUT_OFF: ("phone", "try again, and restart the phone if it happens again"),
    Cause.CONTRADICTION: ("phone", "try again, and report this if it happens again"),
    Cause.OTHER: ("model", "try another runner, or report this together with the log"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed run.

    Attributes:
        cause: told apart from the others.
        what: it, in words that may follow "was not timed: ".
    """

    cause: Cause
    what: str

    @property
    def blame(self) -> Blame:
        """Where the way out begins."""
        return _MENDED[self.cause][0]

    @property
    def way_out(self) -> str:
        """What to do, as an order."""
        return _MENDED[self.cause][1]


class BenchmarkFailedError(MeasurementError):
    """A run of ``benchmark_model`` that measured nothing, or nothing to be believed.

    Attributes:
        failure: its cause, for those who act on it.
        last_lines: the log's last lines in one; empty for an empty log.
    """

    def __init__(self, model: str, failure: Failure, last_lines: str) -> None:
        """The sentence of a run of ``model`` that failed."""
        self.failure = failure
        self.last_lines = last_lines
        heard = f" (the log says: {last_lines})" if last_lines else ""
        super().__init__(f"{model} was not timed: {failure.what}; {failure.way_out}{heard}.")
