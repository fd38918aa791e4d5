"""What a comparison holds, as the numbers that are judged."""

from __future__ import annotations

from collections.abc import Sequence

from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.device.pair_measurement import PairMeasurement, PairSide
from fer_opt.reports.gate.decision import Order
from fer_opt.reports.gate.pairs import PairedMedians, pairs_of_host, pairs_of_measurements
from fer_opt.reports.gate.record import Comparison

__all__ = [
    "baseline_processes",
    "candidate_processes",
    "first_places",
    "pair_count",
    "paired_medians",
]


def pair_count(comparison: Comparison) -> int:
    """How many whole pairs there are."""
    if comparison.phone is None:
        return len(comparison.pairs)
    return sum(len(block) == 2 for block in _blocks(comparison.phone.measurements))


def paired_medians(
    comparison: Comparison, baseline: str, device: DeviceFacts, pairs: int
) -> PairedMedians:
    """The medians of the first ``pairs`` pairs.

    Raises:
        MeasurementError: they are nothing to judge by, see :mod:`fer_opt.reports.gate.pairs`.
    """
    if comparison.phone is None:
        return pairs_of_host(comparison.pairs[:pairs], device)
    blocks = _blocks(comparison.phone.measurements)[:pairs]
    return pairs_of_measurements(
        [one for block in blocks for one in block],
        baseline,
        comparison.candidate.name,
        device,
        comparison.phone.runner,
    )


def first_places(comparison: Comparison) -> tuple[Order, ...]:
    """Which model went first in each pair: ``AB`` the baseline."""
    if comparison.phone is None:
        return tuple(one.order for one in comparison.pairs)
    return tuple(
        "BA" if block[0].model == comparison.candidate.name else "AB"
        for block in _blocks(comparison.phone.measurements)
    )


def candidate_processes(comparison: Comparison) -> tuple[Measurement, ...]:
    """The candidate's processes, their times by the wall clock: what a user waits for."""
    return _processes(comparison, candidate=True)


def baseline_processes(comparison: Comparison) -> tuple[Measurement, ...]:
    """The baseline's processes, likewise."""
    return _processes(comparison, candidate=False)


def _processes(comparison: Comparison, *, candidate: bool) -> tuple[Measurement, ...]:
    if comparison.phone is not None:
        name = comparison.candidate.name
        made = comparison.phone.measurements
        return tuple(one for one in made if (one.model == name) == candidate)
    alone = comparison.alone if candidate else ()
    return alone + tuple(
        _measurement(pair, pair.candidate if candidate else pair.baseline)
        for pair in comparison.pairs
    )


def _blocks(measurements: Sequence[Measurement]) -> list[list[Measurement]]:
    """Processes by rounds, each in the order they ran."""
    rounds: dict[int, list[Measurement]] = {}
    for one in sorted(measurements, key=lambda one: one.order_index):
        rounds.setdefault(one.round_index, []).append(one)
    return [rounds[index] for index in sorted(rounds)]


def _measurement(pair: PairMeasurement, side: PairSide) -> Measurement:
    first = pair.baseline if pair.order == "AB" else pair.candidate
    return Measurement(
        model=side.model,
        model_sha256=side.model_sha256,
        order_index=2 * pair.pair_index + (side is not first),
        round_index=pair.pair_index,
        session=pair.session,
        started_at=pair.started_at,
        initialisation_ms=side.initialisation_ms,
        warm_up_ms=side.warm_up_ms,
        inference_ms=side.wall_ms,
        steady=side.steady,
        threads=pair.threads,
        cpus=pair.cpus,
        delegate=side.delegate,
        peak_memory_bytes=pair.peak_memory_bytes,
        before=pair.before,
        after=pair.after,
    )
