"""A gate's pairs on this computer: both models in turns in one fresh process a pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fer_opt.device.host import HostDevice
from fer_opt.device.host_pairs import HostPairs
from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.protocol import TimingJob
from fer_opt.device.schedule import new_session
from fer_opt.experiment.gate_request import GateRequest
from fer_opt.progress import Progress
from fer_opt.reports.gate.decision import plan_pairs
from fer_opt.reports.gate.record import Comparison

__all__ = ["host_device", "time_here"]

Save = Callable[[Comparison], Comparison]
"""Looks at what there is, keeps it, and hands it back."""


def host_device() -> DeviceFacts:
    """Facts of this computer."""
    return HostPairs().facts()


def time_here(
    request: GateRequest,
    candidate: TimingJob,
    comparison: Comparison,
    *,
    save: Save,
    enough: Callable[[Comparison], bool],
    progress: Progress,
) -> Comparison:
    """``comparison`` with the pairs it lacks, or the candidate's processes without a baseline.

    Args:
        request: the gate.
        candidate: the model in question.
        comparison: what there is of it already.
        save: called after every process.
        enough: whether what there is will do.
        progress: is told how it goes.

    Raises:
        MeasurementError: a process failed; what was made before has been saved.
    """
    if request.baseline is None:
        return _time_alone(request, candidate, comparison, save, progress)
    device, session = HostPairs(request.host), new_session()
    order = plan_pairs(request.settings)
    with progress.stage(f"Timing pairs of {candidate.model}", len(order)) as advance:
        advance(len(comparison.pairs))
        while len(comparison.pairs) < len(order) and not enough(comparison):
            index = len(comparison.pairs)
            pair = device.measure(
                request.baseline,
                candidate,
                pair_index=index,
                order=order[index],
                session=session,
            )
            comparison = save(replace(comparison, pairs=(*comparison.pairs, pair)))
            advance(1)
    return comparison


def _time_alone(
    request: GateRequest,
    candidate: TimingJob,
    comparison: Comparison,
    save: Save,
    progress: Progress,
) -> Comparison:
    device, session = HostDevice(request.host), new_session()
    processes = request.settings.looks[-1]
    with progress.stage(f"Timing {candidate.model}", processes) as advance:
        advance(len(comparison.alone))
        while (index := len(comparison.alone)) < processes:
            one = device.measure(candidate, order_index=index, round_index=index, session=session)
            comparison = save(replace(comparison, alone=(*comparison.alone, one)))
            advance(1)
    return comparison
