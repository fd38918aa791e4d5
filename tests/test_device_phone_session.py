"""The whole bench of one phone: whole records, resumed ones, throttled ones, refused ones."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phone_bench import (
    SHORT,
    bench,
    in_folder,
    opener,
    processes_of_phones,
    stay_awake,
    write_runner,
)
from pydantic import TypeAdapter
from sample_phone_run import sample_bench
from virtual_phones import eventually

from fer_opt.device.phone import device as device_module
from fer_opt.device.phone import stages
from fer_opt.device.phone.canary import CANARY
from fer_opt.device.phone.device import PhoneDevice
from fer_opt.device.phone.locks import hold_phone
from fer_opt.device.phone.results import CanaryCheck, PhoneRun
from fer_opt.device.phone.session import bench_phone
from fer_opt.device.phone.settings import Hold
from fer_opt.device.phone.trust import judge
from fer_opt.device.protocol import TimingJob
from fer_opt.device.virtual import NO_FAULTS, Faults, VirtualPhone, start_virtual_phone
from fer_opt.errors import LinkLostError, MeasurementError, PhoneError, RunnerError
from fer_opt.files import sha256_of
from fer_opt.reports.bench_record import read_bench_record, write_bench_record

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def started() -> Iterator[VirtualPhone]:
    with start_virtual_phone(reboot_s=0.2) as phone:
        yield phone


@pytest.fixture
def phone(started: VirtualPhone) -> Iterator[VirtualPhone]:
    """A phone nothing is wrong with; afterwards it must be as it was."""
    started.faults = NO_FAULTS
    yield started
    started.faults = NO_FAULTS
    assert stay_awake(started) == "0"
    assert not in_folder(started, "guard/before").exists()
    assert eventually(lambda: not processes_of_phones())


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[TimingJob]:
    """Two models that are fed the same samples."""
    folder = tmp_path_factory.mktemp("jobs")
    np.save(folder / "in.npy", np.random.default_rng(0).random((5, 48, 48, 3), np.float32))
    # Bytes after the flatbuffer change a file's hash, not what it computes.
    (folder / "other.tflite").write_bytes(CANARY.path.read_bytes() + bytes(16))
    return [
        TimingJob(name, path, sha256_of(path), folder / "in.npy")
        for name, path in (("one", CANARY.path), ("other", folder / "other.tflite"))
    ]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runner that starts in no time, where what it times does not matter."""
    return write_runner(tmp_path_factory.mktemp("runner") / "runner", "")


def test_a_bench_is_whole_and_a_second_one_pushes_nothing(
    phone: VirtualPhone, jobs: list[TimingJob]
) -> None:
    saved: list[PhoneRun] = []
    settings = dataclasses.replace(SHORT, rounds=2, outputs=2, operator_profile=True)
    run = bench(phone, jobs, settings, save=saved.append)
    assert saved[-1] == run
    assert run.complete
    assert run.error == ""
    assert (run.device.kind, run.profile, run.route) == ("virtual", "galaxy-j3", "tcp")
    assert phone.serial not in TypeAdapter(PhoneRun).dump_json(run).decode()
    assert sorted((one.model, one.round_index) for one in run.measurements) == [
        ("one", 0), ("one", 1), ("other", 0), ("other", 1)
    ]  # fmt: skip
    assert len({one.session for one in run.measurements}) == 1
    assert [one.order_index for one in run.measurements] == [0, 1, 2, 3]
    assert [(one.round_index, one.attempt) for one in run.checks] == [(0, 0), (1, 0)]
    # The same runtime on the same kind of processor: not one bit differs.
    assert [(one.model, one.samples, one.max_abs_difference, one.label_flips)
            for one in run.outputs] == [("one", 2, 0.0, 0), ("other", 2, 0.0, 0)]  # fmt: skip
    assert any("--enable_op_profiling" in sentence for sentence in run.warnings)
    assert run.runner is not None
    assert "output_filepath" in run.runner.flags
    assert run.pushed_bytes > jobs[0].path.stat().st_size
    assert run.changed_settings == ("stays awake while plugged in (was 0, is 7)",)
    assert run.started_at <= run.ended_at
    assert not run.trust.trusted
    assert "virtual phone" in run.trust.reasons[0]
    assert not any((phone.folder / "fer-opt" / "outputs").iterdir())

    pushed_before = phone.counters.pushed_bytes
    again = bench(phone, jobs, settings)
    assert again.complete
    assert again.pushed_bytes == 0
    assert again.kept_bytes == run.pushed_bytes + run.kept_bytes
    assert phone.counters.pushed_bytes == pushed_before


