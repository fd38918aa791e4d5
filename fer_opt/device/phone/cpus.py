"""Which cores of a phone a model is timed on, and how taskset is told."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fer_opt.device.phone.phone_facts import PhoneFacts, clusters
from fer_opt.errors import MeasurementError

__all__ = ["choose_cpus", "cpu_mask"]


def choose_cpus(facts: PhoneFacts, threads: int, wanted: Collection[int] = ()) -> tuple[int, ...]:
    """The cores to pin ``threads`` threads to, ascending.

    Left to choose, it takes the fastest cores, all of them where they are alike, and the next
    fastest too while there are fewer than threads (a phone's one prime core for four threads).

    Args:
        facts: of the phone.
        threads: of the interpreter.
        wanted: the user's choice; empty means choose.

    Returns:
        Core numbers; empty where the phone does not tell its cores and none are wanted.

    Raises:
        MeasurementError: a wanted core does not exist, or there are fewer cores than threads.
    """
    present = tuple(core.number for core in facts.cores)
    if present and (foreign := sorted(set(wanted) - set(present))):
        raise MeasurementError(
            f"{facts.label} has no CPU {', '.join(map(str, foreign))}; choose among "
            f"{', '.join(map(str, present))}."
        )
    chosen = tuple(sorted(set(wanted))) or _fastest(facts, threads)
    most = len(chosen) if wanted else len(present)
    if most and threads > most:
        raise MeasurementError(
            f"{threads} threads on {most} CPU(s) of {facts.label} would wait for each other; ask "
            f"for {most} or fewer."
        )
    return chosen


def cpu_mask(cpus: Iterable[int]) -> str:
    """The affinity mask of these cores as taskset takes it: hexadecimal, without 0x."""
    return f"{sum(1 << cpu for cpu in set(cpus)):x}"


def _fastest(facts: PhoneFacts, threads: int) -> tuple[int, ...]:
    chosen: list[int] = []
    for _, numbers in clusters(facts):
        chosen += numbers
        if len(chosen) >= threads:
            break
    return tuple(sorted(chosen))
