"""The stages of a bench once everything is on the phone: latency, then outputs, then operators."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from fer_opt.device.benchmark_model import BenchmarkFailedError, BenchmarkRequest
from fer_opt.device.blocks import BlockRules, Blocks, RestartedError, measure_blocks
from fer_opt.device.phone import operators, outputs
from fer_opt.device.phone.book import Book, blocks_of
from fer_opt.device.phone.canary import CANARY
from fer_opt.device.phone.device import PhoneDevice, PlacedModel
from fer_opt.device.phone.results import ModelFailure, PhoneSettings
from fer_opt.device.protocol import TimingJob
from fer_opt.device.schedule import PlanEntry, new_session, plan_order
from fer_opt.errors import MeasurementError
from fer_opt.progress import Progress

__all__ = ["check_request", "compare_all_outputs", "profile_all_operators", "time_blocks"]

SIGN_OF_LIFE_S = 20.0
"""How often the phone's watchdog hears of us during pauses; see ``opening.QUIET_S``."""

Result = TypeVar("Result")


def check_request(jobs: Sequence[TimingJob], settings: PhoneSettings) -> None:
    """Refuse what cannot be timed before a phone is touched.

    Raises:
        MeasurementError: there are no models, two of one name, or settings nothing can be timed
            with.
    """
    plan_order([CANARY.model, *(job.model for job in jobs)], settings.rounds, settings.seed)
    if not jobs:
        raise MeasurementError("no model is to be timed; name one or more.")
    if settings.outputs < 0:
        raise MeasurementError(
            f"{settings.outputs} samples cannot be compared; give 0 for none, or more."
        )
    _rules(settings)
    BenchmarkRequest(
        graph=CANARY.model,
        runs=settings.runs,
        warm_up_runs=settings.warm_up_runs,
        threads=settings.threads,
        max_s=settings.max_s,
    )


def _rules(settings: PhoneSettings) -> BlockRules:
    return BlockRules(
        rounds=settings.rounds,
        seed=settings.seed,
        canary_limit=settings.canary_limit,
        cool_down_s=settings.cool_down_s,
        tries=settings.tries,
    )


def time_blocks(
    device: PhoneDevice,
    book: Book,
    jobs: Sequence[TimingJob],
    sign: Callable[[], None],
    progress: Progress,
    wait: Callable[[float], None],
    plan: Sequence[PlanEntry] = (),
    enough: Callable[[Blocks], bool] = lambda _: False,
) -> None:
    """All latency, before anything else may heat the phone.

    Args:
        device: the phone.
        book: what there is already, and where times are entered.
        jobs: the models.
        sign: tells the phone's watchdog that we live.
        progress: told of the work.
        wait: sleeps for a number of seconds.
        plan: every process of every round, in order; empty draws a random order.
        enough: asked before each round whether what there is will do; the run then has no more.

    Raises:
        MeasurementError: the canary could not be timed, or the phone kept restarting.
        RunnerError: nothing can be timed with this runner.
        PhoneError: the phone is gone or cannot be used.
    """

    def pause(seconds: float) -> None:
        restarts = device.steady.restarts
        while seconds > 0:
            part = min(seconds, SIGN_OF_LIFE_S)
            wait(part)
            seconds -= part
            device.steady.run(sign)
        if device.steady.restarts != restarts:
            raise RestartedError("the phone has restarted; its times before do not count.")

    _try_failed_again(device, book, jobs, progress)
    blocks = measure_blocks(
        device,
        jobs,
        _rules(book.run.settings),
        time_canary=device.time_canary,
        session=new_session(),
        already=blocks_of(book.run),
        save=book.write_blocks,
        progress=progress,
        wait=pause,
        plan=plan,
        enough=enough,
    )
    book.write_blocks(blocks)  # models no longer asked for have gone
    rounds = len({one.round_index for one in blocks.measurements})
    # Those measured before have not gone, and those no longer needed will not come.
    if rounds > book.run.settings.rounds or (rounds and enough(blocks)):
        book.write(settings=dataclasses.replace(book.run.settings, rounds=rounds))