def test_what_is_complete_is_not_done_again(
    phone: VirtualPhone, jobs: list[TimingJob], quick: Path
) -> None:
    settings = dataclasses.replace(SHORT, outputs=1)
    run = bench(phone, jobs, settings, runner=quick)
    assert run.complete
    saved: list[PhoneRun] = []
    assert bench(phone, jobs, settings, runner=quick, already=[run], save=saved.append) == run
    assert saved == []
    more = bench(phone, jobs, dataclasses.replace(settings, rounds=2), runner=quick, already=[run])
    assert more.complete
    assert more.measurements[:2] == run.measurements
    assert [one.round_index for one in more.measurements] == [0, 0, 1, 1]
    assert more.outputs == run.outputs


@pytest.mark.parametrize("change", [{"runs": 3}, {"threads": 2}, {"xnnpack": False}])
def test_times_under_other_settings_are_not_continued(
    phone: VirtualPhone, jobs: list[TimingJob], quick: Path, change: dict[str, Any]
) -> None:
    run = bench(phone, jobs[:1], runner=quick)
    other = bench(
        phone, jobs[:1], dataclasses.replace(SHORT, **change), runner=quick, already=[run]
    )
    assert {one.session for one in other.measurements}.isdisjoint(
        {one.session for one in run.measurements}
    )


def test_a_bench_that_was_killed_goes_on(
    phone: VirtualPhone, jobs: list[TimingJob], quick: Path
) -> None:
    class Killed(BaseException):
        pass

    saved: list[PhoneRun] = []

    def kill_after_a_block(run: PhoneRun) -> None:
        saved.append(run)
        if len(run.measurements) == 4:
            raise Killed

    settings = dataclasses.replace(SHORT, rounds=3, outputs=1)
    with pytest.raises(Killed):
        bench(phone, jobs, settings, runner=quick, save=kill_after_a_block)
    before = next(run for run in saved if len(run.measurements) == 4)
    done = bench(phone, jobs, settings, runner=quick, already=[before])
    assert done.complete
    assert done.measurements[:4] == before.measurements
    assert len(done.measurements) == 6
    assert done.pushed_bytes == 0
    assert done.started_at == before.started_at


