"""A virtual phone as a device: real processes, real losses, causes told apart."""

from __future__ import annotations

import dataclasses
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phone_bench import SHAPE, SHORT, bench, job, make_models, processes_of_phones, write_runner
from sample_benchmark_model import Node, csv_profile
from virtual_phones import eventually

from fer_opt.device.adb import open_phone
from fer_opt.device.benchmark_model import parse_help
from fer_opt.device.blocks import RestartedError
from fer_opt.device.measurement import Measurement
from fer_opt.device.phone import device as device_module
from fer_opt.device.phone.canary import CANARY
from fer_opt.device.phone.device import PhoneDevice
from fer_opt.device.phone.facts import device_facts, read_facts
from fer_opt.device.phone.operators import profile_operators
from fer_opt.device.phone.outputs import compare_bytes
from fer_opt.device.phone.placing import place
from fer_opt.device.phone.reconnect import MOST_LOSSES, Steady
from fer_opt.device.phone.results import PhoneSettings
from fer_opt.device.phone.samples import prepare_models
from fer_opt.device.protocol import Device, TimingJob
from fer_opt.device.runner import choose_runner
from fer_opt.device.virtual import NO_FAULTS, Faults, VirtualPhone, start_virtual_phone
from fer_opt.errors import LinkLostError, MeasurementError, PhoneError, RunnerError
from fer_opt.flatbuffer import TensorFacts
from fer_opt.progress import SILENT

Ready = Callable[..., AbstractContextManager[PhoneDevice]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_models(folder)
    return folder


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualPhone]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        with start_virtual_phone(reboot_s=0.2) as started:
            yield started


@pytest.fixture
def ready(phone: VirtualPhone) -> Iterator[Ready]:
    """Makes a device of the phone with jobs and runner in place."""
    phone.faults = NO_FAULTS

    @contextmanager
    def make(
        jobs: list[TimingJob], *, runner: Path | None = None, within_s: float = 5.0, **settings: Any
    ) -> Iterator[PhoneDevice]:
        wanted = PhoneSettings(**{"runs": 3, "warm_up_runs": 3, **settings})
        link = open_phone(phone.address)
        try:
            facts = read_facts(link)
            steady = Steady(link, within_s=within_s)
            steady.note_boot(facts.boot_id)
            with tempfile.TemporaryDirectory() as scratch:
                prepared, failures = prepare_models(
                    jobs, Path(scratch), rounds=wanted.rounds, outputs=0
                )
                assert not failures
                chosen = choose_runner(facts.abis, runner=runner, virtual=True)
                placed = place(steady, chosen, prepared, SILENT)
            flags = parse_help(link.job([placed.runner, "--help"], timeout_s=60).output)
            yield PhoneDevice(
                steady, device_facts(facts), wanted, (0, 1), placed.runner, flags, placed.models
            )
        finally:
            phone.faults = NO_FAULTS
            link.close()

    yield make
    phone.faults = NO_FAULTS


def measure(device: PhoneDevice, asked: TimingJob, round_index: int = 0) -> Measurement:
    return device.measure(asked, order_index=3, round_index=round_index, session="test")


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_a_measurement_of_a_real_model_is_whole(
    models: Path, tmp_path: Path, ready: Ready, name: str
) -> None:
    inputs = tmp_path / "in.npy"
    np.save(inputs, np.random.default_rng(1).random((3, *SHAPE), np.float32))
    asked = job(models, name, inputs)
    with ready([asked], runs=7) as device:
        assert isinstance(device, Device)
        assert device.facts().kind == "virtual"
        begin = time.time()
        made = measure(device, asked, round_index=2)
        spent_ms = (time.time() - begin) * 1000
    assert (made.model, made.model_sha256, made.session) == (name, asked.sha256, "test")
    assert (made.order_index, made.round_index, made.threads, made.cpus) == (3, 2, 1, (0, 1))
    assert made.inference_ms == made.warm_up_ms == ()
    assert made.summary is not None
    assert made.summary.count == 7
    assert made.datum_ms == made.summary.median_ms
    assert 0 < made.summary.min_ms <= made.datum_ms <= made.summary.max_ms
    assert made.summary.mean_ms * 7 + made.initialisation_ms < spent_ms
    assert made.delegate.startswith("XNNPACK")
    assert made.peak_memory_bytes is not None
    assert made.before.battery_percent == made.after.battery_percent == 86
    assert sum(made.clock_s.values()) > 0


