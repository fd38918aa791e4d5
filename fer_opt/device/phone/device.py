"""A phone as a device: a fresh ``benchmark_model`` process for each measurement."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from fer_opt.device.benchmark_model import (
    BenchmarkFailedError,
    BenchmarkLog,
    BenchmarkRequest,
    InputFile,
    build_words,
    check_echo,
    left_out,
    parse_log,
)
from fer_opt.device.blocks import RestartedError
from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.device.phone.canary import CANARY, CANARY_RUNS, CANARY_WARM_UP_RUNS
from fer_opt.device.phone.conditions import PhoneState, clock_difference_s
from fer_opt.device.phone.cpus import cpu_mask
from fer_opt.device.phone.folder import tracked
from fer_opt.device.phone.reconnect import Steady
from fer_opt.device.phone.results import PhoneSettings
from fer_opt.device.phone.samples import Prepared
from fer_opt.device.phone.states import States
from fer_opt.device.protocol import TimingJob
from fer_opt.errors import LinkLostError, MeasurementError, PhoneError, RunnerError

__all__ = ["STEADY_WITHIN", "PhoneDevice", "PlacedModel", "is_steady"]

STEADY_WITHIN = 0.10
"""Relative difference between warm-up and counted inferences that counts as steady."""

START_S = 60.0
"""Allowed for loading a model and starting the runner, besides the inferences' own limit."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PlacedModel:
    """A model on the phone.

    Attributes:
        prepared: the model and its tensors.
        graph: its path on the phone.
        samples: for each sample the path of each input's raw file on the phone.
    """

    prepared: Prepared
    graph: str
    samples: tuple[tuple[str, ...], ...]

    def inputs(self, sample: int) -> tuple[InputFile, ...]:
        """What the runner is to feed; samples are counted round and round."""
        files = self.samples[sample % len(self.samples)]
        return tuple(
            InputFile(name, shape, path)
            for (name, shape), path in zip(self.prepared.inputs, files, strict=True)
        )


