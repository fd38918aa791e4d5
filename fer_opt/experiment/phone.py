"""Benches on phones as a run and the command line ask for them: which phones, and how."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock

from fer_opt.device.adb import Link, list_phones, open_phone
from fer_opt.device.phone.identity import in_use, read_phone_id
from fer_opt.device.phone.results import PhoneRun, PhoneSettings
from fer_opt.device.phone.session import bench_phone
from fer_opt.device.phone.several import PhoneOutcome, bench_phones
from fer_opt.device.protocol import TimingJob
from fer_opt.errors import FerOptError, PhoneError
from fer_opt.progress import SILENT, Progress

__all__ = [
    "Openers",
    "PhoneRequest",
    "bench_on",
    "check_request",
    "find_phones",
    "merged",
    "reachable_phones",
]

VIRTUAL = "virtual"
Openers = dict[str, Callable[[], Link]]


@dataclass(frozen=True, slots=True)
class PhoneRequest:
    """Which phones to time on, and how.

    Attributes:
        on: ``phone`` (the one there is), ``all``, ``tcp:HOST:PORT``, serial numbers, or
            ``virtual`` (one that is started for the purpose and ended afterwards).
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


def check_request(request: PhoneRequest) -> None:
    """Refuse what contradicts itself, before anything else is looked at.

    Raises:
        PhoneError: this computer is named beside phones, or --serial beside something else.
    """
    if "host" in request.on:
        raise PhoneError(
            "this computer is timed by itself, not beside phones; leave --on host out, or "
            "everything else."
        )
    if request.serial is not None and "phone" not in request.on:
        raise PhoneError(
            f"--serial {request.serial} says which phone --on phone means; write --on phone, or "
            "leave it out."
        )


def find_phones(request: PhoneRequest, say: Callable[[str], None]) -> Openers:
    """What connects to each phone asked for, by what it is called; ``virtual`` is left out.

    Raises:
        PhoneError: ``all`` finds none that is ready, or the request contradicts itself.
    """
    check_request(request)
    if not request.on:
        raise PhoneError("no phone is named; write --on phone, --on all or --on tcp:HOST:PORT.")
    openers: Openers = {}
    for on in dict.fromkeys(request.on):
        if on == VIRTUAL or (on == "phone" and "all" in request.on):  # it is one of them
            continue
        if on == "all":
            openers |= _all_phones(request, say)
            continue
        serial = request.serial if on == "phone" else None
        opener = partial(open_phone, on, serial=serial, via=request.via, say=say)
        openers[serial or on] = opener
    return openers


def _all_phones(request: PhoneRequest, say: Callable[[str], None]) -> Openers:
    found = list_phones(request.via, say=say, in_use=in_use)
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
    models = [job.sha256 for job in jobs]
    with reachable_phones(request, models, progress.say) as openers:
        return _bench(openers, request, jobs, already, save, progress, progress_of)


@contextmanager
def reachable_phones(
    request: PhoneRequest, models: Sequence[str], say: Callable[[str], None]
) -> Iterator[Openers]:
    """What connects to each phone asked for, by what it is called; a virtual one lives as long.

    Args:
        request: which phones.
        models: hashes of the files to be timed, by which a virtual phone is the same one again.
        say: is told what happens.

    Raises:
        PhoneError: there is no phone to use.
    """
    with ExitStack() as stack:
        openers = find_phones(request, say)
        if VIRTUAL in request.on:
            openers[VIRTUAL] = stack.enter_context(_virtual_phone(models, say))
        yield openers


def _bench(
    openers: Openers,
    request: PhoneRequest,
    jobs: Sequence[TimingJob],
    already: Sequence[PhoneRun],
    save: Callable[[PhoneRun], None],
    progress: Progress,
    progress_of: Callable[[str], Progress] | None,
) -> tuple[PhoneOutcome, ...]:
    if len(openers) > 1:
        doubles: dict[str, str] = {}
        outcomes = bench_phones(
            _each_once(openers, doubles),
            jobs,
            request.settings,
            runner=request.runner,
            already=already,
            save=save,
            progress=progress_of or (lambda on: progress),
        )
        for on, other in doubles.items():
            progress.say(f"Left out: {on} is the same phone as {other}, which was timed once.")
        return tuple(outcome for outcome in outcomes if outcome.on not in doubles)
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


def _each_once(openers: Openers, doubles: dict[str, str]) -> Openers:
    """Openers that refuse a phone which another one has opened before, by another name.

    Args:
        openers: by what the phones are called.
        doubles: is told which were refused, and what the same phone was called before.
    """
    first: dict[str, str] = {}
    looking = Lock()

    def once(on: str) -> Link:
        link = openers[on]()
        try:
            phone = read_phone_id(link)
            with looking:
                other = first.setdefault(phone, on)
            if other != on:
                doubles[on] = other
                raise PhoneError(f"{on} is the same phone as {other}; name it once.")
        except BaseException:
            link.close()
            raise
        return link

    return {on: partial(once, on) for on in openers}


@contextmanager
def _virtual_phone(
    models: Sequence[str], say: Callable[[str], None]
) -> Iterator[Callable[[], Link]]:
    """A virtual phone that knows this computer, always the same one for the same files."""
    from fer_opt.device.adb.keys import load_signers
    from fer_opt.device.virtual import start_virtual_phone

    files = hashlib.sha256("\n".join(sorted(models)).encode())
    keys = [signer.public_key.decode() for signer in load_signers(say)]
    serial = f"virtual{files.hexdigest()[:8]}"
    with start_virtual_phone(serial=serial, known_keys=keys) as phone:
        for sentence in phone.said:
            say(sentence)
        yield partial(open_phone, phone.address, say=say)


def merged(phones: Sequence[PhoneRun], run: PhoneRun) -> tuple[PhoneRun, ...]:
    """``phones`` with ``run`` in the place of what was known of that phone, or at the end."""
    places = [one.phone for one in phones]
    if run.phone not in places:
        return (*phones, run)
    return tuple(run if one.phone == run.phone else one for one in phones)
