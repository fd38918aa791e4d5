"""Photo in, expression out, as the thesis's app does it, with a clock on every stage."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import cv2

from fer_opt.convention import InputConvention
from fer_opt.data.dataset import BadSampleError
from fer_opt.device.stage_timing import StageWay
from fer_opt.stages.bitmap import Bitmap, BitmapReader, FullDecode, ScaledDecode
from fer_opt.stages.clock import Laps
from fer_opt.stages.faces import Detector, Face, clip, crop
from fer_opt.stages.haar import HaarDetector
from fer_opt.stages.preparing import RUNNER, Steps, open_steps
from fer_opt.stages.result import PhotoResult
from fer_opt.stages.tflite_detector import TfliteDetector
from fer_opt.stages.ways import PipelineWays

__all__ = ["Pipeline", "open_pipeline"]


def open_pipeline(
    model: Path,
    *,
    ways: PipelineWays,
    threads: int = 1,
    stated: InputConvention | None = None,
) -> Pipeline:
    """Load the detector and the classifier.

    Args:
        model: the classifier, any .tflite variant.
        ways: how each stage is carried out.
        threads: of OpenCV (in this whole process), the detector and the classifier.
        stated: what the classifier expects; None believes what its file says of itself.

    Raises:
        ModelError: the classifier or the detector cannot be read or is not one.
        ConventionError: what the classifier expects is unknown, or what was stated does not fit.
    """
    begin = time.perf_counter_ns()
    cv2.setNumThreads(threads)
    detector, searched = _open_detector(ways, threads)
    steps = open_steps(model, threads=threads, stated=stated)
    bitmap = _open_bitmap(ways, searched, steps.convention)
    return Pipeline(ways.name, bitmap, detector, steps, (time.perf_counter_ns() - begin) / 1e6)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The five stages, ready to classify photos; make it with :func:`open_pipeline`.

    Attributes:
        name: of its ways.
        bitmap: decodes a photo.
        detector: finds faces.
        steps: makes a label of a crop.
        start_ms: loading detector and classifier took so long.
    """

    name: str
    bitmap: BitmapReader
    detector: Detector
    steps: Steps
    start_ms: float

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the classifier, in the order of probabilities."""
        return self.steps.convention.labels

    @property
    def ways(self) -> tuple[StageWay, ...]:
        """How each stage is carried out, in their order."""
        return (
            StageWay("bitmap", self.bitmap.way, RUNNER),
            StageWay("detect", self.detector.way, RUNNER),
            *self.steps.ways,
        )

    def classify(self, photo: Path) -> PhotoResult:
        """What ``photo`` shows; a file that is no readable photo is an outcome, not an error."""
        laps = Laps()
        try:
            bitmap = self.bitmap.read(photo)
        except BadSampleError as exc:
            reason = f"{exc.where} {exc.reason}."
            return PhotoResult(str(photo), "unreadable", reason, total_ms=laps.total_ms)
        laps.lap("bitmap")
        faces = _faces_within(bitmap, self.detector.find(bitmap.pixels))
        laps.lap("detect")
        if len(faces) == 1:
            return self._with_label(str(photo), bitmap, faces[0], laps)
        return PhotoResult(
            photo=str(photo),
            outcome="several faces" if faces else "no face",
            width=bitmap.width,
            height=bitmap.height,
            faces=tuple(bitmap.upright_box(face) for face in faces),
            stages_ms=laps.stages_ms,
            total_ms=laps.total_ms,
        )

    def _with_label(self, photo: str, bitmap: Bitmap, face: Face, laps: Laps) -> PhotoResult:
        height, width = bitmap.pixels.shape[:2]
        face_pixels = crop(bitmap.pixels, clip(face, width, height))
        probabilities = self.steps.classify(face_pixels, laps)
        best = int(probabilities.argmax())
        return PhotoResult(
            photo=photo,
            outcome="one face",
            width=bitmap.width,
            height=bitmap.height,
            faces=(bitmap.upright_box(face),),
            label=self.labels[best],
            confidence=float(probabilities[best]),
            probabilities=tuple(probabilities.tolist()),
            stages_ms=laps.stages_ms,
            total_ms=laps.total_ms,
        )


def _open_detector(ways: PipelineWays, threads: int) -> tuple[Detector, int]:
    """The detector, and the longest side in pixels it can use; 0 where that is the photo's."""
    if ways.detector == "haar":
        haar = HaarDetector(side=ways.detect_side, least_face=ways.least_face)
        return haar, ways.detect_side or 0
    detector = TfliteDetector(Path(ways.detector), threads=threads)
    return detector, detector.side


def _open_bitmap(ways: PipelineWays, searched: int, convention: InputConvention) -> BitmapReader:
    if ways.bitmap == "full":
        return FullDecode()
    # A face that fills half the photo then has the pixels the classifier takes.
    enough = max(searched, 2 * max(convention.height, convention.width))
    return ScaledDecode(ways.bitmap_side or enough)


def _faces_within(bitmap: Bitmap, faces: tuple[Face, ...]) -> tuple[Face, ...]:
    """Those of which a pixel is left: a detector may put a box outside."""
    height, width = bitmap.pixels.shape[:2]
    return tuple(face for face in faces if all(clip(face, width, height)[2:]))
