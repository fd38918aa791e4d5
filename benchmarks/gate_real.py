"""The gate on this computer: the same model under two names, and models with more work.

    python benchmarks/gate_real.py [--out runs/gate] [--equal 100] [--slower 20] [--seed 0]
                                   [--publish docs/gate.md]

Makes a small network of 20 equal convolutions and others with 22 and 26, times pairs in one session
after the other, one thread, and decides as ``fer-opt gate`` does. Every pair is kept in the run
folder as it is made; after a kill the same command goes on. Exits with 1 where a promise is broken:
no session with equal models fails, at least 9 in 10 do with 10 % more work, and all with 30 % more.
Intervals are Clopper and Pearson's, 95 % one-sided each.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from publish import put
from pydantic import TypeAdapter, ValidationError
from shares import bounds

from fer_opt.device.host_pairs import HostPairs
from fer_opt.device.measurement import DeviceFacts
from fer_opt.device.pair_measurement import PairMeasurement
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.device.schedule import new_session
from fer_opt.errors import FerOptError, RecordError
from fer_opt.files import make_folder, sha256_of, write_atomically
from fer_opt.reports.gate.decision import GateSettings, Verdict, decide, plan_pairs
from fer_opt.reports.gate.pairs import pairs_of_host

BLOCKS = 20
RUNS = 30
LEAST_CAUGHT = 0.9
PAIRS = TypeAdapter(tuple[PairMeasurement, ...])


@dataclass(frozen=True, slots=True)
class Case:
    """A candidate and what is asked of the gate.

    Attributes:
        name: of its folder.
        title: of its row.
        blocks: convolutions of the candidate.
        equal: whether it is the baseline's own file.
        least_failed: share of sessions that must fail; where equal, none may.
    """

    name: str
    title: str
    blocks: int
    equal: bool
    least_failed: float


CASES = (
    Case("equal", "the same file", BLOCKS, True, 0.0),
    Case("more10", "10 % more work", BLOCKS * 11 // 10, False, LEAST_CAUGHT),
    Case("more30", "30 % more work", BLOCKS * 13 // 10, False, 1.0),
)


@dataclass(frozen=True, slots=True)
class Session:
    """One session that came to its end."""

    verdict: Verdict
    pairs: tuple[PairMeasurement, ...]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="the gate on this computer")
    parser.add_argument("--out", type=Path, default=Path("runs/gate"), help="run folder")
    parser.add_argument("--equal", type=int, default=100, help="sessions of equal models")
    parser.add_argument("--slower", type=int, default=20, help="sessions of each slower model")
    parser.add_argument("--seed", type=int, default=0, help="of the orders")
    parser.add_argument("--publish", type=Path, help="page whose table is written anew")
    chosen = parser.parse_args(words)
    try:
        found = measured(chosen.out, chosen.equal, chosen.slower, chosen.seed)
    except FerOptError as exc:
        print(exc, file=sys.stderr)
        return 2
    text = table(found)
    print(text)
    if chosen.publish:
        put(chosen.publish, "real", text)
    broken = broken_promises(found)
    print("\n".join(broken) or "Every promise is kept.")
    return 1 if broken else 0


def measured(out: Path, equal: int, slower: int, seed: int) -> dict[Case, list[Session]]:
    """Every session of every case; those kept in ``out`` are not measured again."""
    make_folder(out)
    baseline = make_model(out / f"convolutions{BLOCKS}.tflite", BLOCKS)
    facts = HostPairs().facts()
    found: dict[Case, list[Session]] = {}
    for case in CASES:
        candidate = make_model(out / f"convolutions{case.blocks}.tflite", case.blocks)
        jobs = (
            TimingJob("baseline", baseline, sha256_of(baseline)),
            TimingJob("candidate", candidate, sha256_of(candidate)),
        )
        make_folder(out / case.name)
        found[case] = []
        for number in range(equal if case.equal else slower):
            path = out / case.name / f"{seed}-{number:03}.json"
            found[case].append(run_session(jobs, path, seed * 10_000 + number, facts))
            tell(case, found[case])
    return found


def make_model(path: Path, blocks: int) -> Path:
    """A float32 network of so many equal convolutions, of which each takes the same time."""
    if path.exists():
        return path
    from fer_opt.backend import quiet, tf, tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    convolutions = [layers.Conv2D(16, 3, padding="same", activation="relu") for _ in range(blocks)]
    network = tf_keras.Sequential(
        [
            layers.Input((24, 24, 16)),
            *convolutions,
            layers.GlobalAveragePooling2D(),
            layers.Dense(8, activation="softmax"),
        ]
    )
    specification = tf.TensorSpec((1, 24, 24, 16), tf.float32)
    function = tf.function(network).get_concrete_function(specification)
    with quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
        write_atomically(path, converter.convert())
    return path


def run_session(
    jobs: tuple[TimingJob, TimingJob], path: Path, seed: int, facts: DeviceFacts
) -> Session:
    """Measure pairs until the gate decides or has no look left, each kept at once."""
    settings = GateSettings(seed=seed)
    device = HostPairs(TimingSettings(runs=RUNS, random_seed=seed))
    order, session = plan_pairs(settings), new_session()
    pairs = kept(path)
    for look in settings.looks:
        for index in range(len(pairs), look):
            pair = device.measure(*jobs, pair_index=index, order=order[index], session=session)
            pairs = (*pairs, pair)
            write_atomically(path, PAIRS.dump_json(pairs, indent=1) + b"\n")
        medians = pairs_of_host(pairs[:look], facts)
        verdict = decide(medians.baseline_ms, medians.candidate_ms, settings)
        if verdict.final:
            break
    return Session(verdict, pairs)


def kept(path: Path) -> tuple[PairMeasurement, ...]:
    if not path.exists():
        return ()
    try:
        return PAIRS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as exc:
        raise RecordError(f"{path} holds no pairs; remove it, it is measured again.") from exc


def tell(case: Case, sessions: Sequence[Session]) -> None:
    """Where the benchmark is, on one line."""
    last = sessions[-1].verdict
    print(
        f"{case.name} {len(sessions)}: {last.outcome} after {last.pairs} pairs, "
        f"{last.ratio:.3f} ({last.low:.3f} to {last.high:.3f})",
        file=sys.stderr,
        flush=True,
    )


def broken_promises(found: dict[Case, list[Session]]) -> list[str]:
    """What the sessions break, a sentence each."""
    broken = []
    for case, sessions in found.items():
        failed = outcomes(sessions)["fail"]
        if case.equal and failed:
            broken.append(f"{case.title}: {failed} of {len(sessions)} sessions failed.")
        if failed < case.least_failed * len(sessions):
            broken.append(f"{case.title}: only {failed} of {len(sessions)} sessions failed.")
    return broken


def outcomes(sessions: Sequence[Session]) -> Counter[str]:
    return Counter(session.verdict.outcome for session in sessions)


def spread(sessions: Sequence[Session], clock: str) -> float:
    """Standard deviation of the pairs' log ratios about their session's mean."""
    squares, freedom = 0.0, 0
    for session in sessions:
        logs = [
            math.log(
                statistics.median(getattr(pair.candidate, clock))
                / statistics.median(getattr(pair.baseline, clock))
            )
            for pair in session.pairs
        ]
        squares += statistics.variance(logs) * (len(logs) - 1)
        freedom += len(logs) - 1
    return math.sqrt(squares / freedom)


def table(found: dict[Case, list[Session]]) -> str:
    """One row for each case that has sessions, in Markdown."""
    lines = [
        "| candidate | sessions | fail (95 % bounds) | pass | inconclusive | pairs, median "
        "| ratio, median (lowest to highest) | pair sd, CPU time | pair sd, wall clock |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, sessions in found.items():
        if not sessions:
            continue
        count = outcomes(sessions)
        low, high = bounds(count["fail"], len(sessions))
        ratios = [session.verdict.ratio for session in sessions]
        lines.append(
            f"| {case.title} | {len(sessions)} | {count['fail']} ({low:.1%} to {high:.1%}) "
            f"| {count['pass']} | {count['inconclusive']} "
            f"| {statistics.median(session.verdict.pairs for session in sessions):.0f} "
            f"| {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) "
            f"| {spread(sessions, 'cpu_ms'):.1%} | {spread(sessions, 'wall_ms'):.1%} |"
        )
    facts = HostPairs().facts()
    about = (
        f"{facts.name}, {facts.facts.get('logical_cpus', '?')} CPUs, "
        f"{facts.facts.get('runtime', 'LiteRT')}; one thread, {RUNS} inferences of each model in a "
        "pair. Times of a computer, not of a phone."
    )
    return "\n".join([about, "", *lines])


if __name__ == "__main__":
    sys.exit(main())
