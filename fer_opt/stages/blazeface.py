"""What MediaPipe's BlazeFace gives, turned into boxes (Bazarevsky et al. 2019, arXiv:1907.05047).

Every number is from MediaPipe's graphs of face detection: short range, full range and back camera
(mediapipe/modules/face_detection).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LAYOUTS", "Layout", "anchors_of", "decode_boxes", "probabilities_of_scores"]

Floats = npt.NDArray[np.float32]

COORDINATES = 16
"""Of each anchor: centre x, y, width, height, then x, y of six points of the face."""

CLIPPING = 100.0
"""Raw scores beyond it are cut, so that the exponential does not overflow."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One of BlazeFace's kinds.

    Attributes:
        name: MediaPipe's.
        side: of the square input in pixels, and the scale of raw coordinates.
        layers: strides in pixels of the feature maps, each with so many anchors in a cell.
    """

    name: str
    side: int
    layers: tuple[tuple[int, int], ...]

    @property
    def anchors(self) -> int:
        """How many boxes it gives."""
        return sum((-(-self.side // stride)) ** 2 * each for stride, each in self.layers)


LAYOUTS = (
    # SsdAnchorsCalculator: strides 8, 16, 16, 16, two anchors a layer; equal strides share a map.
    Layout("short range", 128, ((8, 2), (16, 6))),
    Layout("back camera", 256, ((16, 2), (32, 6))),
    # One layer of stride 4, and no second anchor (interpolated_scale_aspect_ratio is 0).
    Layout("full range", 192, ((4, 1),)),
)


def anchors_of(layout: Layout) -> Floats:
    """Centres (n, 2) of the anchors, x and y from 0 to 1; their size is fixed at 1.

    As SsdAnchorsCalculator makes them with ``anchor_offset`` 0.5 and ``fixed_anchor_size``.
    """
    maps = []
    for stride, each in layout.layers:
        cells = -(-layout.side // stride)
        axis = (np.arange(cells, dtype=np.float32) + np.float32(0.5)) / np.float32(cells)
        y, x = np.meshgrid(axis, axis, indexing="ij")
        maps.append(np.stack((x, y), axis=-1).reshape(-1, 2).repeat(each, axis=0))
    return np.concatenate(maps)


def decode_boxes(raw: Floats, anchors: Floats, side: int) -> Floats:
    """Left, top, right, bottom (n, 4), 0 to 1 of the input, of raw coordinates (n, 16).

    As TensorsToDetectionsCalculator with ``reverse_output_order`` and all scales equal to ``side``.
    """
    centre = raw[:, 0:2] / np.float32(side) + anchors
    half = raw[:, 2:4] / np.float32(2 * side)
    return np.concatenate((centre - half, centre + half), axis=1)


def probabilities_of_scores(raw: Floats) -> Floats:
    """The logistic function of raw scores, cut at +-100."""
    clipped = np.clip(raw.astype(np.float64), -CLIPPING, CLIPPING)  # e**100 is no float32
    return (1 / (1 + np.exp(-clipped))).astype(np.float32)
