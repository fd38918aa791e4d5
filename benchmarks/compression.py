"""What each way to compress a network is worth, on built-in faces and on this computer.

    python benchmarks/compression.py [--out runs/compression] [--part matrix|headline|all]
                                     [--architectures xcao,fractal] [--publish docs/compression.md]

``headline`` trains xcao_two_stream on 48x48 synthetic faces, carries out recipes and three peers
(a plain script of tensorflow-model-optimization, ai-edge-quantizer, Keras 3's own quantization) and
times all of them in one session. ``matrix`` trains all seven architectures of the thesis for a few
epochs and puts each through every way to compress it. Everything is kept in the run folder as it is
made; after a kill the same command goes on. ``--publish`` writes the tables between the markers of
the page.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from fer_opt.accuracy import probabilities_of
from fer_opt.backend import keras3, tf, tf_keras
from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.convert import file_stem, make_variant
from fer_opt.data import DataSpec, open_dataset, stratified_sample, to_tf_data
from fer_opt.device.host import HostDevice
from fer_opt.device.measurement import Measurement
from fer_opt.device.protocol import TimingJob, TimingSettings
from fer_opt.device.schedule import measure_session
from fer_opt.errors import ConversionError, ModelError, RecipeError
from fer_opt.experiment.compression import Workshop, open_workshop
from fer_opt.experiment.settle import gather
from fer_opt.experiment.store import StepStore
from fer_opt.export import export
from fer_opt.files import make_folder, sha256_of, write_atomically
from fer_opt.interpreter import Classifier
from fer_opt.keras_io import TrainedModel, from_keras, load_model
from fer_opt.models import NAMES, build
from fer_opt.noise import quiet
from fer_opt.progress import SILENT
from fer_opt.recipe import parse_recipe
from fer_opt.reports.statistics import paired_ratios, summarise_latency
from fer_opt.training import TrainingSettings, train

SIDE = {"googlenet": 75}
HEADLINE = "xcao_two_stream"
HEADLINE_RECIPES = (
    "float32",
    "float16",
    "dynamic",
    "int8",
    "prune_magnitude(0.5) > int8",
    "prune_channels(0.5) > fine_tune(4, distill=0.5) > float32",
    "prune_channels(0.5) > fine_tune(4, distill=0.5) > int8",
    "prune_channels(0.5) > fine_tune(3, distill=0.5) > prune_channels(0.5) > "
    "fine_tune(6, distill=0.5) > float32",
    "prune_channels(0.5) > fine_tune(3, distill=0.5) > prune_channels(0.5) > "
    "fine_tune(6, distill=0.5) > int8",
    "prune_channels(0.5) > fine_tune(3, distill=0.5) > prune_channels(0.5) > "
    "fine_tune(6, distill=0.5) > quantize_aware(2) > int8",
    "low_rank(0.9) > fine_tune(2) > int8",
    "prune_magnitude(0.5) > cluster(16) > quantize_aware(2) > int8",
)
MATRIX = {
    "magnitude 50 %": "prune_magnitude(0.5, epochs=1) > int8",
    "2:4": "prune_2_4(1) > int8",
    "cluster 16": "cluster(16, epochs=0) > int8",
    "channels 50 %": "prune_channels(0.5) > fine_tune(1) > int8",
    "low rank": "low_rank(0.9) > int8",
    "int8 PTQ": "int8",
    "int8 QAT": "quantize_aware(1) > int8",
    "PCQAT": "prune_magnitude(0.5, epochs=1) > cluster(16, epochs=0) > quantize_aware(1) > int8",
    "int16x8": "int16x8",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One file: what it is, how large, and what it predicts right."""

    name: str
    path: str
    size_bytes: int
    gzip_bytes: int
    agreement: float | None
    float_operators: int
    flags: tuple[str, ...]
    right: tuple[bool, ...]

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.right))


