from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.device.measurement import Conditions, DeviceFacts, Measurement
from fer_opt.device.protocol import Device, TimingJob, TimingSettings
from fer_opt.device.schedule import measure_session, new_session, plan_order, remaining_entries
from fer_opt.errors import MeasurementError

MODELS = st.lists(st.text(max_size=8), min_size=1, max_size=6, unique=True)
ROUNDS = st.integers(1, 6)
SEEDS = st.integers(0, 2**32)
UNKNOWN = Conditions(load_1m=None, cpu_mhz=None, temperature_c=None)


@dataclass
class Metronome:
    """A device on which every inference takes exactly one millisecond; it may be unplugged."""

    unplug_after: int = 10**9
    asked: list[str] = field(default_factory=list)

    def facts(self) -> DeviceFacts:
        return DeviceFacts(kind="virtual", name="metronome", fingerprint="", facts={}, unread={})

    def measure(
        self, job: TimingJob, *, order_index: int, round_index: int, session: str
    ) -> Measurement:
        if len(self.asked) >= self.unplug_after:
            raise MeasurementError(f"{job.model} was not timed: unplugged; plug it in.")
        self.asked.append(job.model)
        return Measurement(
            model=job.model,
            model_sha256=job.sha256,
            order_index=order_index,
            round_index=round_index,
            session=session,
            started_at="2024-05-01T10:00:00+00:00",
            initialisation_ms=1.0,
            warm_up_ms=(1.0,),
            inference_ms=(1.0,),
            steady=True,
            threads=1,
            cpus=(),
            delegate="none",
            peak_memory_bytes=None,
            before=UNKNOWN,
            after=UNKNOWN,
        )


def jobs(models: list[str]) -> list[TimingJob]:
    return [TimingJob(name, Path(f"{index}.tflite"), "0" * 64) for index, name in enumerate(models)]


@given(MODELS, ROUNDS, SEEDS)
def test_every_round_holds_every_model_once(models: list[str], rounds: int, seed: int) -> None:
    plan = plan_order(models, rounds, seed)
    assert [entry.order_index for entry in plan] == list(range(len(models) * rounds))
    for index in range(rounds):
        names = [entry.model for entry in plan if entry.round_index == index]
        assert sorted(names) == sorted(models)
    assert [entry.round_index for entry in plan] == sorted(entry.round_index for entry in plan)


@given(MODELS, ROUNDS, SEEDS)
def test_the_plan_depends_on_the_seed_alone(models: list[str], rounds: int, seed: int) -> None:
    plan = plan_order(models, rounds, seed)
    assert plan == plan_order(reversed(models), rounds, seed)
    assert plan == plan_order(models, rounds + 2, seed)[: len(plan)]


def test_the_plan_of_a_seed_never_changes() -> None:
    # A record made today must resume under tomorrow's Python.
    names = [entry.model for entry in plan_order(["float32", "int8", "dynamic"], 3, 7)]
    rounds = ["int8 float32 dynamic", "int8 dynamic float32", "dynamic int8 float32"]
    assert names == " ".join(rounds).split()


def test_each_model_takes_each_place_equally_often() -> None:
    rounds = 3000
    plan = plan_order(["a", "b", "c"], rounds, seed=0)
    count = Counter((entry.model, entry.order_index % 3) for entry in plan)
    assert len(count) == 9
    # Five standard deviations of Bin(3000, 1/3).
    assert all(abs(times - 1000) < 5 * (rounds * 2 / 9) ** 0.5 for times in count.values())


@given(MODELS, ROUNDS, SEEDS, st.data())
def test_a_session_stopped_anywhere_goes_on_where_it_was(
    models: list[str], rounds: int, seed: int, data: st.DataObject
) -> None:
    whole = measure_session(Metronome(), jobs(models), rounds, seed, session="s")
    cut = data.draw(st.integers(0, len(whole)))
    saved: list[Measurement] = []
    stopped = Metronome(unplug_after=cut)
    try:
        measure_session(
            stopped, jobs(models), rounds, seed, session="s", on_measurement=saved.append
        )
    except MeasurementError:
        assert cut < len(whole)
    assert saved == list(whole[:cut])
    rest = measure_session(Metronome(), jobs(models), rounds, seed, already=saved, session="s")
    assert (*saved, *rest) == whole
    assert remaining_entries(plan_order(models, rounds, seed), whole) == ()


def test_a_finished_plan_times_nothing() -> None:
    whole = measure_session(Metronome(), jobs(["a", "b"]), 2, 0)
    idle = Metronome()
    assert measure_session(idle, jobs(["a", "b"]), 2, 0, already=whole) == ()
    assert idle.asked == []


def test_each_session_has_its_own_name() -> None:
    first, second = measure_session(Metronome(), jobs(["a"]), 2, 0)
    assert first.session == second.session
    assert len({new_session() for _ in range(10)}) > 1


def test_times_of_another_file_of_that_name_are_refused() -> None:
    (made,) = measure_session(Metronome(), jobs(["int8"]), 1, 0)
    other = replace(made, model_sha256="f" * 64)
    with pytest.raises(MeasurementError, match=r"0\.tflite is not the file that was timed as int8"):
        measure_session(Metronome(), jobs(["int8"]), 2, 0, already=[other])


@pytest.mark.parametrize(
    ("models", "rounds", "sentence"),
    [
        (["a", "a"], 1, "two models are named a"),
        ([], 1, "0 models in 1 rounds"),
        (["a"], 0, "1 models in 0 rounds"),
    ],
)
def test_a_plan_needs_models_and_rounds(models: list[str], rounds: int, sentence: str) -> None:
    with pytest.raises(MeasurementError, match=sentence):
        plan_order(models, rounds, 0)


@pytest.mark.parametrize(
    "setting",
    [
        {"runs": 0},
        {"threads": 0},
        {"random_seed": -1},
        {"warm_up_window": 0},
        {"warm_up_max_runs": 5},
        {"warm_up_tolerance": 0},
        {"warm_up_max_ms": float("nan")},
        {"timeout_s": float("inf")},
        {"random_low": 1.0},
        {"random_high": float("inf")},
        {"cpus": (0, 0)},
        {"cpus": (-1,)},
        {"cpus": (0,), "threads": 2},
    ],
)
def test_settings_nothing_can_be_timed_with_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(MeasurementError, match=r"\.$"):
        TimingSettings(**setting)  # type: ignore[arg-type]


def test_random_inputs_are_described() -> None:
    settings = TimingSettings(random_low=-1, random_seed=3)
    assert settings.random_inputs == "uniform random values from -1 to 1, seed 3"


def test_anything_with_the_two_methods_is_a_device() -> None:
    assert isinstance(Metronome(), Device)
