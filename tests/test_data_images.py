import contextlib
import io
import random
from pathlib import Path

import numpy as np
import pytest
from data_files import face, smooth, write_image
from PIL import Image as PillowImage

from fer_opt.data import BadSampleError
from fer_opt.data.images import crop, decode


def test_grey_and_colour_come_back_as_stored(tmp_path: Path) -> None:
    grey, colour = face(1, (9, 7)), face(2, (9, 7, 3))
    np.testing.assert_array_equal(decode(write_image(tmp_path / "g.png", grey), "g"), grey)
    np.testing.assert_array_equal(decode(write_image(tmp_path / "c.bmp", colour), "c"), colour)
    lossless = write_image(tmp_path / "c.webp", colour, lossless=True)
    np.testing.assert_array_equal(decode(lossless, "c"), colour)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)), (8, lambda a: np.rot90(a))],
)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, turned: object) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    path = write_image(tmp_path / "p.jpg", smooth(20, 32), exif=exif, quality=98, subsampling=0)
    upright = decode(path, "p")
    expected = turned(smooth(20, 32))  # type: ignore[operator]
    assert upright.shape == expected.shape
    assert np.abs(upright.astype(int) - expected).max() < 8


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    pixels = np.array([[0, 257, 65535], [128, 129, 32896]], np.uint16)
    read = decode(write_image(tmp_path / "deep.png", pixels), "deep")
    assert read.dtype == np.uint8
    assert read.tolist() == [[0, 1, 255], [0, 1, 128]]
    wide = write_image(tmp_path / "wide.tif", pixels.astype(np.int32))
    assert decode(wide, "wide").tolist() == read.tolist()


def test_other_modes_become_grey_or_rgb(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(smooth(16, 16))
    for mode, suffix, shape in (
        ("CMYK", "jpg", (16, 16, 3)),
        ("P", "png", (16, 16, 3)),
        ("1", "png", (16, 16)),
        ("L", "jpg", (16, 16)),
        ("YCbCr", "tif", (16, 16, 3)),
    ):
        path = tmp_path / f"{mode}.{suffix}"
        picture.convert(mode).save(path)
        assert decode(path, mode).shape == shape
    cmyk = decode(tmp_path / "CMYK.jpg", "CMYK")
    assert np.abs(cmyk.astype(int) - smooth(16, 16)).mean() < 12


def test_transparent_pixels_show_white(tmp_path: Path) -> None:
    layer = np.zeros((2, 2, 4), np.uint8)
    layer[0, 0] = (10, 20, 30, 255)
    read = decode(write_image(tmp_path / "a.png", layer), "a")
    assert read[0, 0].tolist() == [10, 20, 30]
    assert read[1, 1].tolist() == [255, 255, 255]
    grey = decode(write_image(tmp_path / "la.png", layer[..., 2:]), "la")
    assert grey.tolist() == [[30, 255], [255, 255]]


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tif", "gif"])
def test_a_truncated_file_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = write_image(tmp_path / f"cut.{suffix}", face(3, (64, 64)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadSampleError, match=r"^the photo is (a damaged|no) image"):
        decode(path, "the photo")


def test_what_is_no_image_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(BadSampleError, match="a is no image"):
        decode(tmp_path / "text.jpg", "a")
    with pytest.raises(BadSampleError, match="b is missing"):
        decode(tmp_path / "none.jpg", "b")
    floats = write_image(tmp_path / "f.tif", np.ones((4, 4), np.float32))
    with pytest.raises(BadSampleError, match="floating-point"):
        decode(floats, "c")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "GIF", "WEBP"])
@pytest.mark.filterwarnings("ignore")  # Pillow warns about some damage before it gives up
def test_random_damage_gives_pixels_or_our_error(tmp_path: Path, form: str) -> None:
    buffer = io.BytesIO()
    PillowImage.fromarray(face(4, (24, 24, 3))).save(buffer, form)
    dice = random.Random(form)
    path = tmp_path / "damaged"
    for _ in range(60):
        content = bytearray(buffer.getvalue())
        for _ in range(dice.randrange(1, 6)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        path.write_bytes(content)
        with contextlib.suppress(BadSampleError):
            assert decode(path, "it").dtype == np.uint8


def test_a_box_is_clipped_to_the_image() -> None:
    pixels = face(5, (10, 8))
    np.testing.assert_array_equal(crop(pixels, (2, 3, 4, 5)), pixels[3:8, 2:6])
    np.testing.assert_array_equal(crop(pixels, (-2, -1, 5, 100)), pixels[:, :3])
    assert crop(pixels, (8, 0, 4, 4)).size == 0
    assert crop(pixels, (-9, -9, 4, 4)).size == 0