@dataclass(frozen=True, slots=True)
class Bench:
    """Trained network, images and workshop of one architecture."""

    model: TrainedModel
    keras_path: Path
    convention: InputConvention
    workshop: Workshop
    representative: np.ndarray
    samples: np.ndarray
    images: np.ndarray
    truth: np.ndarray
    training: Any
    folder: Path


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/compression"))
    parser.add_argument("--part", choices=("matrix", "headline", "all"), default="all")
    parser.add_argument("--architectures", default=",".join(NAMES))
    parser.add_argument("--epochs", type=int, default=8, help="of the headline's training")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--publish", type=Path)
    wanted = parser.parse_args(words)
    if wanted.part in ("headline", "all"):
        headline(wanted.out, wanted.epochs, wanted.rounds, wanted.publish)
    if wanted.part in ("matrix", "all"):
        matrix(wanted.out, wanted.architectures.split(","), wanted.publish)
    return 0


def headline(out: Path, epochs: int, rounds: int, publish: Path | None) -> None:
    """Recipes and peers on one trained network, timed in one session."""
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
    table = headline_table(rows, measurements) + failed
    print(table)
    if publish:
        put(publish, "headline", table)


def matrix(out: Path, architectures: Sequence[str], publish: Path | None) -> None:
    """Every architecture through every way to compress it."""
    lines = ["| architecture | " + " | ".join(MATRIX) + " |", "|---|" + "---|" * len(MATRIX)]
    refused: list[str] = []
    for name in architectures:
        bench = prepare(name, SIDE.get(name, 48), 1600, 800, 4, out / name)
        cells = []
        for title, text in MATRIX.items():
            try:
                row = recipe_row(bench, text)
            except (RecipeError, ModelError, ConversionError) as exc:
                cells.append(f"refused [{len(refused) + 1}]")
                refused.append(f"{len(refused) + 1}. {name}, {title}: {exc}")
                continue
            cells.append(
                f"{row.accuracy:.3f}, {row.size_bytes / 1e6:.2f} MB, agrees {row.agreement:.1%}"
                + (f", {row.float_operators} float operators" if row.float_operators else "")
                + (" **flagged**" if row.flags else "")
            )
            print(f"{name}: {title}: {cells[-1]} {' '.join(row.flags)}", flush=True)
        start = keras_accuracy(bench)
        lines.append(f"| {name} ({start:.3f}) | " + " | ".join(cells) + " |")
        table = "\n".join([*lines, "", *refused])
        if publish:
            put(publish, "matrix", table)
    print(table)


def prepare(
    name: str, side: int, training_size: int, test_size: int, epochs: int, folder: Path
) -> Bench:
    """Train an architecture, or bring back what an earlier call trained."""
    make_folder(folder)
    convention = InputConvention(side, side, 1, 0.0, 1.0, AFFECTNET_LABELS)
    training, test = (
        open_dataset(DataSpec("synthetic", split=split, size=size, image_size=48))
        for split, size in (("train", training_size), ("test", test_size))
    )
    path = folder / "trained" / "model.keras"
    if not path.is_file():
        network = build(name, input_shape=convention.input_shape, classes=8, seed=0)
        train(
            network,
            to_tf_data(training, convention, batch_size=32, shuffle_seed=0),
            to_tf_data(stratified_sample(test, 400, seed=1), convention, batch_size=32),
            TrainingSettings(epochs=epochs, batch_size=32, data=training.facts().fingerprint),
            folder / "trained",
            on_epoch=lambda epoch: print(f"{name}: {epoch}", flush=True),
        )
        export(network, folder / "trained", ["keras", "json"])
    model = dataclasses.replace(load_model(path), name=name)
    drawn = gather(stratified_sample(training, 100, seed=0), convention)
    images, truth = gather(test, convention)
    return Bench(
        model=model,
        keras_path=path,
        convention=convention,
        workshop=open_workshop(
            model,
            convention,
            (images[:1000], truth[:1000]),
            training,
            drawn,
            StepStore(folder / "cache"),
            SILENT,
            batch=32,
            seed=0,
        ),
        representative=drawn[0],
        samples=gather(stratified_sample(test, 256, seed=0), convention)[0],
        images=images,
        truth=truth,
        training=training,
        folder=folder,
    )


