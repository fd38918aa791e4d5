"""The whole bench of one phone: from the first connection to the phone as it was before."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fer_opt.device.adb.link import Link
from fer_opt.device.benchmark_model import parse_help
from fer_opt.device.blocks import Blocks
from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.phone.book import Book, continued, is_complete, new_run, now
from fer_opt.device.phone.canary import CANARY
from fer_opt.device.phone.cpus import choose_cpus
from fer_opt.device.phone.device import START_S, PhoneDevice
from fer_opt.device.phone.facts import PhoneFacts, device_facts
from fer_opt.device.phone.heard import with_warning
from fer_opt.device.phone.opening import held, locked, opened
from fer_opt.device.phone.placing import Placed, place
from fer_opt.device.phone.profiles import match_profile, profile_warnings
from fer_opt.device.phone.readiness import readiness
from fer_opt.device.phone.reconnect import Steady
from fer_opt.device.phone.results import PhoneRun, PhoneSettings, RunnerFacts
from fer_opt.device.phone.samples import Prepared, prepare_models
from fer_opt.device.phone.stages import (
    check_request,
    compare_all_outputs,
    profile_all_operators,
    time_blocks,
)
from fer_opt.device.phone.trust import judge
from fer_opt.device.protocol import TimingJob
from fer_opt.device.runner import Runner, choose_runner, is_emulated
from fer_opt.device.schedule import PlanEntry
from fer_opt.errors import FerOptError, MeasurementError
from fer_opt.progress import SILENT, Progress

__all__ = ["bench_phone"]


def bench_phone(
    open_link: Callable[[], Link],
    jobs: Sequence[TimingJob],
    settings: PhoneSettings | None = None,
    *,
    runner: Path | None = None,
    already: Sequence[PhoneRun] = (),
    save: Callable[[PhoneRun], None] = lambda _: None,
    progress: Progress = SILENT,
    wait: Callable[[float], None] = time.sleep,
    reconnect_s: float = 120.0,
    plan: Sequence[PlanEntry] = (),
    enough: Callable[[Blocks], bool] = lambda _: False,
) -> PhoneRun:
    """Time models on one phone and leave it as it was.

    Every state is handed to ``save``, and a later call with what was saved in ``already`` does
    only what is missing. A model that fails is among the failures and does not stop the others.

    Args:
        open_link: connects to the phone.
        jobs: the models, each under its own name.
        settings: how they are timed; None means the defaults.
        runner: file of a benchmark_model of one's own; None chooses.
        already: what earlier calls saved, of this phone or others.
        save: called with the run whenever it has changed.
        progress: told of the work.
        wait: sleeps for a number of seconds.
        reconnect_s: for how long to try to reach a phone that was lost, in seconds.
        plan: every process of every round, in order; empty draws a random order from the seed.
        enough: asked before each round whether what there is will do; the run then has no more.

    Returns:
        The run, complete.

    Raises:
        PhoneError: the phone cannot be reached or used, or is in use by another fer-opt.
        LinkLostError: the phone was lost and did not come back; what was measured has been saved.
        RunnerError: there is no runner for this phone, or it does not run there.
        MeasurementError: nothing can be timed so.
    """
    settings = settings or PhoneSettings()
    check_request(jobs, settings)
    with opened(open_link, progress, reconnect_s) as steady, locked(steady) as phone:
        cautions = readiness(phone, settings)
        if phone.virtual:  # has nothing to cool
            settings = dataclasses.replace(settings, cool_down_s=min(1.0, settings.cool_down_s))
        chosen = _choose_runner(phone, runner)
        run = _begin(phone, steady, chosen, jobs, settings, already, progress)
        if run.complete:
            return run
        book = Book(run, save, cautions)
        owed: list[str] = []
        cpus = choose_cpus(phone, settings.threads, settings.cpus)
        with _closed(book, steady, phone, cpus, owed), _prepared(book, jobs) as prepared:
            placed = place(steady, chosen, prepared, progress)
            book.write(pushed_bytes=placed.pushed_bytes, kept_bytes=placed.kept_bytes)
            device = _device(steady, book, placed, cpus)
            with _held(steady, book, owed, settings, progress) as sign:
                time_blocks(device, book, jobs, sign, progress, wait, plan, enough)
                compare_all_outputs(device, book, sign, progress)
                profile_all_operators(device, book, sign, progress)
    return book.run


def _choose_runner(phone: PhoneFacts, named: Path | None) -> Runner:
    virtual = bool(phone.virtual)
    return choose_runner(
        phone.abis, runner=named, virtual=virtual, machine=phone.virtual if virtual else None
    )


def _begin(
    phone: PhoneFacts,
    steady: Steady,
    runner: Runner,
    jobs: Sequence[TimingJob],
    settings: PhoneSettings,
    already: Sequence[PhoneRun],
    progress: Progress,
) -> PhoneRun:
    """The run to go on with: a new one, or an earlier one as far as it can be continued."""
    profile = match_profile(phone)
    warnings = profile_warnings(phone, profile) if profile is not None else ()
    for warning in warnings:
        progress.say(warning)
    fresh = new_run(
        phone=phone.phone,
        label=phone.label,
        route=steady.link.route,
        device=_facts(phone, runner),
        profile=profile.name if profile is not None else "",
        warnings=warnings,
        settings=settings,
        runner=_runner_facts(runner),
        jobs=jobs,
    )
    run, objection = continued(fresh, already)
    if objection:
        progress.say(objection)
    return run


def _facts(phone: PhoneFacts, runner: Runner) -> DeviceFacts:
    facts = device_facts(phone)
    emulated = bool(phone.virtual) and is_emulated(runner, phone.virtual)
    return dataclasses.replace(facts, kind="emulated") if emulated else facts


def _runner_facts(runner: Runner) -> RunnerFacts:
    return RunnerFacts(
        name=runner.name,
        source=runner.source,
        fetched_at=runner.fetched_at,
        sha256=runner.sha256,
        size_bytes=runner.size_bytes,
        abi=runner.abi,
        flags=(),
    )


@contextlib.contextmanager
def _closed(
    book: Book, steady: Steady, phone: PhoneFacts, cpus: Sequence[int], owed: Sequence[str]
) -> Iterator[None]:
    """Enter how the bench ended, whatever happens."""
    clocks = [core.max_khz for core in phone.cores if core.number in cpus and core.max_khz]
    earlier_reconnections = book.run.reconnections

    def end(error: str) -> None:
        run = dataclasses.replace(
            book.run,
            reconnections=earlier_reconnections + steady.reconnections,
            ended_at=now(),
            error=error,
            complete=not error and is_complete(book.run),
        )
        trust = judge(
            run,
            cores=len(phone.cores),
            max_mhz=min(clocks) / 1000 if clocks else None,
            cautions=owed,
        )
        book.run = run
        book.write(trust=trust)

    try:
        yield
    except FerOptError as exc:
        end(str(exc))
        raise
    except BaseException:
        end("The bench was interrupted; the same command goes on from here.")
        raise
    end("")


@contextlib.contextmanager
def _prepared(book: Book, jobs: Sequence[TimingJob]) -> Iterator[tuple[Prepared, ...]]:
    """The canary and every model that this computer can run, with inputs and expected outputs."""
    with tempfile.TemporaryDirectory(prefix="fer-opt-") as scratch:
        prepared, failures = prepare_models(
            [CANARY, *jobs],
            Path(scratch),
            rounds=book.run.settings.rounds,
            outputs=book.run.settings.outputs,
        )
        if broken := [one for one in failures if one.model == CANARY.model]:
            raise MeasurementError(broken[0].reason)
        unfit = {failure.model for failure in failures}
        earlier = (failure for failure in book.run.failures if failure.model not in unfit)
        book.write(failures=(*earlier, *failures))
        yield prepared


def _device(steady: Steady, book: Book, placed: Placed, cpus: tuple[int, ...]) -> PhoneDevice:
    """The phone as a device, once its runner has told which flags it knows."""
    assert book.run.runner is not None
    words = [placed.runner, "--help"]
    answer = steady.run(lambda: steady.link.job(words, timeout_s=START_S))
    flags = parse_help(answer.output)
    book.write(runner=dataclasses.replace(book.run.runner, flags=tuple(sorted(flags))))

    def warn(warning: str) -> None:
        warnings = with_warning(book.run.warnings, warning)
        if warnings != book.run.warnings:
            book.write(warnings=warnings)

    return PhoneDevice(
        steady, book.run.device, book.run.settings, cpus, placed.runner, flags, placed.models,
        warn=warn,
    )  # fmt: skip


def _held(
    steady: Steady, book: Book, owed: list[str], settings: PhoneSettings, progress: Progress
) -> contextlib.AbstractContextManager[Callable[[], None]]:
    """The phone's settings as a bench needs them; the book hears of what was changed."""

    def changed(changes: tuple[str, ...]) -> None:
        book.write(changed_settings=changes or book.run.changed_settings)

    busy_s = max(900.0, 2 * settings.max_s + 2 * START_S)
    return held(
        steady, busy_s=busy_s, note=book.note, changed=changed, owed=owed, progress=progress
    )
