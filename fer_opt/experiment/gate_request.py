"""What a gate is asked: the models, where, and what they are held to."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fer_opt.device.phone.results import PhoneSettings, TimedModel
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.errors import GateError, ModelError, NoBaselineError
from fer_opt.files import sha256_of
from fer_opt.flatbuffer import read_tflite
from fer_opt.reports.gate.budgets import LatencyBudget, SizeBudget
from fer_opt.reports.gate.decision import GateSettings
from fer_opt.reports.gate.plain import plain
from fer_opt.reports.record import LatencySettings

__all__ = ["HOST", "GateRequest", "gate_jobs", "timed_model"]

HOST = "host"

INESSENTIAL = frozenset({"canary_limit", "cool_down_s", "tries", "least_battery_percent"})
"""Settings of a phone that leave what was measured before as good as it was."""

ONE_STAGE = "classify"
"""The stage that a model alone is."""


@dataclass(frozen=True, slots=True)
class GateRequest:
    """What a gate measures.

    Attributes:
        candidates: the models in question, each under its own name.
        baseline: the model they are compared with; None judges budgets alone.
        on: ``host``, ``phone``, ``tcp:HOST:PORT``, a serial number, or ``virtual``.
        settings: how it decides.
        host: how this computer times.
        phone: how a phone times; ``rounds`` and ``outputs`` are not used.
        serial: of the phone meant by ``phone``.
        via: ``auto``, ``usb``, ``tcp`` or ``server``.
        runner: a benchmark_model of the user's own.
        budgets: for every candidate.
        stored: names the record whose times the candidates are held against; empty for none.

    Raises:
        GateError: it contradicts itself.
    """

    candidates: tuple[TimingJob, ...]
    baseline: TimingJob | None
    on: str = HOST
    settings: GateSettings = field(default_factory=GateSettings)
    host: TimingSettings = field(default_factory=lambda: TimingSettings(runs=30))
    phone: PhoneSettings = field(default_factory=PhoneSettings)
    serial: str | None = None
    via: str = "auto"
    runner: Path | None = None
    budgets: tuple[LatencyBudget | SizeBudget, ...] = ()
    stored: str = ""

    def __post_init__(self) -> None:
        if self.on == "all":
            raise GateError(
                "--on all names several machines, and a verdict is of one; name the phone, such "
                "as --on phone."
            )
        if not self.candidates:
            raise GateError("no candidate is named; give --candidate MODEL.tflite.")
        names = {job.model for job in self.candidates} | {ONE_STAGE}
        if len({budget.name for budget in self.budgets}) < len(self.budgets):
            raise GateError(
                "two budgets hold for the same thing; give the one that is meant, and --percentile "
                "for another percentile in a gate of its own."
            )
        for budget in self.budgets:
            if isinstance(budget, LatencyBudget) and budget.subject not in names:
                raise GateError(
                    f"a model alone has no time of {budget.subject}; write "
                    f"--budget {ONE_STAGE}={budget.limit_ms:g}ms for the model's own time, or "
                    "judge a record that holds all stages with --against RECORD."
                )

    @property
    def timed_models(self) -> tuple[TimingJob, ...]:
        """All of them, the baseline first."""
        return (*filter(None, [self.baseline]), *self.candidates)

    @property
    def needs_times(self) -> bool:
        """Whether anything is to be timed: a size needs no stopwatch."""
        return bool(self.baseline or self.stored) or any(
            isinstance(budget, LatencyBudget) for budget in self.budgets
        )

    def fingerprint(self) -> str:
        """A hash of the files and of everything that makes their times another thing."""
        phone = dataclasses.asdict(self.phone)
        how = (
            dataclasses.asdict(self.host)
            if self.on == HOST
            else {name: value for name, value in phone.items() if name not in INESSENTIAL}
        )
        facts = {
            "baseline": self.baseline and self.baseline.sha256,
            "stored": self.stored,
            "candidates": [(job.model, job.sha256) for job in self.candidates],
            "on": self.on,
            "serial": self.serial,
            "settings": dataclasses.asdict(self.settings),
            "timing": how,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def latency(self) -> LatencySettings:
        """How processes time, for the record."""
        here = self.on == HOST
        how = self.host if here else self.phone
        given = any(job.inputs is not None for job in self.candidates)
        return LatencySettings(
            processes=self.settings.looks[-1],
            runs=how.runs,
            threads=how.threads,
            cpus=how.cpus,
            seed=self.settings.seed,
            inputs="samples of a dataset"
            if given
            else self.host.random_inputs
            if here
            else self.phone.inputs,
        )


def gate_jobs(
    baseline: Path | None, candidates: Sequence[Path], names: Sequence[str]
) -> tuple[TimingJob | None, tuple[TimingJob, ...]]:
    """The files as jobs, each under a name of its own.

    Args:
        baseline: its file.
        candidates: their files.
        names: of the candidates.

    Raises:
        NoBaselineError: the baseline's file is missing.
        ModelError: a file is missing, or no TensorFlow Lite model.
    """
    if baseline is not None and not baseline.exists():
        raise NoBaselineError(
            f"{baseline} does not exist, so there is nothing to compare with; give the model of "
            "your main branch, or gate by --budget alone."
        )
    shown = [plain(name) for name in names]
    jobs = tuple(_job(name, file) for name, file in zip(shown, candidates, strict=True))
    if baseline is None:
        return None, jobs
    name = plain(baseline.stem)
    while name in shown:
        name += " (baseline)"
    return _job(name, baseline), jobs


def timed_model(job: TimingJob) -> TimedModel:
    """A job as records keep it."""
    return TimedModel(job.model, plain(str(job.path)), job.sha256, job.path.stat().st_size)


def _job(name: str, file: Path) -> TimingJob:
    read_tflite(file)
    try:
        return TimingJob(name, file, sha256_of(file))
    except OSError as exc:
        raise ModelError(f"{file} cannot be read ({exc.strerror or exc}).") from exc
