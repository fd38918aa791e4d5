"""Photo in, expression out, as the thesis's app does it, with a clock on every stage."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fer_opt.convention import InputConvention
from fer_opt.data.dataset import BadSampleError
from fer_opt.device.stage_timing import StageWay
from fer_opt.stages.bitmap import BitmapReader, FullDecode, ScaledDecode
from fer_opt.stages.faces import Box, Detector, clip, crop
from fer_opt.stages.haar import HaarDetector
from fer_opt.stages.preparing import SeparateSteps
from fer_opt.stages.result import Outcome, PhotoResult
from fer_opt.stages.ways import PipelineWays

__all__ = ["Pipeline", "open_pipeline"]

_clock = time.perf_counter_ns


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
    begin = _clock()
    cv2.setNumThreads(threads)
    detector = HaarDetector(side=ways.detect_side)
    bitmap = FullDecode() if ways.bitmap == "full" else ScaledDecode(ways.bitmap_side)
    steps = SeparateSteps(model, threads=threads, stated=stated)
    return Pipeline(ways.name, bitmap, detector, steps, (_clock() - begin) / 1e6)


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
    steps: SeparateSteps
    start_ms: float

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the classifier, in the order of probabilities."""
        return self.steps.labels

    @property
    def ways(self) -> tuple[StageWay, ...]:
        """How each stage is carried out, in their order."""
        return (
            StageWay("bitmap", self.bitmap.way, "Python"),
            StageWay("detect", self.detector.way, "Python"),
            StageWay("resize", "crop, then resize", "Python"),
            StageWay("grey", "grey and float tensor", "Python"),
            StageWay("classify", "TFLite", "Python"),
        )

    def classify(self, photo: Path) -> PhotoResult:
        """What ``photo`` shows; a file that is no readable photo is an outcome, not an error."""
        begin = _clock()
        stages_ms: dict[str, float] = {}
        try:
            bitmap = self.bitmap.read(photo)
        except BadSampleError as exc:
            return PhotoResult(
                str(photo),
                "unreadable",
                f"{exc.where} {exc.reason}.",
                total_ms=(_clock() - begin) / 1e6,
            )
        mark = _lap(stages_ms, "bitmap", begin)
        height, width = bitmap.pixels.shape[:2]
        found = self.detector.find(bitmap.pixels)
        x, y = bitmap.width / width, bitmap.height / height
        faces = tuple(clip(face.scaled(x, y), bitmap.width, bitmap.height) for face in found)
        mark = _lap(stages_ms, "detect", mark)
        probabilities = None
        if len(found) == 1:
            box = clip(found[0], width, height)
            probabilities = self._probabilities(bitmap.pixels, box, stages_ms, mark)
        return _result(
            str(photo), (bitmap.width, bitmap.height), faces, self.labels, probabilities, stages_ms,
            begin,
        )  # fmt: skip

    def _probabilities(
        self, pixels: npt.NDArray[np.uint8], box: Box, stages_ms: dict[str, float], mark: int
    ) -> npt.NDArray[np.float32]:
        face = self.steps.resize(crop(pixels, box))
        mark = _lap(stages_ms, "resize", mark)
        tensor = self.steps.to_tensor(face)
        mark = _lap(stages_ms, "grey", mark)
        probabilities = self.steps.classify(tensor)
        _lap(stages_ms, "classify", mark)
        return probabilities


def _lap(stages_ms: dict[str, float], stage: str, since: int) -> int:
    now = _clock()
    stages_ms[stage] = (now - since) / 1e6
    return now


def _result(
    photo: str,
    size: tuple[int, int],
    faces: tuple[Box, ...],
    labels: tuple[str, ...],
    probabilities: npt.NDArray[np.float32] | None,
    stages_ms: dict[str, float],
    begin: int,
) -> PhotoResult:
    width, height = size
    if probabilities is None:
        outcome: Outcome = "several faces" if faces else "no face"
        return PhotoResult(
            photo, outcome, "", width, height, faces,
            stages_ms=stages_ms, total_ms=(_clock() - begin) / 1e6,
        )  # fmt: skip
    best = int(probabilities.argmax())
    return PhotoResult(
        photo, "one face", "", width, height, faces,
        label=labels[best],
        confidence=float(probabilities[best]),
        probabilities=tuple(map(float, probabilities)),
        stages_ms=stages_ms,
        total_ms=(_clock() - begin) / 1e6,
    )  # fmt: skip
