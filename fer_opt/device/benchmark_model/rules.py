"""Which words in a log mean which cause, most telling first.

Wording as of the runner's and the runtime's sources (tensorflow/lite/tools/benchmark,
tensorflow/lite/core, tensorflow/lite/allocation.cc), of Android's linker and of its shell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from fer_opt.device.benchmark_model.failures import Cause, Failure
from fer_opt.device.benchmark_model.lines import Line, quoted

__all__ = ["LONGEST", "first_match"]

Lines = tuple[Line, ...]

LONGEST = 1000
"""Characters of a line that are looked at, more than any known message has."""

SAID_BY_RUNNER = ("ERROR", "FATAL", "")
SAID_BY_SYSTEM = ("",)


@dataclass(frozen=True, slots=True)
class Rule:
    """Words that begin a line, and what they mean.

    Attributes:
        cause: they tell of.
        words: at the beginning of the line.
        what: sentence part, in which {0}, {1} … stand for the words' groups.
        more: told from the other lines, put behind ``what``.
        levels: of the lines it may be read from; old builds print errors without one.
    """

    cause: Cause
    words: re.Pattern[str]
    what: str
    more: Callable[[Lines], str]
    levels: tuple[str, ...]


def first_match(lines: Lines) -> Failure | None:
    """The cause that the most telling line names; None where no line is known."""
    heard = [(line.level, line.text[:LONGEST]) for line in lines if line.level in SAID_BY_RUNNER]
    for rule in _RULES:
        for level, text in heard:
            if level in rule.levels and (found := rule.words.match(text)):
                what = rule.what.format(*(quoted(group or "") for group in found.groups()))
                return Failure(rule.cause, what + rule.more(lines))
    return None


def _rule(cause: Cause, words: str, what: str, more: Callable[[Lines], str] = lambda _: "") -> Rule:
    return Rule(cause, re.compile(words), what, more, SAID_BY_RUNNER)


def _system(cause: Cause, words: str, what: str) -> Rule:
    return Rule(cause, re.compile(words), what, lambda _: "", SAID_BY_SYSTEM)


def _failed_node(lines: Lines) -> str:
    for line in lines:
        if found := re.match(r"Node number (\d+) \(([^)]+)\) failed to ", line.text):
            return f": {quoted(found[2])} (node {found[1]})"
    return ""


def _signatures(lines: Lines) -> str:
    keys = [line.text.partition("Signature key:")[2].strip() for line in lines]
    found = [quoted(key) for key in keys if key]
    return f": {', '.join(found[:8])}" if found else ""


def _complaint(lines: Lines) -> str:
    for line in lines:
        if line.level == "ERROR" and not _GENERAL.match(line.text) and line.text.strip():
            return f" ({quoted(line.text).rstrip('.!')})"
    return ""


# These follow a more telling line, or say nothing.
_GENERAL = re.compile(
    r"Node number \d+ |Failed to allocate tensors|Failed to initialize the interpreter"
    r"|Benchmarking failed|Registration failed"
)

# What a shell says of a program that a signal ended.
_SHELL = r"(?:\[\d+\] ?[+-]? ?)?(?:\S+: )*(?:line \d+: )?(?:\d+ )?"

_RULES = (
    _rule(
        Cause.NO_GRAPH,
        r"Please specify the name of your TF ?Lite input file with --graph",
        "the runner was given no model",
    ),
    _rule(
        Cause.FLAG_VALUE,
        r"Failed to parse flag '([^']*)' against argv '(.*)'",
        "the runner does not take the value of {1}",
    ),
    _rule(
        Cause.FLAG_VALUE,
        r"Output mode(.*) is not supported",
        "the runner writes no operator profile as {0}",
    ),
    _rule(
        Cause.FLAG_VALUE,
        r"num_threads should be >= 0|Failed to set thread number",
        "the runner does not take that number of threads",
    ),
    _rule(
        Cause.FLAG_VALUE,
        r"(Required flag not provided: \S+|Too few command line arguments)",
        "the runner asks for more: {0}",
    ),
    _rule(
        Cause.INPUT_LAYERS,
        r"(The number of items in\s*--input_layer_shape|Cannot find the corresponding input_layer"
        r"|Wrong input value (?:file|range) item|.*Inputs mismatch"
        r"|.*(?:contains more than one|doesn't contain any) delimiter)",
        "the runner cannot tell which input is meant",
    ),
    _rule(
        Cause.INPUT_SHAPE,
        r"Input tensor ?#(\d+) should have (\d+) dimensions",
        "its input {0} has {1} dimensions, not as many as the inputs given",
    ),
    _rule(
        Cause.INPUT_SHAPE,
        r"Any unknown sizes in the shapes|.*Incorrect size string specified",
        "the shape given for its input is none",
    ),
    _rule(
        Cause.INPUT_SHAPE,
        r".*failed to reshape",
        "its operators do not take the shape given for its input",
    ),
    _rule(
        Cause.INPUT_FILE_MISSING,
        r"Failed to read the input_layer_value_file:\s*(.*)",
        "its input file {0} cannot be read",
    ),
    _rule(
        Cause.INPUT_FILE_SIZE,
        r"The size of (.*) is (-?\d+) bytes\. It should be (\d+) bytes",
        "its input file {0} holds {1} bytes instead of {2}",
    ),
    _rule(
        Cause.INPUT_FILE_SIZE,
        r"The number of string in the input_layer_value_file\((.*)\) is (\d+)\. It should be (\d+)",
        "its input file {0} holds {1} strings instead of {2}",
    ),
    _rule(
        Cause.INPUT_TYPE,
        r"Don't know how to populate tensor|Populating the tensor",
        "the runner makes no random values of its input's type",
    ),
    _rule(
        Cause.SIGNATURE,
        r"Signature not specified or incorrect",
        "one of its signatures must be named",
        _signatures,
    ),
    _rule(
        Cause.FLEX_OPERATOR,
        r"Select TensorFlow op\(s\)|Regular TensorFlow ops are not supported"
        r"|Encountered unresolved custom op: Flex",
        "it needs operators of TensorFlow (Flex) that the runner lacks",
        _failed_node,
    ),
    _rule(
        Cause.CUSTOM_OPERATOR,
        r"Encountered unresolved custom op: (\S+?)\.?(?:\s|$)",
        "it needs the custom operator {0}, which the runner lacks",
    ),
    _rule(
        Cause.NEWER_OPERATOR,
        r"Didn't find op for builtin opcode '(\w+)' version '(\d+)'",
        "it needs version {1} of the operator {0}, and the runner is older",
    ),
    _rule(
        Cause.UNKNOWN_OPERATOR,
        r"Op builtin_code out of range: (-?\d+)",
        "it needs operator number {0}, which the runner does not know",
    ),
    _rule(Cause.MODEL_MISSING, r"Could not open '(.*)'", "{0} cannot be opened on the phone"),
    _rule(Cause.MODEL_EMPTY, r"mmap of size 0 requested", "its file is empty"),
    _rule(
        Cause.MODEL_UNREADABLE,
        r"Mmap of '.*' at offset '.*' failed with error '(\d+)'",
        "what stands in its place cannot be read as a file (error {0})",
    ),
    _rule(
        Cause.MODEL_DAMAGED,
        r"The model is not a valid Flatbuffer|Model provided has model identifier"
        r"|Failed to (?:load|mmap) model",
        "its file is no TFLite model, or is damaged or cut off",
    ),
    _rule(
        Cause.DELEGATE,
        r"Failed to apply (\S+) delegate",
        "the {0} delegate could not be applied to it",
    ),
    _rule(
        Cause.DELEGATE,
        r"Disallowed CPU fallback detected",
        "the delegate cannot run all of it",
    ),
    _rule(
        Cause.OUT_OF_MEMORY,
        r".*(?:std::bad_alloc|lowmemorykiller|[Oo]ut of memory|Cannot allocate memory)",
        "memory ran out",
    ),
    _rule(
        Cause.INFERENCE_FAILED,
        r"Node number (\d+) \(([^)]+)\) failed to invoke|Failed to invoke",
        "one of its operators failed while it ran",
        lambda lines: _failed_node(lines) + _complaint(lines),
    ),
    _rule(
        Cause.OPERATOR_REFUSED,
        r"Node number \d+ \([^)]+\) failed to prepare|Failed to allocate tensors"
        r"|Failed to initialize the interpreter",
        "the runner could not prepare it",
        lambda lines: _failed_node(lines) + _complaint(lines),
    ),
    _system(
        Cause.WRONG_PROCESSOR,
        r".*(?:not executable: (\S+ ELF) file|Exec format error|cannot execute binary file"
        r"|has unexpected e_machine|is \d\d-bit instead of \d\d-bit"
        r"|[Oo]nly position independent executables)",
        "the runner was built for another processor or Android",
    ),
    _system(
        Cause.RUNNER_UNUSABLE,
        r"CANNOT LINK EXECUTABLE.*|.*error while loading shared libraries.*",
        "the runner lacks a library on this phone",
    ),
    _system(
        Cause.RUNNER_UNUSABLE,
        r".*(?:inaccessible or not found|: not found|can't execute: Permission denied"
        r"|: Permission denied|: No such file or directory)$",
        "the runner is not there, or may not be run",
    ),
    _system(Cause.OUT_OF_MEMORY, _SHELL + r"Killed\b", "it was killed, most likely for its memory"),
    _system(
        Cause.WRONG_PROCESSOR,
        _SHELL + r"Illegal instruction",
        "the runner used an instruction this processor lacks",
    ),
    _system(
        Cause.CRASH,
        _SHELL + r"(Segmentation fault|Bus error|Aborted|Trace/breakpoint trap|Bad system call)",
        "the runner crashed ({0})",
    ),
    _system(
        Cause.STOPPED, _SHELL + r"(Terminated|Hangup|Interrupt)\b", "the runner was stopped ({0})"
    ),
    _rule(Cause.FLAG_VALUE, r"usage: ", "the runner printed its usage instead"),
)
