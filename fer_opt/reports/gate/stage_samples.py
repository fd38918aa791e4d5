"""A stage's times, or a photo's total, as a budget takes them: one time for each photo."""

from __future__ import annotations

from fer_opt.device.stage_timing import STAGES, StagesRun
from fer_opt.errors import GateError, MeasurementError
from fer_opt.reports.gate.samples import TimeSamples, samples_of_times
from fer_opt.reports.stages.photos import photo_times, unusable

__all__ = ["TOTAL", "samples_of_stage"]

TOTAL = "total"


def samples_of_stage(run: StagesRun, pipeline: str, subject: str) -> tuple[TimeSamples, bool]:
    """Times of a stage in one pipeline, warm passes (cold ones where there are no others).

    Args:
        run: of the stages on one device.
        pipeline: its name, e.g. ``thesis``.
        subject: a stage, or ``total``. A total is of photos with one face, as the report's is.

    Returns:
        The times, and whether a stage is missing from them so that they are "at least".

    Raises:
        GateError: there is no such pipeline, stage, or time of it.
        MeasurementError: the times are an emulator's, or no times.
    """
    timed = next((one for one in run.pipelines if one.name == pipeline), None)
    if timed is None:
        names = ", ".join(one.name for one in run.pipelines) or "none"
        raise GateError(f"no pipeline is named {pipeline}; these were timed: {names}.")
    if subject not in (*STAGES, TOTAL):
        raise GateError(f"{subject} is no stage; choose {TOTAL} or one of {', '.join(STAGES)}.")
    if run.device.kind == "emulated":
        raise MeasurementError(
            "these stages were timed under an emulator, which means nothing; time them on a real "
            "device."
        )
    if problem := unusable((timed,)):
        raise MeasurementError(problem)
    photos = photo_times(timed, run.photos, "warm") or photo_times(timed, run.photos, "cold")
    if subject == TOTAL:
        chosen = [one for one in photos if one.faces == 1]
        times_ms, at_least = [one.total_ms for one in chosen], any(one.lacks for one in chosen)
    else:
        times_ms, at_least = [p.stages_ms[subject] for p in photos if subject in p.stages_ms], False
    if not times_ms:
        way = next(way for way in timed.ways if way.stage == subject) if subject != TOTAL else None
        inside = f": {way.within} does its work" if way is not None and way.within else ""
        raise GateError(f"{subject} has no times of its own in pipeline {pipeline}{inside}.")
    return samples_of_times(times_ms), at_least
