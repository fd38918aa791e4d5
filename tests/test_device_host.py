"""The host device on real .tflite files, real processes and real signals."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.device import host_worker
from fer_opt.device.conditions import read_conditions
from fer_opt.device.cpus import allowed_cpus, choose_cpus, pick_cpus
from fer_opt.device.host import HostDevice
from fer_opt.device.measurement import Measurement
from fer_opt.device.protocol import Device, TimingJob, TimingSettings
from fer_opt.device.schedule import measure_session
from fer_opt.errors import MeasurementError
from fer_opt.files import sha256_of

REPOSITORY = Path(__file__).parents[1]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
POSIX = pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")

SHAPE = (24, 24, 1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small real models, each named by what is special about it."""
    from fer_opt.backend import quiet, tf, tf_keras

    folder = tmp_path_factory.mktemp("models")
    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    network = tf_keras.Sequential(
        [
            layers.Input(SHAPE),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPool2D(4),
            layers.Flatten(),
            layers.Dense(7, activation="softmax"),
        ]
    )
    samples = np.random.default_rng(0).random((10, 1, *SHAPE), np.float32)

    def convert(
        name: str, call: Any, shape: tuple[int, ...], settle: Callable[[Any], None] | None = None
    ) -> None:
        function = tf.function(call).get_concrete_function(tf.TensorSpec(shape, tf.float32))
        with quiet():
            converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
            if settle is not None:
                settle(converter)
            (folder / f"{name}.tflite").write_bytes(converter.convert())

    def integer(kind: Any, operators: Any) -> Callable[[Any], None]:
        def settle(converter: Any) -> None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([sample] for sample in samples)
            converter.target_spec.supported_ops = [operators]
            converter.inference_input_type = converter.inference_output_type = kind

        return settle

    def select(converter: Any) -> None:
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS
        ]  # fmt: skip

    def allow_custom(converter: Any) -> None:
        converter.allow_custom_ops = True

    sets = tf.lite.OpsSet
    wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    convert("float32", network, (1, *SHAPE))
    convert("int8", network, (1, *SHAPE), integer(tf.int8, sets.TFLITE_BUILTINS_INT8))
    convert("int16x8", network, (1, *SHAPE), integer(tf.int16, wide))
    convert("batch_of_4", network, (4, *SHAPE))
    convert("select_ops", tf.math.atan, (1, 2, 2, 1), select)
    convert("custom_op", lambda x: tf.math.betainc(x, x, x), (1, 2, 2, 1), allow_custom)
    table = tf.constant(np.arange(10, dtype=np.float32))
    # Fails at run time for an input of 1 or more: the table has ten places.
    convert("gather", lambda x: tf.gather(table, tf.cast(x * 10, tf.int32)), (1, 2, 2, 1))
    (folder / "noise.tflite").write_bytes(np.random.default_rng(0).bytes(4096))
    whole = (folder / "float32.tflite").read_bytes()
    (folder / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.tflite").write_bytes(b"")
    return folder


def job(models: Path, name: str, inputs: Path | None = None) -> TimingJob:
    path = models / f"{name}.tflite"
    return TimingJob(name, path, sha256_of(path), inputs)


def measure(job: TimingJob, round_index: int = 0, **settings: Any) -> Measurement:
    return HostDevice(TimingSettings(**settings)).measure(
        job, order_index=3, round_index=round_index, session="test"
    )


def save(path: Path, samples: Any) -> Path:
    np.save(path, samples)
    return path


@pytest.mark.parametrize("name", ["float32", "int8", "int16x8"])
@pytest.mark.parametrize("real", [True, False])
def test_a_measurement_of_a_real_model_is_whole(
    models: Path, tmp_path: Path, name: str, real: bool
) -> None:
    inputs = save(tmp_path / "in.npy", np.random.default_rng(1).random((3, *SHAPE), np.float32))
    asked = job(models, name, inputs if real else None)
    before = time.perf_counter()
    made = measure(asked, round_index=2, runs=7)
    spent_ms = (time.perf_counter() - before) * 1000
    assert (made.model, made.model_sha256, made.session) == (name, asked.sha256, "test")
    assert (made.order_index, made.round_index, made.threads) == (3, 2, 1)
    assert len(made.inference_ms) == 7
    assert len(made.warm_up_ms) >= 6
    times = (*made.warm_up_ms, *made.inference_ms, made.initialisation_ms)
    assert all(one > 0 for one in times)
    assert sum(times) < spent_ms
    assert made.cpus == choose_cpus(1)
    assert re.match(r"\d{4}-\d\d-\d\dT.*\+00:00$", made.started_at)


def test_the_record_says_what_ran_the_graph(models: Path) -> None:
    delegates = {
        name: measure(job(models, name)).delegate for name in ("float32", "int8", "int16x8")
    }
    assert delegates["float32"] == "XNNPACK"
    assert re.fullmatch(r"XNNPACK( \(\d of 5 operators\))?", delegates["int8"])
    assert delegates["int16x8"] == "none"  # XNNPACK has no 16-bit integer kernels


def test_operators_left_outside_the_delegate_are_counted(models: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    def coverage(**options: Any) -> tuple[int | None, int | None]:
        interpreter = Interpreter(model_path=str(models / "float32.tflite"), **options)
        interpreter.allocate_tensors()
        return host_worker.operator_coverage(interpreter)

    assert coverage() == (5, 5)
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    assert coverage(experimental_op_resolver_type=plain) == (5, 0)


@LINUX
def test_peak_memory_is_the_workers_own(models: Path) -> None:
    ballast = bytearray(os.urandom(1024)) * (400 * 1024)  # 400 MiB in this process
    made = measure(job(models, "float32"))
    assert made.peak_memory_bytes is not None
    assert 5 * 2**20 < made.peak_memory_bytes < len(ballast)


@pytest.mark.skipif(len(allowed_cpus()) < 2, reason="needs two CPUs to choose from")
def test_threads_get_a_cpu_each_and_the_users_choice_counts(models: Path) -> None:
    two = measure(job(models, "float32"), threads=2)
    assert (two.threads, len(two.cpus)) == (2, 2)
    for cpu in allowed_cpus()[:2]:
        assert measure(job(models, "float32"), cpus=(cpu,)).cpus == (cpu,)


def test_inputs_are_fed_round_after_round(models: Path, tmp_path: Path) -> None:
    # The second half of the samples makes this model fail, so who fails was fed them.
    samples = np.full((8, 2, 2, 1), 0.5, np.float32)
    samples[4:] = 3.0
    asked = job(models, "gather", save(tmp_path / "in.npy", samples))
    assert len(measure(asked, round_index=0, runs=4).inference_ms) == 4
    assert len(measure(asked, round_index=2, runs=4).inference_ms) == 4  # has gone round
    with pytest.raises(MeasurementError, match=r"LiteRT failed while running it \(.*index.*\)"):
        measure(asked, round_index=1, runs=4)


def test_random_inputs_keep_to_their_range(models: Path) -> None:
    assert measure(job(models, "gather"), random_high=0.99).inference_ms
    with pytest.raises(MeasurementError, match="LiteRT failed while running it"):
        measure(job(models, "gather"), random_low=1.5, random_high=2.0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (np.zeros((3, 24, 24), np.float32), r"shape \(3, 24, 24\) where \('n', 24, 24, 1\)"),
        (np.zeros((3, 48, 48, 1), np.float32), r"shape \(3, 48, 48, 1\)"),
        (np.zeros((0, *SHAPE), np.float32), r"shape \(0, 24, 24, 1\)"),
        (np.zeros((3, *SHAPE), np.float64), "not one float32 array"),
        (np.zeros((3, *SHAPE), np.uint8), "not one float32 array"),
        (np.full((3, *SHAPE), np.nan, np.float32), "not finite"),
        (np.array([{"a": 1}], object), "cannot be read"),
        (b"no array", "cannot be read"),
        (b"", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    models: Path, tmp_path: Path, content: Any, sentence: str
) -> None:
    path = tmp_path / "in.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(MeasurementError, match=sentence) as caught:
        measure(job(models, "float32", path))
    assert "float32.tflite" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("noise", r"LiteRT cannot load it .*; convert the model again\.$"),
        ("empty", r"LiteRT cannot load it .*; convert the model again\.$"),
        ("cut", r"convert the model again\.$"),  # LiteRT may refuse it or crash on it
        ("batch_of_4", r"takes 4 samples at once.*; convert at batch 1\.$"),
        ("custom_op", r"needs operators LiteRT does not have .*built-in operators only\.$"),
        ("select_ops", r"needs operators LiteRT does not have .*built-in operators only\.$"),
    ],
)
def test_models_that_cannot_be_timed_are_named(models: Path, name: str, sentence: str) -> None:
    with pytest.raises(MeasurementError, match=sentence) as caught:
        measure(job(models, name))
    assert str(models / f"{name}.tflite") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_missing_or_changed_file_is_not_timed(models: Path, tmp_path: Path) -> None:
    asked = job(models, "float32")
    with pytest.raises(MeasurementError, match=r"absent\.tflite cannot be read"):
        measure(replace(asked, path=tmp_path / "absent.tflite"))
    with pytest.raises(MeasurementError, match="is not the file that was to be timed"):
        measure(replace(asked, sha256="0" * 64))


def test_a_worker_that_takes_too_long_is_stopped(models: Path) -> None:
    with pytest.raises(MeasurementError, match=r"had not ended after 0\.5 s and was stopped"):
        measure(job(models, "float32"), runs=10**7, timeout_s=0.5)
    assert not workers()


def workers(parent: int | None = None) -> list[psutil.Process]:
    """Worker processes below ``parent`` (this process when None) that are still alive."""
    found = []
    for child in psutil.Process(parent).children(recursive=True):
        try:
            if "host_worker.py" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def soon(happens: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if result := happens():
            return result
        time.sleep(0.02)
    return pytest.fail(f"{what} did not happen within 20 s")


@POSIX
@pytest.mark.parametrize(
    ("signal_name", "sentence"),
    [
        ("SIGKILL", "killed from outside, most likely because memory ran out"),
        ("SIGSEGV", "crashed \\(Segmentation fault"),
    ],
)
def test_a_worker_that_dies_is_an_error_not_a_result(
    models: Path, signal_name: str, sentence: str
) -> None:
    def kill_the_worker() -> None:
        (worker,) = soon(workers, "the start of the worker")
        worker.send_signal(getattr(signal, signal_name))

    killer = threading.Thread(target=kill_the_worker)
    killer.start()
    with pytest.raises(MeasurementError, match=sentence) as caught:
        measure(job(models, "float32"), runs=10**7)
    killer.join()
    assert "float32.tflite was not timed" in str(caught.value)


ENDLESS = """
import sys
from pathlib import Path
from fer_opt.device.host import HostDevice
from fer_opt.device.protocol import TimingJob, TimingSettings
job = TimingJob("endless", Path(sys.argv[1]), sys.argv[2])
HostDevice(TimingSettings(runs=10**8)).measure(job, order_index=0, round_index=0, session="s")
"""


@pytest.fixture
def endless(models: Path) -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process]]:
    """A process that measures without end, and its worker at work."""
    asked = job(models, "float32")
    command = [sys.executable, "-c", ENDLESS, str(asked.path), asked.sha256]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as parent:
        try:
            (worker,) = soon(lambda: workers(parent.pid), "the start of the worker")
            soon(lambda: worker.cpu_times().user > 0.3, "the work of the worker")
            yield parent, worker
        finally:
            parent.kill()


