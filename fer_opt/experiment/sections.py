"""The sections of an experiment file; what is written there is documented here."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fer_opt.convention import Interpolation

__all__ = [
    "CalibrationSection",
    "DataSection",
    "InputSection",
    "LatencySection",
    "ModelSection",
    "PhoneSection",
    "PhotosSection",
    "TrainingSection",
]

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, config=STRICT)
class ModelSection:
    """``[model]``: a trained model's file, or an architecture to train here.

    Attributes:
        path: of the trained model, relative to the experiment file.
        weights: of a JSON model, relative to the experiment file.
        architecture: of the thesis, to be trained on ``[data]`` first.
        allow_code: load models that carry code of their own, which runs it.
    """

    path: str | None = None
    weights: str | None = None
    architecture: str | None = None
    allow_code: bool = False


@dataclass(frozen=True, slots=True, config=STRICT)
class InputSection:
    """``[input]``: what the model expects; what is not stated is guessed, aloud.

    Attributes:
        size: side of a square input in pixels, or [height, width].
        channels: 1 (grey) or 3 (RGB).
        range: what black and white become, e.g. [0, 1] or [-1, 1].
        labels: in the order of the model's outputs.
        interpolation: how images are resized.
        preprocessing: steps such as ``equalize`` or ``gamma(0.75)``.
    """

    size: int | tuple[int, int] | None = None
    channels: Literal[1, 3] | None = None
    range: tuple[float, float] | None = None
    labels: tuple[str, ...] | None = None
    interpolation: Interpolation | None = None
    preprocessing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, config=STRICT)
class DataSection:
    """``[data]``: the labelled images accuracy is measured on.

    Attributes:
        kind: fer2013, folder, affectnet or synthetic; told from ``path`` where not stated.
        path: of the CSV or folder, relative to the experiment file.
        split: which part is evaluated.
        annotations: AffectNet's CSV, relative to the experiment file.
        cache: folder for AffectNet's crops, relative to the experiment file.
        image_size: side in pixels of AffectNet's faces (224) and of synthetic ones (48).
        samples: how many synthetic faces the split has.
        seed: of the synthetic faces and of every split.
        reduce: stratified share of the samples to keep (the thesis used 0.1 of AffectNet).
        skip_bad: leave out files that cannot be read, and list them.
    """

    kind: Literal["fer2013", "folder", "affectnet", "synthetic"] | None = None
    path: str | None = None
    split: str | None = None
    annotations: str | None = None
    cache: str | None = None
    image_size: int | None = None
    samples: int | None = None
    seed: int = 0
    reduce: float = 1.0
    skip_bad: bool = False


@dataclass(frozen=True, slots=True, config=STRICT)
class TrainingSection:
    """``[training]``: section 3.3 of the thesis, for a model that is an ``architecture``.

    Recipes that train a network use the same images, batch and seed; epochs and learning rate stand
    in their steps.

    Attributes:
        split: which part of ``[data]`` is trained on.
        samples: how many synthetic faces it has.
        epochs: passes over it.
        batch: images in one step.
        learning_rate: Adam's.
        seed: of the initial weights and the order of images.
    """

    split: str = "train"
    samples: int | None = None
    epochs: int = 10
    batch: int = 64
    learning_rate: float = 0.001
    seed: int = 0


@dataclass(frozen=True, slots=True, config=STRICT)
class CalibrationSection:
    """``[calibration]``: the representative dataset of integer variants.

    Attributes:
        split: which part of ``[data]`` it is drawn from; the training split where there is one.
        samples: how many, spread over the labels.
        seed: of the draw.
    """

    split: str | None = None
    samples: int = 100
    seed: int = 0


@dataclass(frozen=True, slots=True, config=STRICT)
class LatencySection:
    """``[latency]``: how variants are timed on this computer.

    Attributes:
        processes: fresh processes for each variant; 0 times nothing.
        runs: counted inferences in each process.
        threads: of the interpreter.
        cpus: CPUs to pin processes to; chosen where not stated.
        seed: of the random order.
    """

    processes: int = 8
    runs: int = 20
    threads: int = 1
    cpus: tuple[int, ...] | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, config=STRICT)
class PhotosSection:
    """``[photos]``: photos on which all five stages are timed, from the file to the label.

    Attributes:
        path: of a photo, or of a folder that holds some, relative to the experiment file.
        kind: ``scenes`` composes 25 of built-in synthetic faces: 20 with one, 3 without, 2 with
            several, as in the thesis.
        detector: of the faster way: ``haar``, or a TFLite detector's file, relative to the
            experiment file. The thesis's way always has the cascade.
        thesis: recipe of the thesis's way's classifier; float32 where not stated.
        faster: recipe of the faster way's classifier; where not stated the last that takes crops,
            else int8.
        processes: fresh processes for each way; on phones as many rounds.
        warm_passes: over all photos in each process, after the cold one.
        threads: of OpenCV, detector and classifier.
        cpus: CPUs to pin processes to; chosen where not stated.
        seed: of the scenes and of the random orders.
        stage_bench: a build of it, or a folder of builds, for phones; relative to the experiment
            file.
    """

    path: str | None = None
    kind: Literal["scenes"] | None = None
    detector: str = "haar"
    thesis: str | None = None
    faster: str | None = None
    processes: int = 5
    warm_passes: int = 3
    threads: int = 1
    cpus: tuple[int, ...] | None = None
    seed: int = 0
    stage_bench: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether there are photos."""
        return self.path is not None or self.kind is not None


@dataclass(frozen=True, slots=True, config=STRICT)
class PhoneSection:
    """``[phone]``: phones that time the variants as well.

    Attributes:
        on: ``phone`` (the one there is), ``all``, ``tcp:HOST:PORT``, serial numbers, or
            ``virtual`` (one started here for the purpose); none where not stated.
        serial: of the phone meant by ``phone``.
        via: how it is reached.
        runner: a benchmark_model of one's own, relative to the experiment file.
        rounds: fresh processes for each variant.
        runs: counted inferences in each process.
        threads: of the interpreter.
        cpus: CPUs to pin processes to; the fastest where not stated.
        xnnpack: whether XNNPACK is asked for; left to the runner where not stated.
        operator_profile: whether one more process tells the time of each operator.
        outputs: samples whose outputs are compared with this computer's.
        cool_down_s: pause after throttling, in seconds.
        seed: of the random order.
    """

    on: tuple[str, ...] = ()
    serial: str | None = None
    via: Literal["auto", "usb", "tcp", "server"] = "auto"
    runner: str | None = None
    rounds: int = 8
    runs: int = 10
    threads: int = 1
    cpus: tuple[int, ...] | None = None
    xnnpack: bool | None = None
    operator_profile: bool = False
    outputs: int = 8
    cool_down_s: float = 90.0
    seed: int = 0
