"""Of many boxes around one face, one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["weighted_suppression"]

Floats = npt.NDArray[np.float32]


def weighted_suppression(
    boxes: Floats, scores: Floats, most_overlap: float
) -> tuple[Floats, Floats]:
    """Boxes (m, 4) and scores (m,) with every cluster replaced by its mean, best first.

    As MediaPipe's NonMaxSuppressionCalculator in WEIGHTED mode: boxes that overlap the best one by
    more than ``most_overlap`` (intersection over union) are averaged with it, weighted by score;
    the best one's score is kept.

    Args:
        boxes: (n, 4), left, top, right, bottom.
        scores: (n,), above 0.
        most_overlap: two boxes with no more are two faces.
    """
    order = np.argsort(-scores, kind="stable")
    kept_boxes, kept_scores = [], []
    while len(order):
        overlaps = _overlaps(boxes[order[0]], boxes[order])
        same = overlaps > most_overlap
        same[0] = True  # a box without area overlaps not even itself
        cluster = order[same]
        weights = scores[cluster, None]
        kept_boxes.append((boxes[cluster] * weights).sum(axis=0) / weights.sum())
        kept_scores.append(scores[order[0]])
        order = order[~same]
    return (
        np.array(kept_boxes, np.float32).reshape(-1, 4),
        np.array(kept_scores, np.float32),
    )


def _overlaps(one: Floats, others: Floats) -> Floats:
    """Intersection over union of one box with each of (n, 4)."""
    low = np.maximum(one[:2], others[:, :2])
    high = np.minimum(one[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(np.maximum(others[:, 2:] - others[:, :2], 0), axis=1)
    union = np.prod(np.maximum(one[2:] - one[:2], 0)) + areas - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0).astype(np.float32)
