"""Several phones at the same time."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from phone_bench import SHORT, in_folder, opener, processes_of_phones, stay_awake, write_runner
from virtual_phones import eventually

from fer_opt.device.phone import opening
from fer_opt.device.phone.canary import CANARY
from fer_opt.device.phone.locks import hold_phone
from fer_opt.device.phone.results import PhoneRun
from fer_opt.device.phone.several import bench_phones
from fer_opt.device.protocol import TimingJob
from fer_opt.device.virtual import Faults, VirtualPhone, start_virtual_phone
from fer_opt.errors import PhoneError

REPOSITORY = Path(__file__).parents[1]
JOBS = [TimingJob("one", CANARY.path, CANARY.sha256)]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def phones() -> Iterator[list[VirtualPhone]]:
    with ExitStack() as stack:
        yield [stack.enter_context(start_virtual_phone()) for _ in range(2)]


def test_one_phone_that_fails_does_not_stop_the_others(
    phones: list[VirtualPhone], tmp_path: Path
) -> None:
    runner = write_runner(tmp_path / "runner", "sleep 0.3")
    saving = threading.Lock()
    saved: list[PhoneRun] = []

    def save(run: PhoneRun) -> None:
        assert saving.acquire(blocking=False)  # never by two phones at once
        saved.append(run)
        saving.release()

    with (
        start_virtual_phone(faults=Faults(battery_percent=3)) as low,
        start_virtual_phone() as gone,
    ):
        openers = {
            "first": opener(phones[0]), "low": opener(low), "gone": opener(gone),
            "second": opener(phones[1]),
        }  # fmt: skip
        gone.close()
        settings = dataclasses.replace(SHORT, rounds=2)
        outcomes = bench_phones(openers, JOBS, settings, runner=runner, save=save)
        assert [one.on for one in outcomes] == list(openers)
        first, empty, absent, second = outcomes
        for whole in (first, second):
            assert whole.error == ""
            assert whole.run is not None
            assert whole.run.complete
            assert whole.run in saved
        assert first.run is not None
        assert second.run is not None
        assert first.run.phone != second.run.phone
        assert "3 % battery" in empty.error
        assert absent.run is None
        assert absent.error
        # They ran side by side, not one after the other.
        assert max(first.run.started_at, second.run.started_at) < min(
            first.run.ended_at, second.run.ended_at
        )
        runs = [first.run, second.run]
        again = bench_phones(
            {"first": openers["first"], "second": openers["second"]},
            JOBS, settings, runner=runner, already=runs,
        )  # fmt: skip
        assert [one.run for one in again] == runs
    assert [stay_awake(phone) for phone in phones] == ["0", "0"]


def test_the_same_phone_twice_is_benched_once(
    phones: list[VirtualPhone], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = threading.Event()

    @contextmanager
    def hold(serial: str, label: str) -> Iterator[None]:
        try:
            with hold_phone(serial, label):
                yield
        except PhoneError:
            refused.set()
            raise

    def save(run: PhoneRun) -> None:
        assert refused.wait(60)  # who comes first is still there when the other one comes

    monkeypatch.setattr(opening, "hold_phone", hold)
    runner = write_runner(tmp_path / "runner", "")
    openers = {"here": opener(phones[0]), "there": opener(phones[0])}
    outcomes = bench_phones(openers, JOBS, SHORT, runner=runner, save=save)
    errors = [one.error for one in outcomes if one.error]
    assert len(errors) == 1
    assert "in use by another fer-opt" in errors[0]


def test_an_error_of_our_own_is_not_swallowed(phones: list[VirtualPhone], tmp_path: Path) -> None:
    class BugError(Exception):
        pass

    def save(run: PhoneRun) -> None:
        raise BugError

    with pytest.raises(BugError):
        bench_phones({"first": opener(phones[0])}, JOBS, SHORT, save=save)


INTERRUPTED = """
import sys
from functools import partial
from fer_opt.device.adb import open_phone
from fer_opt.device.phone.canary import CANARY
from fer_opt.device.phone.results import PhoneSettings
from fer_opt.device.phone.several import bench_phones
from fer_opt.device.protocol import TimingJob
bench_phones(
    {address: partial(open_phone, address) for address in sys.argv[1:]},
    [TimingJob("one", CANARY.path, CANARY.sha256)],
    PhoneSettings(rounds=1, runs=10**6, max_s=100.0, outputs=0),
    save=lambda run: print(run.error, flush=True),
)
"""


def test_ctrl_c_reaches_every_phone(phones: list[VirtualPhone]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", INTERRUPTED, *(phone.address for phone in phones)]

    def running() -> int:
        return sum("=1000000" in one and "taskset" not in one for one in processes_of_phones())

    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert eventually(lambda: running() >= 2, 60)
        assert [stay_awake(phone) for phone in phones] == ["7", "7"]
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert printed.count("The bench was interrupted") == 2
    assert [stay_awake(phone) for phone in phones] == ["0", "0"]
    assert not any(in_folder(phone, "guard/before").exists() for phone in phones)
    assert eventually(lambda: not processes_of_phones())