def keras_accuracy(bench: Bench) -> float:
    return float(np.mean(bench.model.predict(bench.images).argmax(axis=1) == bench.truth))


ROW = TypeAdapter(Row)


def recipe_row(bench: Bench, text: str, name: str | None = None) -> Row:
    """One recipe's file and what it is worth; kept beside it."""
    recipe = parse_recipe(text)
    path = f"{file_stem(recipe)}.tflite"
    kept = bench.folder / f"{path}.json"
    if kept.is_file():
        return ROW.validate_json(kept.read_bytes())
    made, _ = bench.workshop.carry_out(recipe)
    variant = make_variant(
        made, recipe, bench.convention, bench.representative, bench.samples, bench.folder, path
    )
    row = Row(
        name=name or str(recipe),
        path=path,
        size_bytes=variant.size_bytes,
        gzip_bytes=variant.gzip_bytes,
        agreement=variant.check.label_agreement,
        float_operators=sum(variant.check.float_operators.values()),
        flags=variant.check.flags,
        right=right_of(bench, bench.folder / path),
    )
    write_atomically(kept, ROW.dump_json(row))
    return row


def peer_row(bench: Bench, name: str, stem: str, make: Callable[[Bench], bytes]) -> Row:
    """A file another tool made, judged the same way."""
    path = bench.folder / f"{stem}.tflite"
    if not path.is_file():
        with quiet():
            content = make(bench)
        write_atomically(path, content)
    content = path.read_bytes()
    return Row(
        name=name,
        path=path.name,
        size_bytes=len(content),
        gzip_bytes=len(gzip.compress(content, 9, mtime=0)),
        agreement=None,
        float_operators=0,
        flags=(),
        right=right_of(bench, path),
    )


def right_of(bench: Bench, path: Path) -> tuple[bool, ...]:
    outputs = probabilities_of(Classifier(path, batch=32).predict(bench.images))
    return tuple(bool(one) for one in outputs.argmax(axis=1) == bench.truth)


def peer_tfmot(bench: Bench) -> bytes:
    """The script that tutorials show: prune to 50 %, train on, strip, convert to int8."""
    import tensorflow_model_optimization as tfmot

    tf_keras.utils.set_random_seed(0)
    network = tf_keras.models.load_model(bench.keras_path, compile=False)
    data = to_tf_data(bench.training, bench.convention, batch_size=32, shuffle_seed=0)
    epochs, steps = 2, math.ceil(len(bench.training) / 32)
    sparsity = tfmot.sparsity.keras
    pruned = sparsity.prune_low_magnitude(
        network,
        pruning_schedule=sparsity.PolynomialDecay(0.0, 0.5, 0, epochs * steps),
    )
    pruned.compile(tf_keras.optimizers.Adam(3e-4), tf_keras.losses.SparseCategoricalCrossentropy())
    pruned.fit(data, epochs=epochs, verbose=0, callbacks=[sparsity.UpdatePruningStep()])
    converter = tf.lite.TFLiteConverter.from_keras_model(sparsity.strip_pruning(pruned))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in bench.representative)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def peer_keras3(bench: Bench) -> bytes:
    """The same network in Keras 3, quantized by Keras 3 itself, converted as it is."""
    keras = keras3()
    layers = {layer.name: layer for layer in bench.model.keras.layers}

    def copied(config: Any) -> Any:
        return keras.layers.deserialize(config)

    network = _in_keras3(keras, bench.model.keras, copied)
    for layer in network.layers:
        if layer.name in layers:
            layer.set_weights(layers[layer.name].get_weights())
    before = np.asarray(network(bench.samples, training=False))
    assert np.allclose(before, bench.model.predict(bench.samples), atol=1e-4)
    network.quantize("int8")
    model = from_keras(network, source="Keras 3", format_="Keras 3", sha256="")
    from fer_opt.convert import convert

    return convert(model, parse_recipe("float32"), bench.convention)


