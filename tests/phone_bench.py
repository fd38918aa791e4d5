"""What tests of benches on virtual phones share: models, runners that fail, short settings."""

from __future__ import annotations

import contextlib
import os
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from fer_opt.device.adb import Link, open_phone
from fer_opt.device.phone.results import PhoneRun, PhoneSettings
from fer_opt.device.phone.session import bench_phone
from fer_opt.device.protocol import TimingJob
from fer_opt.device.virtual import VirtualPhone
from fer_opt.files import sha256_of

SHAPE = (24, 24, 1)

SHORT = PhoneSettings(
    rounds=1, runs=2, warm_up_runs=2, outputs=0, canary_limit=1000.0, cool_down_s=0.0
)
"""A bench that is over soon; nothing slows a canary down a thousand times."""


def make_models(folder: Path) -> None:
    """Write small real models, each named by what is special about it."""
    from fer_opt.backend import quiet, tf, tf_keras

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

    def convert(name: str, call: Any, shape: tuple[int, ...], settle: Any = None) -> None:
        function = tf.function(call).get_concrete_function(tf.TensorSpec(shape, tf.float32))
        with quiet():
            converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
            if settle is not None:
                settle(converter)
            (folder / f"{name}.tflite").write_bytes(converter.convert())

    def eight_bits(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    convert("float32", network, (1, *SHAPE))
    convert("int8", network, (1, *SHAPE), eight_bits)
    convert("batch_of_4", network, (4, *SHAPE))
    table = tf.constant(np.arange(10, dtype=np.float32))
    # Fails at run time for an input of 1 or more: the table has ten places.
    convert("gather", lambda x: tf.gather(table, tf.cast(x * 10, tf.int32)), (1, 2, 2, 1))
    whole = (folder / "float32.tflite").read_bytes()
    (folder / "cut.tflite").write_bytes(whole[: len(whole) // 2])


def job(models: Path, name: str, inputs: Path | None = None) -> TimingJob:
    path = models / f"{name}.tflite"
    return TimingJob(name, path, sha256_of(path), inputs)


def opener(phone: VirtualPhone) -> Callable[[], Link]:
    return partial(open_phone, phone.address)


def bench(
    phone: VirtualPhone, jobs: list[TimingJob], settings: PhoneSettings = SHORT, **options: Any
) -> PhoneRun:
    return bench_phone(opener(phone), jobs, settings, **options)


def stay_awake(phone: VirtualPhone) -> str:
    """What a bench changes and has to give back; 0 to begin with."""
    return phone.settings["global"]["stay_on_while_plugged_in"]


def write_runner(path: Path, model_part: str, *, without: str = "") -> Path:
    """A runner in shell that starts in no time, where only what surrounds it is tested.

    It knows benchmark_model's flags, prints its log lines, claims that every inference took
    ``$each`` microseconds (5000) and that the canary's seven outputs are zero.

    Args:
        path: to write it to.
        model_part: shell commands it runs when it has been given a model, in which ``$graph`` is
            the model's file and ``$runs`` the number of inferences.
        without: a flag it lacks.
    """
    text = _RUNNER.replace("FLAGS", _FLAGS.replace(without, "") if without else _FLAGS)
    path.write_text(text.replace("MODEL_PART", textwrap.dedent(model_part)), encoding="ascii")
    path.chmod(0o755)
    return path


def in_folder(phone: VirtualPhone, name: str) -> Path:
    """A file of fer-opt's folder on the phone, as this computer sees it."""
    return phone.folder / "fer-opt" / name


def processes_of_phones() -> list[str]:
    """Command lines of runners on this process's virtual phones."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if any("fer-opt/bin/benchmark_model" in word for word in words):
                found.append(" ".join(words))
    return found


ALL_CUTS = os.environ.get("FER_OPT_ALL_CUTS", "")

_FLAGS = (
    "graph num_threads num_runs min_secs warmup_runs warmup_min_secs max_secs input_layer "
    "input_layer_shape input_layer_value_files output_filepath use_xnnpack enable_op_profiling "
    "op_profiling_output_mode"
)

_RUNNER = """#!/bin/sh
graph= runs=1 warm=0 threads=1 out= profile= each=5000
for word; do
  value=${word#*=}
  case $word in
    --help)
      for name in FLAGS; do
        printf '\\t--%s=\\tstring\\toptional\\tflag\\n' "$name"
      done
      exit 1 ;;
    --graph=*) graph=$value ;;
    --num_runs=*) runs=$value ;;
    --warmup_runs=*) warm=$value ;;
    --num_threads=*) threads=$value ;;
    --output_filepath=*) out=$value ;;
    --enable_op_profiling=true) profile=1 ;;
  esac
done
line() {
  case $1 in
    0) echo "INFO: count=0 p5=0 median=0 p95=0" ;;
    1) echo "INFO: count=1 curr=$each p5=$each median=$each p95=$each" ;;
    *) echo "INFO: count=$1 curr=$each(all same) p5=$each median=$each p95=$each" ;;
  esac
  echo
}
phase() {
  echo "INFO: Running benchmark for at least $1 iterations and at least 0 seconds but" \\
    "terminate if exceeding 150 seconds."
}
echo "INFO: STARTING!"
echo "INFO: Min num runs: [$runs]"
echo "INFO: Num threads: [$threads]"
echo "INFO: Min warmup runs: [$warm]"
echo "INFO: Graph: [$graph]"
echo "INFO: #threads used for CPU inference: [$threads]"
MODEL_PART
echo "INFO: Loaded model $graph"
echo "INFO: Initialized session in 1.5ms."
phase $warm
line $warm
phase $runs
line $runs
first=$each
[ "$warm" = 0 ] && first=0
echo "INFO: Inference timings in us: Init: 1500, First inference: $first," \\
  "Warmup (avg): $first, Inference (avg): $each"
echo "INFO: Memory footprint delta from the start of the tool (MB): init=1.0 overall=2.0"
[ -z "$out" ] || head -c 28 /dev/zero >"$out"
"""