@POSIX
@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_worker_outlives_its_parent(
    endless: tuple[subprocess.Popen[bytes], psutil.Process], signal_name: str
) -> None:
    parent, worker = endless
    parent.send_signal(getattr(signal, signal_name))
    errors = parent.communicate(timeout=20)[1]
    if signal_name == "SIGINT":
        assert b"KeyboardInterrupt" in errors
        # By then the worker has been killed and collected, not merely told to go.
        assert not worker.is_running()
    soon(lambda: not alive(worker), "the end of the worker")


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@POSIX
def test_ctrl_c_is_the_parents_business(
    endless: tuple[subprocess.Popen[bytes], psutil.Process],
) -> None:
    _, worker = endless
    worker.send_signal(signal.SIGINT)  # a terminal sends it to both
    time.sleep(0.3)
    assert alive(worker)


def test_the_worker_imports_litert_and_numpy_only(models: Path) -> None:
    request = {
        "path": str(models / "int8.tflite"), "inputs": None, "first_input": 0, "runs": 2,
        "threads": 1, "cpus": [], "warm_up_window": 1, "warm_up_tolerance": 0.5,
        "warm_up_max_runs": 2, "warm_up_max_ms": 1.0, "random_low": 0.0, "random_high": 1.0,
        "random_seed": 0,
    }  # fmt: skip
    command = [sys.executable, "-P", "-X", "importtime", host_worker.__file__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stderr is not None
        print(json.dumps(request), file=worker.stdin, flush=True)
        imported = {
            line.split("|")[-1].strip().partition(".")[0]
            for line in worker.stderr
            if line.startswith("import time:")
        }
        answer = json.loads(worker.stdout.readline())
    assert len(answer["result"]["inference_ms"]) == 2
    assert {"numpy", "ai_edge_litert"} <= imported
    heavy = {"tensorflow", "tf_keras", "keras", "fer_opt", "pydantic", "psutil", "scipy", "pandas"}
    assert not heavy & imported


def test_modules_in_the_working_directory_do_not_get_in(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    assert measure(job(models, "float32")).inference_ms


def test_a_session_on_this_computer(models: Path) -> None:
    device = HostDevice(TimingSettings(runs=3))
    assert isinstance(device, Device)
    saved: list[Measurement] = []
    jobs = [job(models, "float32"), job(models, "int8")]
    first = measure_session(device, jobs, 1, 5, on_measurement=saved.append)
    both = (*first, *measure_session(device, jobs, 2, 5, already=first))
    assert saved == list(first)
    assert [one.order_index for one in both] == [0, 1, 2, 3]
    assert len({one.session for one in both}) == 2
    assert all(one.started_at < next_.started_at for one, next_ in itertools.pairwise(both))


def test_facts_name_the_machine_and_not_its_owner() -> None:
    facts = HostDevice().facts()
    assert facts.kind == "host"
    assert facts.name == facts.facts["cpu"]
    assert facts.facts["runtime"].startswith("ai-edge-litert ")
    assert int(facts.facts["logical_cpus"]) == psutil.cpu_count()
    assert not set(facts.facts) & set(facts.unread)
    assert all(facts.facts.values())
    assert all(facts.unread.values())
    told = json.dumps([facts.facts, facts.unread])
    for private in (platform.node(), str(Path.home()), str(REPOSITORY)):
        assert private in ("", "/") or not re.search(rf"\b{re.escape(private)}\b", told)


def test_the_fingerprint_is_of_the_machine_not_of_the_moment() -> None:
    first = HostDevice().facts()
    ballast = bytearray(50 * 2**20)
    second = HostDevice(TimingSettings(runs=99)).facts()
    assert len(ballast) > 0
    assert first.fingerprint == second.fingerprint
    assert re.fullmatch("[0-9a-f]{64}", first.fingerprint)


def test_conditions_are_numbers_or_unknown() -> None:
    now = read_conditions(allowed_cpus())
    for value in (now.load_1m, now.cpu_mhz, now.temperature_c):
        assert value is None or value >= 0
    if sys.platform == "linux":
        assert now.load_1m == pytest.approx(os.getloadavg()[0], abs=2)


def test_the_best_cpus_are_picked() -> None:
    none: dict[int, int] = {}
    assert pick_cpus(range(4), 1, none, {}) == (3,)
    assert pick_cpus(range(4), 2, none, {}) == (2, 3)
    # Two performance cores with two threads each, then four efficiency cores.
    clocks = dict.fromkeys(range(4), 5_000_000) | dict.fromkeys(range(4, 8), 3_800_000)
    cores = {0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"} | {cpu: str(cpu) for cpu in range(4, 8)}
    assert pick_cpus(range(8), 1, clocks, cores) == (2,)
    assert pick_cpus(range(8), 2, clocks, cores) == (0, 2)
    assert pick_cpus(range(8), 4, clocks, cores) == (0, 1, 2, 3)
    assert pick_cpus((1, 4, 5), 2, clocks, cores) == (1, 5)


@pytest.mark.skipif(not allowed_cpus(), reason="this system does not pin")
def test_cpus_that_are_not_there_are_refused() -> None:
    with pytest.raises(MeasurementError, match="CPU 4095 is not open to this process"):
        choose_cpus(1, (4095,))
    with pytest.raises(MeasurementError, match="5000 threads on"):
        choose_cpus(5000)


@given(
    st.lists(st.floats(-500, 500, width=32), min_size=1, max_size=50),
    st.floats(1e-4, 2.0),
    st.integers(-128, 127),
)
def test_quantized_inputs_mean_what_the_real_ones_do(
    values: list[float], scale: float, zero_point: int
) -> None:
    real = np.array(values, np.float32)
    detail = {"name": "x", "dtype": np.int8, "quantization": (scale, zero_point)}
    stored = host_worker.quantize(real, detail)
    assert stored.dtype == np.int8
    meant = (stored.astype(np.float64) - zero_point) * scale
    low, high = (-128 - zero_point) * scale, (127 - zero_point) * scale
    nearest = np.clip(real.astype(np.float64), low, high)
    assert np.abs(meant - nearest).max() <= scale / 2 + 1e-4 * max(1, np.abs(real).max())


@given(st.lists(st.floats(0.01, 100), min_size=6, max_size=12), st.floats(0.01, 100))
def test_steadiness_has_no_unit(times: list[float], factor: float) -> None:
    steady = host_worker.is_steady(times, 3, 0.05)
    earlier, later = statistics.median(times[-6:-3]), statistics.median(times[-3:])
    if abs(abs(later / earlier - 1) - 0.05) > 1e-9:
        assert host_worker.is_steady([time * factor for time in times], 3, 0.05) == steady
        assert steady == (abs(later / earlier - 1) < 0.05)


def test_steadiness_needs_two_windows_and_survives_an_outlier() -> None:
    assert not host_worker.is_steady([5.0] * 5, 3, 0.05)
    assert host_worker.is_steady([5.0] * 6, 3, 0.05)
    assert host_worker.is_steady([5.0, 5.0, 5.0, 5.0, 90.0, 5.0], 3, 0.05)
    assert not host_worker.is_steady([9.0, 8.0, 7.0, 6.0, 5.0, 5.0], 3, 0.05)


def busy(milliseconds: float) -> None:
    end = time.perf_counter_ns() + int(milliseconds * 1e6)
    while time.perf_counter_ns() < end:
        pass


LIMITS: Any = {
    "warm_up_window": 3, "warm_up_tolerance": 0.05, "warm_up_max_runs": 12, "warm_up_max_ms": 1e4
}  # fmt: skip


@pytest.mark.alone
def test_warm_up_that_never_settles_ends_at_its_limit() -> None:
    growing = ((lambda step=step: busy(0.05 * 1.4**step)) for step in range(100))
    times, steady = host_worker.warm_up(growing, LIMITS)
    assert (len(times), steady) == (12, False)
    growing = ((lambda step=step: busy(0.05 * 1.4**step)) for step in range(100))
    times, steady = host_worker.warm_up(growing, {**LIMITS, "warm_up_max_ms": 1e-3})
    assert (len(times), steady) == (6, False)  # never less than two windows


@pytest.mark.alone
def test_warm_up_ends_when_steady() -> None:
    falling = ((lambda step=step: busy(5.0 if step < 4 else 1.0)) for step in range(100))
    times, steady = host_worker.warm_up(falling, {**LIMITS, "warm_up_max_runs": 90})
    assert steady
    assert 8 <= len(times) < 90
    assert min(times[:4]) >= 5.0


@pytest.mark.alone
def test_the_timed_span_adds_less_than_a_hundredth_to_5_ms() -> None:
    # A load whose length is known: preempted calls only take longer, so the shortest tells.
    def known_load() -> Iterator[Callable[[], None]]:
        while True:
            time.sleep(0.001)  # setting the inputs, which must not be counted
            yield lambda: busy(5.0)

    times = host_worker.time_calls(known_load(), 30)
    assert 5.0 <= min(times) < 5.05


@pytest.mark.slow
@pytest.mark.alone
def test_a_bare_loop_gives_the_same_time(tmp_path: Path) -> None:
    overhead = benchmark("overhead")
    model = tmp_path / "five_ms.tflite"
    overhead.make_model(model)
    found = overhead.compare(model, pairs=12, runs=15, seed=0)
    # benchmarks/overhead.py measures against 3 %; this bound holds on a busy computer too.
    assert found.ratio == pytest.approx(1, abs=0.15)


def benchmark(name: str) -> ModuleType:
    """A script of benchmarks/, imported."""
    specification = importlib.util.spec_from_file_location(
        f"benchmark_{name}", REPOSITORY / "benchmarks" / f"{name}.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module
