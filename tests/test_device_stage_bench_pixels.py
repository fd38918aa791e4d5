"""stage_bench's arithmetic is Pillow's, OpenCV's and NumPy's: not one bit differs."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stage_bench_builds import (
    NATIVE,
    PHOTOS,
    ask,
    built,
    decoded,
    resized,
    scaled_box,
    tensor_of,
)

from fer_opt.data.images import decode


@pytest.fixture(scope="module")
def native() -> list[str]:
    return built(NATIVE)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Real photographs in every kind of JPEG that Pillow writes, and odd sizes of noise."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [Path(shutil.copy(photo, folder)) for photo in PHOTOS]
    with Image.open(PHOTOS[0]) as file:
        photo = file.convert("RGB")
    odd = photo.resize((333, 217))
    noise = np.random.default_rng(1).integers(0, 256, (143, 131, 3), dtype=np.uint8)
    kinds = {
        "444": (odd, {"subsampling": 0, "quality": 95}),
        "422": (odd, {"subsampling": 1, "quality": 60}),
        "420": (odd, {"subsampling": 2, "quality": 30}),
        "progressive": (odd, {"progressive": True}),
        "restarts": (odd, {"restart_marker_blocks": 3}),
        "grey": (odd.convert("L"), {}),
        "cmyk": (odd.convert("CMYK"), {}),
        "noise": (Image.fromarray(noise), {"quality": 100}),
        "one": (odd.resize((1, 1)), {}),
        "black": (Image.new("RGB", (40, 30)), {}),
        "white": (Image.new("RGB", (30, 40), "white"), {}),
    }
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        kinds[f"turn{turn}"] = (odd, {"exif": exif})
    for name, (image, options) in kinds.items():
        paths.append(folder / f"{name}.jpg")
        image.save(paths[-1], **options)
    return paths


CASES = [
    (1, (224, 224), "all", 1, (0.0, 1.0)),
    (1, (48, 48), "20,10,97,96", 1, (0.0, 1.0)),
    (2, (224, 224), "31,17,150,163", 1, (-1.0, 1.0)),
    (4, (48, 48), "0,0,333,217", 3, (0.0, 255.0)),
    (8, (37, 50), "5,100,64,9", 1, (-0.5, 0.3)),
]


@pytest.mark.parametrize(("scale", "size", "crop", "channels", "span"), CASES)
def test_every_pixel_and_every_float_is_pythons(
    native: list[str],
    photos: list[Path],
    tmp_path: Path,
    scale: int,
    size: tuple[int, int],
    crop: str,
    channels: int,
    span: tuple[float, float],
) -> None:
    said = ask(
        native, "--runs", "1", "--warm_up", "0", "--dump", tmp_path, "--scale", str(scale),
        "--size", f"{size[0]}x{size[1]}", "--crop", crop, "--channels", str(channels),
        "--range", f"{span[0]!r},{span[1]!r}", *photos,
    )  # fmt: skip
    assert said.status == 0
    for order, photo in enumerate(photos):
        rows = said.of(order)
        pixels = decoded(photo, scale)
        height, width = pixels.shape[:2]
        assert (rows["bitmap"]["width"], rows["bitmap"]["height"]) == (width, height), photo.name
        bitmap = np.fromfile(tmp_path / f"{order}-bitmap.rgb", np.uint8).reshape(pixels.shape)
        np.testing.assert_array_equal(bitmap, pixels, photo.name)
        full = (rows["bitmap"]["full_width"], rows["bitmap"]["full_height"])
        asked = (0, 0, *full) if crop == "all" else tuple(map(int, crop.split(",")))
        box = scaled_box(asked, full, (width, height))
        assert tuple(rows["resize"]["crop"]) == box, photo.name
        face = resized(pixels, box, size)
        dumped = np.fromfile(tmp_path / f"{order}-resize.rgb", np.uint8).reshape(face.shape)
        np.testing.assert_array_equal(dumped, face, photo.name)
        tensor = tensor_of(face, channels, *span)
        floats = np.fromfile(tmp_path / f"{order}-tensor.f32", np.float32).reshape(tensor.shape)
        np.testing.assert_array_equal(floats, tensor, photo.name)


def test_the_librarys_own_decoding_is_the_same(
    native: list[str], photos: list[Path], tmp_path: Path
) -> None:
    ask(native, "--runs", "1", "--dump", tmp_path, "--crop", "none", *photos)
    for order, photo in enumerate(photos):
        pixels = decode(photo, photo.name)
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        bitmap = np.fromfile(tmp_path / f"{order}-bitmap.rgb", np.uint8)
        np.testing.assert_array_equal(bitmap, pixels.reshape(-1), photo.name)


def test_crops_of_any_size_are_resized_as_opencv_does(native: list[str], tmp_path: Path) -> None:
    photo = PHOTOS[0]
    pixels = decoded(photo)
    height, width = pixels.shape[:2]
    dice = random.Random(3)
    boxes = [(0, 0, 448, 427), (7, 3, 96, 96), (0, 0, 48, 48), (1, 1, 1, 1), (9, 9, 2, 300)]
    for _ in range(60):
        left, top = dice.randrange(width), dice.randrange(height)
        boxes.append((left, top, dice.randint(1, width - left), dice.randint(1, height - top)))
    words: list[str | Path] = ["--runs", "1", "--size", "48x48", "--dump", tmp_path]
    for box in boxes:
        words += ["--crop", ",".join(map(str, box)), photo]
    assert ask(native, *words).status == 0
    for order, box in enumerate(boxes):
        dumped = np.fromfile(tmp_path / f"{order}-resize.rgb", np.uint8).reshape(48, 48, 3)
        np.testing.assert_array_equal(dumped, resized(pixels, box, (48, 48)), str(box))


def test_grey_is_right_for_every_colour(native: list[str], tmp_path: Path) -> None:
    # 2,116 shades of red and green beside eight of blue, exactly as wide as the input.
    side = 46
    shades = np.stack(
        np.meshgrid(np.linspace(0, 255, side), np.linspace(0, 255, side), indexing="ij"), axis=-1
    ).astype(np.uint8)
    paths = []
    for blue in range(0, 256, 36):
        image = np.dstack([shades, np.full((side, side), blue, np.uint8)])
        paths.append(tmp_path / f"{blue}.jpg")
        Image.fromarray(image).save(paths[-1], quality=100, subsampling=0)
    ask(native, "--runs", "1", "--size", f"{side}x{side}", "--dump", tmp_path, *paths)
    for order, path in enumerate(paths):
        floats = np.fromfile(tmp_path / f"{order}-tensor.f32", np.float32)
        wanted = tensor_of(decoded(path), 1, 0.0, 1.0)
        np.testing.assert_array_equal(floats, wanted.reshape(-1))


@pytest.mark.parametrize("abi", ["armeabi-v7a", "arm64-v8a", "x86_64"])
def test_every_processor_makes_the_same_pixels(
    native: list[str], photos: list[Path], tmp_path: Path, abi: str
) -> None:
    if abi == NATIVE:
        pytest.skip("it is this computer's own")
    other = built(abi)  # for phones with NEON instructions, here without any
    for scale, crop in ((1, "20,10,97,96"), (2, "all"), (4, "all"), (8, "all")):
        folders = []
        for name, program in (("native", native), ("other", other)):
            folders.append(tmp_path / f"{name}{scale}")
            folders[-1].mkdir()
            said = ask(
                program, "--runs", "1", "--warm_up", "0", "--dump", folders[-1],
                "--range", "-1,1", "--scale", str(scale), "--crop", crop, *photos,
            )  # fmt: skip
            assert said.status == 0
            assert said.rows[0]["abi"] == (abi if name == "other" else NATIVE)
        files = sorted(path.name for path in folders[0].iterdir())
        assert len(files) == 3 * len(photos)
        for name in files:
            assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name
