"""The state of a bench, saved with every change, so that a killed bench goes on where it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from fer_opt.device.blocks import Blocks
from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.phone.heard import of_models
from fer_opt.device.phone.results import (
    ModelFailure,
    PhoneRun,
    PhoneSettings,
    RunnerFacts,
    TimedModel,
)
from fer_opt.device.protocol import TimingJob

__all__ = ["Book", "blocks_of", "continued", "is_complete", "new_run", "now"]

EARLIER = "In an earlier session: "
"""Before what spoke against the phone then and may no longer be so."""


class Book:
    """Holds the run as it is and saves what becomes of it.

    Attributes:
        run: as last saved, apart from what was only noted.
    """

    def __init__(
        self,
        run: PhoneRun,
        save: Callable[[PhoneRun], None],
        cautions: Sequence[str] = (),
    ) -> None:
        self.run = run
        self._save = save
        self._cautions = cautions
        self._earlier = {one.session for one in run.measurements}

    def write(self, **changes: Any) -> None:
        """Change fields of the run and save it."""
        self.run = dataclasses.replace(self.run, **changes)
        self._save(self.run)

    def note(self, cautions: Sequence[str]) -> None:
        """Enter what speaks against the run; it is saved with the next change."""
        noted = tuple(dict.fromkeys((*self.run.cautions, *cautions)))
        self.run = dataclasses.replace(self.run, cautions=noted)

    def write_blocks(self, blocks: Blocks) -> None:
        """Enter what whole blocks have given, beside what spoke against the phone meanwhile."""
        if any(one.session not in self._earlier for one in blocks.measurements):
            self.note(self._cautions)
        self.write(measurements=blocks.measurements, checks=blocks.checks, failures=blocks.failures)


def blocks_of(run: PhoneRun) -> Blocks:
    """What a run holds of whole blocks."""
    return Blocks(run.measurements, run.checks, run.failures)


def now() -> str:
    """ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def continued(run: PhoneRun, already: Sequence[PhoneRun]) -> tuple[PhoneRun, str]:
    """``run``, not begun yet, with what an earlier run of the same phone gave.

    Returns:
        The run to go on with (an earlier one as it is, where nothing more is asked than it has and
        nothing failed in it), and why an earlier one cannot be continued: empty where it can or
        where there is none.
    """
    earlier = next((one for one in reversed(already) if one.phone == run.phone), None)
    if earlier is None:
        return run, ""
    if difference := _difference(earlier, run):
        return run, f"{run.label} was timed before with {difference}; timing it anew."
    if _has_all(earlier, run):
        return earlier, ""
    models = {model.name: model.sha256 for model in run.models}
    before = {model.name: model.sha256 for model in earlier.models}
    same = {name for name, sha256 in models.items() if before.get(name) == sha256}
    return (
        dataclasses.replace(
            run,
            warnings=(*run.warnings, *of_models(earlier.warnings, sorted(same))),
            measurements=earlier.measurements,
            checks=earlier.checks,
            outputs=tuple(one for one in earlier.outputs if one.model in same),
            operators=tuple(one for one in earlier.operators if one.model in same),
            failures=tuple(one for one in earlier.failures if one.model in same),
            reconnections=earlier.reconnections,
            changed_settings=earlier.changed_settings,
            started_at=earlier.started_at,
            cautions=tuple(
                one if one.startswith(EARLIER) else EARLIER + one
                for one in earlier.cautions
                if earlier.measurements
            ),
        ),
        "",
    )


def is_complete(run: PhoneRun) -> bool:
    """Whether every model has all its rounds, or a reason why it has not."""
    failed = {failure.model for failure in run.failures}
    measured = {(one.model, one.round_index) for one in run.measurements}
    return all(
        model.name in failed
        or all((model.name, index) in measured for index in range(run.settings.rounds))
        for model in run.models
    )


def new_run(
    *,
    phone: str,
    label: str,
    route: str,
    device: DeviceFacts,
    profile: str,
    warnings: Sequence[str],
    settings: PhoneSettings,
    runner: RunnerFacts,
    jobs: Sequence[TimingJob],
    failures: Sequence[ModelFailure] = (),
) -> PhoneRun:
    """A run that has not begun."""
    return PhoneRun(
        phone=phone,
        label=label,
        route=route,
        device=device,
        profile=profile,
        warnings=tuple(warnings),
        settings=settings,
        runner=runner,
        models=tuple(_timed_model(job) for job in jobs),
        failures=tuple(failures),
        started_at=now(),
    )


def _timed_model(job: TimingJob) -> TimedModel:
    size = job.path.stat().st_size if job.path.is_file() else 0
    return TimedModel(job.model, str(job.path), job.sha256, size)


def _has_all(earlier: PhoneRun, run: PhoneRun) -> bool:
    """Whether ``earlier`` is whole, for as many rounds at least; what failed is tried again."""
    asked = dataclasses.replace(run.settings, rounds=earlier.settings.rounds)
    return (
        earlier.complete
        and not earlier.failures
        and run.settings.rounds <= earlier.settings.rounds
        and (earlier.settings, earlier.models) == (asked, run.models)
    )


def _difference(earlier: PhoneRun, run: PhoneRun) -> str:
    """What keeps times of ``earlier`` from standing beside those to come; empty for nothing."""
    if earlier.device.kind != run.device.kind or (
        earlier.device.fingerprint != run.device.fingerprint
    ):
        return "another build, other clocks or governors"
    if earlier.runner is None or run.runner is None or earlier.runner.sha256 != run.runner.sha256:
        return "another runner"
    if _essence(earlier.settings) != _essence(run.settings):
        return "other settings"
    return ""


def _essence(settings: PhoneSettings) -> PhoneSettings:
    """The settings without those that leave what was measured before as good as it was."""
    return dataclasses.replace(
        settings,
        rounds=1,
        operator_profile=False,
        outputs=0,
        canary_limit=2.0,
        cool_down_s=0.0,
        tries=1,
        least_battery_percent=0,
    )
