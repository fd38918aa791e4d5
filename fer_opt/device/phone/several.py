"""Several phones at the same time, each by itself."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fer_opt.device.adb.link import Link
from fer_opt.device.phone.results import PhoneRun, PhoneSettings
from fer_opt.device.phone.session import bench_phone
from fer_opt.device.protocol import TimingJob
from fer_opt.errors import FerOptError
from fer_opt.progress import SILENT, Progress

__all__ = ["PhoneOutcome", "bench_phones"]

CLEAN_UP_S = 60.0
"""For which phones are waited for after Ctrl-C, while they end what runs and restore settings."""


@dataclass(frozen=True, slots=True)
class PhoneOutcome:
    """What became of one phone.

    Attributes:
        on: how it was called.
        run: as last saved; None where it did not come to that.
        error: why its bench ended early, a sentence; empty where it did not.
    """

    on: str
    run: PhoneRun | None
    error: str


def bench_phones(
    openers: Mapping[str, Callable[[], Link]],
    jobs: Sequence[TimingJob],
    settings: PhoneSettings | None = None,
    *,
    runner: Path | None = None,
    already: Sequence[PhoneRun] = (),
    save: Callable[[PhoneRun], None] = lambda _: None,
    progress: Callable[[str], Progress] = lambda on: SILENT,
    wait: Callable[[float], None] | None = None,
) -> tuple[PhoneOutcome, ...]:
    """Time models on several phones at the same time; one that fails does not stop the others.

    Args:
        openers: connect to the phones, by what they are called.
        jobs: the models, each under its own name.
        settings: how they are timed on every phone; None means the defaults.
        runner: file of a benchmark_model of one's own; None chooses for each phone.
        already: what earlier calls saved.
        save: called with a phone's run whenever it has changed, never by two phones at once.
        progress: makes what is told of each phone's work, from that phone's thread.
        wait: sleeps for a number of seconds; None means until then or Ctrl-C.

    Returns:
        An outcome for each phone, in the order of ``openers``.

    Raises:
        KeyboardInterrupt: after every phone has been told to stop and to restore its settings.
    """
    saving = threading.Lock()
    stopping = threading.Event()

    def wait_or_stop(seconds: float) -> None:
        stopping.wait(seconds)

    def bench(phone: _Phone) -> None:
        def keep(run: PhoneRun) -> None:
            phone.run = run
            with saving:
                save(run)

        try:
            phone.run = bench_phone(
                openers[phone.on],
                jobs,
                settings,
                runner=runner,
                already=already,
                save=keep,
                progress=progress(phone.on),
                wait=wait or wait_or_stop,
            )
        except FerOptError as exc:
            phone.error = str(exc)
        except BaseException as exc:  # noqa: BLE001 - raised again in the caller's thread
            phone.fault = exc
        finally:
            phone.ended.set()

    phones = [_Phone(on) for on in openers]
    threads = [threading.Thread(target=bench, args=(phone,), daemon=True) for phone in phones]
    try:
        for thread in threads:
            thread.start()
        # Ctrl-C in Thread.join() would make Python up to 3.12 take a thread that runs for ended.
        for phone in phones:
            phone.ended.wait()
    except BaseException:
        stopping.set()
        _interrupt(threads)
        raise
    for phone in phones:
        if phone.fault is not None:
            raise phone.fault
    return tuple(PhoneOutcome(phone.on, phone.run, phone.error) for phone in phones)


@dataclass(slots=True)
class _Phone:
    """What one phone's thread has to say."""

    on: str
    run: PhoneRun | None = None
    error: str = ""
    fault: BaseException | None = None
    ended: threading.Event = field(default_factory=threading.Event)


def _interrupt(threads: Sequence[threading.Thread]) -> None:
    """Ctrl-C reaches the main thread only: hand it on, and wait for phones to be given back."""
    for thread in threads:
        if thread.ident is not None:
            # Raised in the thread at its next instruction, just as Ctrl-C is in the main one.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
            )
    end = time.monotonic() + CLEAN_UP_S
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, end - time.monotonic()))
