"""Whether a phone's times may be believed, and every reason against it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fer_opt.device.measurement import Measurement
from fer_opt.device.phone.results import CanaryCheck, PhoneRun, Trust
from fer_opt.device.runner import OWN_NAME

__all__ = ["LEAST_ROUNDS", "disturbances", "judge"]

LEAST_ROUNDS = 6
"""Fewer processes have no interval of their median with 95 % confidence: 1 - 2 (1/2)^6 = 96.9 %."""

MOST_BATTERY_C = 40.0
"""A battery this warm is near the 45 °C at which phones commonly stop charging it."""

MOST_LOAD = 3.0
"""Runnable tasks per core. Old Android kernels count sleeping threads, so 1 to 2 is rest."""

MOST_UNSTEADY = 0.2
"""Share of processes that may not have warmed up to a steady time."""


def judge(
    run: PhoneRun, *, cores: int = 0, max_mhz: float | None = None, cautions: Sequence[str] = ()
) -> Trust:
    """Decide from what was recorded.

    Args:
        run: as it will be saved.
        cores: of the phone; 0 where unknown.
        max_mhz: highest clock of the CPUs used, the lowest of them; None where unknown.
        cautions: what else speaks against the session that has just ended, a sentence each.
    """
    reasons = (
        *_device(run),
        *_extent(run),
        *_canary(run.checks, run.settings.canary_limit),
        *_conditions(run.measurements, cores, max_mhz, run.settings.least_battery_percent),
        *_steadiness(run.measurements),
        *run.cautions,
        *cautions,
    )
    return Trust(trusted=not reasons, reasons=reasons)


def disturbances(run: PhoneRun) -> tuple[str, ...]:
    """Of the reasons in ``run.trust`` those against its times as such, whatever machine it is."""
    of_machine = set(_device(run))
    return tuple(reason for reason in run.trust.reasons if reason not in of_machine)


def _device(run: PhoneRun) -> Iterator[str]:
    if run.device.kind == "emulated":
        yield (
            "Programs of another processor ran under an emulator: these are no latencies at all, "
            "and say nothing about a phone."
        )
    elif run.device.kind == "virtual":
        yield (
            "This is a virtual phone: the times are those of the computer it runs on, not of a "
            "phone."
        )
    if run.runner is not None and run.runner.name == OWN_NAME:
        yield f"The times are from {run.runner.name}, not from benchmark_model."


def _extent(run: PhoneRun) -> Iterator[str]:
    if run.error:
        yield f"The bench ended early: {run.error}"
    if not run.measurements:
        yield "Nothing was timed."
    elif run.settings.rounds < LEAST_ROUNDS:
        yield (
            f"With {_count(run.settings.rounds, 'process', 'processes')} for each model there is "
            f"no interval with 95 % confidence; ask for {LEAST_ROUNDS} rounds or more."
        )
    unlike = {(one.threads, one.cpus) for one in run.measurements}
    if len(unlike) > 1:
        yield "Processes had different numbers of threads or different CPUs."


def _canary(checks: Sequence[CanaryCheck], limit: float) -> Iterator[str]:
    last = {check.round_index: check for check in checks}
    hot = [index + 1 for index, check in sorted(last.items()) if check.throttled]
    if hot:
        yield (
            f"The phone was throttled in {_rounds(hot)}: the canary took more than {limit:g} times "
            "what it took at first, in spite of pauses."
        )
    baselines = [check.baseline_ms for check in checks]
    if baselines and max(baselines) > limit * min(baselines):
        yield (
            f"The canary took {min(baselines):.2f} ms at the beginning of one session and "
            f"{max(baselines):.2f} ms at that of another."
        )
    recovered = [
        check.round_index + 1
        for check in last.values()
        if limit * min(check.before_ms, check.after_ms) < check.baseline_ms
    ]
    if recovered:
        yield (
            f"In {_rounds(sorted(recovered))} the canary was faster than at first by more than "
            "the limit, so the phone was not at rest when the session began."
        )


def _conditions(
    measurements: Sequence[Measurement],
    cores: int,
    max_mhz: float | None,
    least_battery_percent: int,
) -> Iterator[str]:
    states = [state for one in measurements for state in (one.before, one.after)]
    limits = _known(state.limit_mhz for state in states)
    # Kernels round clocks to kHz; a step of any phone's clock is far more than 1 %.
    if max_mhz and limits and min(limits) < 0.99 * max_mhz:
        yield (
            f"The clock was limited to {min(limits):.0f} MHz where the hardware reaches "
            f"{max_mhz:.0f} MHz."
        )
    charges = _known(state.battery_percent for state in states)
    if charges and min(charges) < least_battery_percent:
        yield f"The battery went down to {min(charges):.0f} %."
    warmest = _known(state.battery_c for state in states)
    if warmest and max(warmest) > MOST_BATTERY_C:
        yield f"The battery grew as warm as {max(warmest):.1f} °C."
    loads = _known(one.before.load_1m for one in measurements)
    if cores and loads and min(loads) > MOST_LOAD * cores:
        yield (
            f"The phone was busy with something else: never fewer than {min(loads):.1f} runnable "
            f"tasks on {cores} cores."
        )


def _steadiness(measurements: Sequence[Measurement]) -> Iterator[str]:
    unsteady = sum(not one.steady for one in measurements)
    if unsteady > MOST_UNSTEADY * len(measurements):
        yield (
            f"In {unsteady} of {len(measurements)} processes the warm-up had not ended when "
            "counting began, or the times went on changing."
        )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _rounds(numbers: Sequence[int]) -> str:
    return f"round{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