@dataclass(frozen=True, slots=True)
class PhoneDevice:
    """Times models on a phone; see :class:`fer_opt.device.protocol.Device`.

    ``benchmark_model`` tells of its inferences only a summary, and of the warm-up only the mean:
    a measurement's ``inference_ms`` and ``warm_up_ms`` are empty.

    Attributes:
        steady: the connection.
        known: the phone's facts.
        settings: how models are timed.
        cpus: that processes are pinned to; empty pins them nowhere.
        runner: its path on the phone.
        flags: that it knows.
        models: that are on the phone, by the name of their job; the canary among them.
        states: reads the phone's state around processes.
        warn: told of what processes warn of, a sentence each; of the same one again and again.
    """

    steady: Steady
    known: DeviceFacts
    settings: PhoneSettings
    cpus: tuple[int, ...]
    runner: str
    flags: frozenset[str]
    models: Mapping[str, PlacedModel]
    states: States = field(default_factory=States)
    warn: Callable[[str], None] = lambda warning: None

    def facts(self) -> DeviceFacts:
        """Facts of this phone; what it does not tell is named with the reason."""
        return self.known

    def measure(
        self, job: TimingJob, *, order_index: int, round_index: int, session: str
    ) -> Measurement:
        """Time ``job`` in a fresh process that has ended on the phone when this returns.

        A measurement that a lost connection interrupts is repeated. So is, once, one that failed
        for what may pass: the phone was short of memory, or something stopped the process.

        Args:
            job: the model, which is on the phone already.
            order_index: place in the plan, counted from 0.
            round_index: round of the plan; round r feeds sample r, all models of a round the same.
            session: identifies the uninterrupted run of fer-opt.

        Raises:
            MeasurementError: this model was not timed; others may be.
            RestartedError: the phone has restarted meanwhile.
            RunnerError: nothing can be timed with this runner.
            LinkLostError: the phone is gone and did not come back.
            PhoneError: the phone cannot be used.
        """
        placed = self._placed(job)
        request = self.request(placed, round_index)
        timed = self._twice(job, lambda: self._time_once(request))
        return Measurement(
            model=job.model,
            model_sha256=job.sha256,
            order_index=order_index,
            round_index=round_index,
            session=session,
            started_at=timed.started_at,
            initialisation_ms=timed.log.initialisation_ms,
            warm_up_ms=(),
            inference_ms=(),
            steady=is_steady(timed.log),
            threads=self.settings.threads,
            cpus=self.cpus,
            delegate=timed.log.delegate.words,
            peak_memory_bytes=timed.log.memory.overall_bytes,
            before=timed.before.conditions,
            after=timed.after.conditions,
            summary=timed.log.counted,
            clock_s=clock_difference_s(timed.before.clock_times, timed.after.clock_times),
        )

    def time_canary(self) -> float:
        """The canary's median in a fresh process, in ms.

        Raises:
            MeasurementError: it was not timed.
            RestartedError: the phone has restarted meanwhile.
            RunnerError: nothing can be timed with this runner.
            PhoneError: the phone cannot be used.
        """
        placed = self._placed(CANARY)
        request = self.request(placed, 0, runs=CANARY_RUNS, warm_up_runs=CANARY_WARM_UP_RUNS)
        self.states.forget()
        _, log = self._twice(CANARY, lambda: self.run(request))
        return log.counted.mean_ms if log.counted.median_ms is None else log.counted.median_ms

    def request(
        self,
        placed: PlacedModel,
        sample: int,
        *,
        runs: int | None = None,
        warm_up_runs: int | None = None,
        output_path: str | None = None,
        operator_profile: bool = False,
    ) -> BenchmarkRequest:
        """A process of ``placed`` under the settings, as far as nothing else is stated."""
        return BenchmarkRequest(
            graph=placed.graph,
            runs=self.settings.runs if runs is None else runs,
            warm_up_runs=self.settings.warm_up_runs if warm_up_runs is None else warm_up_runs,
            threads=self.settings.threads,
            max_s=self.settings.max_s,
            xnnpack=self.settings.xnnpack,
            inputs=placed.inputs(sample),
            output_path=output_path,
            operator_profile=operator_profile,
        )

    def run(self, request: BenchmarkRequest) -> tuple[str, BenchmarkLog]:
        """Run one process; what it printed, and the same as values.

        Raises:
            MeasurementError: it measured nothing, or not what was asked.
            PhoneError: the phone is gone or cannot be used.
        """
        words = build_words(self.runner, request, self.flags)
        if self.cpus:
            words = ["taskset", cpu_mask(self.cpus), *words]
        timeout_s = 2 * self.settings.max_s + START_S  # the limit holds for warm-up and runs each
        begin = time.monotonic()
        try:
            finished = self.steady.link.job(tracked(words), timeout_s=timeout_s)
        except LinkLostError:
            raise
        except PhoneError as exc:
            if time.monotonic() - begin < timeout_s:
                raise
            raise MeasurementError(
                f"its process had not ended after {timeout_s:g} s and was killed; ask for fewer "
                "runs or leave this model out."
            ) from exc
        log = parse_log(finished.output, finished.status)
        check_echo(log, request)
        self._pass_on_warnings(request, log)
        return finished.output, log

    def _pass_on_warnings(self, request: BenchmarkRequest, log: BenchmarkLog) -> None:
        for name in left_out(request, self.flags):
            self.warn(f"This build of the runner does not know --{name}, and ran without it.")
        models = (name for name, one in self.models.items() if one.graph == request.graph)
        if (model := next(models, CANARY.model)) != CANARY.model:
            for line in log.warnings:
                self.warn(f"{model}: {line.rstrip('.')}.")

    def _time_once(self, request: BenchmarkRequest) -> _Timed:
        before = self.states.before(self.steady.link, self.cpus)
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        _, log = self.run(request)
        return _Timed(log, started_at, before, self.states.after(self.steady.link, self.cpus))

    def _twice(self, job: TimingJob, process: Callable[[], Result]) -> Result:
        """Run a process, once more where it failed for what may pass; errors name the model."""
        try:
            try:
                return self.steady.run(process, restart_voids=True)
            except BenchmarkFailedError as exc:
                if exc.failure.blame != "phone":
                    raise
            return self.steady.run(process, restart_voids=True)
        except RestartedError:
            raise
        except BenchmarkFailedError as exc:
            named = BenchmarkFailedError(str(job.path), exc.failure, exc.last_lines)
            if exc.failure.blame == "runner":  # no other model would fare better
                raise RunnerError(str(named)) from exc
            raise named from exc
        except MeasurementError as exc:
            reason = str(exc)
            raise MeasurementError(
                f"{job.path} was not timed: {reason[:1].lower()}{reason[1:]}"
            ) from exc

    def _placed(self, job: TimingJob) -> PlacedModel:
        placed = self.models.get(job.model)
        if placed is None or placed.prepared.job.sha256 != job.sha256:
            raise MeasurementError(
                f"{job.path} was not timed: it is not on the phone; push it first."
            )
        return placed


@dataclass(frozen=True, slots=True)
class _Timed:
    """One process, and what was true around it."""

    log: BenchmarkLog
    started_at: str
    before: PhoneState
    after: PhoneState


def is_steady(log: BenchmarkLog) -> bool:
    """Whether warm-up had ended when counting began, as far as a runner's summaries tell.

    The first inference, which finds everything cold, is taken out of the warm-up's mean; what is
    left differs from the counted inferences' median by at most :data:`STEADY_WITHIN`. With fewer
    than two warm-up inferences it cannot be told, and is False.
    """
    warm_up, first_ms = log.warm_up, log.first_inference_ms
    if warm_up is None or first_ms is None or warm_up.count < 2:
        return False
    later_ms = (warm_up.mean_ms * warm_up.count - first_ms) / (warm_up.count - 1)
    counted = log.counted
    typical_ms = counted.mean_ms if counted.median_ms is None else counted.median_ms
    return abs(later_ms - typical_ms) <= STEADY_WITHIN * typical_ms
