"""The process that times two models in turns: LiteRT and NumPy, nothing else.

Both interpreters live in one process, and single inferences alternate. So whatever slows this
machine for more than a few milliseconds (a neighbour on the same host, heat, the clock) slows both,
and their ratio stays. Where one thread does the work, its CPU time is read besides the wall clock:
it does not count the time the thread had to wait for a CPU.

Run as a module (``python -P -m fer_opt.device.host_pair_worker``); it reads one line of JSON
(:class:`PairJob`) from stdin and writes one (:class:`PairAnswer`) to stdout, as
:mod:`fer_opt.device.host_worker` does, with the same lifeline.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypedDict

from fer_opt.device.host_worker import (
    CONVERT,
    RefusalError,
    WorkerJob,
    brief,
    end_with_parent,
    fed,
    load,
    make_inputs,
    operator_coverage,
    peak_memory_bytes,
    pin,
    warm_up,
)

__all__ = ["PairAnswer", "PairJob", "PairResult", "SideResult", "main", "turn_order"]

SETTLING_TURNS = 2
"""Turns before the counted ones: each model warms up alone, and then finds the other's data in the
caches for the first time."""


class PairJob(TypedDict):
    """What the worker is asked: two models in the order they are loaded, and the turns' seed.

    CPUs, threads and runs are those of the first; ``cpu_clock`` asks for CPU times as well.
    """

    models: list[WorkerJob]
    seed: int
    cpu_clock: bool


class SideResult(TypedDict):
    """What was found of one model; ``cpu_ms`` is empty where it was not asked for."""

    initialisation_ms: float
    warm_up_ms: list[float]
    steady: bool
    wall_ms: list[float]
    cpu_ms: list[float]
    operators: int | None
    delegated: int | None


class PairResult(TypedDict):
    """What was found of both models, in the order asked, and of their process."""

    models: list[SideResult]
    cpus: list[int]
    peak_memory_bytes: int | None


class PairAnswer(TypedDict):
    """Either a result, or why there is none, whose fault it was and what the user can do.

    ``at_fault`` is the place of a model in the job; None where it is neither.
    """

    result: PairResult | None
    at_fault: int | None
    cause: str
    way_out: str


def main() -> int:
    """Serve one job; 0 when it was done."""
    # Ctrl-C reaches the whole terminal; the parent decides what becomes of the worker.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Native code may print; only the answer may reach the parent's pipe.
    answer_to = os.dup(1)
    os.dup2(2, 1)
    job: PairJob = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    answer = _answer(job)
    with os.fdopen(answer_to, "w", encoding="ascii") as pipe:
        pipe.write(json.dumps(answer) + "\n")
    return 0 if answer["result"] is not None else 1


def turn_order(turns: int, seed: int) -> list[tuple[int, int]]:
    """Which of the two models (0, 1) comes first in each turn: random, every second turn mirrored.

    Mirrored turns give each model as many first places as the other, and as many places right
    after itself, where it finds its own data in the caches.
    """
    chance = random.Random(seed)
    order: list[tuple[int, int]] = []
    while len(order) < turns:
        first = int(chance.random() < 0.5)
        order += [(first, 1 - first), (1 - first, first)]
    return order[:turns]


def _answer(job: PairJob) -> PairAnswer:
    answer: PairAnswer = {"result": None, "at_fault": None, "cause": "", "way_out": ""}
    try:
        cpus = pin(job["models"][0]["cpus"])
        sides = []
        for place, model in enumerate(job["models"]):
            answer["at_fault"] = place
            sides.append(_Side(model))
        answer["at_fault"] = None
        answer["result"] = _result(job, sides, cpus)
    except RefusalError as exc:
        answer["cause"], answer["way_out"] = exc.cause, exc.way_out
    except MemoryError:
        answer["cause"] = "memory ran out"
        answer["way_out"] = "close other programs or time a smaller model"
    return answer


class _Side:
    """One model: loaded, warmed up, and ready for its counted inferences."""

    def __init__(self, job: WorkerJob) -> None:
        self.interpreter, self.initialisation_ms = load(job["path"], job["threads"])
        self.inputs = make_inputs(self.interpreter.get_input_details(), job)
        try:
            self.warm_up_ms, self.steady = warm_up(self.steps(), job)
        except (RuntimeError, ValueError) as exc:
            raise RefusalError(f"LiteRT failed while running it ({brief(exc)})", CONVERT) from exc

    def steps(self) -> Iterator[Callable[[], Any]]:
        """The calls to be timed, from the first input on."""
        return fed(self.interpreter, itertools.cycle(self.inputs))


def _result(job: PairJob, sides: Sequence[_Side], cpus: list[int]) -> PairResult:
    runs = job["models"][0]["runs"]
    try:
        settling = turn_order(SETTLING_TURNS, job["seed"])
        _time_turns([side.steps() for side in sides], settling, job["cpu_clock"])
        order = turn_order(runs, job["seed"])
        times = _time_turns([side.steps() for side in sides], order, job["cpu_clock"])
    except (RuntimeError, ValueError) as exc:
        raise RefusalError(f"LiteRT failed while running them ({brief(exc)})", CONVERT) from exc
    return {
        "models": [
            _side_result(side, wall_ms, cpu_ms)
            for side, (wall_ms, cpu_ms) in zip(sides, times, strict=True)
        ],
        "cpus": cpus,
        "peak_memory_bytes": peak_memory_bytes(),
    }


def _side_result(side: _Side, wall_ms: list[float], cpu_ms: list[float]) -> SideResult:
    operators, delegated = operator_coverage(side.interpreter)
    return {
        "initialisation_ms": side.initialisation_ms,
        "warm_up_ms": side.warm_up_ms,
        "steady": side.steady,
        "wall_ms": wall_ms,
        "cpu_ms": cpu_ms,
        "operators": operators,
        "delegated": delegated,
    }


def _time_turns(
    steps: Sequence[Iterator[Callable[[], Any]]], order: Sequence[tuple[int, int]], cpu_clock: bool
) -> list[tuple[list[float], list[float]]]:
    """Wall and CPU milliseconds of each model's calls, the garbage collector held off."""
    wall, cpu = time.perf_counter_ns, time.thread_time_ns
    times: list[tuple[list[float], list[float]]] = [([], []), ([], [])]
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for place in itertools.chain.from_iterable(order):
            call = next(steps[place])
            if cpu_clock:
                begin, cpu_begin = wall(), cpu()
                call()
                cpu_end, end = cpu(), wall()
                times[place][1].append((cpu_end - cpu_begin) / 1e6)
            else:
                begin = wall()
                call()
                end = wall()
            times[place][0].append((end - begin) / 1e6)
    finally:
        if was_enabled:
            gc.enable()
    return times


if __name__ == "__main__":
    sys.exit(main())
