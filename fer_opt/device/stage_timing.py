"""What timing the five stages of classifying photos hands back, on this computer or on a phone."""

from __future__ import annotations

from dataclasses import field

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fer_opt.device.measurement import DeviceFacts

__all__ = [
    "STAGES",
    "PhotoPass",
    "PhotoSet",
    "PipelineAgreement",
    "PipelineTimes",
    "StageWay",
    "StagesRun",
]

STRICT = ConfigDict(extra="forbid")

STAGES = ("bitmap", "detect", "resize", "grey", "classify")
"""In the order a photo goes through them, and of the thesis's Table 8."""


@dataclass(frozen=True, slots=True, config=STRICT)
class StageWay:
    """How one pipeline carries out one stage on one device.

    Attributes:
        stage: one of :data:`STAGES`.
        way: in words, e.g. ``full decode``, ``Haar cascade, whole photo`` or ``int8``.
        runner: the program that ran it: ``Python``, ``stage_bench`` or ``benchmark_model``; empty
            where it was not run.
        within: the stage that does this one's work too, where it has no time of its own (fused
            preprocessing: ``classify``); empty otherwise.
        not_run: why it was not run on this device, a sentence; empty where it was. A total without
            it is "at least".
    """

    stage: str
    way: str
    runner: str
    within: str = ""
    not_run: str = ""


@dataclass(frozen=True, slots=True, config=STRICT)
class PhotoPass:
    """One photo once through one pipeline.

    Attributes:
        photo: its name within the set.
        process_index: the fresh process it ran in, counted from 0.
        pass_index: how often that process had seen the whole set before: 0 is cold.
        order_index: its place in the random order of the pass, counted from 0.
        stages_ms: time of each stage it went through, by name; a photo without a face has no more
            than ``bitmap`` and ``detect``.
        total_ms: of the photo as a whole, by a clock of its own; None where different programs ran
            the stages and the total is their sum.
        faces: number of faces found.
        label: given to the one face; empty where there was none, or several.
        confidence: the label's probability; None likewise.
    """

    photo: str
    process_index: int
    pass_index: int
    order_index: int
    stages_ms: dict[str, float]
    total_ms: float | None
    faces: int
    label: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True, config=STRICT)
class PipelineTimes:
    """One pipeline's passes on one device.

    Attributes:
        name: ``thesis`` (its app's way) or ``faster``, or whatever the user called it.
        ways: how it carries out each stage, one for each of :data:`STAGES`, in their order.
        passes: in the order they were made.
        model: what its classifier is called in the rest of the record.
        model_sha256: of the classifier's file.
        start_ms: loading the detector and the classifier, one figure for each process.
    """

    name: str
    ways: tuple[StageWay, ...]
    passes: tuple[PhotoPass, ...]
    model: str
    model_sha256: str
    start_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, config=STRICT)
class PipelineAgreement:
    """Whether a faster pipeline finds and says what the reference does, on the same photos.

    Attributes:
        reference: name of the pipeline it is compared with.
        candidate: name of the faster one.
        photos: compared.
        same_faces: photos with the same number of faces, each overlapping its match (intersection
            over union of at least 0.5).
        least_iou: smallest intersection over union among matched faces; None without any.
        median_iou: of all matched faces; None without any.
        one_face: photos in which both found exactly one face.
        same_label: of those, photos given the same label.
        largest_difference: of any probability on those photos; None without any.
        differences: photos that differ and how, a sentence each.
    """

    reference: str
    candidate: str
    photos: int
    same_faces: int
    least_iou: float | None
    median_iou: float | None
    one_face: int
    same_label: int
    largest_difference: float | None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, config=STRICT)
class PhotoSet:
    """The photos of a run.

    Attributes:
        source: a path as the user gave it, or ``built-in composed scenes, seed 0``.
        count: number of photos.
        fingerprint: hash over every photo's name and content.
        unreadable: photos left out, a sentence each with the reason.
        pixels: width and height of each photo, by name.
    """

    source: str
    count: int
    fingerprint: str
    unreadable: tuple[str, ...] = ()
    pixels: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, config=STRICT)
class StagesRun:
    """The stages on one device, with one set of photos.

    Attributes:
        device: that ran them; its kind says whether the times are a computer's or a phone's.
        photos: the set.
        pipelines: the thesis's way first.
        agreements: of each faster pipeline with the first.
        seed: of the random order.
        threads: of detector and classifier.
        session: identifies the uninterrupted run of fer-opt that made it.
        started_at: ISO 8601, UTC.
        notes: what the reader should know, a sentence each.
        complete: whether every pipeline has all its passes.
    """

    device: DeviceFacts
    photos: PhotoSet
    pipelines: tuple[PipelineTimes, ...] = ()
    agreements: tuple[PipelineAgreement, ...] = ()
    seed: int = 0
    threads: int = 1
    session: str = ""
    started_at: str = ""
    notes: tuple[str, ...] = ()
    complete: bool = False
