"""Why a run failed: what its log says first, how it ended second."""

from __future__ import annotations

import re

from fer_opt.device.benchmark_model.failures import Cause, Failure
from fer_opt.device.benchmark_model.lines import Line, quoted
from fer_opt.device.benchmark_model.rules import LONGEST, first_match

__all__ = ["failed_write", "find_failure", "unknown_flags"]

TIMED_OUT = 124
"""What ``timeout`` ends with when it stopped its command."""

# 128 + the number of the signal, which is the same on all of Android's processors.
_SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 31: "SIGSYS",
}  # fmt: skip

_UNKNOWN_FLAGS = re.compile(r"Unconsumed cmdline flags: *(.*)")
_DENIAL = re.compile(r"\b(?:fail|failed|fails|could not|cannot|can't|unable)\b", re.IGNORECASE)
_WRITING = re.compile(r"\b(?:open|writ|sav|creat|export)(?:e|ing)?\b", re.IGNORECASE)
_RESULT = re.compile(r"\b(?:file|path|result|output|profile|csv|proto)s?\b", re.IGNORECASE)


def unknown_flags(lines: tuple[Line, ...]) -> Failure | None:
    """Flags the runner ignored: it did not do what it was asked, though it ends with 0."""
    for line in lines:
        if found := _UNKNOWN_FLAGS.match(line.text):
            return Failure(Cause.UNKNOWN_FLAGS, f"the runner does not know {quoted(found[1])}")
    return None


def failed_write(lines: tuple[Line, ...]) -> Failure | None:
    """A file the runner could not write, which it says and then ends with 0."""
    for line in lines:
        # Other errors that leave the status 0 are notices of delegates that decline some operators.
        words = line.text[:LONGEST] if line.level == "ERROR" else ""
        if all(sign.search(words) for sign in (_DENIAL, _WRITING, _RESULT)):
            said = quoted(line.text).rstrip(".")
            return Failure(Cause.RESULT_FILE, f"the runner could not write a result ({said})")
    return None


def find_failure(lines: tuple[Line, ...], status: int) -> Failure | None:
    """The cause that the log names, or else the exit status.

    Args:
        lines: of both streams, in any order.
        status: as a shell tells it, 128 + n where signal n ended the process.

    Returns:
        None where both look like success; whether anything was measured is another question.
    """
    if ignored := unknown_flags(lines):
        return ignored
    gave_up = any(line.text.startswith("Benchmarking failed") for line in lines)
    if status == 0 and not gave_up:
        return None
    if status == TIMED_OUT:  # the shell may add that it was killed
        return Failure(Cause.TIMEOUT, f"it had not ended in time and was stopped (status {status})")
    if named := first_match(lines):
        return named
    return _by_status(status) or _unnamed(lines, status)


def _by_status(status: int) -> Failure | None:
    if status == 126:
        return Failure(Cause.RUNNER_UNUSABLE, "the runner may not be run (status 126)")
    if status == 127:
        return Failure(Cause.RUNNER_UNUSABLE, "the runner is not there (status 127)")
    name = _SIGNALS.get(status - 128)
    if name is None:
        return None
    if name == "SIGKILL":
        return Failure(
            Cause.OUT_OF_MEMORY,
            f"it was killed, most likely because the phone's memory ran out (status {status})",
        )
    if name == "SIGILL":
        return Failure(
            Cause.WRONG_PROCESSOR,
            f"the runner used an instruction this processor lacks (status {status})",
        )
    if name in ("SIGHUP", "SIGINT", "SIGPIPE", "SIGALRM", "SIGTERM"):
        return Failure(Cause.STOPPED, f"the runner was stopped ({name}, status {status})")
    return Failure(Cause.CRASH, f"the runner crashed ({name}, status {status})")


def _unnamed(lines: tuple[Line, ...], status: int) -> Failure:
    said = next((line for line in lines if line.level in ("ERROR", "FATAL")), None)
    heard = "" if said is None else f": {quoted(said.text).rstrip('.')}"
    if not lines:
        return Failure(Cause.NO_LOG, f"it ended with status {status} and printed nothing")
    return Failure(Cause.OTHER, f"the runner failed (status {status}){heard}")
