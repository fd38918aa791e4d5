"""Which model is timed when: every round times each model once, in a random order.

Models are interleaved so that a machine that slows down (heat, a neighbour) slows all of them,
and the order is random because a fixed one can beat with a periodic disturbance.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fer_opt.device.measurement import Measurement
from fer_opt.device.protocol import Device, TimingJob
from fer_opt.errors import MeasurementError

__all__ = ["PlanEntry", "measure_session", "new_session", "plan_order", "remaining_entries"]


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One process to come: its place in the plan, its round, and the model it times."""

    order_index: int
    round_index: int
    model: str


def plan_order(models: Iterable[str], rounds: int, seed: int) -> tuple[PlanEntry, ...]:
    """Every model once per round, in a random order within each round.

    The order sorts by a SHA-256 of seed, round and model: the same on every machine and Python,
    whatever order the models are given in, and unchanged for the rounds that more rounds follow.

    Args:
        models: their names, all different.
        rounds: how often each is timed.
        seed: of the order.

    Raises:
        MeasurementError: two models share a name, or there are no models or no rounds.
    """
    names = list(models)
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise MeasurementError(f"two models are named {twice}; give each its own name.")
    if not names or rounds < 1:
        raise MeasurementError(
            f"{len(names)} models in {rounds} rounds leave nothing to time; give one or more of "
            "each."
        )

    def shuffled(round_index: int) -> list[str]:
        def place(name: str) -> bytes:
            text = f"{seed}\n{round_index}\n{name}"
            # A file's name, and so a model's, need not be valid UTF-8.
            return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()

        return sorted(names, key=place)

    order = [(index, name) for index in range(rounds) for name in shuffled(index)]
    return tuple(PlanEntry(place, index, name) for place, (index, name) in enumerate(order))


def remaining_entries(
    plan: Sequence[PlanEntry], already: Iterable[Measurement]
) -> tuple[PlanEntry, ...]:
    """What of ``plan`` has not been measured yet, in the plan's order."""
    done = {(measurement.round_index, measurement.model) for measurement in already}
    return tuple(entry for entry in plan if (entry.round_index, entry.model) not in done)


def new_session() -> str:
    """A name for this uninterrupted run: UTC time and four random hex digits."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def measure_session(
    device: Device,
    jobs: Sequence[TimingJob],
    rounds: int,
    seed: int,
    already: Sequence[Measurement] = (),
    session: str | None = None,
    on_measurement: Callable[[Measurement], None] | None = None,
) -> tuple[Measurement, ...]:
    """Time ``jobs`` in the planned order, leaving out what ``already`` holds.

    Args:
        device: that times them.
        jobs: the models, each under its own name.
        rounds: fresh processes for each model.
        seed: of the order; with the same jobs it is the same plan, so a killed session goes on.
        already: measurements of an earlier session of this plan.
        session: name of this session; None makes one.
        on_measurement: called after each measurement, so that the caller can save it.

    Returns:
        The new measurements, in the order they were made.

    Raises:
        MeasurementError: a model was not timed (what was measured before has been handed to
            ``on_measurement``), or ``already`` holds times of another file of the same name.
    """
    plan = plan_order([job.model for job in jobs], rounds, seed)
    job_of = {job.model: job for job in jobs}
    _refuse_other_files(job_of, already)
    session = session if session is not None else new_session()
    new = []
    for entry in remaining_entries(plan, already):
        measurement = device.measure(
            job_of[entry.model],
            order_index=entry.order_index,
            round_index=entry.round_index,
            session=session,
        )
        new.append(measurement)
        if on_measurement is not None:
            on_measurement(measurement)
    return tuple(new)


def _refuse_other_files(job_of: dict[str, TimingJob], already: Sequence[Measurement]) -> None:
    for measurement in already:
        job = job_of.get(measurement.model)
        if job is not None and job.sha256 != measurement.model_sha256:
            raise MeasurementError(
                f"{job.path} is not the file that was timed as {job.model} before (SHA-256 "
                f"{measurement.model_sha256[:12]}, now {job.sha256[:12]}); measure into a new "
                "record."
            )
