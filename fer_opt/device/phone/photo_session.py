"""All of timing photos on one phone: from the first connection to the phone as it was before."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from fer_opt.device.adb.link import Link
from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.phone.cpus import choose_cpus
from fer_opt.device.phone.facts import PhoneFacts, device_facts
from fer_opt.device.phone.opening import held, locked, opened
from fer_opt.device.phone.photo_jobs import (
    PhotoJob,
    PhotoSettings,
    TimedPhotos,
    UntimedPhoto,
    check_jobs,
)
from fer_opt.device.phone.photo_placing import PlacedPhotos, place_photos
from fer_opt.device.phone.photo_stages import (
    PhotoProcess,
    plan_parts,
    time_part,
    timeout_s,
)
from fer_opt.device.phone.readiness import readiness
from fer_opt.device.phone.reconnect import Steady
from fer_opt.device.phone.results import PhoneSettings
from fer_opt.device.phone.states import States
from fer_opt.device.runner import is_emulated
from fer_opt.device.stage_bench import StageBench, choose_stage_bench
from fer_opt.progress import SILENT, Progress

__all__ = ["time_photos"]

LEAST_BUSY_S = 900.0
"""For how long the phone's watchdog lets a program be silent, at least."""


def time_photos(
    open_link: Callable[[], Link],
    photos: Sequence[PhotoJob],
    settings: PhotoSettings | None = None,
    *,
    stage_bench: Path | None = None,
    progress: Progress = SILENT,
    reconnect_s: float = 120.0,
) -> TimedPhotos:
    """Time bitmap, resize and grey of photos on one phone, and leave it as it was.

    Program and photos are pushed where the phone lacks them, and run as benchmark_model is: under
    the watchdog, pinned, with the phone kept awake. A process that a lost connection interrupts
    begins again.

    Args:
        open_link: connects to the phone.
        photos: JPEG files, each under its own name.
        settings: how they are timed; None means the defaults.
        stage_bench: a build of it, or a folder of builds; None takes the one that
            ``device/stage_bench/build.py`` made.
        progress: told of the work.
        reconnect_s: for how long to try to reach a phone that was lost, in seconds.

    Raises:
        MeasurementError: a photo cannot be read here, or nothing can be timed so.
        RunnerError: there is no build for this phone, or it does not run there.
        PhoneError: the phone cannot be reached or used, or is in use by another fer-opt.
        LinkLostError: the phone was lost and did not come back.
    """
    settings = settings or PhotoSettings()
    check_jobs(photos, settings)
    notes: dict[str, None] = {}
    with opened(open_link, progress, reconnect_s) as steady, locked(steady) as phone:
        notes |= dict.fromkeys(_cautions(phone, settings))
        program = choose_stage_bench(phone.abis, named=stage_bench, virtual_machine=phone.virtual)
        cpus = choose_cpus(phone, 1, settings.cpus)
        placed = place_photos(steady, program, photos, progress)
        owed: list[str] = []
        with held(
            steady,
            busy_s=max(LEAST_BUSY_S, 2 * timeout_s(len(photos), settings.passes)),
            note=lambda cautions: notes.update(dict.fromkeys(cautions)),
            changed=lambda changes: None,
            owed=owed,
            progress=progress,
        ) as sign:
            processes = _processes(steady, placed, settings, cpus, sign, progress)
    return _gathered(processes, _facts(phone, program), program, (*notes, *owed))


def _cautions(phone: PhoneFacts, settings: PhotoSettings) -> tuple[str, ...]:
    least = settings.least_battery_percent
    return readiness(phone, PhoneSettings(least_battery_percent=least))


def _facts(phone: PhoneFacts, program: StageBench) -> DeviceFacts:
    facts = device_facts(phone)
    emulated = bool(phone.virtual) and is_emulated(program, phone.virtual)
    return dataclasses.replace(facts, kind="emulated") if emulated else facts


def _processes(
    steady: Steady,
    placed: PlacedPhotos,
    settings: PhotoSettings,
    cpus: Sequence[int],
    sign: Callable[[], None],
    progress: Progress,
) -> list[PhotoProcess]:
    parts, states, processes = plan_parts(placed, settings), States(), []
    with progress.stage("Timing bitmap, resize and grey", len(parts)) as advance:
        for index, part in enumerate(parts):
            steady.run(sign)
            processes.append(
                time_part(
                    steady, placed.program, part, settings,
                    process_index=index, cpus=cpus, states=states,
                )
            )  # fmt: skip
            advance(1)
    return processes


def _gathered(
    processes: Sequence[PhotoProcess],
    device: DeviceFacts,
    program: StageBench,
    notes: tuple[str, ...],
) -> TimedPhotos:
    untimed: dict[str, UntimedPhoto] = {}
    for process in processes:
        for one in process.untimed:
            untimed.setdefault(one.photo, one)
    return TimedPhotos(
        times=tuple(time for process in processes for time in process.times),
        untimed=tuple(untimed.values()),
        program=processes[0].program,
        conditions=tuple((process.before, process.after) for process in processes),
        device=device,
        sha256=program.sha256,
        notes=notes,
    )
