"""Benches on phones as a run and the command line ask for them: which phones, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fer_opt.device.adb import Link, list_phones, open_phone
from fer_opt.device.phone.results import PhoneRun, PhoneSettings
from fer_opt.device.phone.session import bench_phone
from fer_opt.device.phone.several import PhoneOutcome, bench_phones
from fer_opt.device.protocol import TimingJob
from fer_opt.errors import FerOptError, PhoneError
from fer_opt.progress import SILENT, Progress

__all__ = ["PhoneRequest", "bench_on", "find_phones", "merged"]

Openers = dict[str, Callable[[], Link]]


@dataclass(frozen=True, slots=True)
class PhoneRequest:
    """Which phones to time on, and how.

    Attributes:
        on: ``phone`` (the one there is), ``all``, ``tcp:HOST:PORT`` or serial numbers.
        serial: of the phone meant by ``phone``.
        via: ``auto``, ``usb``, ``tcp`` or ``server``.
        runner: a benchmark_model of the user's own.
        settings: how every model is timed.
    """

    on: tuple[str, ...]
    serial: str | None = None
    via: str = "auto"
    runner: Path | None = None
    settings: PhoneSettings = field(default_factory=PhoneSettings)


def find_phones(request: PhoneRequest, say: Callable[[str], None]) -> Openers:
    """What connects to each phone asked for, by what it is called.

    Raises:
        PhoneError: ``all`` finds none that is ready, or a name is no phone's.
    """
    if not request.on:
        raise PhoneError("no phone is named; write --on phone, --on all or --on tcp:HOST:PORT.")
    openers: Openers = {}
    for on in dict.fromkeys(request.on):
        if on == "host":
            raise PhoneError(
                "this computer is timed by itself, not beside phones; leave --on host out, or "
                "everything else."
            )
        if on == "all":
            openers |= _all_phones(request, say)
            continue
        serial = request.serial if on == "phone" else None
        opener = partial(open_phone, on, serial=serial, via=request.via, say=say)
        openers[serial or on] = opener
    return openers


def _all_phones(request: PhoneRequest, say: Callable[[str], None]) -> Openers:
    if request.serial is not None:
        raise PhoneError(f"--on all means every phone; leave --serial {request.serial} out.")
    found = list_phones(request.via, say=say)
    openers: Openers = {}
    for phone in found:
        if phone.state == "device":
            opener = partial(open_phone, phone.serial, via=request.via, say=say)
            openers[phone.serial] = opener
        else:
            say(f"Left out: {phone.serial} is not ready ({phone.state}); {phone.advice}.")
    if not openers:
        reason = "none of them is ready" if found else "none is connected"
        raise PhoneError(
            f"--on all found no phone to use ({reason}); `fer-opt phone list` says what to do."
        )
    return openers


def bench_on(
    request: PhoneRequest,
    jobs: Sequence[TimingJob],
    already: Sequence[PhoneRun],
    save: Callable[[PhoneRun], None],
    progress: Progress = SILENT,
    progress_of: Callable[[str], Progress] | None = None,
) -> tuple[PhoneOutcome, ...]:
    """Time ``jobs`` on every phone asked for; one that fails does not stop the others.

    Args:
        request: which phones, and how.
        jobs: the models, each under its own name.
        already: what earlier calls saved; only what is missing is done.
        save: called with a phone's run whenever it has changed.
        progress: is told how it goes.
        progress_of: makes what is told of one of several phones; ``progress`` tells of all else.

    Raises:
        PhoneError: there is no phone to use.
    """
    openers = find_phones(request, progress.say)
    if len(openers) > 1:
        return bench_phones(
            openers,
            jobs,
            request.settings,
            runner=request.runner,
            already=already,
            save=save,
            progress=progress_of or (lambda on: progress),
        )
    ((on, opener),) = openers.items()
    last: list[PhoneRun] = []

    def keep(run: PhoneRun) -> None:
        last[:] = [run]
        save(run)

    # One phone stays in this thread, where Ctrl-C arrives.
    try:
        run = bench_phone(
            opener,
            jobs,
            request.settings,
            runner=request.runner,
            already=already,
            save=keep,
            progress=progress,
        )
    except FerOptError as exc:
        return (PhoneOutcome(on, last[-1] if last else None, str(exc)),)
    return (PhoneOutcome(on, run, ""),)


def merged(phones: Sequence[PhoneRun], run: PhoneRun) -> tuple[PhoneRun, ...]:
    """``phones`` with ``run`` in the place of what was known of that phone, or at the end."""
    places = [one.phone for one in phones]
    if run.phone not in places:
        return (*phones, run)
    return tuple(run if one.phone == run.phone else one for one in phones)
