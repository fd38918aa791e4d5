"""Whether a faster pipeline finds and says what the reference does, photo by photo."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from fer_opt.device.stage_timing import PipelineAgreement
from fer_opt.errors import MeasurementError
from fer_opt.stages.faces import Box, iou
from fer_opt.stages.result import PhotoResult

__all__ = ["LEAST_IOU", "compare_pipelines", "match_faces"]

LEAST_IOU = 0.5
"""Two boxes that overlap so much are one face: PASCAL VOC's rule (Everingham et al. 2010)."""


def compare_pipelines(
    reference: str,
    candidate: str,
    expected: Sequence[PhotoResult],
    found: Sequence[PhotoResult],
) -> PipelineAgreement:
    """Compare what two pipelines made of the same photos.

    Args:
        reference: name of the pipeline that is compared with.
        candidate: name of the other.
        expected: the reference's results; unreadable photos are left out.
        found: the candidate's, of the same photos in the same order.

    Raises:
        MeasurementError: the results are not of the same photos.
    """
    if [one.photo for one in expected] != [one.photo for one in found]:
        raise MeasurementError(
            f"{candidate} and {reference} did not classify the same photos in the same order; "
            "give both the same."
        )
    readable = [
        (theirs, ours)
        for theirs, ours in zip(expected, found, strict=True)
        if "unreadable" not in (theirs.outcome, ours.outcome)
    ]
    overlaps: list[float] = []
    same_faces = one_face = same_label = 0
    largest: float | None = None
    differences = []
    for theirs, ours in readable:
        matched = match_faces(theirs.faces, ours.faces)
        overlaps += matched
        same = len(theirs.faces) == len(ours.faces) == len(matched)
        same_faces += same and all(overlap >= LEAST_IOU for overlap in matched)
        if theirs.outcome == ours.outcome == "one face":
            one_face += 1
            same_label += theirs.label == ours.label
            largest = max(largest or 0.0, _largest_difference(theirs, ours))
        if told := _difference(reference, candidate, theirs, ours, matched):
            differences.append(told)
    return PipelineAgreement(
        reference=reference,
        candidate=candidate,
        photos=len(readable),
        same_faces=same_faces,
        least_iou=min(overlaps, default=None),
        median_iou=statistics.median(overlaps) if overlaps else None,
        one_face=one_face,
        same_label=same_label,
        largest_difference=largest,
        differences=tuple(differences),
    )


def match_faces(theirs: Sequence[Box], ours: Sequence[Box]) -> list[float]:
    """Intersection over union of each pair of faces, paired greedily, the largest first.

    Each face is in one pair at most; faces that touch none stay without.
    """
    pairs = sorted(
        ((iou(one, other), i, j) for i, one in enumerate(theirs) for j, other in enumerate(ours)),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    taken_theirs, taken_ours = set[int](), set[int]()
    matched = []
    for overlap, i, j in pairs:
        if overlap > 0 and i not in taken_theirs and j not in taken_ours:
            taken_theirs.add(i)
            taken_ours.add(j)
            matched.append(overlap)
    return matched


def _largest_difference(theirs: PhotoResult, ours: PhotoResult) -> float:
    pairs = zip(theirs.probabilities, ours.probabilities, strict=True)
    return max(abs(one - other) for one, other in pairs)


def _difference(
    reference: str, candidate: str, theirs: PhotoResult, ours: PhotoResult, matched: list[float]
) -> str:
    """How two results differ, a sentence; empty where they do not."""
    if len(theirs.faces) != len(ours.faces):
        return f"{theirs.photo}: {reference} finds {_faces(theirs)}, {candidate} {_faces(ours)}."
    if len(matched) < len(theirs.faces) or min(matched, default=1.0) < LEAST_IOU:
        least = min(matched) if len(matched) == len(theirs.faces) else 0.0
        return f"{theirs.photo}: the faces found overlap by no more than {least:.2f}."
    if theirs.label != ours.label:
        return (
            f"{theirs.photo}: {reference} says {theirs.label} ({theirs.confidence:.0%}), "
            f"{candidate} {ours.label} ({ours.confidence:.0%})."
        )
    return ""


def _faces(result: PhotoResult) -> str:
    count = len(result.faces)
    return f"{count or 'no'} face{'s' if count != 1 else ''}"