def _try_failed_again(
    device: PhoneDevice, book: Book, jobs: Sequence[TimingJob], progress: Progress
) -> None:
    """Once each, what failed in an earlier session: what stopped it may have passed.

    Before whole blocks of the others are measured anew for its sake.
    """
    again = {job.model: job for job in jobs if job.model in device.models}
    failures = [one for one in book.run.failures if one.model in again]
    if not failures:
        return
    left = {one.model: one for one in book.run.failures}
    with progress.stage("Trying again what failed", len(failures)) as advance:
        for one in failures:
            del left[one.model]
            try:
                device.measure(again[one.model], order_index=0, round_index=0, session="")
            except RestartedError:
                pass  # the blocks will tell
            except MeasurementError as exc:
                left[one.model] = ModelFailure(one.model, str(exc))
            advance(1)
    book.write(failures=tuple(left.values()))


def compare_all_outputs(
    device: PhoneDevice, book: Book, sign: Callable[[], None], progress: Progress
) -> None:
    """Whether every model gives on the phone what it gives here; what cannot be is a warning.

    Raises:
        PhoneError: the phone is gone or cannot be used.
    """
    done = {one.model: one.samples for one in book.run.outputs}
    left = [
        one
        for one in _working(device, book)
        if done.get(one.prepared.job.model, 0) < len(one.prepared.expected)
    ]
    if not left or not book.run.settings.outputs:
        return
    if not outputs.can_compare(device):
        _warn(book, outputs.NO_FLAG, progress)
        return
    with progress.stage("Comparing outputs", len(left)) as advance:
        for placed in left:
            try:
                found = outputs.compare_outputs(
                    device, placed, lambda run: _attended(device, sign, run)
                )
            except MeasurementError as exc:
                _warn(book, f"Outputs were not compared: {exc}", progress)
            else:
                kept = {one.model: one for one in book.run.outputs} | {found.model: found}
                book.write(outputs=tuple(kept.values()))
            advance(1)


def profile_all_operators(
    device: PhoneDevice, book: Book, sign: Callable[[], None], progress: Progress
) -> None:
    """Where asked for, what each operator takes; what cannot be is a warning.

    Raises:
        PhoneError: the phone is gone or cannot be used.
    """
    done = {one.model for one in book.run.operators}
    left = [one for one in _working(device, book) if one.prepared.job.model not in done]
    if not left or not book.run.settings.operator_profile:
        return
    if not operators.can_profile(device):
        _warn(book, operators.NO_FLAG, progress)
        return
    with progress.stage("Profiling operators", len(left)) as advance:
        for placed in left:
            try:
                rows = _attended(device, sign, partial(operators.profile_operators, device, placed))
            except MeasurementError as exc:
                _warn(book, f"Operators were not profiled: {exc}", progress)
            else:
                book.write(operators=(*book.run.operators, *rows))
            advance(1)


def _attended(device: PhoneDevice, sign: Callable[[], None], run: Callable[[], Result]) -> Result:
    """Run a process after a sign of life, once more where it failed for what may pass."""
    device.steady.run(sign)
    try:
        return run()
    except BenchmarkFailedError as exc:
        if exc.failure.blame != "phone":
            raise
    device.steady.run(sign)
    return run()


def _working(device: PhoneDevice, book: Book) -> list[PlacedModel]:
    """Models that could be timed, in the order they were given."""
    failed = {failure.model for failure in book.run.failures}
    names = [model.name for model in book.run.models if model.name not in failed]
    return [device.models[name] for name in names]


def _warn(book: Book, sentence: str, progress: Progress) -> None:
    if sentence not in book.run.warnings:
        book.write(warnings=(*book.run.warnings, sentence))
    progress.say(sentence)
