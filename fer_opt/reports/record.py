"""The record of a run: everything measured, in one versioned JSON file.

Format changes:
    1: first version.
    2: compression: ``RunRecord.trained``, ``RunRecord.refused`` and ``Variant.steps``.
    3: phones: ``RunRecord.phones``; ``Measurement.summary``, ``.clock_s`` and ``.attempt``;
        ``Conditions.limit_mhz``, ``.battery_percent`` and ``.battery_c``.
    4: ``PhoneRun.cautions``; ``OperatorTime.share`` may be None.
    5: ``RunRecord.stages``: times of all five stages of classifying photos;
        ``InputConvention.input``: whether a file takes crops.

Versions 1 to 4 are read as they are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from fer_opt.convention import InputConvention
from fer_opt.device.measurement import DeviceFacts, Measurement
from fer_opt.device.phone.results import PhoneRun
from fer_opt.device.stage_timing import StagesRun
from fer_opt.errors import RecordError
from fer_opt.files import write_atomically
from fer_opt.flatbuffer import TensorFacts
from fer_opt.reports.record_files import parse_record, read_object

__all__ = [
    "SCHEMA_VERSION",
    "Accuracy",
    "ConversionCheck",
    "DatasetFacts",
    "LabelScore",
    "LatencySettings",
    "LayerFacts",
    "McNemar",
    "ModelFacts",
    "RefusedRecipe",
    "RepresentativeSet",
    "RunRecord",
    "SkippedFile",
    "StepResult",
    "TensorFacts",
    "TrainingEpoch",
    "Variant",
    "json_schema",
    "read_record",
    "write_record",
]

SCHEMA_VERSION = 5
READABLE_VERSIONS = (1, 2, 3, 4, 5)
STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, config=STRICT)
class ModelFacts:
    """The trained Keras model the variants come from.

    Attributes:
        name: what the report calls it.
        source: the file's name, or ``trained here: xcao`` and the like.
        format: e.g. ``Keras 2 HDF5``, ``Keras 3 .keras``, ``SavedModel``.
        sha256: of the file (of the weights for a pair, of all files for a folder).
        parameters: number of weights, trainable or not.
        input_shape: height, width, channels.
        classes: number of outputs.
    """

    name: str
    source: str
    format: str
    sha256: str
    parameters: int
    input_shape: tuple[int, int, int]
    classes: int


@dataclass(frozen=True, slots=True, config=STRICT)
class SkippedFile:
    """A sample left out under ``--skip-bad``: where it was and what was wrong with it."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True, config=STRICT)
class DatasetFacts:
    """The samples accuracy was measured on.

    Attributes:
        name: what the report calls it, e.g. ``FER2013 folder, test``.
        source: path as the user gave it, or ``built-in synthetic faces, seed 7``.
        size: number of samples.
        labels: the dataset's labels in its own order.
        count_per_label: samples of each of ``labels``.
        fingerprint: hash over every sample's source and label.
        skipped: what was left out, and why.
    """

    name: str
    source: str
    size: int
    labels: tuple[str, ...]
    count_per_label: tuple[int, ...]
    fingerprint: str
    skipped: tuple[SkippedFile, ...] = ()


@dataclass(frozen=True, slots=True, config=STRICT)
class RepresentativeSet:
    """The samples that calibrated integer variants: stratified over labels, seeded.

    Attributes:
        source: which dataset (and split) they were drawn from.
        size: number of samples.
        seed: of the draw.
        count_per_label: samples of each model label, in the model's order.
        low: smallest value fed to the converter.
        high: largest value fed to the converter.
        sha256: of the float32 tensor fed to the converter.
    """

    source: str
    size: int
    seed: int
    count_per_label: tuple[int, ...]
    low: float
    high: float
    sha256: str


