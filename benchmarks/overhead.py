"""What fer-opt's own machinery adds to a latency: HostDevice against a bare LiteRT loop.

    python benchmarks/overhead.py [--pairs 100] [--runs 20]

Makes a convolutional network of about 5 ms per inference, then times it in pairs of fresh
processes, one through HostDevice and one through the plainest loop over LiteRT's interpreter, in a
random order within each pair, both on the same CPU. The datum of a pair is the ratio of the two
processes' medians. Exits with 1 when the interval of the median ratio lies wholly beyond 3 %.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fer_opt.device.cpus import choose_cpus
from fer_opt.device.host import HostDevice
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.files import sha256_of
from fer_opt.reports.statistics import MedianInterval, median_interval

TARGET = 0.03

BARE_LOOP = """
import json, os, sys, time
path, runs, cpus = json.loads(sys.argv[1])
if cpus:
    os.sched_setaffinity(0, cpus)
import numpy as np
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(model_path=path, num_threads=1)
interpreter.allocate_tensors()
detail = interpreter.get_input_details()[0]
sample = np.random.default_rng(0).uniform(0, 1, detail["shape"]).astype(np.float32)
interpreter.set_tensor(detail["index"], sample)
times = []
for _ in range(10 + runs):
    begin = time.perf_counter()
    interpreter.invoke()
    times.append((time.perf_counter() - begin) * 1000)
print(json.dumps(times[10:]))
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians over processes, and the paired ratio fer-opt / bare loop with its interval."""

    fer_opt_ms: float
    bare_ms: float
    ratio: float
    low: float
    high: float
    confidence: float
    pairs: int


def main() -> int:
    parser = argparse.ArgumentParser(description="fer-opt's overhead on a measured latency")
    parser.add_argument("--pairs", type=int, default=100, help="pairs of processes (default 100)")
    parser.add_argument("--runs", type=int, default=20, help="inferences each (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the order within pairs")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "five_ms.tflite"
        make_model(model)
        found = compare(model, pairs=chosen.pairs, runs=chosen.runs, seed=chosen.seed)
    print(f"{HostDevice().facts().name}, 1 thread, {found.pairs} pairs of {chosen.runs} inferences")
    print(f"through fer-opt  {found.fer_opt_ms:8.3f} ms")
    print(f"bare loop        {found.bare_ms:8.3f} ms")
    print(
        f"ratio            {found.ratio:8.4f}     "
        f"({found.confidence:.1%} interval {found.low:.4f} to {found.high:.4f})"
    )
    within = found.low >= 1 - TARGET and found.high <= 1 + TARGET
    beyond = found.low > 1 + TARGET or found.high < 1 - TARGET
    verdict = "within" if within else "beyond" if beyond else "not decided to be within"
    print(f"The difference is {verdict} {TARGET:.0%}.")
    return 1 if beyond else 0


def make_model(path: Path) -> None:
    """Write a float32 network of about 5 ms per inference on a computer of 2021."""
    from fer_opt.backend import quiet, tf, tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    network = tf_keras.Sequential(
        [
            layers.Input((96, 96, 1)),
            layers.Conv2D(40, 3, padding="same", activation="relu"),
            layers.Conv2D(40, 3, padding="same", activation="relu"),
            layers.MaxPool2D(2),
            layers.Conv2D(80, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(8, activation="softmax"),
        ]
    )
    specification = tf.TensorSpec((1, 96, 96, 1), tf.float32)
    function = tf.function(network).get_concrete_function(specification)
    with quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
        path.write_bytes(converter.convert())


def compare(model: Path, *, pairs: int, runs: int, seed: int) -> Comparison:
    """Time ``model`` both ways in ``pairs`` pairs of fresh processes."""
    cpus = choose_cpus(1)
    device = HostDevice(TimingSettings(runs=runs, cpus=cpus))
    job = TimingJob("five_ms", model, sha256_of(model))
    order = random.Random(seed)
    through, bare = [], []
    for pair in range(pairs):
        ways = ["fer-opt", "bare"]
        order.shuffle(ways)
        for way in ways:
            if way == "fer-opt":
                made = device.measure(job, order_index=pair, round_index=pair, session="overhead")
                through.append(statistics.median(made.inference_ms))
            else:
                bare.append(statistics.median(_bare_times(model, runs, cpus)))
    logs = [math.log(ours / theirs) for ours, theirs in zip(through, bare, strict=True)]
    found: MedianInterval = median_interval(logs)
    return Comparison(
        fer_opt_ms=statistics.median(through),
        bare_ms=statistics.median(bare),
        ratio=math.exp(found.median),
        low=math.exp(found.low),
        high=math.exp(found.high),
        confidence=found.confidence,
        pairs=pairs,
    )


def _bare_times(model: Path, runs: int, cpus: tuple[int, ...]) -> list[float]:
    request = json.dumps([str(model), runs, list(cpus)])
    done = subprocess.run(
        [sys.executable, "-c", BARE_LOOP, request], capture_output=True, text=True, check=True
    )
    times: list[float] = json.loads(done.stdout.splitlines()[-1])
    return times


if __name__ == "__main__":
    sys.exit(main())
