"""Bitmap, resize and grey on a phone: ``stage_bench`` on real photos, in fresh processes."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fer_opt.device.measurement import Conditions
from fer_opt.device.phone.cpus import cpu_mask
from fer_opt.device.phone.folder import tracked
from fer_opt.device.phone.photo_jobs import (
    Named,
    PhotoSettings,
    PhotoTimes,
    UntimedPhoto,
    request_of,
)
from fer_opt.device.phone.photo_placing import PlacedPhotos
from fer_opt.device.phone.reconnect import Steady
from fer_opt.device.phone.states import States
from fer_opt.device.stage_bench import (
    ProgramFacts,
    StageBenchLog,
    StageBenchRequest,
    build_words,
    in_parts,
    parse_stages,
)
from fer_opt.errors import LinkLostError, MeasurementError, PhoneError

__all__ = ["PhotoProcess", "plan_parts", "time_part", "timeout_s"]

PHOTOS_BYTES = 2000
"""Of photos' words in one command: old phones take no command longer than 4 KiB in all."""

START_S, PHOTO_S = 60.0, 10.0
"""Allowed for starting the program, and for each photo in each pass. A Cortex-A53 decodes a photo
of 12 million pixels in about half a second."""


def timeout_s(photos: int, passes: int) -> float:
    """After which a process is given up, in seconds."""
    return START_S + PHOTO_S * photos * passes


@dataclass(frozen=True, slots=True)
class PhotoProcess:
    """What one process gave.

    Attributes:
        times: in the order they were made.
        untimed: photos it could not read.
        program: what it said of itself.
        before: the phone's state before it.
        after: the phone's state after it.
    """

    times: tuple[PhotoTimes, ...]
    untimed: tuple[UntimedPhoto, ...]
    program: ProgramFacts
    before: Conditions
    after: Conditions


def plan_parts(placed: PlacedPhotos, settings: PhotoSettings) -> list[list[Named]]:
    """The photos of each process: all of them each round, in another random order.

    As many photos at a time as fit into one command.
    """
    parts = []
    for index in range(settings.rounds):
        named = _shuffled(placed, settings.seed, index)
        left = iter(named)
        for part in in_parts(request_of(named, settings).photos, PHOTOS_BYTES):
            parts.append([next(left) for _ in part])
    return parts


def time_part(
    steady: Steady,
    program: str,
    part: Sequence[Named],
    settings: PhotoSettings,
    *,
    process_index: int,
    cpus: Sequence[int],
    states: States,
) -> PhotoProcess:
    """Time some photos in a fresh process; one that a lost connection interrupts begins again.

    Args:
        steady: the connection.
        program: path of stage_bench on the phone.
        part: the photos, in order.
        settings: how they are timed.
        process_index: counted from 0.
        cpus: to pin to; empty pins nowhere.
        states: reads the phone's state.

    Raises:
        MeasurementError: the program was stopped, or printed what it should not.
        RunnerError: it is of another version than fer-opt.
        LinkLostError: the phone is gone and did not come back.
        PhoneError: the phone cannot be used.
    """
    request = request_of(part, settings)

    def process() -> PhotoProcess:
        before = states.before(steady.link, cpus).conditions
        log = _run(steady, program, request, cpus)
        after = states.after(steady.link, cpus).conditions
        times = (
            PhotoTimes(
                photo=part[one.order_index][0].name,
                process_index=process_index,
                pass_index=one.pass_index,
                order_index=one.order_index,
                stages_ms=one.stages_ms,
                width=one.width,
                height=one.height,
            )
            for one in log.passes
        )
        untimed = (UntimedPhoto(part[one.order_index][0].name, one.reason) for one in log.failures)
        return PhotoProcess(tuple(times), tuple(untimed), log.program, before, after)

    return steady.run(process)


def _shuffled(placed: PlacedPhotos, seed: int, index: int) -> list[Named]:
    named = sorted(
        ((job, name) for name, jobs in placed.jobs.items() for job in jobs),
        key=lambda one: one[0].name,
    )
    random.Random(f"{seed} {index}").shuffle(named)
    return named


def _run(
    steady: Steady, program: str, request: StageBenchRequest, cpus: Sequence[int]
) -> StageBenchLog:
    words = build_words(program, request)
    if cpus:
        words = ["taskset", cpu_mask(cpus), *words]
    limit_s = timeout_s(len(request.photos), request.runs)
    begin = time.monotonic()
    try:
        finished = steady.link.job(tracked(words), timeout_s=limit_s)
    except LinkLostError:
        raise
    except PhoneError as exc:
        if time.monotonic() - begin < limit_s:
            raise
        raise MeasurementError(
            f"stage_bench had not ended after {limit_s:g} s and was killed; time fewer or smaller "
            "photos."
        ) from exc
    log = parse_stages(finished.output, finished.status)
    _check_echo(log, request)
    return log


def _check_echo(log: StageBenchLog, request: StageBenchRequest) -> None:
    said = log.program
    asked = (request.runs, request.warm_up, request.width, request.height, request.channels)
    done = (said.runs, said.warm_up, said.width, said.height, said.channels)
    names = {one.order_index: one.photo for one in log.passes}
    names |= {one.order_index: one.photo for one in log.failures}
    if asked != done or names != {at: one.name for at, one in enumerate(request.photos)}:
        raise MeasurementError(
            "stage_bench did something else than it was asked; build it anew with "
            "device/stage_bench/build.py."
        )
