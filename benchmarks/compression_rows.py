"""Files that ways to compress a network gave, and what each is worth."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from fer_opt.accuracy import probabilities_of
from fer_opt.backend import tf_keras
from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.convert import file_stem, make_variant
from fer_opt.data import Dataset, DataSpec, open_dataset, stratified_sample, to_tf_data
from fer_opt.experiment.compression import Workshop, open_workshop
from fer_opt.experiment.settle import gather
from fer_opt.experiment.store import StepStore, key_of
from fer_opt.export import export
from fer_opt.files import make_folder, sha256_of, write_atomically
from fer_opt.interpreter import Classifier
from fer_opt.keras_io import TrainedModel, load_model
from fer_opt.models import build
from fer_opt.noise import quiet
from fer_opt.progress import SILENT
from fer_opt.recipe import parse_recipe
from fer_opt.training import TrainingSettings, train

CHECKED = 256
"""Images on which a file's labels are compared with those of the network it was made of."""


@dataclass(frozen=True, slots=True)
class Row:
    """One file: what it is, how large, and what it predicts right.

    ``agreement`` is the share of labels on which the file and the network it was made of agree; it
    and operators are not looked at in files of peers. ``made_from`` is :attr:`Bench.made_from`,
    empty in rows kept before it was written down.
    """

    name: str
    path: str
    size_bytes: int
    gzip_bytes: int
    agreement: float | None
    float_operators: int | None
    flags: tuple[str, ...]
    right: tuple[bool, ...]
    made_from: str = ""

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.right))


@dataclass(frozen=True, slots=True)
class Bench:
    """Trained network, images and workshop of one architecture.

    ``made_from`` is a hash of the network and of all images, by which kept rows are known.
    """

    model: TrainedModel
    keras_path: Path
    convention: InputConvention
    workshop: Workshop
    representative: np.ndarray
    samples: np.ndarray
    images: np.ndarray
    truth: np.ndarray
    training: Dataset
    folder: Path
    made_from: str


def prepare(
    name: str,
    side: int,
    training_size: int,
    test_size: int,
    epochs: int,
    folder: Path,
    batch: int = 32,
    data: tuple[Dataset, Dataset] | None = None,
) -> Bench:
    """Train an architecture on grey faces, or bring back what an earlier call trained."""
    make_folder(folder)
    convention = InputConvention(side, side, 1, 0.0, 1.0, AFFECTNET_LABELS)
    training, test = data or faces(training_size, test_size)
    path = folder / "trained" / "model.keras"
    settings = TrainingSettings(epochs=epochs, batch_size=batch, data=training.facts().fingerprint)
    if path.is_file():
        refuse_other_training(path.with_name("training.json"), dataclasses.asdict(settings))
    else:
        network = build(name, input_shape=convention.input_shape, classes=8, seed=0)
        for layer in network.layers:
            if isinstance(layer, tf_keras.layers.BatchNormalization):
                layer.momentum = 0.9  # Keras's 0.99 lags behind so few steps
        train(
            network,
            to_tf_data(training, convention, batch_size=batch, shuffle_seed=0),
            to_tf_data(stratified_sample(test, 400, seed=1), convention, batch_size=batch),
            settings,
            folder / "trained",
            on_epoch=lambda epoch: print(f"{name}: {epoch}", flush=True),
        )
        export(network, folder / "trained", ["keras", "json"])
    model = dataclasses.replace(load_model(path), name=name)
    return open_bench(model, path, convention, training, test, folder)


def refuse_other_training(kept: Path, wanted: Mapping[str, object]) -> None:
    """Stop where a network was trained otherwise than is asked for; where nothing says, go on."""
    if not kept.is_file():
        return
    there = json.loads(kept.read_bytes())
    other = [f"{key} {there.get(key)!r}" for key in wanted if there.get(key) != wanted[key]]
    if other:
        raise SystemExit(
            f"{kept.parent} holds a network trained otherwise ({', '.join(other)}); remove it and "
            "what was made of it, or choose another --out."
        )


