"""Timing in blocks: each round of all models between two timings of a canary.

The canary is a small fixed model. A phone has no fan: when it grows hot its clock goes down, and
the canary, whose time should never change, tells. A block around which it is slower than it was
when the session began is measured again, all of it, so that the models of a round are always
compared side by side and under the same conditions.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fer_opt.device.measurement import Measurement
from fer_opt.device.phone.results import CanaryCheck, ModelFailure
from fer_opt.device.protocol import Device, TimingJob
from fer_opt.device.schedule import PlanEntry, plan_order
from fer_opt.errors import MeasurementError
from fer_opt.progress import SILENT, Progress

__all__ = ["BASELINE_TIMINGS", "BlockRules", "Blocks", "RestartedError", "measure_blocks"]

BASELINE_TIMINGS = 3
"""Processes of the canary whose median is the baseline; the first may find caches cold."""


class RestartedError(MeasurementError):
    """The device has restarted since the session began, so the canary's baseline is void."""


@dataclass(frozen=True, slots=True)
class BlockRules:
    """When a block's times count.

    Attributes:
        rounds: blocks, each of which times every model once.
        seed: of the random order.
        canary_limit: ratio of the canary's time to its baseline above which a block is throttled.
        cool_down_s: pause before a throttled block is measured again, in seconds.
        tries: of a block before its times are kept all the same, and not trusted.
    """

    rounds: int
    seed: int = 0
    canary_limit: float = 1.10
    cool_down_s: float = 90.0
    tries: int = 3

    def __post_init__(self) -> None:
        if self.tries < 1 or self.canary_limit <= 1 or self.cool_down_s < 0:
            raise MeasurementError(
                f"{self.tries} tries, a canary limit of {self.canary_limit:g} and a pause of "
                f"{self.cool_down_s:g} s cannot be kept to; give at least one try, a limit above 1 "
                "and a pause of 0 or more."
            )


@dataclass(frozen=True, slots=True)
class Blocks:
    """What whole blocks have given.

    Attributes:
        measurements: of whole blocks only, in the order they were made.
        checks: of the canary, one for each attempt of each block.
        failures: models that could not be timed, left out since.
    """

    measurements: tuple[Measurement, ...] = ()
    checks: tuple[CanaryCheck, ...] = ()
    failures: tuple[ModelFailure, ...] = ()

    def throttled_rounds(self) -> tuple[int, ...]:
        """Rounds whose last attempt was throttled still; their times are not to be trusted."""
        last = {check.round_index: check.throttled for check in self.checks}
        return tuple(sorted(index for index, throttled in last.items() if throttled))


def measure_blocks(
    device: Device,
    jobs: Sequence[TimingJob],
    rules: BlockRules,
    *,
    time_canary: Callable[[], float],
    session: str,
    already: Blocks | None = None,
    save: Callable[[Blocks], None] = lambda _: None,
    progress: Progress = SILENT,
    wait: Callable[[float], None] = time.sleep,
    plan: Sequence[PlanEntry] = (),
    enough: Callable[[Blocks], bool] = lambda _: False,
) -> Blocks:
    """Time ``jobs`` in blocks, leaving out those that ``already`` holds whole.

    A block that is missing a model, or was cut short, is measured again from its beginning. Once a
    block has been throttled in all its tries, the session is not to be trusted anyway, and later
    blocks are measured once each, without pauses.

    Args:
        device: that times them.
        jobs: the models, each under its own name.
        rules: when a block's times count.
        time_canary: times the canary in a fresh process, in ms.
        session: identifies the uninterrupted run of fer-opt.
        already: what earlier sessions of this plan gave.
        save: called after every attempt of a block, so that a killed session goes on after it.
        progress: told of every process and every pause.
        wait: sleeps for a number of seconds; raises a :class:`RestartedError` where the device has
            restarted meanwhile.
        plan: every process of every round, in order; empty draws a random order from the rules.
        enough: asked before each block whether what there is will do.

    Returns:
        Everything there is now, ``already`` included, also its rounds beyond those asked for.

    Raises:
        MeasurementError: the canary could not be timed, or the device kept restarting. A model
            that could not be timed raises nothing: it is among the failures.
        PhoneError: the device can no longer be reached or used; whole blocks have been saved.
    """
    plan = plan or plan_order([job.model for job in jobs], rules.rounds, rules.seed)
    done = _whole(already or Blocks(), jobs)
    missing = sorted({entry.round_index for entry in _missing(plan, done)})
    with progress.stage("Timing", rules.rounds * len(jobs)) as advance:
        advance((rules.rounds - len(missing)) * len(jobs))
        watch = _Watch(rules, time_canary, wait, progress)
        for round_index in missing:
            if enough(done):
                break
            entries = [entry for entry in plan if entry.round_index == round_index]
            timer = _Timer(device, {job.model: job for job in jobs}, session, advance)
            done = _measure_block(entries, done, timer, watch, save)
    return done


