"""What must agree before two times may be compared: the machine, the runner, and how it ran."""

from __future__ import annotations

from dataclasses import dataclass

from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.device.pair_measurement import PairMeasurement, PairSide
from fer_opt.device.phone.results import RunnerFacts

__all__ = ["Fingerprint", "differences", "fingerprint_of", "runner_of"]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """How a process was timed.

    Attributes:
        machine: hash of what its speed depends on: processor, build or kernel, clocks.
        machine_name: what a person would call it.
        runner: the program that timed, with its version or hash.
        threads: of the interpreter.
        cpus: how many it was pinned to; 0 where it was not.
        delegate: the name of what ran the graph, without how much of it.
        clock: whose times count.
    """

    machine: str
    machine_name: str
    runner: str
    threads: int
    cpus: int
    delegate: str
    clock: str = "wall clock"


def runner_of(device: DeviceFacts, runner: RunnerFacts | None = None) -> str:
    """The program that timed: a phone's with its hash, this computer's with its runtime."""
    if runner is not None:
        return f"{runner.name} {runner.sha256[:12]}"
    return device.facts.get("runtime", "unknown")


def fingerprint_of(
    timed: Measurement | tuple[PairMeasurement, PairSide],
    device: DeviceFacts,
    runner: RunnerFacts | None = None,
) -> Fingerprint:
    """The fingerprint of a process, or of one side of a pair.

    Args:
        timed: the process.
        device: it ran on.
        runner: that timed it; None for this computer's own worker.
    """
    if isinstance(timed, Measurement):
        one, delegate, clock = timed, timed.delegate, "wall clock"
        return _fingerprint(device, runner, one.threads, len(one.cpus), delegate, clock)
    pair, side = timed
    return _fingerprint(device, runner, pair.threads, len(pair.cpus), side.delegate, pair.clock)


def _fingerprint(
    device: DeviceFacts,
    runner: RunnerFacts | None,
    threads: int,
    cpus: int,
    delegate: str,
    clock: str,
) -> Fingerprint:
    return Fingerprint(
        machine=device.fingerprint,
        machine_name=device.name,
        runner=runner_of(device, runner),
        threads=threads,
        cpus=cpus,
        # How many operators it runs is the model's doing, and so part of what is compared.
        delegate=delegate.split(" (")[0],
        clock=clock,
    )


def differences(one: Fingerprint, other: Fingerprint) -> tuple[str, ...]:
    """In what two fingerprints differ, a clause each such as ``threads (1 and 4)``."""
    found = []
    if one.machine != other.machine:
        names = (one.machine_name, other.machine_name)
        alike = "both " if names[0] == names[1] else ""
        told = names[0] if alike else " and ".join(names)
        state = ", in another state: build, kernel or clocks" if alike else ""
        found.append(f"machine ({alike}{told}{state})")
    for what in ("runner", "threads", "cpus", "delegate", "clock"):
        first, second = getattr(one, what), getattr(other, what)
        if first != second:
            name = "number of CPUs" if what == "cpus" else what
            found.append(f"{name} ({first} and {second})")
    return tuple(found)
