import cv2
import numpy as np
import pytest
from data_files import face, smooth
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.data import parse_preprocessing
from fer_opt.data.preprocessing import preprocess
from fer_opt.errors import ConventionError


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", ()),
        ("none", ()),
        (" Equalize ", ("equalize",)),
        ("dog(1,2)", ("dog(1, 2)",)),
        ("equalize, gamma( .75 ); resize(48)", ("equalize", "gamma(0.75)", "resize(48)")),
        (("DoG(1.5, 3)", "resize(20, 30)"), ("dog(1.5, 3)", "resize(20, 30)")),
        ((), ()),
    ],
)
def test_steps_have_one_spelling(text: str | tuple[str, ...], steps: tuple[str, ...]) -> None:
    assert parse_preprocessing(text) == steps
    assert parse_preprocessing(steps) == steps


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("equalise", "did you mean equalize"),
        ("gama(0.5)", "did you mean gamma"),
        ("sharpen", r"There are none, equalize, dog\(1, 2\)"),
        ("gamma", r"write gamma\(0\.75\)"),
        ("gamma(0)", "makes no sense"),
        ("gamma(nan)", "makes no sense"),
        ("gamma(x)", "makes no sense"),
        ("dog(2, 1)", "makes no sense"),
        ("dog(1)", "makes no sense"),
        ("equalize(3)", "makes no sense"),
        ("resize(0)", "makes no sense"),
        ("resize(4.5)", "makes no sense"),
        ("equalize gamma(1)", "cannot be understood"),
        ("gamma(1", "cannot be understood"),
        (",", "cannot be understood"),
    ],
)
def test_a_wrong_step_is_explained(text: str, complaint: str) -> None:
    with pytest.raises(ConventionError, match=complaint):
        parse_preprocessing(text)


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused_in_our_words(text: str) -> None:
    try:
        steps = parse_preprocessing(text)
    except ConventionError:
        return
    assert parse_preprocessing(steps) == steps


def test_equalization_flattens_the_histogram() -> None:
    dull = (face(1) // 4 + 90).astype(np.uint8)
    equal = preprocess(dull, ("equalize",), "bilinear")
    np.testing.assert_array_equal(equal, cv2.equalizeHist(dull))
    assert (equal.min(), equal.max()) == (0, 255)
    colour = preprocess(smooth(40, 40) // 2, ("equalize",), "bilinear")
    assert colour.shape == (40, 40, 3)
    assert cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY).max() > 200


def test_gamma_is_equation_4() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    lighter = preprocess(ramp, ("gamma(0.75)",), "bilinear").ravel()
    expected = 255 * (np.arange(256) / 255) ** 0.75
    assert np.abs(lighter - expected).max() <= 0.5
    assert lighter[64] > 64
    assert preprocess(ramp, ("gamma(2)",), "bilinear").ravel()[64] < 64
    np.testing.assert_array_equal(preprocess(ramp, ("gamma(1)",), "bilinear"), ramp)


def test_difference_of_gaussians_leaves_edges_around_mid_grey() -> None:
    flat = np.full((32, 32), 200, np.uint8)
    assert np.all(preprocess(flat, ("dog(1, 2)",), "bilinear") == 128)
    edge = flat.copy()
    edge[:, :16] = 40
    found = preprocess(edge, ("dog(1, 2)",), "bilinear").astype(int) - 128
    assert found[16, 15] < -10
    assert found[16, 16] > 10
    assert np.all(found[:, :4] == 0)


def test_resizing_as_a_step_uses_the_conventions_interpolation() -> None:
    pixels = face(2)
    shrunk = preprocess(pixels, ("resize(12, 20)",), "area")
    np.testing.assert_array_equal(
        shrunk, cv2.resize(pixels, (20, 12), interpolation=cv2.INTER_AREA)
    )


def test_steps_apply_in_their_order() -> None:
    pixels = (face(3) // 3).astype(np.uint8)
    steps = preprocess(pixels, ("gamma(0.5)", "equalize"), "bilinear")
    np.testing.assert_array_equal(
        steps, cv2.equalizeHist(preprocess(pixels, ("gamma(0.5)",), "bilinear"))
    )