def test_every_round_is_fed_another_sample(models: Path, tmp_path: Path, ready: Ready) -> None:
    # Samples 1 and 3 make this model fail, so who fails was fed them.
    samples = np.full((4, 2, 2, 1), 0.5, np.float32)
    samples[[1, 3]] = 3.0
    np.save(tmp_path / "in.npy", samples)
    asked = job(models, "gather", tmp_path / "in.npy")
    with ready([asked]) as device:
        for round_index in (0, 2, 4):
            assert measure(device, asked, round_index).summary
        for round_index in (1, 3, 5):
            with pytest.raises(MeasurementError, match="one of its operators failed") as caught:
                measure(device, asked, round_index)
            assert str(asked.path) in str(caught.value)


def test_a_file_that_is_not_on_the_phone_is_not_timed(models: Path, ready: Ready) -> None:
    asked = job(models, "float32")
    with ready([CANARY]) as device, pytest.raises(MeasurementError, match="not on the phone"):
        measure(device, asked)


CAUSES = {
    "crash": ("kill -SEGV $$", MeasurementError, "crash"),
    "killed": ("kill -KILL $$", MeasurementError, "most likely because the phone's memory ran out"),
    "silent": ("exit 0", MeasurementError, r"log (ends|breaks|was cut|is)|no "),
    "misread": (
        "echo 'INFO: Min num runs: [1]'; runs=1",
        MeasurementError,
        "took 1 for the number",
    ),
    "no_library": (
        'echo \'CANNOT LINK EXECUTABLE "x": library "liblog.so" not found\' >&2; exit 1',
        RunnerError,
        "lacks a library",
    ),
    "wrong_processor": (
        "echo 'sh: benchmark_model: not executable: 64-bit ELF file' >&2; exit 126",
        RunnerError,
        "another processor",
    ),
    "not_there": ("exit 127", RunnerError, "not there|may not be run"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_causes_are_told_apart(models: Path, tmp_path: Path, ready: Ready, name: str) -> None:
    command, kind, sentence = CAUSES[name]
    asked = job(models, "float32")
    with (
        ready([asked], runner=write_runner(tmp_path / "runner", command)) as device,
        pytest.raises(kind, match=sentence) as caught,
    ):
        measure(device, asked)
    assert str(asked.path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_may_pass_is_tried_once_more(models: Path, tmp_path: Path, ready: Ready) -> None:
    once = '[ -e "$0.tried" ] || { : >"$0.tried"; kill -KILL $$; }'
    asked = job(models, "float32")
    with ready([asked], runner=write_runner(tmp_path / "runner", once)) as device:
        assert measure(device, asked).datum_ms == 5.0


def test_a_process_cut_short_by_its_limit_is_refused(models: Path, ready: Ready) -> None:
    asked = job(models, "float32")
    with (
        ready([asked], runs=10**7, max_s=0.5) as device,
        pytest.raises(MeasurementError, match=r"only \d+ of 10000000 runs .* stops after 0\.5 s"),
    ):
        measure(device, asked)


def test_a_process_that_hangs_is_killed(
    models: Path, tmp_path: Path, ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "START_S", 1.0)
    asked = job(models, "float32")
    runner = write_runner(tmp_path / "runner", "exec sleep 1000")
    with (
        ready([asked], runner=runner, max_s=0.2) as device,
        pytest.raises(MeasurementError, match=r"had not ended after 1\.4 s and was killed"),
    ):
        measure(device, asked)


def test_an_interrupted_measurement_is_repeated(
    phone: VirtualPhone, models: Path, ready: Ready
) -> None:
    asked = job(models, "float32")
    with ready([asked]) as device:
        for message in (1, 7, 15, 24):
            before = phone.counters.drops
            phone.faults = Faults(drop_at_message=message)
            assert measure(device, asked).datum_ms > 0
            assert phone.counters.drops == before + 1
        assert device.steady.reconnections == 4
        assert device.steady.restarts == 0


def test_a_lost_process_does_not_run_beside_its_repetition(
    phone: VirtualPhone, models: Path, tmp_path: Path, ready: Ready
) -> None:
    asked = job(models, "float32")
    slow = '[ -e "$0.tried" ] || { : >"$0.tried"; sleep 1000; }'
    with ready([asked], runner=write_runner(tmp_path / "runner", slow)) as device:

        def pull_the_cable() -> None:
            eventually(lambda: bool(processes_of_phones()))
            phone.faults = Faults(drop_at_message=1)

        thread = threading.Thread(target=pull_the_cable)
        thread.start()
        assert measure(device, asked).datum_ms == 5.0
        thread.join()
        assert device.steady.reconnections == 1
        assert eventually(lambda: not processes_of_phones())


def test_a_phone_that_stays_away_is_given_up(
    phone: VirtualPhone, models: Path, ready: Ready
) -> None:
    asked = job(models, "float32")
    with ready([asked], within_s=0.5) as device:
        phone.faults = Faults(drop_at_message=10, away_s=2.0)
        with pytest.raises(LinkLostError, match=r"did not come back within 0\.5 s"):
            measure(device, asked)
        time.sleep(2.0)


def test_a_connection_that_breaks_again_and_again_is_given_up(
    phone: VirtualPhone, models: Path, ready: Ready
) -> None:
    asked = job(models, "float32")
    with ready([asked]) as device:

        def break_again(restarted: bool) -> None:
            phone.faults = Faults(drop_at_message=3)

        device.steady.on_return = break_again
        phone.faults = Faults(drop_at_message=3)
        with pytest.raises(LinkLostError, match=f"broke {MOST_LOSSES + 1} times at the same step"):
            measure(device, asked)


def test_a_restart_is_noticed(phone: VirtualPhone, models: Path, ready: Ready) -> None:
    asked = job(models, "float32")
    with ready([asked, CANARY]) as device:
        phone.reboot()
        with pytest.raises(RestartedError):
            measure(device, asked)
        assert device.steady.restarts == 1
        assert measure(device, asked).datum_ms > 0
        phone.reboot()
        with pytest.raises(RestartedError):
            device.time_canary()


def test_another_phone_at_the_same_place_is_refused(
    phone: VirtualPhone, models: Path, ready: Ready
) -> None:
    asked = job(models, "float32")
    with ready([asked], within_s=2.0) as device, start_virtual_phone() as other:
        device.steady.link._carrier._transport._address = ("127.0.0.1", other.port)
        phone.faults = Faults(drop_at_message=1)
        with pytest.raises(PhoneError, match="is now another phone"):
            measure(device, asked)


FLOATS = st.floats(-1e6, 1e6, width=32)


@given(st.lists(st.lists(FLOATS, min_size=7, max_size=7), min_size=1, max_size=5), st.data())
def test_outputs_are_compared_in_real_units(rows: list[list[float]], data: st.DataObject) -> None:
    facts = [TensorFacts("float32", (1, 7))]
    here = [np.array(row, np.float32) for row in rows]
    place = data.draw(st.tuples(st.integers(0, len(rows) - 1), st.integers(0, 6)))
    there = [row.copy() for row in here]
    there[place[0]][place[1]] += np.float32(0.5)
    compared = compare_bytes(
        "m", [row.tobytes() for row in there], [row.tobytes() for row in here], facts
    )
    assert compared.samples == len(rows)
    difference = abs(float(there[place[0]][place[1]]) - float(here[place[0]][place[1]]))
    assert compared.max_abs_difference == pytest.approx(difference)
    assert compared.label_flips == sum(
        int(mine.argmax() != theirs.argmax()) for mine, theirs in zip(here, there, strict=True)
    )


def test_quantized_outputs_are_compared_by_what_they_mean() -> None:
    facts = [TensorFacts("int8", (1, 3), 0.5, -10)]
    here, there = np.array([1, 2, 3], np.int8), np.array([1, 6, 3], np.int8)
    compared = compare_bytes("m", [there.tobytes()], [here.tobytes()], facts)
    assert dataclasses.astuple(compared) == ("m", 1, 2.0, 1)


@pytest.mark.parametrize("length", [0, 2, 4])
def test_outputs_of_another_size_are_refused(length: int) -> None:
    facts = [TensorFacts("int8", (1, 3))]
    with pytest.raises(MeasurementError, match=f"holds {length} bytes instead of 3"):
        compare_bytes("m", [bytes(length)], [bytes(3)], facts)


def test_outputs_that_are_no_numbers_are_refused() -> None:
    facts = [TensorFacts("float32", (1, 2))]
    good, bad = np.zeros(2, np.float32), np.array([0.0, np.nan], np.float32)
    with pytest.raises(MeasurementError, match="on the phone that are not finite in output 0"):
        compare_bytes("m", [bad.tobytes()], [good.tobytes()], facts)


@pytest.mark.parametrize(("stored", "compared"), [(1, [0]), (2, [0, 1]), (20, list(range(8)))])
def test_a_sample_that_comes_again_is_not_compared_again(
    stored: int, compared: list[int], models: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "in.npy", np.random.default_rng(0).random((stored, *SHAPE), np.float32))
    asked = job(models, "float32", tmp_path / "in.npy")
    (prepared,), _ = prepare_models([asked], tmp_path, rounds=8, outputs=8)
    assert list(prepared.expected) == compared
    assert all(path.is_file() for path in prepared.expected.values())


def test_equal_samples_among_others_count_once(models: Path, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).random((4, *SHAPE), np.float32)
    np.save(tmp_path / "in.npy", samples[[0, 0, 1, 0, 2, 1, 3]])
    asked = job(models, "float32", tmp_path / "in.npy")
    (prepared,), _ = prepare_models([asked], tmp_path, rounds=8, outputs=6)
    assert list(prepared.expected) == [0, 2, 4]
    assert len(prepared.samples) == 8


def test_what_processes_warn_of_stands_in_the_record_once(
    phone: VirtualPhone, models: Path, tmp_path: Path
) -> None:
    part = 'each=$((40 + $$ % 20))\necho "WARN: kernel $$ is slow"'
    runner = write_runner(tmp_path / "runner", part, without="max_secs")
    asked = [job(models, "float32"), job(models, "int8")]
    run = bench(phone, asked, dataclasses.replace(SHORT, rounds=3), runner=runner)
    about = [one for one in run.warnings if "runner does not know --max_secs" in one]
    assert len(about) == 1
    for name in ("float32", "int8"):
        told = [one.partition(": ")[2] for one in run.warnings if one.startswith(f"{name}: ")]
        assert [one.split()[0] for one in told] == ["kernel", "Its"]
        assert told[1].startswith("Its times are whole microseconds")
        assert all(one.endswith(".") for one in told)
    assert len(run.warnings) == len(set(run.warnings)) == 5
    more = dataclasses.replace(SHORT, rounds=4)
    assert set(bench(phone, asked, more, runner=runner, already=[run]).warnings) == set(
        run.warnings
    )


def test_an_unknown_share_of_an_operator_stays_unknown(
    models: Path, tmp_path: Path, ready: Ready
) -> None:
    head = "Operator-wise Profiling Info for Regular Benchmark Runs:"
    profile = "\n".join([head, *csv_profile((Node("SOFTMAX", "[a]:0", 0, 0.0),))])
    assert "-nan%" in profile
    part = f"if [ -n \"$profile\" ]; then cat <<'END'\n{profile}\nEND\nfi"
    runner = write_runner(tmp_path / "runner", part)
    with ready([job(models, "float32")], runner=runner) as device:
        (row,) = profile_operators(device, device.models["float32"])
    assert (row.kind, row.mean_ms, row.share) == ("SOFTMAX", 0.0, None)
