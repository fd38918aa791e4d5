"""What fer-opt adds to a bench on a phone: its rounds against a bare shell script's.

    python benchmarks/phone_overhead.py [--pairs 9] [--rounds 5] [--runs 200]

Starts a virtual phone and times two models on it in pairs, in random order within each pair: once
through fer-opt, and once by a shell script on the phone that runs the very same benchmark_model
processes back to back. The same are all processes of the rounds, in fer-opt's order: those of the
models and those of the canary, which a script that wants to know whether the phone held its speed
has to run as well. A process takes a second or two, as thirteen inferences on a phone do.

Two ratios to the script's time are printed, each the median over pairs: of the rounds, and of the
whole bench, which also connects, asks for facts, compares hashes, changes settings and gives them
back. Starting Python and writing the report are in neither. No phone is throttled here, so there
are no pauses. Exits with 1 when the ratio of the rounds exceeds 1.10.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from overhead import make_model

from fer_opt.device.adb import Link, open_phone
from fer_opt.device.benchmark_model import BenchmarkLog, BenchmarkRequest, build_words
from fer_opt.device.blocks import Blocks
from fer_opt.device.phone import session, stages
from fer_opt.device.phone.canary import CANARY
from fer_opt.device.phone.cpus import cpu_mask
from fer_opt.device.phone.device import PhoneDevice
from fer_opt.device.phone.results import PhoneSettings
from fer_opt.device.protocol import TimingJob
from fer_opt.device.virtual import start_virtual_phone
from fer_opt.files import sha256_of
from fer_opt.reports.statistics import median_interval

TARGET = 1.10


@dataclass(slots=True)
class Watch:
    """Wall-clock seconds of one bench by what they went to, and the commands it ran."""

    whole_s: float = 0.0
    rounds_s: float = 0.0
    canary_s: float = 0.0
    commands: list[list[str]] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description="fer-opt's overhead in a bench on a phone")
    parser.add_argument("--pairs", type=int, default=9, help="of benches (default 9)")
    parser.add_argument("--rounds", type=int, default=5, help="of two models (default 5)")
    parser.add_argument("--runs", type=int, default=200, help="inferences each (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the order within pairs")
    chosen = parser.parse_args()
    settings = PhoneSettings(
        rounds=chosen.rounds, runs=chosen.runs, outputs=0, canary_limit=1000.0, cool_down_s=0.0
    )
    order = random.Random(chosen.seed)
    watches, scripts = [], []
    with tempfile.TemporaryDirectory() as folder, start_virtual_phone() as phone:
        make_model(Path(folder) / "five_ms.tflite")
        jobs = [job("five_ms", Path(folder) / "five_ms.tflite"), job("small", CANARY.path)]
        commands = bench(phone.address, jobs, settings).commands  # pushes everything
        for _ in range(chosen.pairs):
            for way in order.sample(["fer-opt", "script"], 2):
                if way == "fer-opt":
                    watches.append(bench(phone.address, jobs, settings))
                else:
                    scripts.append(run_script(phone.address, commands))
    return report(watches, scripts, len(commands))


def job(name: str, path: Path) -> TimingJob:
    return TimingJob(name, path, sha256_of(path))


def bench(address: str, jobs: list[TimingJob], settings: PhoneSettings) -> Watch:
    """One bench through fer-opt."""
    watch = Watch()
    with watched(watch):
        begin = time.perf_counter()
        session.bench_phone(lambda: open_phone(address), jobs, settings)
        watch.whole_s = time.perf_counter() - begin
    return watch


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Take the time of rounds and canaries, and note the command of every process."""
    measure_blocks, time_canary = stages.measure_blocks, PhoneDevice.time_canary
    run = PhoneDevice.run

    def blocks(*arguments: object, **named: object) -> Blocks:
        begin = time.perf_counter()
        try:
            return measure_blocks(*arguments, **named)  # type: ignore[arg-type]
        finally:
            watch.rounds_s += time.perf_counter() - begin

    def canary(self: PhoneDevice) -> float:
        begin = time.perf_counter()
        try:
            return time_canary(self)
        finally:
            watch.canary_s += time.perf_counter() - begin

    def noted(self: PhoneDevice, request: BenchmarkRequest) -> tuple[str, BenchmarkLog]:
        words = build_words(self.runner, request, self.flags)
        watch.commands.append(["taskset", cpu_mask(self.cpus), *words])
        return run(self, request)

    with (
        mock.patch.object(stages, "measure_blocks", blocks),
        mock.patch.object(PhoneDevice, "time_canary", canary),
        mock.patch.object(PhoneDevice, "run", noted),
    ):
        yield


def run_script(address: str, commands: list[list[str]]) -> float:
    """The same commands back to back; the seconds they took, measured here."""
    link: Link = open_phone(address)
    try:
        path = "/data/local/tmp/fer-opt/back_to_back.sh"
        lines = [" ".join(f"'{word}'" for word in words) for words in commands]
        link.push("\n".join([*lines, ""]).encode(), path)
        begin = time.perf_counter()
        finished = link.job(["sh", path], timeout_s=3600)
        taken_s = time.perf_counter() - begin
    finally:
        link.close()
    if finished.status or finished.output.count("Inference timings in us") != len(commands):
        raise SystemExit(f"The script failed: {finished.output[-500:]}")
    return taken_s


def report(watches: list[Watch], scripts: list[float], processes: int) -> int:
    """Print the table; 1 where the target is missed."""

    def row(name: str, seconds: list[float]) -> None:
        print(f"{name:42} {statistics.median(seconds):8.2f} s")

    def ratio(name: str, seconds: list[float]) -> float:
        logs = [math.log(one / script_s) for one, script_s in zip(seconds, scripts, strict=True)]
        found = median_interval(logs)
        middle, low, high = (math.exp(one) for one in (found.median, found.low, found.high))
        print(f"{name}: {middle:.3f} ({found.confidence:.1%} interval {low:.3f} to {high:.3f})")
        return middle

    print(f"{len(watches)} pairs of {processes} processes, medians")
    row("shell script, back to back", scripts)
    row("fer-opt, the whole bench", [watch.whole_s for watch in watches])
    row("  once: facts, files, settings", [one.whole_s - one.rounds_s for one in watches])
    row("  rounds", [watch.rounds_s for watch in watches])
    row("    of them the canary's processes", [watch.canary_s for watch in watches])
    ratio("whole bench / script", [watch.whole_s for watch in watches])
    rounds = ratio("rounds / script", [watch.rounds_s for watch in watches])
    kept = rounds <= TARGET
    print(f"The target, for the rounds, is at most {TARGET:.2f}: {'kept' if kept else 'missed'}.")
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
