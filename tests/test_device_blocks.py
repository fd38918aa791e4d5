"""Blocks on devices of which the tests know how hot they are, and on this computer."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.device.blocks import (
    BASELINE_TIMINGS,
    BlockRules,
    Blocks,
    RestartedError,
    measure_blocks,
)
from fer_opt.device.host import HostDevice
from fer_opt.device.measurement import Conditions, DeviceFacts, Measurement
from fer_opt.device.phone.canary import CANARY
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.device.schedule import plan_order
from fer_opt.errors import LinkLostError, MeasurementError
from fer_opt.files import sha256_of

UNKNOWN = Conditions(load_1m=None, cpu_mhz=None, temperature_c=None)


@dataclass
class Stove:
    """A device that may be hot: times double while it is; waiting cools it.

    Attributes:
        hot: indices of the processes (canaries and models, counted together) that heat it.
        cools: whether waiting helps.
        broken: models that cannot be timed.
        cut: index of the process at which the cable is pulled.
        restarts: indices of processes at which it has restarted.
    """

    hot: frozenset[int] = frozenset()
    disturbed: frozenset[int] = frozenset()
    cools: bool = True
    broken: frozenset[str] = frozenset()
    cut: int = -1
    restarts: frozenset[int] = frozenset()
    is_hot: bool = False
    speed: float = 1.0
    asked: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def facts(self) -> DeviceFacts:
        return DeviceFacts(kind="virtual", name="stove", fingerprint="", facts={}, unread={})

    def canary(self) -> float:
        return self._process("canary", 10.0)

    def measure(
        self, job: TimingJob, *, order_index: int, round_index: int, session: str
    ) -> Measurement:
        time_ms = self._process(job.model, 50.0)
        if job.model in self.broken:
            raise MeasurementError(f"{job.model} was not timed: it is broken; mend it.")
        return Measurement(
            model=job.model,
            model_sha256=job.sha256,
            order_index=order_index,
            round_index=round_index,
            session=session,
            started_at="2024-05-01T10:00:00+00:00",
            initialisation_ms=1.0,
            warm_up_ms=(),
            inference_ms=(time_ms,),
            steady=True,
            threads=1,
            cpus=(),
            delegate="none",
            peak_memory_bytes=None,
            before=UNKNOWN,
            after=UNKNOWN,
        )

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.is_hot = self.is_hot and not self.cools

    def _process(self, what: str, cool_ms: float) -> float:
        index = len(self.asked)
        if index == self.cut:
            raise LinkLostError("the cable was pulled; plug it in.")
        self.asked.append(what)
        if index in self.restarts:
            self.speed = 0.5
            raise RestartedError("the stove has restarted.")
        self.is_hot = self.is_hot or index in self.hot
        slow = 2.0 if self.is_hot or index in self.disturbed else 1.0
        return cool_ms * slow / self.speed


def jobs(names: str) -> list[TimingJob]:
    return [TimingJob(name, Path(f"{name}.tflite"), "0" * 64) for name in names]


def bench(
    stove: Stove,
    names: str | Sequence[TimingJob] = "abc",
    *,
    already: Blocks | None = None,
    saved: list[Blocks] | None = None,
    session: str = "s",
    **rules: object,
) -> Blocks:
    return measure_blocks(
        stove,
        jobs(names) if isinstance(names, str) else names,
        BlockRules(**{"rounds": 3, **rules}),  # type: ignore[arg-type]
        time_canary=stove.canary,
        session=session,
        already=already,
        save=(saved if saved is not None else []).append,
        wait=stove.wait,
    )


def test_blocks_lie_between_canaries_and_neighbours_share_one() -> None:
    stove = Stove()
    done = bench(stove)
    blocks = [
        [one.model for one in plan_order("abc", 3, 0) if one.round_index == r] for r in range(3)
    ]
    assert stove.asked == [
        *["canary"] * BASELINE_TIMINGS,
        *blocks[0], "canary", *blocks[1], "canary", *blocks[2], "canary",
    ]  # fmt: skip
    assert [(one.model, one.order_index) for one in done.measurements] == [
        (entry.model, entry.order_index) for entry in plan_order("abc", 3, 0)
    ]
    assert [(one.round_index, one.attempt, one.throttled) for one in done.checks] == [
        (0, 0, False), (1, 0, False), (2, 0, False)
    ]  # fmt: skip
    assert not stove.waits
    assert not done.throttled_rounds()


def test_a_throttled_block_is_measured_again_as_a_whole() -> None:
    first_of_round_1 = BASELINE_TIMINGS + 3 + 1
    stove = Stove(hot=frozenset({first_of_round_1 + 1}))
    saved: list[Blocks] = []
    done = bench(stove, saved=saved, cool_down_s=42.0)
    assert stove.waits == [42.0]
    assert [(one.round_index, one.attempt, one.throttled) for one in done.checks] == [
        (0, 0, False), (1, 0, True), (1, 1, False), (2, 0, False)
    ]  # fmt: skip
    assert [one.attempt for one in done.measurements] == [0] * 3 + [1] * 3 + [0] * 3
    assert {one.inference_ms for one in done.measurements} == {(50.0,)}
    assert not done.throttled_rounds()
    # The attempt that did not count was saved as a check, its times were not.
    assert [(len(one.checks), len(one.measurements)) for one in saved] == [
        (1, 3), (2, 3), (3, 6), (4, 9)
    ]  # fmt: skip


def test_a_block_that_stays_throttled_is_kept_and_not_trusted() -> None:
    stove = Stove(hot=frozenset({BASELINE_TIMINGS}), cools=False)
    done = bench(stove, tries=3)
    assert done.throttled_rounds() == (0, 1, 2)
    assert [(one.round_index, one.attempt) for one in done.checks] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (2, 0)
    ]  # fmt: skip
    assert len(done.measurements) == 9
    assert len(stove.waits) == 2  # once given up, time is not wasted on pauses


def test_a_moments_disturbance_of_the_canary_is_no_heat() -> None:
    stove = Stove(disturbed=frozenset({0, BASELINE_TIMINGS + 3}))
    done = bench(stove)
    assert done.checks[0].baseline_ms == done.checks[0].after_ms == 10.0
    assert not stove.waits
    assert len(stove.asked) == BASELINE_TIMINGS + 3 * 4 + 1


@given(st.floats(1.01, 3.0), st.floats(0.5, 4.0))
def test_the_limit_is_the_users(limit: float, slower: float) -> None:
    times = iter([10.0] * BASELINE_TIMINGS + [10.0 * slower] * 2)
    stove = Stove()
    done = measure_blocks(
        stove,
        jobs("a"),
        BlockRules(rounds=1, canary_limit=limit, tries=1),
        time_canary=lambda: next(times),
        session="s",
    )
    assert done.checks[0].throttled == (10.0 * slower > limit * 10.0)


def test_a_model_that_fails_does_not_stop_the_others() -> None:
    stove = Stove(broken=frozenset("b"))
    done = bench(stove)
    assert [(one.model, one.reason) for one in done.failures] == [
        ("b", "b was not timed: it is broken; mend it.")
    ]
    assert stove.asked.count("b") == 1
    assert sorted(one.model for one in done.measurements) == list("aaaccc")
    again = Stove()
    assert bench(again, already=done) == done
    assert not again.asked


def test_when_all_models_fail_nothing_more_is_timed() -> None:
    stove = Stove(broken=frozenset("abc"))
    done = bench(stove)
    assert len(done.failures) == 3
    assert not done.measurements
    assert len(stove.asked) == BASELINE_TIMINGS + 3 + 1


@given(st.integers(0, 20), st.frozensets(st.integers(3, 14), max_size=2))
def test_a_lost_session_is_taken_up_block_by_block(cut: int, hot: frozenset[int]) -> None:
    stove = Stove(cut=cut, hot=hot)
    saved: list[Blocks] = []
    with contextlib.suppress(LinkLostError):
        bench(stove, saved=saved, session="first")
    before = saved[-1] if saved else Blocks()
    whole = {one.round_index for one in before.measurements}
    assert all(
        sorted(one.model for one in before.measurements if one.round_index == index) == list("abc")
        for index in whole
    )
    second = Stove()
    done = bench(second, already=before, session="second")
    assert len(second.asked) == (0 if len(whole) == 3 else BASELINE_TIMINGS + (3 - len(whole)) * 4)
    for index in range(3):
        block = [one for one in done.measurements if one.round_index == index]
        assert sorted(one.model for one in block) == list("abc")
        assert {one.session for one in block} == {"first" if index in whole else "second"}
    assert sorted({one.round_index for one in done.checks}) == [0, 1, 2]
    assert not done.throttled_rounds()


def test_more_rounds_a_new_model_or_a_new_file_are_what_is_missing() -> None:
    done = bench(Stove())
    more = Stove()
    bench(more, already=done, rounds=4)
    assert len(more.asked) == BASELINE_TIMINGS + 4
    # Models are compared within a round, so a new one calls for whole rounds.
    new = Stove()
    both = bench(new, "abcd", already=done, session="t")
    assert len(new.asked) == BASELINE_TIMINGS + 3 * 5
    assert {one.session for one in both.measurements} == {"t"}
    changed = [replace(job, sha256="1" * 64) if job.model == "b" else job for job in jobs("abc")]
    anew = bench(Stove(), changed, already=done, session="t")
    assert {one.session for one in anew.measurements} == {"t"}
    fewer = Stove()
    assert len(bench(fewer, "ab", already=done).measurements) == 6
    assert not fewer.asked


def test_a_restart_voids_the_baseline_and_the_block() -> None:
    stove = Stove(restarts=frozenset({BASELINE_TIMINGS + 3 + 1 + 1}))
    done = bench(stove, cool_down_s=7.0)
    assert stove.waits == [7.0]  # a phone that has just started is busy
    assert [one.baseline_ms for one in done.checks] == [10.0, 20.0, 20.0]
    assert not any(one.throttled for one in done.checks)
    assert [one.model for one in done.measurements] == [
        entry.model for entry in plan_order("abc", 3, 0)
    ]


def test_a_device_that_keeps_restarting_is_given_up() -> None:
    with pytest.raises(RestartedError):
        bench(Stove(restarts=frozenset(range(3, 100))))


def test_a_canary_that_cannot_be_timed_ends_the_session() -> None:
    def dead() -> float:
        raise MeasurementError("the canary was not timed: it died; get another.")

    with pytest.raises(MeasurementError, match="the canary was not timed"):
        measure_blocks(Stove(), jobs("a"), BlockRules(1), time_canary=dead, session="s")


@pytest.mark.parametrize(
    "wrong", [{"tries": 0}, {"canary_limit": 1.0}, {"canary_limit": 0.0}, {"cool_down_s": -1.0}]
)
def test_rules_that_cannot_be_kept_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(MeasurementError, match="cannot be kept to; give"):
        BlockRules(rounds=1, **wrong)  # type: ignore[arg-type]


def test_blocks_on_this_computer_with_the_real_canary() -> None:
    assert sha256_of(CANARY.path) == CANARY.sha256
    device = HostDevice(TimingSettings(runs=5))

    def canary() -> float:
        made = device.measure(CANARY, order_index=0, round_index=0, session="s")
        return statistics.median(made.inference_ms)

    job = TimingJob("model", CANARY.path, CANARY.sha256)
    done = measure_blocks(
        device,
        [job],
        BlockRules(rounds=2, canary_limit=50.0),
        time_canary=canary,
        session="s",
    )
    assert [one.round_index for one in done.measurements] == [0, 1]
    for check in done.checks:
        assert 0 < check.baseline_ms < 1000
        assert 0 < check.after_ms < 1000
    assert done.checks[1].before_ms == done.checks[0].after_ms


def test_a_restart_during_a_pause_voids_the_baseline() -> None:
    stove = Stove(hot=frozenset({BASELINE_TIMINGS + 3 + 1}))
    wait = stove.wait

    def restart(seconds: float) -> None:
        wait(seconds)
        stove.speed = 2.0
        raise RestartedError("the stove has restarted.")

    stove.wait = restart  # type: ignore[method-assign]
    done = bench(stove)
    assert [(one.round_index, one.attempt, one.baseline_ms) for one in done.checks] == [
        (0, 0, 10.0), (1, 0, 10.0), (1, 1, 5.0), (2, 0, 5.0)
    ]  # fmt: skip
    assert not done.throttled_rounds()


def test_fewer_rounds_keep_what_was_measured() -> None:
    done = bench(Stove())
    fewer = Stove()
    assert bench(fewer, already=done, rounds=2) == done
    assert not fewer.asked