def test_one_model_that_fails_does_not_stop_the_others(
    phone: VirtualPhone, jobs: list[TimingJob], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(CANARY.path.read_bytes()[:40_000])
    crashing = tmp_path / "crashing.tflite"
    crashing.write_bytes(CANARY.path.read_bytes() + bytes(32))
    crash = f"case $graph in *{sha256_of(crashing)[:12]}*) kill -SEGV $$;; esac"
    runner = write_runner(tmp_path / "runner", crash)
    asked = [
        *jobs,
        TimingJob("broken", broken, sha256_of(broken)),
        TimingJob("crashing", crashing, sha256_of(crashing)),
        TimingJob("changed", jobs[0].path, "0" * 64),
        TimingJob("absent", tmp_path / "absent.tflite", "0" * 64),
    ]
    run = bench(phone, asked, dataclasses.replace(SHORT, rounds=2, outputs=1), runner=runner)
    assert run.complete
    assert sorted(one.model for one in run.measurements) == ["one", "one", "other", "other"]
    reasons = {one.model: one.reason for one in run.failures}
    assert sorted(reasons) == ["absent", "broken", "changed", "crashing"]
    assert str(broken) in reasons["broken"]
    assert "crash" in reasons["crashing"]
    assert "is not the file that was to be timed" in reasons["changed"]
    assert "cannot be read" in reasons["absent"]
    assert [one.model for one in run.outputs] == ["one", "other"]


def test_a_throttled_phone_cools_down_and_the_block_is_measured_again(
    phone: VirtualPhone,
    jobs: list[TimingJob],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hot = phone.folder / "hot"
    runner = write_runner(tmp_path / "runner", "[ ! -e /data/local/tmp/hot ] || each=7000")
    waits: list[float] = []

    def cool(seconds: float) -> None:
        waits.append(seconds)
        hot.unlink(missing_ok=True)

    def heat(run: PhoneRun) -> None:
        if len(run.checks) == 1:
            hot.touch()

    monkeypatch.setattr(stages, "SIGN_OF_LIFE_S", 0.6)
    settings = dataclasses.replace(SHORT, rounds=2, canary_limit=1.1, cool_down_s=90.0)
    run = bench(phone, jobs, settings, runner=runner, save=heat, wait=cool)
    assert [(one.round_index, one.attempt, one.throttled) for one in run.checks] == [
        (0, 0, False), (1, 0, True), (1, 1, False)
    ]  # fmt: skip
    # No more than a second, since a virtual phone has nothing to cool; in parts, so that the phone
    # hears of us meanwhile.
    assert waits == [0.6, pytest.approx(0.4)]
    assert run.complete
    assert {one.datum_ms for one in run.measurements} == {5.0}


def test_a_phone_that_stays_hot_is_not_trusted(
    phone: VirtualPhone, jobs: list[TimingJob], tmp_path: Path
) -> None:
    grows = 'n=$(cat "$0.n" 2>/dev/null || echo 3000); echo $((n + 1000)) >"$0.n"; each=$n'
    runner = write_runner(tmp_path / "runner", grows)
    settings = dataclasses.replace(SHORT, canary_limit=1.1, tries=2)
    run = bench(phone, jobs[:1], settings, runner=runner)
    assert run.complete
    assert [one.throttled for one in run.checks] == [True, True]
    assert any("throttled in round 1" in reason for reason in run.trust.reasons)


@pytest.mark.slow
@pytest.mark.alone
def test_the_canary_tells_that_a_phone_has_become_slower(
    phone: VirtualPhone, jobs: list[TimingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough that a throttled virtual phone, whose processes are paused again and again by a
    # process that a busy computer may hold up, slows most of its inferences down.
    monkeypatch.setattr(device_module, "CANARY_RUNS", 500)

    def heat(run: PhoneRun) -> None:
        if len(run.checks) == 1:
            phone.faults = Faults(speed=0.1)

    settings = dataclasses.replace(SHORT, rounds=2, canary_limit=1.5, tries=1)
    for _ in range(3):
        phone.faults = NO_FAULTS
        run = bench(phone, jobs[:1], settings, save=heat)
        assert any("limited to" in reason for reason in run.trust.reasons)
        if [one.throttled for one in run.checks] == [False, True]:
            return
        if not slows_evenly(phone):
            pytest.skip("this computer is too busy to slow a virtual phone down evenly")
    pytest.fail("a phone at a tenth of its speed was never found throttled")


def slows_evenly(phone: VirtualPhone) -> bool:
    """Whether half a millisecond's work feels it when the phone is throttled.

    A busy computer may stop and continue its processes so late that most of it fits in between.
    """
    work = (
        "import statistics, time; times = []\n"
        "for _ in range(500):\n"
        " begin = time.perf_counter()\n"
        " for _ in range(12_000): pass\n"
        " times.append(time.perf_counter() - begin)\n"
        "print(statistics.median(times))"
    )
    medians = []
    for speed in (1.0, 0.1):
        phone.faults = Faults(speed=speed)
        with closing(opener(phone)()) as link:
            medians.append(float(link.shell(["python3", "-S", "-c", work]).output))
    return medians[1] > 3 * medians[0]


@pytest.mark.parametrize(
    ("names", "settings", "sentence"),
    [
        ([], {}, "no model is to be timed"),
        (["a", "a"], {}, "two models are named a"),
        ([CANARY.model], {}, "two models are named fer-opt's canary"),
        (["a"], {"rounds": 0}, "0 rounds leave nothing to time"),
        (["a"], {"runs": 0}, "runs = 0 cannot be timed with"),
        (["a"], {"warm_up_runs": -1}, "warm_up_runs = -1 cannot be timed with"),
        (["a"], {"threads": 0}, "threads = 0 cannot be timed with"),
        (["a"], {"max_s": float("nan")}, "is not a positive number"),
        (["a"], {"tries": 0}, "0 tries"),
        (["a"], {"canary_limit": 0.9}, "a canary limit of 0.9"),
        (["a"], {"outputs": -1}, "-1 samples cannot be compared"),
    ],
)
def test_what_cannot_be_timed_is_refused_before_a_phone_is_touched(
    names: list[str], settings: dict[str, Any], sentence: str
) -> None:
    def untouched() -> Any:
        raise AssertionError

    asked = [TimingJob(name, CANARY.path, CANARY.sha256) for name in names]
    with pytest.raises(MeasurementError, match=sentence):
        bench_phone(untouched, asked, dataclasses.replace(SHORT, **settings))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"threads": 5}, r"5 threads on 4 CPU\(s\)"),
        ({"cpus": (7,)}, "has no CPU 7"),
        ({"cpus": (1,), "threads": 2}, r"2 threads on 1 CPU\(s\)"),
    ],
)
def test_cpus_a_phone_does_not_have_are_refused(
    phone: VirtualPhone, jobs: list[TimingJob], change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(MeasurementError, match=sentence):
        bench(phone, jobs, dataclasses.replace(SHORT, **change))


def test_a_battery_too_low_is_refused(phone: VirtualPhone, jobs: list[TimingJob]) -> None:
    phone.faults = Faults(battery_percent=12)
    with pytest.raises(PhoneError, match=r"12 % battery.*charge it"):
        bench(phone, jobs)


def test_a_phone_in_use_is_refused(phone: VirtualPhone, jobs: list[TimingJob], quick: Path) -> None:
    refused: list[str] = []

    def second(run: PhoneRun) -> None:
        if not refused:
            with pytest.raises(PhoneError, match="in use by another fer-opt") as caught:
                bench(phone, jobs, runner=quick)
            refused.append(str(caught.value))

    assert bench(phone, jobs, runner=quick, save=second).complete
    assert refused
    assert bench(phone, jobs, runner=quick).complete


def test_a_lock_is_the_phones_and_goes_with_its_holder(tmp_path: Path) -> None:
    with (
        hold_phone("a/b; rm", "phone", tmp_path),
        hold_phone("other", "phone", tmp_path),
        pytest.raises(PhoneError, match="phone is in use by another fer-opt"),
        hold_phone("a/b; rm", "phone", tmp_path),
    ):
        pass
    with hold_phone("a/b; rm", "phone", tmp_path):
        assert all(path.parent == tmp_path for path in tmp_path.rglob("*.lock"))
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(PhoneError, match="cannot be locked"), hold_phone("s", "p", blocked):
        pass


def test_a_runner_that_does_not_run_ends_the_bench_with_its_reason(
    phone: VirtualPhone, jobs: list[TimingJob], tmp_path: Path
) -> None:
    runner = tmp_path / "runner"
    runner.write_text("#!/nowhere/sh\n")
    saved: list[PhoneRun] = []
    with pytest.raises(RunnerError, match="runner cannot be used"):
        bench(phone, jobs, runner=runner, save=saved.append)
    assert not saved[-1].complete
    assert "runner cannot be used" in saved[-1].error
    assert saved[-1].ended_at


def test_a_build_that_writes_no_outputs_says_so(
    phone: VirtualPhone, jobs: list[TimingJob], tmp_path: Path
) -> None:
    runner = write_runner(tmp_path / "runner", "", without="output_filepath")
    run = bench(phone, jobs[:1], dataclasses.replace(SHORT, outputs=2), runner=runner)
    assert run.complete
    assert run.outputs == ()
    assert any("lacks --output_filepath" in sentence for sentence in run.warnings)


PROFILE = """
if [ -n "$profile" ]; then
  echo "Operator-wise Profiling Info for Regular Benchmark Runs:"
  echo "============================== Run Order =============================="
  echo "node type, first, avg_ms, %, cdf%, mem KB, times called, name"
  echo "Convolution (NHWC, F32) IGEMM, 4.5, 4.0, 80%, 80%, 0, 1, [a]:0"
  echo "SOFTMAX, 1.5, 1.0, 20%, 100%, 0, 1, [b]:1"
  echo
  echo "============================== Summary by node type =============================="
  echo "node type, count, avg_ms, avg %, cdf %, mem KB, times called"
  echo "Convolution (NHWC, F32) IGEMM, 1, 4, 80%, 80%, 0, 1"
  echo "SOFTMAX, 1, 1, 20%, 100%, 0, 1"
  echo
  echo "Timings (microseconds): count=2 curr=5000(all same)"
  echo "Memory (bytes): count=0"
  echo "2 nodes observed"
  echo "Number of nodes executed: 2"
fi
"""


def test_operators_are_profiled_where_asked(
    phone: VirtualPhone, jobs: list[TimingJob], tmp_path: Path
) -> None:
    runner = write_runner(tmp_path / "runner", PROFILE)
    settings = dataclasses.replace(SHORT, operator_profile=True)
    run = bench(phone, jobs, settings, runner=runner)
    assert run.warnings == ()
    assert [
        (one.model, one.place, one.kind, one.name, one.mean_ms, one.share)
        for one in run.operators[:2]
    ] == [
        ("one", 0, "Convolution (NHWC, F32) IGEMM", "[a]:0", 4.0, 0.8),
        ("one", 1, "SOFTMAX", "[b]:1", 1.0, 0.2),
    ]
    assert [one.model for one in run.operators] == ["one", "one", "other", "other"]


def test_a_restart_in_the_middle_costs_one_block(
    phone: VirtualPhone, jobs: list[TimingJob], quick: Path
) -> None:
    restarted: list[int] = []

    def restart(run: PhoneRun) -> None:
        if len(run.checks) == 1 and not restarted:
            restarted.append(1)
            phone.reboot()

    run = bench(phone, jobs, dataclasses.replace(SHORT, rounds=2), runner=quick, save=restart)
    assert restarted
    assert run.complete
    assert run.reconnections >= 1
    assert [one.round_index for one in run.measurements] == [0, 0, 1, 1]


def test_a_lost_phone_keeps_what_was_measured(
    phone: VirtualPhone, jobs: list[TimingJob], quick: Path
) -> None:
    saved: list[PhoneRun] = []

    def lose(run: PhoneRun) -> None:
        saved.append(run)
        if len(run.measurements) == 2 and phone.faults == NO_FAULTS:
            phone.faults = Faults(drop_at_message=12, away_s=3.0)

    settings = dataclasses.replace(SHORT, rounds=2)
    with pytest.raises(LinkLostError, match="did not come back"):
        bench(phone, jobs, settings, runner=quick, save=lose, reconnect_s=0.5)
    lost = saved[-1]
    assert "did not come back" in lost.error
    assert not lost.complete
    assert not lost.trust.trusted
    assert len(lost.measurements) == 2
    assert stay_awake(phone) != "0"  # nobody could tell it yet
    time.sleep(3.0)
    phone.faults = NO_FAULTS
    done = bench(phone, jobs, settings, runner=quick, already=[lost])
    assert done.complete
    assert done.error == ""
    assert done.measurements[:2] == lost.measurements


INTERRUPTED = """
import sys
from functools import partial
from pathlib import Path
from fer_opt.device.adb import open_phone
from fer_opt.device.phone import device as device_module
from fer_opt.device.phone import stages
from fer_opt.device.phone.canary import CANARY
from fer_opt.device.phone.results import PhoneSettings
from fer_opt.device.phone.session import bench_phone
from fer_opt.device.protocol import TimingJob
bench_phone(
    partial(open_phone, sys.argv[1]),
    [TimingJob("one", CANARY.path, CANARY.sha256)],
    PhoneSettings(rounds=1, runs=10**6, max_s=100.0, outputs=0),
    save=lambda run: print(run.error, flush=True),
)
"""


def test_ctrl_c_ends_what_runs_and_gives_the_settings_back(phone: VirtualPhone) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", INTERRUPTED, phone.address]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert eventually(lambda: any("=1000000" in one for one in processes_of_phones()), 60)
        assert stay_awake(phone) == "7"
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=30)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "The bench was interrupted; the same command goes on from here." in printed
    assert stay_awake(phone) == "0"
    assert eventually(lambda: not processes_of_phones())


