"""A gate's pairs on a phone: two fresh processes one after the other, between two canaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fer_opt.device.blocks import Blocks
from fer_opt.device.phone.results import PhoneRun
from fer_opt.device.phone.session import bench_phone
from fer_opt.device.protocol import TimingJob
from fer_opt.device.schedule import PlanEntry
from fer_opt.errors import MeasurementError
from fer_opt.experiment.gate_request import GateRequest
from fer_opt.experiment.phone import PhoneRequest, reachable_phones
from fer_opt.progress import Progress
from fer_opt.reports.gate.decision import plan_pairs
from fer_opt.reports.gate.record import Comparison

__all__ = ["time_on_phone"]

Save = Callable[[Comparison], Comparison]
"""Looks at what there is, keeps it, and hands it back."""


def time_on_phone(
    request: GateRequest,
    candidate: TimingJob,
    comparison: Comparison,
    *,
    save: Save,
    enough: Callable[[Comparison], bool],
    progress: Progress,
) -> Comparison:
    """``comparison`` with the pairs it lacks, or the candidate's processes without a baseline.

    A round is a pair. Once the phone has been throttled in spite of pauses, or a model has failed,
    it stops: nothing that follows would be judged.

    Args:
        request: the gate.
        candidate: the model in question.
        comparison: what there is of it already.
        save: called after every round.
        enough: whether what there is will do.
        progress: is told how it goes.

    Raises:
        PhoneError: the phone cannot be reached or used; what was made before has been saved.
        RunnerError: nothing can be timed with this runner.
        MeasurementError: nothing can be timed, or an emulator would run it.
    """
    jobs = [*filter(None, [request.baseline]), candidate]
    last = [comparison]

    def keep(run: PhoneRun) -> None:
        refuse_emulated(run)
        last[0] = save(replace(last[0], phone=run))

    def stop(blocks: Blocks) -> bool:
        if blocks.throttled_rounds() or blocks.failures:
            return True
        run = last[0].phone
        if run is None or request.baseline is None:
            return False
        return enough(replace(last[0], phone=replace(run, measurements=blocks.measurements)))

    wanted = PhoneRequest((request.on,), request.serial, request.via, request.runner)
    models = [job.sha256 for job in request.timed_models]
    with reachable_phones(wanted, models, progress.say) as openers:
        (open_link,) = openers.values()
        run = bench_phone(
            open_link,
            jobs,
            replace(
                request.phone,
                rounds=request.settings.looks[-1],
                outputs=0,
                operator_profile=False,
            ),
            runner=request.runner,
            already=[comparison.phone] if comparison.phone is not None else [],
            save=keep,
            progress=progress,
            plan=_plan(request, jobs),
            enough=stop,
        )
    keep(run)
    return last[0]


def refuse_emulated(run: PhoneRun) -> None:
    """Emulated processors have no latency.

    Raises:
        MeasurementError: it is one.
    """
    if run.device.kind == "emulated":
        raise MeasurementError(
            f"{run.label} runs its programs under an emulator, whose times mean nothing; gate on "
            "a phone, on --on virtual with this computer's runner, or on --on host."
        )


def _plan(request: GateRequest, jobs: Sequence[TimingJob]) -> tuple[PlanEntry, ...]:
    """Every process, pair by pair, in the planned order."""
    if request.baseline is None:
        return ()
    entries = []
    for index, order in enumerate(plan_pairs(request.settings)):
        pair = jobs if order == "AB" else reversed(jobs)
        entries += [
            PlanEntry(2 * index + place, index, job.model) for place, job in enumerate(pair)
        ]
    return tuple(entries)