def _in_keras3(keras: Any, network: Any, copied: Any) -> Any:
    """xcao_two_stream's layers again in Keras 3; all are of kinds both Kerases have."""
    from fer_opt.compress.graph import calls

    (old,) = network.inputs
    image = keras.Input(old.shape[1:], name="image")
    tensors = {id(old): image}
    for call in calls(network):
        config = call.layer.get_config()
        config = {
            key: value
            for key, value in config.items()
            if key in ("name", "filters", "kernel_size", "padding", "activation", "units", "rate",
                       "pool_size", "strides", "momentum", "epsilon")
        }  # fmt: skip
        layer = getattr(keras.layers, type(call.layer).__name__)(**config)
        given = [tensors[id(tensor)] for tensor in call.inputs]
        tensors[id(call.output)] = layer(given[0] if len(given) == 1 else given)
    return keras.Model(image, tensors[id(network.outputs[0])])


MEASUREMENTS = TypeAdapter(tuple[Measurement, ...])


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
        if {job.sha256 for job in jobs} == {one.sha256 for one in found}:
            return found
    made = measure_session(HostDevice(TimingSettings(runs=30, threads=1)), jobs, rounds, seed=0)
    write_atomically(kept, MEASUREMENTS.dump_json(made))
    return made


def headline_table(rows: Sequence[Row], measurements: Sequence[Measurement]) -> str:
    latency = {item.model: item for item in summarise_latency(measurements)}
    ratios = {item.model: item for item in paired_ratios(measurements, "float32")}
    plain = rows[0]
    lines = [
        "| what | accuracy | minus float32 (points, 95 %) | median ms | time over float32's | "
        "file MB | zipped MB | smaller than float32 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = ratios.get(row.name)
        low, middle, high = paired_difference(row.right, plain.right)
        lines.append(
            f"| {shown(row.name)}{' **flagged**' if row.flags else ''} | {row.accuracy:.3f} | "
            + ("| " if row is plain else f"{middle:+.1f} ({low:+.1f} to {high:+.1f}) | ")
            + f"{latency[row.name].median_ms:.3g} | "
            + (
                "1 | "
                if ratio is None
                else f"{ratio.ratio:.2f} ({ratio.low:.2f} to {ratio.high:.2f}) | "
            )
            + f"{row.size_bytes / 1e6:.2f} | {row.gzip_bytes / 1e6:.2f} | "
            f"{plain.size_bytes / row.size_bytes:.1f}x |"
        )
    return "\n".join(lines)


def paired_difference(
    right: Sequence[bool], reference: Sequence[bool]
) -> tuple[float, float, float]:
    """Low, middle and high of the difference in accuracy, in percentage points, on the same images.

    Wald's interval of a difference of paired proportions (Agresti, Categorical Data Analysis,
    section 11.1.1): variance (b + c - (b - c)^2 / n) / n^2 of the discordant counts b and c.
    """
    mine, theirs = np.array(right), np.array(reference)
    gained, lost = int(np.sum(mine & ~theirs)), int(np.sum(~mine & theirs))
    count = len(mine)
    middle = (gained - lost) / count
    half = 1.96 * math.sqrt(gained + lost - (gained - lost) ** 2 / count) / count
    return 100 * (middle - half), 100 * middle, 100 * (middle + half)


def shown(name: str) -> str:
    return f"`{name}`" if re.match(r"^[a-z_0-9]+(\(|$| >)", name) else name


def put(page: Path, part: str, table: str) -> None:
    """Write a table between the markers of a page."""
    text = page.read_text("utf-8")
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    if not rest or not tail:
        raise SystemExit(f"{page} lacks the markers {begin} and {end}.")
    write_atomically(page, f"{head}{begin}\n{table}\n{end}{tail}")


if __name__ == "__main__":
    sys.exit(main())