def test_a_killed_bench_is_cleaned_up_after(phone: VirtualPhone, jobs: list[TimingJob]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", INTERRUPTED, phone.address]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        assert eventually(lambda: any("=1000000" in one for one in processes_of_phones()), 60)
        process.kill()
    assert eventually(lambda: not any("=1000000" in one for one in processes_of_phones()))
    assert stay_awake(phone) == "7"  # the watchdog waits a minute; the next session does not
    assert bench(phone, jobs[:1]).complete


@pytest.fixture(scope="module")
def believable(started: VirtualPhone, jobs: list[TimingJob]) -> PhoneRun:
    """A run as of a real phone that did everything right."""
    run = bench(started, jobs, dataclasses.replace(SHORT, outputs=1))
    assert run.runner is not None
    return dataclasses.replace(
        run,
        device=dataclasses.replace(run.device, kind="phone"),
        runner=dataclasses.replace(run.runner, name="benchmark_model"),
        settings=dataclasses.replace(run.settings, rounds=6, canary_limit=1.10),
        measurements=tuple(
            dataclasses.replace(
                one,
                steady=True,
                before=dataclasses.replace(one.before, load_1m=1.0),
                after=dataclasses.replace(one.after, load_1m=1.0),
            )
            for one in run.measurements
        ),
        checks=tuple(
            dataclasses.replace(one, baseline_ms=10.0, before_ms=10.1, after_ms=10.4)
            for one in run.checks
        ),
    )


def test_a_run_that_did_everything_right_is_trusted(believable: PhoneRun) -> None:
    assert judge(believable, cores=4, max_mhz=1430.0).trusted


def changed(run: PhoneRun, **changes: Any) -> PhoneRun:
    """``run`` with the first measurement, its conditions before, or a check changed."""
    first, *others = run.measurements
    before = {name[7:]: value for name, value in changes.items() if name.startswith("before_")}
    check = {name[6:]: value for name, value in changes.items() if name.startswith("check_")}
    rest = {name: value for name, value in changes.items() if name[:6] not in ("before", "check_")}
    first = dataclasses.replace(first, before=dataclasses.replace(first.before, **before), **rest)
    checks = (dataclasses.replace(run.checks[0], **check), *run.checks[1:])
    return dataclasses.replace(run, measurements=(first, *others), checks=checks)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"check_after_ms": 12.0, "check_throttled": True}, "throttled in round 1"),
        ({"check_after_ms": 8.0}, "not at rest when the session began"),
        ({"before_limit_mhz": 1000.0}, "limited to 1000 MHz where the hardware reaches 1430"),
        ({"before_battery_percent": 20}, "went down to 20 %"),
        ({"before_battery_c": 43.5}, r"as warm as 43\.5 °C"),
        ({"steady": False}, "In 1 of 2 processes the warm-up"),
        ({"threads": 4}, "different numbers of threads"),
    ],
)
def test_every_reason_against_a_run_is_named(
    believable: PhoneRun, changes: dict[str, Any], sentence: str
) -> None:
    trust = judge(changed(believable, **changes), cores=4, max_mhz=1430.0)
    assert not trust.trusted
    assert len(trust.reasons) == 1
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(trust.reasons[0])


