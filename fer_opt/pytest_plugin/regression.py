"""``assert_no_regression``: candidate and baseline side by side, until their pairs decide.

It is the gate of ``fer-opt gate``, run for one pair of files; nothing is decided here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from fer_opt.device.phone.results import PhoneSettings
from fer_opt.device.protocol import TimingSettings
from fer_opt.experiment.gate_request import GateRequest
from fer_opt.experiment.gating import gate
from fer_opt.pytest_plugin.options import PluginOptions, read_options
from fer_opt.pytest_plugin.said import Said
from fer_opt.pytest_plugin.sentences import or_fail
from fer_opt.pytest_plugin.timing import place_of, time_model, timing_job
from fer_opt.pytest_plugin.words import tell_comparison
from fer_opt.reports.gate.decision import GateSettings, Verdict
from fer_opt.reports.gate.record import GateRecord
from fer_opt.reports.gate.story import tell_gate

__all__ = ["AssertNoRegression"]

RUNS_HERE = 30
"""Counted inferences of each model in a process; a model that is timed alone has fewer."""


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
        looks: Sequence[int] = (8, 12, 16, 24),
        seed: int = 0,
    ) -> Verdict | None:
        """Time both in pairs; stop as soon as the pairs decide.

        Args:
            candidate: the .tflite file that may have become slower.
            baseline: the one it is compared with.
            tolerance: a slowdown up to this is none, 0.05 for 5 %.
            looks: numbers of pairs after which a verdict is sought.
            seed: of the random order within pairs.

        Returns:
            The verdict; None under --benchmark-disable, where each model runs once.
        """
        files = Path(candidate), Path(baseline)
        if not self._options.timing:
            return or_fail(lambda: self._run_once(*files))
        record = or_fail(
            lambda: self._gate(*files, GateSettings(tolerance, looks=tuple(looks), seed=seed))
        )
        story = tell_gate(record)
        words = tell_comparison(story)
        self._said.lines.append(f"{self._test}: {words.splitlines()[0]}")
        outcome = story.outcome
        if outcome == "inconclusive":
            if self._options.inconclusive == "skip":
                pytest.skip(" ".join(words.split()))
            outcome = self._options.inconclusive
        if outcome != "pass":
            pytest.fail(words, pytrace=False)
        return record.comparisons[0].verdict

    def _run_once(self, *files: Path) -> None:
        for file in files:
            time_model(file, None, 1, self._options, self._said)
        self._said.lines.append(f"{self._test}: nothing was compared (--benchmark-disable).")

    def _gate(self, candidate: Path, baseline: Path, settings: GateSettings) -> GateRecord:
        request = _request(candidate, baseline, settings, self._options, self._said)
        with tempfile.TemporaryDirectory(prefix="fer-opt-gate-") as folder:
            return gate(request, Path(folder), command=f"pytest {self._test}")


def _request(
    candidate: Path, baseline: Path, settings: GateSettings, options: PluginOptions, said: Said
) -> GateRequest:
    new, old = candidate.name, baseline.name
    if new == old:
        new, old = str(candidate), str(baseline)
    return GateRequest(
        candidates=(timing_job(new, candidate),),
        baseline=timing_job(f"{old} (baseline)" if new == old else old, baseline),
        on=place_of(options, said),
        settings=settings,
        host=TimingSettings(runs=options.runs or RUNS_HERE, threads=options.threads),
        phone=PhoneSettings(runs=options.runs or PhoneSettings().runs, threads=options.threads),
        via=options.via,
        runner=options.runner,
    )
