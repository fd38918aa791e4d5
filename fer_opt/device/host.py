"""The computer fer-opt runs on as a device: a fresh worker process for each measurement."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fer_opt.device import host_worker
from fer_opt.device.conditions import read_conditions
from fer_opt.device.cpus import choose_cpus
from fer_opt.device.host_facts import host_facts
from fer_opt.device.host_worker import WorkerAnswer, WorkerJob, WorkerResult
from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.device.worker_process import EndedWorker, run_worker
from fer_opt.errors import MeasurementError
from fer_opt.files import sha256_of

__all__ = ["HostDevice", "check_file", "delegate_of", "worker_request"]


@dataclass(frozen=True, slots=True)
class HostDevice:
    """Times models on the computer fer-opt runs on; see :class:`fer_opt.device.protocol.Device`.

    Attributes:
        settings: how each process times its model.
    """

    settings: TimingSettings = field(default_factory=TimingSettings)

    def facts(self) -> DeviceFacts:
        """Facts of this computer; what it does not tell is named with the reason."""
        return host_facts()

    def measure(
        self, job: TimingJob, *, order_index: int, round_index: int, session: str
    ) -> Measurement:
        """Time ``job`` in a fresh process that ends before this returns or raises.

        Args:
            job: the model.
            order_index: place in the plan, counted from 0.
            round_index: round of the plan; round r starts at input r·runs, so that rounds see
                different inputs and the models of one round the same.
            session: identifies the uninterrupted run of fer-opt.

        Raises:
            MeasurementError: the file is missing or has changed, LiteRT cannot load or run it,
                the inputs do not fit, or the process crashed, ran out of memory or of time.
        """
        check_file(job)
        cpus = choose_cpus(self.settings.threads, self.settings.cpus)
        request = worker_request(job, self.settings, cpus, round_index)
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        before = read_conditions(cpus)
        result, log = _run_worker(job, request, self.settings.timeout_s)
        return Measurement(
            model=job.model,
            model_sha256=job.sha256,
            order_index=order_index,
            round_index=round_index,
            session=session,
            started_at=started_at,
            initialisation_ms=result["initialisation_ms"],
            warm_up_ms=tuple(result["warm_up_ms"]),
            inference_ms=tuple(result["inference_ms"]),
            steady=result["steady"],
            threads=self.settings.threads,
            cpus=tuple(result["cpus"]),
            delegate=delegate_of(result["operators"], result["delegated"], log),
            peak_memory_bytes=result["peak_memory_bytes"],
            before=before,
            after=read_conditions(cpus),
        )


def check_file(job: TimingJob) -> None:
    """Refuse a file other than the job's.

    Raises:
        MeasurementError: it cannot be read, or has changed.
    """
    # Reading all of it also puts it into the page cache: initialisation never times the disk.
    try:
        found = sha256_of(job.path)
    except OSError as exc:
        raise MeasurementError(
            f"{job.path} cannot be read ({exc.strerror or exc}); give an existing .tflite file."
        ) from exc
    if found != job.sha256:
        raise MeasurementError(
            f"{job.path} is not the file that was to be timed (SHA-256 {found[:12]} instead of "
            f"{job.sha256[:12]}); it changed meanwhile, convert it again."
        )


def worker_request(
    job: TimingJob, settings: TimingSettings, cpus: tuple[int, ...], round_index: int
) -> WorkerJob:
    """What a worker is asked for ``job`` in a round."""
    return {
        "path": os.fspath(job.path),
        "inputs": None if job.inputs is None else os.fspath(job.inputs),
        "first_input": round_index * settings.runs,
        "runs": settings.runs,
        "threads": settings.threads,
        "cpus": list(cpus),
        "warm_up_window": settings.warm_up_window,
        "warm_up_tolerance": settings.warm_up_tolerance,
        "warm_up_max_runs": settings.warm_up_max_runs,
        "warm_up_max_ms": settings.warm_up_max_ms,
        "random_low": settings.random_low,
        "random_high": settings.random_high,
        "random_seed": settings.random_seed,
    }


def _run_worker(job: TimingJob, request: WorkerJob, timeout_s: float) -> tuple[WorkerResult, str]:
    """The worker's result and what it printed to stderr; it is gone when this returns."""
    # By path, the working directory is not searched for modules; with -P, neither is the script's
    # own folder.
    ended = run_worker(["-P", host_worker.__file__], request, timeout_s, job.model)
    if ended.timed_out:
        raise MeasurementError(
            f"{job.path} was not timed: its process had not ended after {timeout_s:g} s and "
            "was stopped; ask for fewer runs or leave this model out."
        )
    return _result(job, ended), ended.log


def _result(job: TimingJob, ended: EndedWorker) -> WorkerResult:
    if not ended.answered:
        way_out = "convert the model again"
        raise MeasurementError(f"{job.path} was not timed: {ended.how(way_out)}")
    said: WorkerAnswer = json.loads(ended.answer)
    result = said["result"]
    if result is None:
        raise MeasurementError(f"{job.path} was not timed: {said['cause']}; {said['way_out']}.")
    return result


def delegate_of(operators: int | None, delegated: int | None, log: str) -> str:
    """What ran the graph, e.g. ``XNNPACK (5 of 7 operators)``; ``unknown`` where LiteRT hides it.

    Args:
        operators: of the main graph.
        delegated: of them, run by a delegate.
        log: what the process wrote to stderr.
    """
    if operators is None or delegated is None:
        return "unknown"
    if not delegated:
        return "none"
    # LiteRT names the delegate it applies by default only in its log.
    name = "XNNPACK" if "XNNPACK" in log else "default delegate"
    return name if delegated == operators else f"{name} ({delegated} of {operators} operators)"