class _Watch:
    """The canary: what it took at first, and whether it takes longer now."""

    def __init__(
        self,
        rules: BlockRules,
        time_canary: Callable[[], float],
        wait: Callable[[float], None],
        progress: Progress,
    ) -> None:
        self.rules, self.wait, self.progress = rules, wait, progress
        self._time = time_canary
        self.baseline_ms = 0.0  # not taken yet
        self.latest_ms: float | None = None
        """Just taken, with nothing in between: the end of a block is the next one's beginning."""
        self.given_up = False

    def forget(self) -> None:
        """Take another baseline before the next block."""
        self.baseline_ms, self.latest_ms = 0.0, None

    def over(self, canary_ms: float) -> bool:
        """Whether that is too slow."""
        return canary_ms > self.rules.canary_limit * self.baseline_ms

    def look(self) -> float:
        """The canary's time now."""
        taken_ms = self._time()
        # Heat lasts, so a second process shows it as well; a moment's disturbance does not.
        return min(taken_ms, self._time()) if self.over(taken_ms) else taken_ms

    def before(self) -> float:
        """The canary's time at the beginning of a block, after the baseline where there is none."""
        if not self.baseline_ms:
            self.baseline_ms = statistics.median(self._time() for _ in range(BASELINE_TIMINGS))
            return self.baseline_ms
        taken_ms = self.latest_ms if self.latest_ms is not None else self.look()
        self.latest_ms = None
        return taken_ms

    def pause(self, cause: str) -> None:
        """Let the device come to rest; where it restarts meanwhile, the baseline is void."""
        self.progress.say(f"{cause}; waiting {self.rules.cool_down_s:g} s.")
        try:
            self.wait(self.rules.cool_down_s)
        except RestartedError:
            self.forget()


@dataclass(frozen=True, slots=True)
class _Timer:
    """Times one model after the other."""

    device: Device
    jobs: dict[str, TimingJob]
    session: str
    advance: Callable[[int], None]

    def time(
        self, entries: Sequence[PlanEntry], attempt: int
    ) -> tuple[tuple[Measurement, ...], tuple[ModelFailure, ...]]:
        """The measurements of a block and the models that failed in it."""
        made: list[Measurement] = []
        failed: list[ModelFailure] = []
        for entry in entries:
            try:
                measurement = self.device.measure(
                    self.jobs[entry.model],
                    order_index=entry.order_index,
                    round_index=entry.round_index,
                    session=self.session,
                )
            except RestartedError:
                self.advance(-len(made) - len(failed))
                raise
            except MeasurementError as exc:
                failed.append(ModelFailure(entry.model, str(exc)))
            else:
                made.append(dataclasses.replace(measurement, attempt=attempt))
            self.advance(1)
        return tuple(made), tuple(failed)


def _measure_block(
    entries: Sequence[PlanEntry],
    done: Blocks,
    timer: _Timer,
    watch: _Watch,
    save: Callable[[Blocks], None],
) -> Blocks:
    """``done`` with one more block, measured until it is not throttled or tries run out."""
    round_index = entries[0].round_index
    tries = 1 if watch.given_up else watch.rules.tries
    restarts = 0
    attempt = 0
    while True:
        failed = {failure.model for failure in done.failures}
        left = [entry for entry in entries if entry.model not in failed]
        if not left:
            timer.advance(len(entries))
            return done
        try:
            before_ms = watch.before()
            made, failures = timer.time(left, attempt)
            after_ms = watch.look()
        except RestartedError:
            restarts += 1
            if restarts >= max(2, watch.rules.tries):
                raise
            watch.pause("The device has restarted, so this round is measured again")
            watch.forget()
            continue
        throttled = watch.over(before_ms) or watch.over(after_ms)
        check = CanaryCheck(round_index, attempt, watch.baseline_ms, before_ms, after_ms, throttled)
        done = dataclasses.replace(
            done, checks=(*done.checks, check), failures=(*done.failures, *failures)
        )
        attempt += 1
        if throttled and attempt < tries:
            save(done)
            timer.advance(-len(made) - len(failures))
            slower = max(before_ms, after_ms) / watch.baseline_ms
            watch.pause(f"The canary takes {slower:.2f} times what it took at first")
            continue
        timer.advance(len(entries) - len(left))
        watch.given_up = watch.given_up or throttled
        watch.latest_ms = None if throttled else after_ms
        done = dataclasses.replace(done, measurements=(*done.measurements, *made))
        save(done)
        return done


def _whole(already: Blocks, jobs: Sequence[TimingJob]) -> Blocks:
    """What of ``already`` can stand: whole blocks of these very files."""
    sha256_of = {job.model: job.sha256 for job in jobs}
    failures = tuple(one for one in already.failures if one.model in sha256_of)
    wanted = set(sha256_of) - {failure.model for failure in failures}
    last = {check.round_index: check.attempt for check in already.checks}
    kept = [one for one in already.measurements if sha256_of.get(one.model) == one.model_sha256]
    whole = set()
    for index in last:
        block = [one for one in kept if one.round_index == index]
        side_by_side = len({(one.session, one.attempt) for one in block}) <= 1
        if side_by_side and wanted <= {one.model for one in block}:
            whole.add(index)
    return Blocks(
        tuple(one for one in kept if one.round_index in whole),
        tuple(check for check in already.checks if check.round_index in whole),
        failures,
    )


def _missing(plan: Sequence[PlanEntry], done: Blocks) -> list[PlanEntry]:
    """Entries of blocks that are not there yet."""
    whole = {check.round_index for check in done.checks}
    return [entry for entry in plan if entry.round_index not in whole]
