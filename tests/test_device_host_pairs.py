"""Two models timed in turns, on real .tflite files and in real processes."""

from __future__ import annotations

import json
import math
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from fer_opt.device import host_pair_worker
from fer_opt.device.cpus import allowed_cpus, choose_cpus
from fer_opt.device.host_pair_worker import turn_order
from fer_opt.device.host_pairs import HostPairs, choose_clock, measure_pair
from fer_opt.device.pair_measurement import PairMeasurement
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.errors import MeasurementError
from fer_opt.files import sha256_of

REPOSITORY = Path(__file__).parents[1]
POSIX = pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
SHAPE = (24, 24, 8)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with networks of 10 and 20 equal convolutions, and files that do not work."""
    from fer_opt.backend import quiet, tf, tf_keras

    folder = tmp_path_factory.mktemp("models")
    layers = tf_keras.layers

    def convert(name: str, call: Any, shape: tuple[int, ...]) -> None:
        function = tf.function(call).get_concrete_function(tf.TensorSpec(shape, tf.float32))
        with quiet():
            converter = tf.lite.TFLiteConverter.from_concrete_functions([function], call)
            (folder / f"{name}.tflite").write_bytes(converter.convert())

    for blocks in (10, 20):
        tf_keras.utils.set_random_seed(0)
        same = [layers.Conv2D(8, 3, padding="same", activation="relu") for _ in range(blocks)]
        network = tf_keras.Sequential(
            [layers.Input(SHAPE), *same, layers.GlobalAveragePooling2D(), layers.Dense(7)]
        )
        convert(f"c{blocks}", network, (1, *SHAPE))
        convert(f"batch{blocks}", network, (4, *SHAPE))
    (folder / "noise.tflite").write_bytes(np.random.default_rng(0).bytes(4096))
    return folder


def job(models: Path, name: str, inputs: Path | None = None) -> TimingJob:
    path = models / f"{name}.tflite"
    return TimingJob(name, path, sha256_of(path), inputs)


def pair(models: Path, baseline: str, candidate: str, **changes: Any) -> PairMeasurement:
    asked = {"order": "AB", "index": 0, "runs": 10, **changes}
    return measure_pair(
        job(models, baseline),
        job(models, candidate),
        TimingSettings(runs=asked["runs"], threads=asked.get("threads", 1)),
        asked["index"],
        order=asked["order"],
        session="test",
    )


# --- what comes of it ---


@pytest.mark.parametrize("order", ["AB", "BA"])
def test_a_pair_of_real_models_is_whole(models: Path, order: str) -> None:
    made = pair(models, "c10", "c20", order=order, index=3)
    assert (made.pair_index, made.order, made.session) == (3, order, "test")
    assert (made.threads, made.cpus) == (1, choose_cpus(1))
    for side, name in ((made.baseline, "c10"), (made.candidate, "c20")):
        assert (side.model, side.model_sha256) == (name, job(models, name).sha256)
        assert len(side.wall_ms) == len(side.cpu_ms) == 10
        assert len(side.warm_up_ms) >= 6
        assert side.delegate == "XNNPACK"
        assert min(*side.wall_ms, *side.cpu_ms, side.initialisation_ms) > 0
        # The CPU's clock runs inside the wall's.
        assert all(cpu <= wall for cpu, wall in zip(side.cpu_ms, side.wall_ms, strict=True))
    # Twice the convolutions take clearly longer, whichever was loaded first.
    assert 1.3 < made.candidate_ms / made.baseline_ms < 3


def test_the_clock_of_a_pair_is_its_datum(models: Path) -> None:
    made = pair(models, "c10", "c20")
    assert made.clock == choose_clock(1)
    clock = "cpu_ms" if made.clock == "thread CPU time" else "wall_ms"
    assert made.baseline_ms == statistics.median(getattr(made.baseline, clock))
    assert made.candidate_ms == statistics.median(getattr(made.candidate, clock))


@pytest.mark.skipif(len(allowed_cpus()) < 2, reason="there is one CPU")
def test_several_threads_go_by_the_wall_clock(models: Path) -> None:
    made = pair(models, "c10", "c20", threads=2)
    assert (made.clock, made.threads) == ("wall clock", 2)
    assert made.baseline.cpu_ms == made.candidate.cpu_ms == ()
    assert made.baseline_ms == statistics.median(made.baseline.wall_ms)


def test_a_pair_survives_json(models: Path) -> None:
    adapter = TypeAdapter(PairMeasurement)
    made = pair(models, "c10", "c10")
    assert adapter.validate_json(adapter.dump_json(made)) == made


def test_samples_are_fed_to_both(models: Path, tmp_path: Path) -> None:
    samples = tmp_path / "in.npy"
    np.save(samples, np.random.default_rng(1).random((3, *SHAPE), np.float32))
    jobs = (job(models, "c10", samples), job(models, "c20", samples))
    assert measure_pair(*jobs, TimingSettings(runs=5), 1).candidate_ms > 0
    np.save(samples, np.zeros((3, 5), np.float32))
    with pytest.raises(MeasurementError, match=r"c10.tflite was not timed: its inputs .* shape"):
        measure_pair(*jobs, TimingSettings(runs=5), 1)


@pytest.mark.alone
def test_the_same_file_differs_by_less_than_its_processes(models: Path) -> None:
    made = [pair(models, "c20", "c20", index=index, runs=30) for index in range(8)]
    logs = [math.log(one.candidate_ms / one.baseline_ms) for one in made]
    assert abs(statistics.median(logs)) < 0.02


# --- turns ---


@given(st.integers(0, 200), st.integers(-(2**60), 2**60))
def test_turns_time_both_models_and_mirror_each_other(turns: int, seed: int) -> None:
    order = turn_order(turns, seed)
    assert len(order) == turns
    assert all(sorted(turn) == [0, 1] for turn in order)
    for place in range(0, turns - 1, 2):
        assert order[place] == order[place + 1][::-1]
    assert turn_order(turns, seed) == order


def test_turns_are_random() -> None:
    firsts = [turn_order(2, seed)[0][0] for seed in range(1000)]
    assert 420 < sum(firsts) < 580


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("baseline", "candidate", "sentence"),
    [
        ("noise", "c10", "noise.tflite was not timed: LiteRT cannot load it"),
        ("c10", "noise", "noise.tflite was not timed: LiteRT cannot load it"),
        ("c10", "batch10", "batch10.tflite was not timed: it takes 4 samples at once"),
    ],
)
@pytest.mark.parametrize("order", ["AB", "BA"])
def test_the_model_at_fault_is_named(
    models: Path, baseline: str, candidate: str, sentence: str, order: str
) -> None:
    with pytest.raises(MeasurementError, match=sentence):
        pair(models, baseline, candidate, order=order)


def test_a_file_that_changed_or_is_gone_is_refused(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes((models / "c10.tflite").read_bytes())
    asked = TimingJob("m", path, "0" * 64)
    with pytest.raises(MeasurementError, match="is not the file that was to be timed"):
        measure_pair(job(models, "c10"), asked, TimingSettings(), 0)
    path.unlink()
    with pytest.raises(MeasurementError, match=r"m\.tflite cannot be read"):
        measure_pair(asked, job(models, "c10"), TimingSettings(), 0)


def test_a_pair_that_takes_too_long_is_stopped(models: Path) -> None:
    settings = TimingSettings(runs=10**7, timeout_s=2.0)
    with pytest.raises(MeasurementError, match="had not ended after 2 s"):
        measure_pair(job(models, "c10"), job(models, "c20"), settings, 0)
    assert not workers(os.getpid())


def test_a_folder_named_fer_opt_does_not_get_in(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fer_opt").mkdir()
    (tmp_path / "fer_opt" / "__init__.py").write_text("raise SystemExit('the wrong fer_opt')")
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    assert pair(models, "c10", "c10").baseline_ms > 0


def workers(parent: int) -> list[psutil.Process]:
    return [
        one
        for one in psutil.Process(parent).children(recursive=True)
        if any("host_pair_worker" in word for word in one.cmdline())
    ]


def soon(look: Any, what: str) -> Any:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except psutil.Error:
            pass
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


@POSIX
def test_a_worker_that_dies_is_an_error_not_a_result(models: Path) -> None:
    def kill_the_worker() -> None:
        (worker,) = soon(lambda: workers(os.getpid()), "the start of the worker")
        worker.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_the_worker)
    killer.start()
    with pytest.raises(MeasurementError, match="were not timed: its process was killed"):
        pair(models, "c10", "c20", runs=10**7)
    killer.join()


ENDLESS = """
import sys
from pathlib import Path
from fer_opt.device.host_pairs import measure_pair
from fer_opt.device.protocol import TimingJob, TimingSettings
job = TimingJob("endless", Path(sys.argv[1]), sys.argv[2])
measure_pair(job, job, TimingSettings(runs=10**8), 0)
"""


@pytest.fixture
def endless(models: Path) -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process]]:
    """A process that measures without end, and its worker at work."""
    asked = job(models, "c10")
    command = [sys.executable, "-c", ENDLESS, str(asked.path), asked.sha256]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as parent:
        try:
            (worker,) = soon(lambda: workers(parent.pid), "the start of the worker")
            yield parent, worker
        finally:
            parent.kill()


@POSIX
@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGKILL"])
def test_no_worker_outlives_its_parent(
    endless: tuple[subprocess.Popen[bytes], psutil.Process], signal_name: str
) -> None:
    parent, worker = endless
    time.sleep(1)
    parent.send_signal(getattr(signal, signal_name))
    parent.wait(timeout=20)
    soon(lambda: not psutil.pid_exists(worker.pid), "the end of the worker")


def test_the_worker_imports_no_heavy_package(models: Path) -> None:
    model = {
        "path": str(models / "c10.tflite"), "inputs": None, "first_input": 0, "runs": 2,
        "threads": 1, "cpus": [], "warm_up_window": 1, "warm_up_tolerance": 0.5,
        "warm_up_max_runs": 2, "warm_up_max_ms": 1.0, "random_low": 0.0, "random_high": 1.0,
        "random_seed": 0,
    }  # fmt: skip
    command = [sys.executable, "-P", "-X", "importtime", "-m", host_pair_worker.__name__]
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stderr is not None
        request = {"models": [model, model], "seed": 0, "cpu_clock": True}
        print(json.dumps(request), file=worker.stdin, flush=True)
        imported = {
            line.split("|")[-1].strip().partition(".")[0]
            for line in worker.stderr
            if line.startswith("import time:")
        }
        answer = json.loads(worker.stdout.readline())
    assert len(answer["result"]["models"]) == 2
    assert {"numpy", "ai_edge_litert"} <= imported
    assert not {"tensorflow", "tf_keras", "keras", "pydantic", "psutil", "scipy"} & imported


def test_this_computers_facts_come_with_pairs() -> None:
    assert HostPairs().facts().kind == "host"
