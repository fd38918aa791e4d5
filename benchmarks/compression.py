"""What each way to compress a network is worth, on built-in faces and on this computer.

    python benchmarks/compression.py [--out runs/compression] [--part headline|matrix|others|all]
                                     [--architectures xcao,fractal] [--publish docs/compression.md]

``headline`` trains xcao_two_stream on 48x48 synthetic faces, carries out recipes and three peers
(a plain script of tensorflow-model-optimization, ai-edge-quantizer, Keras 3's own quantization) and
times all of them in one session. ``matrix`` trains all seven architectures of the thesis for a few
epochs and puts each through every way to compress it. ``others`` puts networks of Keras's own
applications, trained on patterns of colours, through the ways that change most. Everything is kept
in the run folder as it is made; after a kill the same command goes on. ``--publish`` writes the
tables between the markers of the page. Where a row breaks what the page
promises, it is named and the exit code is 1.
"""

from __future__ import annotations

import argparse
import gc
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from compression_others import OTHERS, prepare_other
from compression_peers import peer_keras3, peer_tfmot
from compression_promises import broken_in_headline, broken_in_matrix
from compression_rows import Bench, Row, kept_labels, keras_accuracy, peer_row, prepare, recipe_row
from compression_tables import Matrix, headline_table, matrix_tables
from publish import put
from pydantic import TypeAdapter

from fer_opt.backend import tf_keras
from fer_opt.device.host import HostDevice
from fer_opt.device.measurement import Measurement
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.device.schedule import measure_session
from fer_opt.errors import ConversionError, ModelError, RecipeError
from fer_opt.files import sha256_of, write_atomically
from fer_opt.models import NAMES

HEADLINE = "xcao_two_stream"
HEADLINE_RECIPES = (
    "float32",
    "float16",
    "dynamic",
    "int8",
    "prune_magnitude(0.5) > int8",
    "prune_channels(0.5) > fine_tune(4, distill=0.5) > float32",
    "prune_channels(0.5) > fine_tune(4, distill=0.5) > int8",
    "prune_channels(0.5, spare=1) > fine_tune(10, distill=0.5) > dynamic",
    "prune_channels(0.5, spare=1) > fine_tune(10, distill=0.5) > fold > dynamic",
    "prune_channels(0.5, spare=1) > fine_tune(10, distill=0.5) > int8",
    "prune_channels(0.5, spare=1) > fine_tune(10, distill=0.5) > quantize_aware(2) > int8",
    "prune_channels(0.5) > fine_tune(3, distill=0.5) > prune_channels(0.5) > "
    "fine_tune(6, distill=0.5) > float32",
    "prune_channels(0.5) > fine_tune(3, distill=0.5) > prune_channels(0.5) > "
    "fine_tune(6, distill=0.5) > int8",
    "prune_channels(0.5) > fine_tune(3, distill=0.5) > prune_channels(0.5) > "
    "fine_tune(6, distill=0.5) > quantize_aware(2) > int8",
    "low_rank(0.9) > fine_tune(2) > int8",
    "prune_magnitude(0.5) > cluster(16) > quantize_aware(2) > int8",
)
SIDE = {"googlenet": 75}
"""InceptionV3 takes no smaller image."""
LEARNING = {
    "baseline": (4, 32),
    "baseline_enhanced": (4, 32),
    "xcao": (16, 16),
    "xcao_two_stream": (16, 16),
    "fractal": (4, 32),
    "googlenet": (12, 16),
    "mobilenet": (40, 16),
}
"""Epochs and batch in which each learns the faces: labels of a network that has learned nothing
are drawn from near ties, on which no two computations agree."""
MATRIX = {
    "magnitude 50 %": "prune_magnitude(0.5, epochs=1) > int8",
    "2:4": "prune_2_4(1) > int8",
    "cluster 16": "cluster(16, epochs=0) > int8",
    "channels 50 %": "prune_channels(0.5) > fine_tune(4, distill=0.5) > int8",
    "low rank": "low_rank(0.9) > int8",
    "int8 PTQ": "int8",
    "int8 QAT": "quantize_aware(1) > int8",
    "PCQAT": "prune_magnitude(0.5, epochs=1) > cluster(16, epochs=0) > quantize_aware(1) > int8",
    "int16x8": "int16x8",
}
OTHER_WAYS = {
    "channels 50 %": "prune_channels(0.5) > fine_tune(4) > int8",
    "int8 PTQ": "int8",
    "int8 QAT": "quantize_aware(1) > int8",
}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/compression"))
    parser.add_argument("--part", choices=("headline", "matrix", "others", "all"), default="all")
    parser.add_argument("--architectures", default=",".join(NAMES), help="of the matrix")
    parser.add_argument("--epochs", type=int, default=8, help="of the headline's training")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--publish", type=Path)
    wanted = parser.parse_args(words)
    broken: list[str] = []
    if wanted.part in ("headline", "all"):
        broken += headline(wanted.out, wanted.epochs, wanted.rounds, wanted.publish)
    if wanted.part in ("matrix", "all"):
        broken += matrix(wanted.out, wanted.architectures.split(","), wanted.publish)
    if wanted.part in ("others", "all"):
        others(wanted.out, wanted.publish)
    for sentence in broken:
        print(f"A promise is broken: {sentence}.", file=sys.stderr)
    return 1 if broken else 0