def test_reasons_of_the_whole_run_are_named(believable: PhoneRun) -> None:
    def reasons(**changes: Any) -> str:
        run = dataclasses.replace(believable, **changes)
        return " ".join(judge(run, cores=4, max_mhz=1430.0).reasons)

    device, settings = believable.device, believable.settings
    assert "emulator" in reasons(device=dataclasses.replace(device, kind="emulated"))
    assert "virtual phone" in reasons(device=dataclasses.replace(device, kind="virtual"))
    assert "With 5 processes" in reasons(settings=dataclasses.replace(settings, rounds=5))
    assert "Nothing was timed" in reasons(measurements=())
    assert "The bench ended early: lost." in reasons(error="lost.")
    slower = CanaryCheck(1, 0, 12.0, 12.0, 12.0, throttled=False)
    assert "at the beginning of one session" in reasons(checks=(*believable.checks, slower))
    busy = dataclasses.replace(believable.measurements[0].before, load_1m=13.0)
    assert "busy with something else" in reasons(
        measurements=tuple(dataclasses.replace(one, before=busy) for one in believable.measurements)
    )
    assert "Odd." in reasons(cautions=("Odd.",))
    assert "Odd." in judge(believable, cautions=["Odd."]).reasons


def test_several_benches_of_one_phone_at_once_leave_one(
    phone: VirtualPhone, jobs: list[TimingJob], quick: Path
) -> None:
    outcomes: list[str] = []

    def one() -> None:
        try:
            outcomes.append("done" if bench(phone, jobs, runner=quick).complete else "part")
        except PhoneError as exc:
            outcomes.append(str(exc))

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("done") >= 1
    assert all(one == "done" or "in use by another fer-opt" in one for one in outcomes)


