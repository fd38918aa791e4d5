"""A realistic record, built from seeded noise, for tests of what is made of records."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from sample_steps import (
    COMPRESSED,
    REFUSED,
    file_of,
    parameters_of,
    result_of,
    steps_of,
    trained_network,
)
from scipy.stats import binomtest

from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.device.measurement import Conditions, DeviceFacts, Measurement
from fer_opt.flatbuffer import TensorFacts
from fer_opt.reports.record import (
    SCHEMA_VERSION,
    Accuracy,
    ConversionCheck,
    DatasetFacts,
    LabelScore,
    LatencySettings,
    McNemar,
    ModelFacts,
    RepresentativeSet,
    RunRecord,
    SkippedFile,
    TrainingEpoch,
    Variant,
)

RECIPES = {
    # recipe: title, KiB, median ms, share of float32's right answers that go wrong, input type
    "float32": ("32-bit float", 27_240, 8.4, 0.0, "float32"),
    "float16": ("16-bit float weights", 13_640, 8.5, 0.0005, "float32"),
    "dynamic": ("dynamic range: 8-bit weights, float activations", 6_900, 7.1, 0.004, "float32"),
    "int8": ("full integer, 8 bit", 6_950, 5.2, 0.006, "int8"),
    "int16x8": ("16-bit activations, 8-bit weights", 7_010, 181.0, 0.003, "float32"),
}


def sample_record(
    *,
    labels: Sequence[str] = AFFECTNET_LABELS,
    samples: int = 1200,
    variants: int = 5,
    processes: int = 8,
    runs: int = 20,
    flagged: Sequence[str] = ("int16x8",),
    never: Sequence[str] = ("contempt",),
    training: bool = True,
    compressed: bool = False,
    seed: int = 7,
) -> RunRecord:
    """A finished run of ``variants`` variants; more than five are numbered recipes.

    Args:
        labels: of model and dataset, in order.
        samples: of the dataset, spread unevenly over the labels.
        variants: how many.
        processes: of each variant; 0 for a run that timed nothing.
        runs: inferences of each process.
        flagged: recipes whose check raises a flag.
        never: labels no variant predicts.
        training: whether the model was trained here.
        compressed: whether recipes of several steps follow, and one that is refused.
        seed: of every draw.
    """
    rng = np.random.default_rng(seed)
    names = [*RECIPES][:variants] + [f"int8 > trial(step={i})" for i in range(variants - 5)]
    names += [*COMPRESSED] if compressed else []
    truth = _truth(rng, len(labels), samples)
    float_predicted = _predict(rng, truth, len(labels), [labels.index(n) for n in never])
    accuracies = []
    for name in names:
        predicted = _damage(rng, float_predicted, truth, _recipe(name)[3])
        accuracies.append(_accuracy(name, truth, predicted, float_predicted, labels))
    right = int(np.sum(float_predicted == truth))
    chosen = tuple(
        replace(
            _variant(name, len(labels), name in flagged),
            steps=steps_of(name, len(labels), samples, right),
        )
        for name in names
    )
    counts = tuple(int(n) for n in np.bincount(truth, minlength=len(labels)))
    return RunRecord(
        schema_version=SCHEMA_VERSION,
        created_at="2026-03-14T09:26:53Z",
        fer_opt_version="0.1.0",
        name="synthetic faces, small xcao",
        experiment=EXPERIMENT,
        experiment_fingerprint=_sha("experiment"),
        command="fer-opt run faces.toml --out runs/faces",
        target_ms=500.0,
        model=ModelFacts(
            name="xcao",
            source="trained here: xcao",
            format="Keras 3 .keras",
            sha256=_sha("model"),
            parameters=parameters_of(trained_network(), len(labels)) if compressed else 6_970_728,
            input_shape=(224, 224, 1),
            classes=len(labels),
        ),
        convention=InputConvention(
            height=224,
            width=224,
            channels=1,
            low=0.0,
            high=1.0,
            labels=tuple(labels),
            guessed=("interpolation",),
        ),
        dataset=DatasetFacts(
            name="synthetic faces, test",
            source="built-in synthetic faces, seed 7",
            size=samples,
            labels=tuple(labels),
            count_per_label=counts,
            fingerprint=_sha("dataset"),
            skipped=(
                SkippedFile("test/happy/0017.jpg", "the JPEG ends after 1,024 bytes"),
                SkippedFile("test/sad/0203.png", "no image"),
            ),
        ),
        representative=RepresentativeSet(
            source="synthetic faces, train",
            size=4 * len(labels),
            seed=11,
            count_per_label=(4,) * len(labels),
            low=0.0,
            high=1.0,
            sha256=_sha("representative"),
        ),
        training=_history(rng) if training else (),
        device=DeviceFacts(
            kind="host",
            name="Intel(R) Core(TM) i5-7200U CPU @ 2.50GHz",
            fingerprint=_sha("device")[:16],
            facts={
                "operating system": "Linux 6.8.0",
                "cores": "2 (4 threads)",
                "memory": "7.7 GiB",
                "runtime": "ai-edge-litert 2.3.0",
            },
            unread={"temperature": "no sensor is exposed to this user"},
        )
        if processes
        else None,
        latency=LatencySettings(processes, runs, 1, (0, 1), 3, "32 samples of the dataset")
        if processes
        else None,
        packages={"ai-edge-litert": "2.3.0", "numpy": "2.4.0", "tensorflow": "2.21.0"},
        variants=chosen,
        accuracies=tuple(accuracies),
        measurements=_measurements(rng, chosen, processes, runs),
        notes=("The built-in faces are drawings: accuracy on them says nothing of real faces.",),
        complete=True,
        trained=result_of("", trained_network(), len(labels), samples, right)
        if compressed
        else None,
        refused=REFUSED if compressed else (),
    )


def partial_record() -> RunRecord:
    """A run that was killed: one variant without accuracy, half of the processes still to come."""
    record = sample_record()
    return replace(
        record,
        accuracies=record.accuracies[:4],
        measurements=record.measurements[: len(record.measurements) // 2],
        complete=False,
    )


def hostile_record(payload: str, *, compressed: bool = False) -> RunRecord:
    """A finished run with ``payload`` in every text that a user, a file or a machine may have set.

    The same text becomes the same hostile text everywhere, so that parts still belong together.
    """
    adapter = TypeAdapter(RunRecord)
    kept = {
        "created_at", "started_at", "interpolation", "input", "guessed", "kind", "schema_version"
    }  # fmt: skip

    def poison(value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            return value if name in kept else f"{value}{payload}"
        if isinstance(value, list):
            return [poison(item, name) for item in value]
        if isinstance(value, dict):
            free = name in {"facts", "unread", "packages", "operators", "float_operators"}
            return {
                (f"{key}{payload}" if free else key): poison(item, "" if free else key)
                for key, item in value.items()
            }
        return value

    plain = adapter.dump_python(sample_record(compressed=compressed), mode="json")
    return adapter.validate_python(poison(plain))


def _recipe(name: str) -> tuple[str, float, float, float, str]:
    if name in RECIPES:
        return RECIPES[name]
    if name in COMPRESSED:
        title, size, _, *rest = file_of(name, 8)
        return (title, size / 1024, *rest)
    step = int(name.rsplit("=", 1)[1].rstrip(")"))
    return (f"trial {step}", 6_000 - 150 * step, 5.0 * 0.96**step, 0.003 * step, "int8")


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _truth(rng: np.random.Generator, labels: int, samples: int) -> np.ndarray:
    weights = rng.dirichlet(np.full(labels, 3.0))
    return np.sort(
        np.concatenate([np.arange(labels), rng.choice(labels, samples - labels, p=weights)])
    )


def _predict(
    rng: np.random.Generator, truth: np.ndarray, labels: int, never: Sequence[int]
) -> np.ndarray:
    skill = rng.uniform(0.55, 0.97, labels)
    other = rng.integers(0, labels, len(truth))
    predicted = np.where(rng.random(len(truth)) < skill[truth], truth, other)
    allowed = [i for i in range(labels) if i not in never]
    hidden = np.isin(predicted, never)
    predicted[hidden] = rng.choice(allowed, int(hidden.sum()))
    return predicted


def _damage(
    rng: np.random.Generator, predicted: np.ndarray, truth: np.ndarray, share: float
) -> np.ndarray:
    hit = rng.random(len(truth)) < share
    return np.where(hit, rng.choice(predicted, len(truth)), predicted)


def _wilson(correct: int, total: int) -> tuple[float, float]:
    interval = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _accuracy(
    recipe: str,
    truth: np.ndarray,
    predicted: np.ndarray,
    reference: np.ndarray,
    labels: Sequence[str],
) -> Accuracy:
    n = len(labels)
    confusion = np.zeros((n, n), int)
    np.add.at(confusion, (truth, predicted), 1)
    right, reference_right = predicted == truth, reference == truth
    worse, better = int(np.sum(reference_right & ~right)), int(np.sum(right & ~reference_right))
    scores = tuple(_label(labels[i], confusion, i) for i in range(n))
    low, high = _wilson(int(right.sum()), len(truth))
    return Accuracy(
        recipe=recipe,
        samples=len(truth),
        accuracy=float(right.mean()),
        low=low,
        high=high,
        balanced_accuracy=float(np.mean([s.accuracy for s in scores if s.accuracy is not None])),
        cross_entropy=float(0.2 + 2.1 * (1 - right.mean())),
        confusion=tuple(tuple(int(v) for v in row) for row in confusion),
        labels=scores,
        never_predicted=tuple(s.label for s in scores if s.support and not s.predicted),
        versus_float=None
        if recipe == "float32"
        else McNemar(
            "float32",
            worse,
            better,
            float(binomtest(better, worse + better).pvalue) if worse + better else 1.0,
        ),
        predictions_path=f"predictions/{_sha(recipe)[:8]}.npz",
    )


def _label(name: str, confusion: np.ndarray, index: int) -> LabelScore:
    support, predicted = int(confusion[index].sum()), int(confusion[:, index].sum())
    correct = int(confusion[index, index])
    low, high = _wilson(correct, support) if support else (None, None)
    return LabelScore(
        label=name,
        support=support,
        predicted=predicted,
        correct=correct,
        accuracy=correct / support if support else None,
        low=low,
        high=high,
        precision=correct / predicted if predicted else None,
        f1=2 * correct / (support + predicted) if support else None,
    )


def _variant(name: str, labels: int, flagged: bool) -> Variant:
    title, kib, median, _, dtype = _recipe(name)
    integer = dtype == "int8"
    return Variant(
        recipe=name,
        title=title,
        path=f"variants/{_sha(name)[:8]}.tflite",
        sha256=_sha(name),
        size_bytes=int(kib * 1024),
        gzip_bytes=file_of(name, labels)[2] if name in COMPRESSED else int(kib * 1024 * 0.91),
        input=TensorFacts(
            dtype, (1, 224, 224, 1), 0.0039 if integer else None, -128 if integer else None
        ),
        output=TensorFacts(
            dtype, (1, labels), 0.0039 if integer else None, -128 if integer else None
        ),
        check=ConversionCheck(
            operators={
                "ADD": 2,
                "CONV_2D": 14,
                "FULLY_CONNECTED": 2,
                "MAX_POOL_2D": 5,
                "MUL": 16,
                "SOFTMAX": 1,
            },
            float_operators={"MUL": 3} if flagged and integer else {},
            compared=256,
            max_abs_difference=0.62 if flagged else (2e-7 if name == "float32" else 0.031),
            label_agreement=0.71 if flagged else (1.0 if name == "float32" else 0.988),
            flags=("It names another label than Keras for 29 % of 256 samples.",)
            if flagged
            else (),
            notes=("int16x8 runs on slow reference kernels on most computers.",)
            if median > 100
            else (),
        ),
    )


def _history(rng: np.random.Generator) -> tuple[TrainingEpoch, ...]:
    epochs = np.arange(1, 11)
    loss = 1.9 * np.exp(-epochs / 3.0) + 0.22
    held_out = loss + 0.08 + rng.normal(0, 0.02, len(epochs))
    return tuple(
        TrainingEpoch(
            epoch=int(e),
            accuracy=float(1 - 0.4 * a),
            loss=float(a),
            validation_accuracy=float(1 - 0.42 * b),
            validation_loss=float(b),
        )
        for e, a, b in zip(epochs, loss, held_out, strict=True)
    )


def _measurements(
    rng: np.random.Generator, variants: Sequence[Variant], processes: int, runs: int
) -> tuple[Measurement, ...]:
    made: list[Measurement] = []
    for round_index in range(processes):
        for position in rng.permutation(len(variants)):
            variant = variants[position]
            centre = _recipe(variant.recipe)[2] * float(rng.lognormal(0, 0.015))
            times = centre * rng.lognormal(0, 0.02, runs)
            times[rng.random(runs) < 0.04] *= 1.35
            order = len(made)
            made.append(
                Measurement(
                    model=variant.recipe,
                    model_sha256=variant.sha256,
                    order_index=order,
                    round_index=round_index,
                    session="a1b2" if round_index < processes // 2 else "c3d4",
                    started_at=f"2026-03-14T09:{30 + order // 60:02d}:{order % 60:02d}Z",
                    initialisation_ms=float(12 + rng.random()),
                    warm_up_ms=tuple(float(v) for v in centre * np.array([1.9, 1.2, 1.04])),
                    inference_ms=tuple(float(v) for v in times),
                    steady=bool(rng.random() > 0.02),
                    threads=1,
                    cpus=(0, 1),
                    delegate="XNNPACK",
                    peak_memory_bytes=int(60e6 + variant.size_bytes),
                    before=Conditions(
                        float(rng.uniform(0.1, 0.9)), float(rng.normal(2490, 8)), None
                    ),
                    after=Conditions(
                        float(rng.uniform(0.9, 1.3)), float(rng.normal(2485, 8)), None
                    ),
                )
            )
    return tuple(made)


EXPERIMENT = """\
name = "synthetic faces, small xcao"
target_ms = 500.0

[model]
train = "xcao"

[dataset]
kind = "synthetic"
seed = 7

[latency]
processes = 8
runs = 20
threads = 1
"""
