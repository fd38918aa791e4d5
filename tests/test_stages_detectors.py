"""Detectors: MediaPipe's BlazeFace and TFLite's own post-processing, from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stage_detectors import blazeface_raw, constants, detector_file, post_processed_file

from fer_opt.backend import tf
from fer_opt.errors import ModelError
from fer_opt.stages.blazeface import LAYOUTS, anchors_of, decode_boxes, probabilities_of_scores
from fer_opt.stages.suppression import weighted_suppression
from fer_opt.stages.tflite_detector import TfliteDetector

SHORT, BACK, FULL = LAYOUTS


def test_the_short_range_has_mediapipes_896_anchors() -> None:
    anchors = anchors_of(SHORT)
    assert anchors.shape == (896, 2)
    # 16x16 cells with two anchors each, then 8x8 with six: row by row, each cell's together.
    np.testing.assert_array_equal(anchors[:2], [[0.03125, 0.03125]] * 2)
    np.testing.assert_array_equal(anchors[2], [0.09375, 0.03125])
    np.testing.assert_array_equal(anchors[32], [0.03125, 0.09375])
    np.testing.assert_array_equal(anchors[511], [0.96875, 0.96875])
    np.testing.assert_array_equal(anchors[512:518], [[0.0625, 0.0625]] * 6)
    np.testing.assert_array_equal(anchors[-1], [0.9375, 0.9375])


def test_the_other_layouts_have_theirs() -> None:
    assert [len(anchors_of(layout)) for layout in LAYOUTS] == [896, 896, 2304]
    assert [layout.anchors for layout in LAYOUTS] == [896, 896, 2304]
    np.testing.assert_array_equal(anchors_of(BACK), anchors_of(SHORT))
    np.testing.assert_allclose(anchors_of(FULL)[0], [0.5 / 48, 0.5 / 48])
    np.testing.assert_allclose(anchors_of(FULL)[49], [1.5 / 48, 1.5 / 48])


@given(
    st.integers(0, 895),
    *(st.floats(-64, 64, width=32) for _ in range(2)),
    *(st.floats(1, 128, width=32) for _ in range(2)),
)
def test_decoding_undoes_how_boxes_are_encoded(
    anchor: int, x: float, y: float, width: float, height: float
) -> None:
    anchors = anchors_of(SHORT)
    raw = np.zeros((896, 16), np.float32)
    raw[anchor, :4] = (x, y, width, height)
    left, top, right, bottom = decode_boxes(raw, anchors, 128)[anchor].astype(float)
    centre = ((left + right) / 2 * 128, (top + bottom) / 2 * 128)
    assert centre == pytest.approx(anchors[anchor].astype(float) * 128 + (x, y), abs=1e-3)
    assert ((right - left) * 128, (bottom - top) * 128) == pytest.approx((width, height), abs=1e-3)


def test_scores_are_clipped_before_the_logistic_function() -> None:
    with np.errstate(over="raise"):
        scores = probabilities_of_scores(np.array([-1e6, -1, 0, 1, 1e6], np.float32))
    assert scores == pytest.approx([0, 0.26894, 0.5, 0.73106, 1], abs=1e-4)


boxes_and_scores = st.integers(1, 30).flatmap(
    lambda count: st.tuples(
        arrays(np.float32, (count, 4), elements=st.floats(0, 1, width=32)),
        arrays(np.float32, count, elements=st.floats(0.5, 1, width=32)),
    )
)


@given(boxes_and_scores, st.floats(0.1, 0.9))
def test_suppression_keeps_every_clusters_best_score_within_its_boxes(
    given: tuple[np.ndarray, np.ndarray], most: float
) -> None:
    corners, scores = given
    boxes = np.concatenate(
        (np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])), 1
    )
    kept, kept_scores = weighted_suppression(boxes, scores, most)
    assert 1 <= len(kept) == len(kept_scores) <= len(boxes)
    assert kept_scores[0] == scores.max()
    assert list(kept_scores) == sorted(kept_scores, reverse=True)
    assert set(kept_scores) <= set(scores)
    assert (kept >= boxes.min(axis=0) - 1e-6).all()
    assert (kept <= boxes.max(axis=0) + 1e-6).all()


def test_overlapping_boxes_become_their_mean_weighted_by_score() -> None:
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]], np.float32)
    kept, scores = weighted_suppression(boxes, np.array([0.9, 0.6, 0.7], np.float32), 0.3)
    np.testing.assert_allclose(kept, [[0.8, 0, 10.8, 10], [50, 50, 60, 60]], rtol=1e-6)
    np.testing.assert_allclose(scores, [0.9, 0.7])


def test_boxes_that_overlap_just_so_much_are_two_faces() -> None:
    # 100 and 100 pixels share 46.15...: an intersection over union of exactly 0.3.
    boxes = np.array([[0, 0, 13, 10], [7, 0, 20, 10]], np.float32)
    kept, _ = weighted_suppression(boxes, np.array([0.9, 0.8], np.float32), 0.3)
    assert len(kept) == 2


@pytest.mark.parametrize("turned", [False, True])
def test_blazeface_finds_its_face_where_it_is_in_a_wide_photo(tmp_path: Path, turned: bool) -> None:
    # Anchor 512 + 6 * (8 * 4 + 4) sits in the cell whose centre is (72, 72) of 128.
    raw = blazeface_raw(896, {512 + 6 * 36: (-8.0, -8.0, 32.0, 16.0, 3.0)})
    path = detector_file(tmp_path / "face.tflite", 128, constants(*raw[:: -1 if turned else 1]))
    (face,) = TfliteDetector(path).find(np.zeros((320, 640, 3), np.uint8))
    # The photo is a fifth as large inside, with 32 rows of black above: (48..80, 56..72).
    assert (face.left, face.top) == pytest.approx((240, 120))
    assert (face.width, face.height) == pytest.approx((160, 80))
    assert face.score == pytest.approx(1 / (1 + np.exp(-3)))


def test_blazeface_gives_several_faces_from_left_to_right_and_none_below_half(
    tmp_path: Path,
) -> None:
    raw = blazeface_raw(
        896,
        {
            0: (0.0, 0.0, 8.0, 8.0, 1.0),
            30: (0.0, 0.0, 8.0, 8.0, 5.0),
            200: (0.0, 0.0, 8.0, 8.0, -0.01),
        },
    )
    path = detector_file(tmp_path / "face.tflite", 128, constants(*raw))
    found = TfliteDetector(path).find(np.zeros((128, 128, 3), np.uint8))
    assert [face.left for face in found] == pytest.approx([0, 120])


def test_a_detector_sees_pixels_from_minus_one_to_one_with_a_black_border(tmp_path: Path) -> None:
    def outputs(image: object) -> tuple[object, ...]:
        scores = tf.reshape(image[0, ..., 0], (1, -1, 1))[:, :896] * 2.0
        regressors = tf.zeros((1, 896, 16)) + tf.reduce_sum(image) * 0.0
        size = tf.constant([0.0, 0.0, 1.0, 1.0] + [0.0] * 12)
        return regressors + size, scores

    detector = TfliteDetector(detector_file(tmp_path / "face.tflite", 128, outputs))
    # 896 pixels are the first 7 rows; white ones score 2, black ones -2.
    white = np.full((64, 64, 3), 255, np.uint8)
    assert len(detector.find(white)) > 0
    assert detector.find(white)[0].score == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-4)
    assert detector.find(np.zeros((64, 64, 3), np.uint8)) == ()
    # A wide photo leaves those rows black.
    assert detector.find(np.full((32, 64, 3), 255, np.uint8)) == ()


@pytest.mark.parametrize(
    ("side", "anchors", "way"),
    [(256, 896, "BlazeFace back camera"), (192, 2304, "BlazeFace full range")],
)
def test_the_other_blazefaces_are_understood(
    tmp_path: Path, side: int, anchors: int, way: str
) -> None:
    raw = blazeface_raw(anchors, {0: (10.0, 10.0, 20.0, 20.0, 4.0)})
    detector = TfliteDetector(detector_file(tmp_path / "face.tflite", side, constants(*raw)))
    assert detector.way == f"{way}, {side}x{side}"
    (face,) = detector.find(np.zeros((side, side, 3), np.uint8))
    first = 8.0 if side == 256 else 2.0
    assert (face.left, face.top) == pytest.approx((first, first), abs=1e-3)
    assert face.width == pytest.approx(20, abs=1e-3)


def test_detections_that_the_graph_suppresses_itself_are_understood(tmp_path: Path) -> None:
    path = post_processed_file(
        tmp_path / "ssd.tflite",
        32,
        [[0.1, 0.2, 0.5, 0.6], [0.5, 0.0, 1.0, 0.1], [0.5, 0.5, 0.9, 0.9]],
        [[0.9], [0.4], [0.8]],
    )
    detector = TfliteDetector(path)
    assert detector.way == "TFLite detector, 32x32"
    faces = detector.find(np.zeros((100, 200, 3), np.uint8))
    assert [(face.left, face.top) for face in faces] == [
        pytest.approx((40, 10), abs=1e-3),
        pytest.approx((100, 50), abs=1e-3),
    ]
    assert (faces[0].width, faces[0].height) == pytest.approx((80, 40), abs=1e-3)
    assert [face.score for face in faces] == pytest.approx([0.9, 0.8])


def test_a_file_of_another_layout_is_refused_by_what_it_gives(tmp_path: Path) -> None:
    path = detector_file(tmp_path / "odd.tflite", 128, constants(np.zeros((1, 100, 16))))
    with pytest.raises(ModelError, match=r"odd\.tflite takes 128x128 .*\(1, 100, 16\).*BlazeFace"):
        TfliteDetector(path)
    wrong_side = detector_file(tmp_path / "side.tflite", 64, constants(*blazeface_raw(896, {})))
    with pytest.raises(ModelError, match="128x128 with 896 anchors"):
        TfliteDetector(wrong_side)


def test_a_detector_that_takes_no_pixels_is_refused(tmp_path: Path) -> None:
    path = detector_file(
        tmp_path / "odd.tflite", 128, constants(*blazeface_raw(896, {})), dtype=tf.int64
    )
    with pytest.raises(ModelError, match=r"odd\.tflite cannot be run on 8-bit or float pixels"):
        TfliteDetector(path)


def test_a_detector_of_8_bit_pixels_is_given_them_as_they_are(tmp_path: Path) -> None:
    def outputs(image: object) -> tuple[object, ...]:
        brightness = tf.reduce_mean(tf.cast(image, tf.float32))
        size = tf.constant([0.0, 0.0, 16.0, 16.0] + [0.0] * 12)
        scores = tf.one_hot([[300]], 896, axis=1) * (brightness - 127.0) - 0.5
        return tf.zeros((1, 896, 16)) + size, scores

    detector = TfliteDetector(detector_file(tmp_path / "f.tflite", 128, outputs, dtype=tf.uint8))
    assert len(detector.find(np.full((128, 128, 3), 129, np.uint8))) == 1
    assert detector.find(np.full((128, 128, 3), 127, np.uint8)) == ()


def test_a_classifier_or_no_model_is_no_detector(tmp_path: Path) -> None:
    from stage_models import crop_model

    with pytest.raises(ModelError, match="takes one RGB image"):
        TfliteDetector(crop_model(tmp_path))
    (tmp_path / "text.tflite").write_text("nothing")
    with pytest.raises(ModelError, match="is no TFLite model"):
        TfliteDetector(tmp_path / "text.tflite")
