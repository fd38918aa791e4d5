"""The pairs that may be judged: like with like, side by side, each measured once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.device.pair_measurement import PairMeasurement
from fer_opt.device.phone.results import RunnerFacts
from fer_opt.errors import MeasurementError
from fer_opt.reports.gate.fingerprint import Fingerprint, differences, fingerprint_of

__all__ = ["PairedMedians", "TimedProcess", "pair_up", "pairs_of_host", "pairs_of_measurements"]


@dataclass(frozen=True, slots=True)
class TimedProcess:
    """One model's process within a pair.

    Attributes:
        pair: counted from 0.
        session: the uninterrupted run of fer-opt that made it.
        median_ms: of its counted inferences; None where it tells none.
        model_sha256: of the file.
        delegate: what ran the graph, in full.
        fingerprint: how it was timed.
    """

    pair: int
    session: str
    median_ms: float | None
    model_sha256: str
    delegate: str
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class PairedMedians:
    """What :func:`fer_opt.reports.gate.decision.decide` takes, in the order of the pairs.

    Attributes:
        baseline_ms: median of the baseline's process of each pair.
        candidate_ms: median of the candidate's.
        fingerprint: how all of them were timed; its delegate is the baseline's.
    """

    baseline_ms: tuple[float, ...]
    candidate_ms: tuple[float, ...]
    fingerprint: Fingerprint


def pairs_of_host(pairs: Sequence[PairMeasurement], device: DeviceFacts) -> PairedMedians:
    """Pairs timed on this computer, each in one process.

    Raises:
        MeasurementError: see :func:`pair_up`.
    """

    def processes(name: str) -> list[TimedProcess]:
        return [
            TimedProcess(
                pair=one.pair_index,
                session=one.session,
                median_ms=getattr(one, f"{name}_ms"),
                model_sha256=(side := getattr(one, name)).model_sha256,
                delegate=side.delegate,
                fingerprint=fingerprint_of((one, side), device),
            )
            for one in pairs
        ]

    return pair_up(processes("baseline"), processes("candidate"))


def pairs_of_measurements(
    measurements: Iterable[Measurement],
    baseline: str,
    candidate: str,
    device: DeviceFacts,
    runner: RunnerFacts | None = None,
) -> PairedMedians:
    """Pairs of processes that ran one after the other, as a phone times them: one round, one pair.

    Args:
        measurements: of both models, other ones are left out.
        baseline: its name.
        candidate: its name.
        device: that timed them.
        runner: the program on the phone; None on this computer.

    Raises:
        MeasurementError: see :func:`pair_up`.
    """
    made = tuple(measurements)

    def processes(name: str) -> list[TimedProcess]:
        return [
            TimedProcess(
                pair=one.round_index,
                session=one.session,
                median_ms=one.datum_ms if one.inference_ms or one.summary else None,
                model_sha256=one.model_sha256,
                delegate=one.delegate,
                fingerprint=fingerprint_of(one, device, runner),
            )
            for one in made
            if one.model == name
        ]

    return pair_up(processes(baseline), processes(candidate))


def pair_up(baseline: Sequence[TimedProcess], candidate: Sequence[TimedProcess]) -> PairedMedians:
    """Put both processes of each pair side by side.

    Raises:
        MeasurementError: there are none, a pair lacks one of them or has two, its two did not run
            in one session, a median is missing, or the fingerprints are mixed: one model's
            processes differ among themselves in anything (the file and the delegate included), or
            the two models were not timed alike by the same machine and runner.
    """
    if not baseline or not candidate:
        raise MeasurementError(
            f"{len(baseline)} processes of the baseline and {len(candidate)} of the candidate make "
            "no pair; measure both."
        )
    _refuse_mixed("baseline", baseline)
    _refuse_mixed("candidate", candidate)
    first = baseline[0].fingerprint
    # A candidate that the delegate no longer takes is what a gate is for.
    other = replace(candidate[0].fingerprint, delegate=first.delegate)
    if unlike := differences(first, other):
        raise MeasurementError(
            f"baseline and candidate were timed differently: {'; '.join(unlike)}; measure both "
            "again in one session."
        )
    sides = [_by_pair("baseline", baseline), _by_pair("candidate", candidate)]
    if lonely := sorted(sides[0].keys() ^ sides[1].keys()):
        raise MeasurementError(
            f"pair {lonely[0] + 1} has only one of its two processes; measure that pair again."
        )
    order = sorted(sides[0])
    for pair in order:
        if sides[0][pair].session != sides[1][pair].session:
            raise MeasurementError(
                f"the two processes of pair {pair + 1} ran in different sessions, not side by side;"
                " measure that pair again."
            )
    medians = [tuple(_median(side[pair]) for pair in order) for side in sides]
    return PairedMedians(medians[0], medians[1], first)


def _refuse_mixed(name: str, processes: Sequence[TimedProcess]) -> None:
    first = processes[0]
    for one in processes[1:]:
        unlike = list(differences(first.fingerprint, one.fingerprint))
        if first.model_sha256 != one.model_sha256:
            unlike.append(f"model file ({first.model_sha256[:12]} and {one.model_sha256[:12]})")
        elif first.delegate != one.delegate and first.fingerprint == one.fingerprint:
            unlike.append(f"delegate ({first.delegate} and {one.delegate})")
        if unlike:
            raise MeasurementError(
                f"the processes of the {name} are unlike in {'; '.join(unlike)}, and unlike "
                "processes are never judged together; measure into a new record."
            )


def _by_pair(name: str, processes: Sequence[TimedProcess]) -> dict[int, TimedProcess]:
    found: dict[int, TimedProcess] = {}
    for one in processes:
        if one.pair in found:
            raise MeasurementError(
                f"the {name} was timed twice in pair {one.pair + 1}; these are two sessions' pairs,"
                " judge each on its own."
            )
        found[one.pair] = one
    return found


def _median(process: TimedProcess) -> float:
    if process.median_ms is None:
        raise MeasurementError(
            f"a process of pair {process.pair + 1} tells no times, so its median is missing; "
            "measure that pair again."
        )
    return process.median_ms