def test_a_phone_that_does_not_answer_is_one_error(jobs: list[TimingJob]) -> None:
    with start_virtual_phone() as gone:
        open_link = opener(gone)
    with pytest.raises(LinkLostError):
        bench_phone(open_link, jobs, SHORT)


def test_every_sample_and_profile_comes_after_a_sign_of_life(
    phone: VirtualPhone, jobs: list[TimingJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    sign, run = Hold.sign_of_life, PhoneDevice.run

    def signing(hold: Hold) -> None:
        events.append("sign")
        sign(hold)

    def running(device: PhoneDevice, request: Any) -> Any:
        events.append("run")
        return run(device, request)

    monkeypatch.setattr(Hold, "sign_of_life", signing)
    monkeypatch.setattr(PhoneDevice, "run", running)
    runner = write_runner(tmp_path / "runner", PROFILE)
    settings = dataclasses.replace(SHORT, outputs=2, operator_profile=True)
    assert bench(phone, jobs[:1], settings, runner=runner).warnings == ()
    assert events[-7:] == ["run", *["sign", "run"] * 3]


def test_a_sample_and_a_profile_that_the_phone_spoils_are_tried_again(
    phone: VirtualPhone, jobs: list[TimingJob], tmp_path: Path
) -> None:
    spoilt = (
        'for one in "$out" "$profile"; do\n'
        '  [ -z "$one" ] || [ -e "$0.${one##*/}" ] || { : >"$0.${one##*/}"; kill -KILL $$; }\n'
        "done\n"
    )
    runner = write_runner(tmp_path / "runner", spoilt + PROFILE)
    settings = dataclasses.replace(SHORT, outputs=2, operator_profile=True)
    run = bench(phone, jobs[:1], settings, runner=runner)
    assert run.warnings == ()
    assert [one.samples for one in run.outputs] == [2]
    assert len(run.operators) == 2


@contextmanager
def saving_energy(phone: VirtualPhone) -> Iterator[None]:
    with closing(opener(phone)()) as link:
        link.shell(["settings", "put", "global", "low_power", "1"])
        yield
        link.shell(["settings", "put", "global", "low_power", "0"])


def test_what_spoke_against_an_earlier_session_speaks_against_its_times(
    phone: VirtualPhone, jobs: list[TimingJob], quick: Path
) -> None:
    class Killed(BaseException):
        pass

    saved: list[PhoneRun] = []

    def kill(run: PhoneRun) -> None:
        saved.append(run)
        if run.measurements:
            raise Killed

    settings = dataclasses.replace(SHORT, rounds=2)
    with saving_energy(phone), pytest.raises(Killed):
        bench(phone, jobs, settings, runner=quick, save=kill)
    before = next(run for run in saved if run.measurements)  # as a kill without mercy leaves it
    done = bench(phone, jobs, settings, runner=quick, already=[before])
    assert done.complete
    assert done.measurements[:2] == before.measurements
    told = "In an earlier session: Battery saver is on and slows the phone down; switch it off."
    assert done.trust.reasons.count(told) == 1
    more = dataclasses.replace(settings, rounds=3)
    assert told in bench(phone, jobs, more, runner=quick, already=[done]).trust.reasons
    # Where none of its times are left, nothing speaks against them.
    anew = dataclasses.replace(before, measurements=(), checks=())
    done = bench(phone, jobs, settings, runner=quick, already=[anew])
    assert not any("Battery saver" in reason for reason in done.trust.reasons)


def test_what_failed_is_tried_again_by_the_same_command(
    phone: VirtualPhone, jobs: list[TimingJob], tmp_path: Path
) -> None:
    other = jobs[1].sha256[:12]
    full = phone.folder / "full"
    killed = f"[ ! -e /data/local/tmp/full ] || case $graph in *{other}*) kill -KILL $$;; esac"
    runner = write_runner(tmp_path / "runner", killed)
    settings = dataclasses.replace(SHORT, outputs=1)
    full.touch()
    first = bench(phone, jobs, settings, runner=runner)
    assert first.complete
    assert [one.model for one in first.failures] == ["other"]
    with saving_energy(phone):
        still = bench(phone, jobs, settings, runner=runner, already=[first])
    assert still.complete
    # Nothing else was timed anew for its sake, so the phone's state meanwhile does not matter.
    assert (still.measurements, still.failures) == (first.measurements, first.failures)
    assert still.cautions == ()
    full.unlink()
    second = bench(phone, jobs, settings, runner=runner, already=[still])
    assert second.complete
    assert second.failures == ()
    assert [one.model for one in second.outputs] == ["one", "other"]
    assert sorted(one.model for one in second.measurements) == ["one", "other"]


def test_more_samples_are_compared_where_more_are_asked_for(
    phone: VirtualPhone, jobs: list[TimingJob], quick: Path
) -> None:
    settings = dataclasses.replace(SHORT, outputs=1)
    first = bench(phone, jobs, settings, runner=quick)
    more = dataclasses.replace(settings, outputs=3)
    second = bench(phone, jobs, more, runner=quick, already=[first])
    assert [(one.model, one.samples) for one in second.outputs] == [("one", 3), ("other", 3)]
    assert second.measurements == first.measurements
    fewer = bench(phone, jobs, settings, runner=quick, already=[second])
    assert fewer.outputs == second.outputs


def test_fewer_rounds_take_nothing_away(
    phone: VirtualPhone, jobs: list[TimingJob], quick: Path
) -> None:
    settings = dataclasses.replace(SHORT, rounds=3)
    run = bench(phone, jobs, settings, runner=quick)
    fewer = dataclasses.replace(settings, rounds=2)
    assert bench(phone, jobs, fewer, runner=quick, already=[run]) == run
    open_ = dataclasses.replace(run, complete=False)
    done = bench(phone, jobs, fewer, runner=quick, already=[open_])
    assert done.complete
    assert done.measurements == run.measurements
    assert done.settings.rounds == 3


def test_settings_that_were_not_given_back_are_told_where_the_bench_ends_in_an_error(
    phone: VirtualPhone, jobs: list[TimingJob], quick: Path
) -> None:
    saved: list[PhoneRun] = []

    def lose(run: PhoneRun) -> None:
        saved.append(run)
        if run.measurements and phone.faults == NO_FAULTS:
            phone.faults = Faults(frozen=True)

    settings = dataclasses.replace(SHORT, rounds=2)
    with pytest.raises(LinkLostError, match="did not come back"):
        bench(phone, jobs, settings, runner=quick, save=lose, reconnect_s=0.2)
    lost = saved[-1]
    assert any("could not be told to give its settings" in one for one in lost.trust.reasons)
    phone.faults = NO_FAULTS
    done = bench(phone, jobs, settings, runner=quick, already=[lost])
    # It has them back by now, and times were never worse for it.
    assert not any("give its settings" in one for one in done.trust.reasons)


def test_a_restart_while_the_phone_cools_down_voids_the_baseline(
    phone: VirtualPhone, jobs: list[TimingJob], tmp_path: Path
) -> None:
    hot, restarted = phone.folder / "hot", phone.folder / "restarted"
    runner = write_runner(
        tmp_path / "runner",
        "[ ! -e /data/local/tmp/hot ] || each=7000\n"
        "[ ! -e /data/local/tmp/restarted ] || each=4000\n",
    )

    def heat(run: PhoneRun) -> None:
        if len(run.checks) == 1 and not restarted.exists():
            hot.touch()

    def restart(seconds: float) -> None:
        if hot.exists():
            hot.unlink()
            restarted.touch()
            phone.reboot()

    settings = dataclasses.replace(SHORT, rounds=2, canary_limit=1.1, cool_down_s=1.0)
    run = bench(phone, jobs[:1], settings, runner=runner, save=heat, wait=restart)
    restarted.unlink()
    assert [(one.round_index, one.attempt, one.baseline_ms) for one in run.checks] == [
        (0, 0, 5.0), (1, 0, 5.0), (1, 1, 4.0)
    ]  # fmt: skip


def test_the_record_of_a_bench_before_cautions_is_read(tmp_path: Path) -> None:
    record = sample_bench()
    write_bench_record(record, tmp_path / "record.json")
    old = json.loads((tmp_path / "record.json").read_text()) | {"schema_version": 3}
    for run in old["phones"]:
        del run["cautions"]
    (tmp_path / "record.json").write_text(json.dumps(old))
    assert read_bench_record(tmp_path / "record.json") == record