@dataclass(frozen=True, slots=True, config=STRICT)
class ConversionCheck:
    """What a look at the converted file found.

    Attributes:
        operators: how often each operator occurs.
        float_operators: how often each operator works on floats, in a variant meant to be integer
            (QUANTIZE and DEQUANTIZE at the graph's edge not counted).
        compared: number of samples run through both Keras and TFLite.
        max_abs_difference: largest difference of any output probability from Keras's.
        label_agreement: share of samples whose most likely label is the same.
        flags: what makes the variant unfit to be recommended, a sentence each; empty is good.
        notes: what the reader should know, a sentence each (slow reference kernels and the like).
    """

    operators: dict[str, int]
    float_operators: dict[str, int]
    compared: int
    max_abs_difference: float
    label_agreement: float
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, config=STRICT)
class LayerFacts:
    """One layer with a kernel, at the network's input size.

    Attributes:
        name: the layer's.
        kind: its class, e.g. ``Conv2D``.
        channels: of its output (units of a dense layer).
        weights: number of them, biases included.
        macs: multiply-accumulates of one inference; a layer used twice counts twice.
        sparsity: share of exact zeros in its kernel.
        distinct: number of distinct values in its kernel.
    """

    name: str
    kind: str
    channels: int
    weights: int
    macs: int
    sparsity: float
    distinct: int


@dataclass(frozen=True, slots=True, config=STRICT)
class StepResult:
    """The network after one step of a recipe, before conversion.

    Attributes:
        step: its text, e.g. ``prune_channels(0.5)``; empty for the trained network itself.
        title: the step in words.
        parameters: number of weights, trainable or not.
        macs: multiply-accumulates of one inference.
        samples: evaluated images.
        accuracy: share of them predicted right by the Keras network.
        low: lower bound of Wilson's 95 % interval.
        high: upper bound of it.
        took_s: seconds the step took when it was carried out.
        layers: every layer with a kernel, in the order of data flow.
        notes: what the step had to say, a sentence each.
    """

    step: str
    title: str
    parameters: int
    macs: int
    samples: int
    accuracy: float
    low: float
    high: float
    took_s: float
    layers: tuple[LayerFacts, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, config=STRICT)
class Variant:
    """One .tflite file made from the model.

    Attributes:
        recipe: the recipe's string, e.g. ``int8``; unique within a record.
        title: the recipe in words, e.g. ``full integer, 8 bit``.
        path: relative to the record's folder.
        sha256: of the file.
        size_bytes: of the file.
        gzip_bytes: of the file compressed with gzip level 9.
        input: of the model's input tensor.
        output: of the model's output tensor.
        check: what a look at it found.
        steps: what was done to the network before conversion, in order; empty for a mere number
            format.
    """

    recipe: str
    title: str
    path: str
    sha256: str
    size_bytes: int
    gzip_bytes: int
    input: TensorFacts
    output: TensorFacts
    check: ConversionCheck
    steps: tuple[StepResult, ...] = ()


@dataclass(frozen=True, slots=True, config=STRICT)
class RefusedRecipe:
    """A recipe that cannot be carried out on this model, and why."""

    recipe: str
    reason: str


@dataclass(frozen=True, slots=True, config=STRICT)
class LabelScore:
    """How one label fared; the interval is Wilson's, 95 %.

    Attributes:
        label: its name.
        support: samples that carry it.
        predicted: samples predicted to carry it.
        correct: samples of it predicted right; ``correct / support`` is the per-label accuracy
            (recall) of the thesis's Table 7.
        accuracy: that ratio; None without samples.
        low: lower bound of the interval; None without samples.
        high: upper bound of the interval; None without samples.
        precision: ``correct / predicted``; None where never predicted.
        f1: harmonic mean of precision and recall; 0 where nothing was right, None without samples.
    """

    label: str
    support: int
    predicted: int
    correct: int
    accuracy: float | None
    low: float | None
    high: float | None
    precision: float | None
    f1: float | None


@dataclass(frozen=True, slots=True, config=STRICT)
class McNemar:
    """Paired test of a variant against the float32 variant on the same samples (exact binomial).

    Attributes:
        reference: recipe of the reference variant.
        only_reference_right: samples only the reference got right.
        only_variant_right: samples only this variant got right.
        p_value: two-sided, of the two counts being equal.
    """

    reference: str
    only_reference_right: int
    only_variant_right: int
    p_value: float


@dataclass(frozen=True, slots=True, config=STRICT)
class Accuracy:
    """A variant's accuracy on the dataset, measured on the .tflite file; intervals are 95 %.

    Attributes:
        recipe: of the variant.
        samples: number of them.
        accuracy: share predicted right.
        low: lower bound of Wilson's interval.
        high: upper bound of Wilson's interval.
        balanced_accuracy: mean of the per-label accuracies over labels that have samples.
        cross_entropy: mean of -ln(probability of the true label), probabilities clipped at 1e-7
            as Keras does.
        confusion: row = true label, column = predicted label, in the model's order.
        labels: per-label scores, in the model's order.
        never_predicted: labels that have samples but were not predicted once.
        versus_float: paired test against float32; None for float32 itself.
        predictions_path: .npz with the probabilities and true labels, relative to the record.
    """

    recipe: str
    samples: int
    accuracy: float
    low: float
    high: float
    balanced_accuracy: float
    cross_entropy: float
    confusion: tuple[tuple[int, ...], ...]
    labels: tuple[LabelScore, ...]
    never_predicted: tuple[str, ...]
    versus_float: McNemar | None
    predictions_path: str


