"""Passes over photos on a phone, joined from what different programs measured there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fer_opt.device.phone.photo_jobs import PhotoJob, TimedPhotos
from fer_opt.device.stage_timing import PhotoPass, StageWay
from fer_opt.stages import Pipeline
from fer_opt.stages.result import PhotoResult
from fer_opt.stages.timing import TimedPipeline

__all__ = ["PreparedWay", "phone_passes", "phone_ways"]

STAGE_BENCH, BENCHMARK_MODEL = "stage_bench", "benchmark_model"


@dataclass(frozen=True, slots=True)
class PreparedWay:
    """One pipeline, and what it finds in each photo on this computer.

    Attributes:
        timed: its parts.
        pipeline: open.
        found: by the photo's name.
        jobs: what ``stage_bench`` is to do.
    """

    timed: TimedPipeline
    pipeline: Pipeline
    found: Mapping[str, PhotoResult]
    jobs: tuple[PhotoJob, ...]


def phone_ways(
    one: PreparedWay, no_stage_bench: str, no_detector: str, classified: bool
) -> tuple[StageWay, ...]:
    """How the stages were carried out on the phone, and why some were not."""
    made = []
    for way in one.pipeline.ways:
        runner, why = STAGE_BENCH, no_stage_bench
        if way.stage == "detect":
            runner, why = BENCHMARK_MODEL, no_detector
        elif way.stage == "classify":
            reason = f"{one.timed.called} was not timed on this phone."
            runner, why = BENCHMARK_MODEL, "" if classified else reason
        if way.within:
            runner, why = BENCHMARK_MODEL, ""
        made.append(dataclasses.replace(way, runner="" if why else runner, not_run=why))
    return tuple(made)


def phone_passes(
    one: PreparedWay,
    times: TimedPhotos | None,
    detect_ms: Sequence[float],
    classify_ms: Sequence[float],
) -> tuple[PhotoPass, ...]:
    """One pass for each that ``stage_bench`` made, with a process's time of each network."""
    made = []
    for photo, process, index, order, stages_ms in _timed(one, times, classify_ms):
        result = one.found[photo]
        stages = dict(stages_ms)
        if detect_ms:
            stages["detect"] = detect_ms[process % len(detect_ms)]
        if classify_ms and result.outcome == "one face":
            stages["classify"] = classify_ms[process % len(classify_ms)]
        made.append(
            PhotoPass(
                photo=photo,
                process_index=process,
                pass_index=index,
                order_index=order,
                stages_ms=stages,
                total_ms=None,
                faces=len(result.faces),
                label=result.label,
                confidence=result.confidence,
            )
        )
    return tuple(made)


def _timed(
    one: PreparedWay, times: TimedPhotos | None, classify_ms: Sequence[float]
) -> list[tuple[str, int, int, int, dict[str, float]]]:
    if times is not None:
        return [
            (made.photo, made.process_index, made.pass_index, made.order_index, made.stages_ms)
            for made in times.times
        ]
    # Without stage_bench there is what benchmark_model measured; never a first pass.
    return [
        (job.name, process, 1, order, {})
        for process in range(len(classify_ms))
        for order, job in enumerate(one.jobs)
    ]
