"""Whether a faster pipeline finds and says what the reference does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.errors import MeasurementError
from fer_opt.stages.agreement import compare_pipelines, match_faces
from fer_opt.stages.faces import iou
from fer_opt.stages.result import PhotoResult

boxes = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(1, 40), st.integers(1, 40))


def one_face(photo: str, box: tuple[int, int, int, int], *probabilities: float) -> PhotoResult:
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    return PhotoResult(
        photo,
        "one face",
        faces=(box,),
        label=("happy", "sad")[best],
        confidence=probabilities[best],
        probabilities=probabilities,
    )


def test_two_boxes_overlap_by_what_they_share() -> None:
    assert iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert iou((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert iou((0, 0, 10, 10), (10, 0, 10, 10)) == 0


@given(boxes, boxes)
def test_overlap_is_the_same_both_ways_and_never_above_one(
    one: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> None:
    assert iou(one, other) == iou(other, one)
    assert 0 <= iou(one, other) <= 1
    assert (iou(one, other) == 1) == (one == other)


@given(st.lists(boxes, max_size=6, unique=True), st.randoms())
def test_every_face_matches_itself_whatever_the_order(
    faces: list[tuple[int, int, int, int]], random: object
) -> None:
    shuffled = list(faces)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert match_faces(faces, shuffled) == [1.0] * len(faces)


def test_the_best_overlap_is_paired_first_and_each_face_once() -> None:
    theirs = [(0, 0, 10, 10), (8, 0, 10, 10)]
    ours = [(7, 0, 10, 10), (100, 100, 5, 5)]
    (best,) = match_faces(theirs, ours)
    assert best == pytest.approx(90 / 110)


def test_pipelines_are_compared_photo_by_photo() -> None:
    thesis = [
        one_face("same.jpg", (0, 0, 10, 10), 0.8, 0.2),
        one_face("label.jpg", (0, 0, 10, 10), 0.6, 0.4),
        one_face("elsewhere.jpg", (0, 0, 10, 10), 0.9, 0.1),
        PhotoResult("missed.jpg", "several faces", faces=((0, 0, 9, 9), (20, 0, 9, 9))),
        PhotoResult("none.jpg", "no face"),
        PhotoResult("broken.jpg", "unreadable", "broken.jpg is empty."),
    ]
    faster = [
        one_face("same.jpg", (0, 0, 10, 9), 0.75, 0.25),
        one_face("label.jpg", (0, 0, 10, 10), 0.45, 0.55),
        one_face("elsewhere.jpg", (8, 0, 10, 10), 0.9, 0.1),
        one_face("missed.jpg", (20, 0, 9, 9), 0.9, 0.1),
        PhotoResult("none.jpg", "no face"),
        PhotoResult("broken.jpg", "unreadable", "broken.jpg is empty."),
    ]
    found = compare_pipelines("thesis", "faster", thesis, faster)
    assert (found.reference, found.candidate) == ("thesis", "faster")
    assert (found.photos, found.same_faces, found.one_face, found.same_label) == (5, 3, 3, 2)
    assert found.largest_difference == pytest.approx(0.15)
    assert found.least_iou == pytest.approx(20 / 180)
    assert found.median_iou == pytest.approx((0.9 + 1.0) / 2)
    assert found.differences == (
        "label.jpg: thesis says happy (60%), faster sad (55%).",
        "elsewhere.jpg: the faces found overlap by no more than 0.11.",
        "missed.jpg: thesis finds 2 faces, faster 1 face.",
    )


def test_pipelines_that_agree_have_no_differences() -> None:
    results = [one_face("a.jpg", (0, 0, 10, 10), 0.8, 0.2), PhotoResult("b.jpg", "no face")]
    found = compare_pipelines("thesis", "faster", results, results)
    assert (found.same_faces, found.same_label, found.largest_difference) == (2, 1, 0.0)
    assert (found.least_iou, found.differences) == (1.0, ())
    empty = compare_pipelines("thesis", "faster", results[1:], results[1:])
    assert (empty.least_iou, empty.median_iou, empty.largest_difference) == (None, None, None)


def test_results_of_different_photos_are_not_compared() -> None:
    with pytest.raises(MeasurementError, match="did not classify the same photos"):
        compare_pipelines("a", "b", [PhotoResult("a", "no face")], [PhotoResult("b", "no face")])