@dataclass(frozen=True, slots=True, config=STRICT)
class TrainingEpoch:
    """One line of a training history; validation figures are of the held-out set."""

    epoch: int
    accuracy: float
    loss: float
    validation_accuracy: float
    validation_loss: float


@dataclass(frozen=True, slots=True, config=STRICT)
class LatencySettings:
    """How every variant was timed.

    Attributes:
        processes: fresh processes for each variant.
        runs: counted inferences in each process.
        threads: of the interpreter.
        cpus: the CPUs processes are pinned to; empty means not pinned.
        seed: of the random order.
        inputs: where the input tensors came from, e.g. ``32 samples of the dataset``.
    """

    processes: int
    runs: int
    threads: int
    cpus: tuple[int, ...]
    seed: int
    inputs: str


@dataclass(frozen=True, slots=True, config=STRICT)
class RunRecord:
    """Everything one run found out, enough to repeat it.

    Attributes:
        schema_version: see the module's list of format changes.
        created_at: when the run was first started, ISO 8601, UTC.
        fer_opt_version: that wrote the record.
        name: the experiment's.
        experiment: the experiment file's text, defaults filled in (TOML).
        experiment_fingerprint: hash of all inputs; a run folder belongs to one of them.
        command: that repeats the run.
        target_ms: the budget for one image; the thesis's is 500 ms.
        model: the trained model.
        convention: what its input holds.
        dataset: the samples of the accuracy figures.
        representative: the samples of the calibration; None where nothing needed any.
        training: the history, when the model was trained here.
        device: that timed the variants; None before the first measurement.
        latency: how they were timed; None when timing was not asked for.
        packages: version of each package that had a part in it.
        variants: in the order of the experiment.
        accuracies: of the variants, as far as measured.
        measurements: in the order they were made.
        notes: what the reader should know about the run as a whole, a sentence each.
        complete: whether everything the experiment asks for is in it.
        trained: the trained network as the steps found it; None where no recipe has any.
        refused: recipes that cannot be carried out on this model.
        phones: that timed the variants besides, one after another or at the same time.
        stages: all five stages of classifying photos, timed on this computer and on phones.
    """

    schema_version: int
    created_at: str
    fer_opt_version: str
    name: str
    experiment: str
    experiment_fingerprint: str
    command: str
    target_ms: float
    model: ModelFacts
    convention: InputConvention
    dataset: DatasetFacts
    representative: RepresentativeSet | None
    training: tuple[TrainingEpoch, ...]
    device: DeviceFacts | None
    latency: LatencySettings | None
    packages: dict[str, str]
    variants: tuple[Variant, ...] = ()
    accuracies: tuple[Accuracy, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    notes: tuple[str, ...] = ()
    complete: bool = False
    trained: StepResult | None = None
    refused: tuple[RefusedRecipe, ...] = ()
    phones: tuple[PhoneRun, ...] = ()
    stages: tuple[StagesRun, ...] = ()


_ADAPTER = TypeAdapter(RunRecord)


def json_schema() -> dict[str, object]:
    """The JSON Schema of ``record.json``."""
    return _ADAPTER.json_schema()


def write_record(record: RunRecord, path: Path) -> None:
    """Write ``record`` to ``path`` as JSON, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, _ADAPTER.dump_json(record, indent=1) + b"\n")


def read_record(path: Path) -> RunRecord:
    """Read and validate a record.

    Raises:
        RecordError: the file is missing, no run's record, or of a version this fer-opt does not
            know.
    """
    text, found = read_object(path)
    if (kind := found.get("kind")) in ("bench", "gate"):
        raise RecordError(f"{path} is the record of a {kind}, not of a run; choose another folder.")
    version = found.get("schema_version")
    # Older versions lack only fields that have defaults.
    record = parse_record(path, text, version, _ADAPTER, READABLE_VERSIONS)
    return replace(record, schema_version=SCHEMA_VERSION)
