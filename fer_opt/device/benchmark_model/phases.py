"""Warm-up and counted inferences of one run, and whether they are all there and fit together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fer_opt.device.benchmark_model.failures import Cause, Failure
from fer_opt.device.benchmark_model.lines import Line, quoted
from fer_opt.device.benchmark_model.timings import (
    NUMBER,
    Timings,
    agree,
    fault_of,
    parse_timings,
)
from fer_opt.device.measurement import InferenceSummary

__all__ = ["Asked", "Phases", "read_phases"]

# Builds of 2018 name no minimum, those of early 2019 no maximum.
_ASKED = re.compile(
    r"Running benchmark for (?:at least )?(\d{1,10}) iterations?"
    rf"(?: and at least ({NUMBER}) seconds)?"
    rf"(?: but terminate if exceeding ({NUMBER}) seconds)?"
)
_SUMMARY = re.compile(
    rf"Inference timings in us: Init: (?P<init>{NUMBER}), First inference: (?P<first>{NUMBER}), "
    rf"Warmup \(avg\): (?P<warm_up>{NUMBER}), Inference \(avg\): (?P<mean>{NUMBER})\s*$"
)
_OLD_SUMMARY = re.compile(
    rf"Average inference timings in us: Warmup: (?P<warm_up>{NUMBER}), Init: (?P<init>{NUMBER}), "
    rf"(?:no stats|Inference): (?P<mean>{NUMBER})\s*$"
)
_INITIALISED = re.compile(rf"Initialized session in ({NUMBER})ms")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a phase was to take, as the runner understood it.

    Attributes:
        runs: the least number of inferences.
        min_s: for how many seconds it goes on nevertheless; None where the build knows no such.
        max_s: after how many seconds it ends nevertheless; None likewise.
    """

    runs: int
    min_s: float | None
    max_s: float | None


@dataclass(frozen=True, slots=True)
class Phases:
    """Both phases of a run, complete and consistent.

    Attributes:
        initialisation_ms: before them.
        asked_warm_up: of the first.
        warm_up: its times.
        asked: of the second.
        counted: its times.
    """

    initialisation_ms: float
    asked_warm_up: Asked
    warm_up: Timings
    asked: Asked
    counted: InferenceSummary


def read_phases(lines: tuple[Line, ...]) -> Phases | Failure:
    """Both phases, or what is missing of them or wrong with them.

    Two lines of times look alike; the first is the warm-up. The closing summary repeats
    their means: only with it is a log known to be whole.
    """
    announced: list[Asked] = []
    timed: list[Timings] = []
    summary: re.Match[str] | None = None
    initialised: re.Match[str] | None = None
    for line in lines:
        if found := _ASKED.match(line.text):
            announced.append(_asked(found))
        elif line.text.startswith("count="):
            timings = parse_timings(line.text) if line.whole else None
            if timings is None or len(timed) + 1 != len(announced):
                return _garbled(line)
            timed.append(timings)
        elif found := _SUMMARY.match(line.text) or _OLD_SUMMARY.match(line.text):
            if summary is not None:
                return _garbled(line)
            summary = found
        elif found := _INITIALISED.match(line.text):
            initialised = found
    if missing := _missing(lines, announced, timed, summary):
        return missing
    assert summary is not None
    return _checked(announced, timed, summary, initialised)


def _asked(found: re.Match[str]) -> Asked:
    return Asked(
        runs=int(found[1]),
        min_s=None if found[2] is None else float(found[2]),
        max_s=None if found[3] is None else float(found[3]),
    )


def _garbled(line: Line) -> Failure:
    if not line.whole:
        return Failure(Cause.CUT_OFF, "its log breaks off within a line of times")
    return Failure(
        Cause.CONTRADICTION, f'its log holds times that cannot be understood: "{quoted(line.text)}"'
    )


def _missing(
    lines: tuple[Line, ...],
    announced: list[Asked],
    timed: list[Timings],
    summary: re.Match[str] | None,
) -> Failure | None:
    if not lines:
        return Failure(Cause.NO_LOG, "the runner printed nothing")
    if len(announced) > 2:
        return Failure(Cause.CONTRADICTION, "its log tells of more than one run")
    if not announced:
        return Failure(Cause.CUT_OFF, "its log ends before the first inference")
    if not timed:
        return Failure(Cause.CUT_OFF, "its log ends during the warm-up")
    if len(timed) == 1:
        return Failure(Cause.CUT_OFF, "its log ends after the warm-up, before anything counted")
    if summary is None:
        return Failure(Cause.CUT_OFF, "its log ends before the closing summary")
    return None


def _checked(
    announced: list[Asked],
    timed: list[Timings],
    summary: re.Match[str],
    initialised: re.Match[str] | None,
) -> Phases | Failure:
    warm_up, counted = timed
    initialisation_ms = float(summary["init"]) / 1000
    if counted.summary is None:
        return Failure(Cause.NO_RUNS, "no inference was counted")
    if fault := fault_of(warm_up) or fault_of(counted) or _unlike(timed, summary):
        return Failure(Cause.CONTRADICTION, f"its times contradict each other ({fault})")
    if initialisation_ms < 0 or (
        initialised is not None and not agree(float(initialised[1]), initialisation_ms)
    ):
        return Failure(Cause.CONTRADICTION, "its log tells two times of initialisation")
    for phase, asked, done in (("warm-up", announced[0], warm_up), ("", announced[1], counted)):
        if done.count < asked.runs:
            return _too_few(phase, asked, done.count)
        if done.count > asked.runs and (asked.min_s or 0) <= 0:
            return Failure(
                Cause.CONTRADICTION, f"its log tells of {done.count} runs instead of {asked.runs}"
            )
    typical_ms = counted.summary.median_ms
    if not (counted.summary.mean_ms if typical_ms is None else typical_ms):
        return Failure(
            Cause.TOO_FAST, "an inference takes less than a microsecond, which the runner calls 0"
        )
    return Phases(initialisation_ms, announced[0], warm_up, announced[1], counted.summary)


def _unlike(timed: list[Timings], summary: re.Match[str]) -> str:
    """Which of the closing summary's numbers differs from those before it; empty for none."""
    warm_up, counted = timed
    told = summary.groupdict()
    expected = {
        "warm_up": 0.0 if warm_up.summary is None else warm_up.summary.mean_ms,
        "mean": 0.0 if counted.summary is None else counted.summary.mean_ms,
        "first": warm_up.first_ms or 0.0,
    }
    for name, value_ms in expected.items():
        if told.get(name) is not None and not agree(float(told[name]) / 1000, value_ms):
            return "the closing summary differs"
    return ""


def _too_few(phase: str, asked: Asked, done: int) -> Failure:
    kind = f"{phase} runs" if phase else "runs"
    limit = "" if asked.max_s is None else f", since the runner stops after {asked.max_s:g} s"
    return Failure(Cause.TOO_FEW_RUNS, f"only {done} of {asked.runs} {kind} were done{limit}")
