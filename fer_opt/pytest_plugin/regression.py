"""``assert_no_regression``: candidate and baseline side by side, until their pairs decide."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fer_opt.device.host_pairs import HostPairs
from fer_opt.device.measurement import Measurement
from fer_opt.device.pair_measurement import PairMeasurement
from fer_opt.device.phone.results import PhoneRun
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.device.schedule import new_session
from fer_opt.errors import MeasurementError
from fer_opt.pytest_plugin.options import PluginOptions, read_options
from fer_opt.pytest_plugin.said import Said
from fer_opt.pytest_plugin.sentences import or_fail
from fer_opt.pytest_plugin.timed import EMULATED
from fer_opt.pytest_plugin.timing import (
    bench_phone_run,
    phone_request,
    time_model,
    timing_job,
)
from fer_opt.pytest_plugin.words import tell_regression
from fer_opt.reports.gate.decision import GateSettings, Verdict, decide, plan_pairs

__all__ = ["AssertNoRegression", "Pairs"]

BASELINE, CANDIDATE = "baseline", "candidate"

PAIR_RUNS = HostPairs().settings.runs


@dataclass(frozen=True, slots=True)
class Pairs:
    """The medians of both models in each pair so far, in the order they ran.

    Attributes:
        baseline_ms: one for each pair.
        candidate_ms: one for each pair.
        on: where they are from, in words.
    """

    baseline_ms: tuple[float, ...]
    candidate_ms: tuple[float, ...]
    on: str


class AssertNoRegression:
    """Fails a test whose candidate is slower than its baseline."""

    def __init__(self, config: pytest.Config, said: Said, test: str) -> None:
        self._options = read_options(config)
        self._said, self._test = said, test

    def __call__(
        self,
        candidate: str | os.PathLike[str],
        baseline: str | os.PathLike[str],
        *,
        tolerance: float = 0.05,
        seed: int = 0,
    ) -> Verdict | None:
        """Time both in pairs of fresh processes; stop as soon as the pairs decide.

        Args:
            candidate: the .tflite file that may have become slower.
            baseline: the one it is compared with.
            tolerance: a slowdown up to this is none, 0.05 for 5 %.
            seed: of the random order within pairs.

        Returns:
            The verdict; None under --benchmark-disable, where each model runs once.
        """
        new, old = Path(candidate), Path(baseline)
        if not self._options.timing:
            return or_fail(lambda: self._run_once(new, old))
        verdict, on = or_fail(
            lambda: self._decide(new, old, GateSettings(tolerance=tolerance, seed=seed))
        )
        words = tell_regression(verdict, new, old, on)
        self._said.lines.append(f"{self._test}: {words.splitlines()[0]}")
        outcome = verdict.outcome
        if outcome == "inconclusive":
            if self._options.inconclusive == "skip":
                pytest.skip(" ".join(words.split()))
            outcome = self._options.inconclusive
        if outcome == "fail":
            pytest.fail(words, pytrace=False)
        return verdict

    def _run_once(self, *files: Path) -> None:
        for file in files:
            time_model(file, None, 1, self._options, self._said)
        self._said.lines.append(f"{self._test}: nothing was compared (--benchmark-disable).")

    def _decide(
        self, candidate: Path, baseline: Path, settings: GateSettings
    ) -> tuple[Verdict, str]:
        jobs = (timing_job(BASELINE, baseline), timing_job(CANDIDATE, candidate))
        measure = _pairs_here if self._options.here else _pairs_on_phone
        for pairs in measure(*jobs, settings, self._options, self._said):
            verdict = decide(pairs.baseline_ms, pairs.candidate_ms, settings)
            if verdict.final:
                return verdict, pairs.on
        raise AssertionError("the last look is final")


def _pairs_here(
    baseline: TimingJob,
    candidate: TimingJob,
    settings: GateSettings,
    options: PluginOptions,
    said: Said,
) -> Iterator[Pairs]:
    """The pairs at each look, timed on this computer as they are asked for."""
    device = HostPairs(TimingSettings(runs=options.runs or PAIR_RUNS, threads=options.threads))
    session = new_session()
    measured: list[PairMeasurement] = []
    for index, order in enumerate(plan_pairs(settings)):
        measured.append(
            device.measure(baseline, candidate, pair_index=index, order=order, session=session)
        )
        if len(measured) in settings.looks:
            yield Pairs(
                tuple(one.baseline_ms for one in measured),
                tuple(one.candidate_ms for one in measured),
                f"on this computer ({measured[0].clock})",
            )


def _pairs_on_phone(
    baseline: TimingJob,
    candidate: TimingJob,
    settings: GateSettings,
    options: PluginOptions,
    said: Said,
) -> Iterator[Pairs]:
    """The same on a phone; a round of its bench is a pair, and a canary stands around each.

    Raises:
        MeasurementError: the phone's times may not be believed.
    """
    already: tuple[PhoneRun, ...] = ()
    for look in settings.looks:
        request = phone_request(options, look, said)
        run = bench_phone_run(request, [baseline, candidate], already)
        already = (run,)
        if run.device.kind == "emulated":
            raise MeasurementError(f"nothing can be compared: {EMULATED}.")
        if run.device.kind == "phone" and not run.trust.trusted:
            raise MeasurementError(
                f"the measurement is not valid: {' '.join(run.trust.reasons)} Let the phone rest, "
                "and time again."
            )
        on = f"on {run.label}"
        if run.device.kind == "virtual":
            on = "on a virtual phone (this computer's times)"
        times = {
            name: tuple(one.datum_ms for one in _by_round(run) if one.model == name)
            for name in (BASELINE, CANDIDATE)
        }
        yield Pairs(times[BASELINE], times[CANDIDATE], on)


def _by_round(run: PhoneRun) -> list[Measurement]:
    return sorted(run.measurements, key=lambda one: one.round_index)