def headline(out: Path, epochs: int, rounds: int, publish: Path | None) -> list[str]:
    """Recipes and peers on one trained network, timed in one session; promises they break."""
    bench = prepare(HEADLINE, 48, 4000, 4000, epochs, out / "headline")
    rows = [recipe_row(bench, text) for text in HEADLINE_RECIPES]
    rows += [
        peer_row(bench, "tfmot alone: magnitude 50 %, then int8", "peer_tfmot", peer_tfmot),
        recipe_row(
            bench, "int8(fold=off, backend=ai_edge)", name="ai-edge-quantizer alone: static int8"
        ),
    ]
    failed = ""
    try:
        title = "Keras 3 alone: quantize('int8')"
        rows.append(peer_row(bench, title, "peer_keras3", peer_keras3))
    except ConversionError as exc:
        # The converter names the place in the calling script, which says nothing here.
        reason = re.sub(r"[^\s(]*\.py:\d+:\d+: ", "", str(exc))
        failed = f"\n\n{title} gave a network that TFLite's converter refuses: {reason}"
    measurements = time_rows(bench, rows, rounds)
    tell(headline_table(rows, measurements) + failed, publish, "headline")
    return broken_in_headline(rows, measurements)


def matrix(out: Path, architectures: Sequence[str], publish: Path | None) -> list[str]:
    """Every architecture through every way to compress it; the promises that rows break."""

    def prepared(name: str) -> Bench:
        epochs, batch = LEARNING[name]
        return prepare(name, SIDE.get(name, 48), 1600, 800, epochs, out / name, batch=batch)

    rows, table = tables_of(architectures, prepared, MATRIX)
    tell(table, publish, "matrix")
    return broken_in_matrix(rows)


def others(out: Path, publish: Path | None) -> None:
    """Networks other people designed through the ways that change most."""

    def prepared(name: str) -> Bench:
        return prepare_other(name, out / "others" / name)

    _, table = tables_of(OTHERS, prepared, OTHER_WAYS)
    tell(table, publish, "others")


def tables_of(
    names: Iterable[str], prepared: Callable[[str], Bench], ways: Mapping[str, str]
) -> tuple[Matrix, str]:
    """Each network through each way: what that gave, and the tables of it."""
    rows: dict[str, dict[str, Row | str]] = {}
    accuracy, steadiness = {}, {}
    for name in names:
        bench = prepared(name)
        rows[name] = ways_of(bench, name, ways)
        accuracy[name], steadiness[name] = keras_accuracy(bench), kept_labels(bench)
        del bench
        tf_keras.backend.clear_session()
        gc.collect()  # each network would keep its graphs, a gigabyte of them
    return rows, matrix_tables(rows, ways, accuracy, steadiness)


def ways_of(bench: Bench, name: str, ways: Mapping[str, str]) -> dict[str, Row | str]:
    """What each recipe gave, or why it was refused."""
    rows: dict[str, Row | str] = {}
    for title, text in ways.items():
        try:
            row = rows[title] = recipe_row(bench, text)
            told = f"{row.accuracy:.3f}, agrees {row.agreement:.1%} {' '.join(row.flags)}"
        except (RecipeError, ModelError, ConversionError) as exc:
            told = rows[title] = str(exc)
        print(f"{name}: {title}: {told}", flush=True)
    return rows


MEASUREMENTS = TypeAdapter(tuple[Measurement, ...])
RUNS = 30
"""Counted inferences in each process."""


def time_rows(bench: Bench, rows: Sequence[Row], rounds: int) -> tuple[Measurement, ...]:
    """Time every file in one session, in random order, a fresh process each."""
    kept = bench.folder / "measurements.json"
    inputs = bench.folder / "inputs.npy"
    np.save(inputs, bench.images[:32])
    jobs = [
        TimingJob(row.name, bench.folder / row.path, sha256_of(bench.folder / row.path), inputs)
        for row in rows
    ]
    if kept.is_file():
        found = MEASUREMENTS.validate_json(kept.read_bytes())
        if timed_like(found, jobs, rounds):
            return found
    made = measure_session(HostDevice(TimingSettings(runs=RUNS, threads=1)), jobs, rounds, seed=0)
    write_atomically(kept, MEASUREMENTS.dump_json(made))
    return made


def timed_like(found: Sequence[Measurement], jobs: Sequence[TimingJob], rounds: int) -> bool:
    """Whether these are the times asked for: of these files, in as many rounds and runs."""
    wanted = {(job.model, job.sha256, number) for job in jobs for number in range(rounds)}
    return {(one.model, one.model_sha256, one.round_index) for one in found} == wanted and all(
        len(one.inference_ms) == RUNS for one in found
    )


def tell(table: str, publish: Path | None, part: str) -> None:
    print(table)
    if publish:
        put(publish, part, table)


if __name__ == "__main__":
    sys.exit(main())
