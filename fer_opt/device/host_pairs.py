"""Timing two models against each other on this computer, one fresh process a pair.

Why not two processes, as on a phone: on a computer shared with others, what the neighbours do
changes within a second, and separate processes never meet the same. See
:mod:`fer_opt.device.host_pair_worker` for what the process does.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import fer_opt
from fer_opt.device.conditions import read_conditions
from fer_opt.device.cpus import choose_cpus
from fer_opt.device.host import check_file, delegate_of, worker_request
from fer_opt.device.host_facts import host_facts
from fer_opt.device.host_pair_worker import PairAnswer, PairJob, PairResult, SideResult
from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.pair_measurement import Clock, PairMeasurement, PairOrder, PairSide
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.device.worker_process import EndedWorker, run_worker
from fer_opt.errors import MeasurementError

__all__ = ["HostPairs", "choose_clock", "measure_pair"]

COARSEST_CPU_CLOCK_S = 1e-5
"""Windows counts CPU time in ticks of 16 ms, which times nothing."""

SEED_STEP = 1_000_003
"""Keeps the turns of neighbouring seeds and pairs apart."""


@dataclass(frozen=True, slots=True)
class HostPairs:
    """The computer fer-opt runs on, timing pairs.

    Attributes:
        settings: how each process times its models; ``runs`` counted inferences of each.
    """

    settings: TimingSettings = field(default_factory=lambda: TimingSettings(runs=30))

    def facts(self) -> DeviceFacts:
        """Facts of this computer; what it does not tell is named with the reason."""
        return host_facts()

    def measure(
        self,
        baseline: TimingJob,
        candidate: TimingJob,
        *,
        pair_index: int,
        order: PairOrder,
        session: str,
    ) -> PairMeasurement:
        """One pair, see :func:`measure_pair`."""
        return measure_pair(
            baseline, candidate, self.settings, pair_index, order=order, session=session
        )


def measure_pair(
    baseline: TimingJob,
    candidate: TimingJob,
    settings: TimingSettings,
    pair_index: int,
    *,
    order: PairOrder = "AB",
    session: str = "",
) -> PairMeasurement:
    """Time both models in a fresh process that ends before this returns or raises.

    Args:
        baseline: the model compared with.
        candidate: the model in question.
        settings: how to time; the same for every pair.
        pair_index: counted from 0; also says which inputs come first, and picks the turns' order.
        order: which is loaded and warmed up first.
        session: identifies the uninterrupted run of fer-opt.

    Raises:
        MeasurementError: a file is missing or has changed, LiteRT cannot load or run it, the inputs
            do not fit, or the process crashed, ran out of memory or of time.
    """
    check_file(baseline)
    check_file(candidate)
    cpus = choose_cpus(settings.threads, settings.cpus)
    clock = choose_clock(settings.threads)
    jobs = (baseline, candidate) if order == "AB" else (candidate, baseline)
    request: PairJob = {
        "models": [worker_request(job, settings, cpus, pair_index) for job in jobs],
        "seed": settings.random_seed * SEED_STEP + pair_index,
        "cpu_clock": clock == "thread CPU time",
    }
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    before = read_conditions(cpus)
    result, log = _run(jobs, request, settings.timeout_s)
    sides = [_side(job, found, log) for job, found in zip(jobs, result["models"], strict=True)]
    base, other = sides if order == "AB" else reversed(sides)
    return PairMeasurement(
        pair_index=pair_index,
        order=order,
        session=session,
        started_at=started_at,
        clock=clock,
        threads=settings.threads,
        cpus=tuple(result["cpus"]),
        baseline=base,
        candidate=other,
        peak_memory_bytes=result["peak_memory_bytes"],
        before=before,
        after=read_conditions(cpus),
    )


def choose_clock(threads: int) -> Clock:
    """Thread CPU time where one thread does all the work and its clock is fine enough."""
    try:
        resolution_s = time.get_clock_info("thread_time").resolution
    except ValueError:
        return "wall clock"
    fine = resolution_s <= COARSEST_CPU_CLOCK_S
    return "thread CPU time" if threads == 1 and fine else "wall clock"


def _run(jobs: Sequence[TimingJob], request: PairJob, timeout_s: float) -> tuple[PairResult, str]:
    """The worker's result and what it printed to stderr; it is gone when this returns."""
    # With -P neither the working directory nor a folder named fer_opt in it is searched.
    home = os.fspath(Path(fer_opt.__file__).parent.parent)
    places = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    both = " and ".join(os.fspath(job.path) for job in jobs)
    ended = run_worker(
        ["-P", "-m", "fer_opt.device.host_pair_worker"],
        request,
        timeout_s,
        both,
        {"PYTHONPATH": os.pathsep.join(places)},
    )
    if ended.timed_out:
        raise MeasurementError(
            f"{both} were not timed: their process had not ended after {timeout_s:g} s and was "
            "stopped; ask for fewer runs."
        )
    return _result(jobs, both, ended), ended.log


def _result(jobs: Sequence[TimingJob], both: str, ended: EndedWorker) -> PairResult:
    if not ended.answered:
        way_out = "convert the models again"
        raise MeasurementError(f"{both} were not timed: {ended.how(way_out)}")
    said: PairAnswer = json.loads(ended.answer)
    result = said["result"]
    if result is None:
        at_fault = said["at_fault"]
        who = f"{both} were" if at_fault is None else f"{jobs[at_fault].path} was"
        raise MeasurementError(f"{who} not timed: {said['cause']}; {said['way_out']}.")
    return result


def _side(job: TimingJob, found: SideResult, log: str) -> PairSide:
    return PairSide(
        model=job.model,
        model_sha256=job.sha256,
        initialisation_ms=found["initialisation_ms"],
        warm_up_ms=tuple(found["warm_up_ms"]),
        steady=found["steady"],
        wall_ms=tuple(found["wall_ms"]),
        cpu_ms=tuple(found["cpu_ms"]),
        delegate=delegate_of(found["operators"], found["delegated"], log),
    )