def faces(training_size: int, test_size: int) -> tuple[Dataset, Dataset]:
    """Synthetic faces to train on and others to judge by."""
    training, test = (
        open_dataset(DataSpec("synthetic", split=split, size=size, image_size=48))
        for split, size in (("train", training_size), ("test", test_size))
    )
    return training, test


def open_bench(
    model: TrainedModel,
    path: Path,
    convention: InputConvention,
    training: Dataset,
    test: Dataset,
    folder: Path,
) -> Bench:
    """Everything recipes need to be carried out on a model and judged."""
    drawn = gather(stratified_sample(training, min(100, len(training)), seed=0), convention)
    images, truth = gather(test, convention)
    workshop = open_workshop(
        model,
        convention,
        (images[:1000], truth[:1000]),
        training,
        drawn,
        StepStore(folder / "cache"),
        SILENT,
        batch=32,
        seed=0,
    )
    judged = hashlib.sha256(images.tobytes() + truth.tobytes()).hexdigest()
    return Bench(
        model=model,
        keras_path=path,
        convention=convention,
        workshop=workshop,
        representative=drawn[0],
        samples=gather(stratified_sample(test, CHECKED, seed=0), convention)[0],
        images=images,
        truth=truth,
        training=training,
        folder=folder,
        made_from=key_of({"model": sha256_of(path), "materials": workshop.facts, "judged": judged}),
    )


def keras_accuracy(bench: Bench) -> float:
    return float(np.mean(bench.model.predict(bench.images).argmax(axis=1) == bench.truth))


def kept_labels(bench: Bench) -> float:
    """Share of labels the network keeps itself when its images are off by up to half an 8-bit step.

    No 8-bit file can be expected to agree with it more often.
    """
    half = (bench.convention.high - bench.convention.low) / 255 / 2
    noise = np.random.default_rng(0).uniform(-half, half, bench.samples.shape).astype(np.float32)
    plain, moved = (
        bench.model.predict(images).argmax(axis=1)
        for images in (bench.samples, bench.samples + noise)
    )
    return float(np.mean(plain == moved))


ROW = TypeAdapter(Row)


def recipe_row(bench: Bench, text: str, name: str | None = None) -> Row:
    """One recipe's file and what it is worth; kept beside it."""
    recipe = parse_recipe(text)
    path = f"{file_stem(recipe)}.tflite"
    kept = bench.folder / f"{path}.json"
    if kept.is_file() and (bench.folder / path).is_file():
        row = ROW.validate_json(kept.read_bytes())
        if is_of(bench, kept, row.made_from):
            return row
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
        made_from=bench.made_from,
    )
    write_atomically(kept, ROW.dump_json(row))
    return row


def peer_row(bench: Bench, name: str, stem: str, make: Callable[[Bench], bytes]) -> Row:
    """A file another tool made, judged the same way."""
    path = bench.folder / f"{stem}.tflite"
    origin = path.with_name(f"{path.name}.made_from")
    made_from = origin.read_text() if origin.is_file() else ""
    if not (path.is_file() and is_of(bench, path, made_from)):
        with quiet():
            content = make(bench)
        write_atomically(path, content)
        write_atomically(origin, bench.made_from)
    content = path.read_bytes()
    return Row(
        name=name,
        path=path.name,
        size_bytes=len(content),
        gzip_bytes=len(gzip.compress(content, 9, mtime=0)),
        agreement=None,
        float_operators=None,
        flags=(),
        right=right_of(bench, path),
    )


def is_of(bench: Bench, kept: Path, made_from: str) -> bool:
    """Whether a kept file is of this network and these images; by its age where nothing says."""
    if made_from:
        return made_from == bench.made_from
    return kept.stat().st_mtime >= bench.keras_path.stat().st_mtime


def right_of(bench: Bench, path: Path) -> tuple[bool, ...]:
    outputs = probabilities_of(Classifier(path, batch=32).predict(bench.images))
    return tuple(bool(one) for one in outputs.argmax(axis=1) == bench.truth)
