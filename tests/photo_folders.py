"""Folders of real photos, and a real classifier whose label is known beforehand."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.flatbuffer import with_convention

__all__ = [
    "HOSTILE_NAME",
    "SHOWN",
    "brightness_content",
    "brightness_model",
    "portrait",
    "write_photos",
]

HOSTILE_NAME = "<img src=x onerror=\"document.title='pwned'\">.jpg"
ORIENTATION = 0x0112

SHOWN = {
    HOSTILE_NAME: "fear",
    "inside/deeper/PNG.PNG": "fear",
    "inside/deeper/grey.webp": "fear",
    "one0.jpg": "happy",
    "one1.jpg": "happy",
    "one2.jpg": "sad",
    "one3.jpg": "surprise",
    "torn.jpg": "unreadable",
    "turned.jpg": "fear",
    "two.jpg": "several faces",
    "wall.bmp": "no face",
    "words.jpg": "unreadable",
}
"""What the classifier says of each photo of :func:`write_photos`, in their order."""


def brightness_model(folder: Path, name: str = "bright.tflite", classes: int = 8) -> Path:
    """A classifier of 24x24 grey faces that says the label of the nearest brightness.

    Label k is at (k + 0.5) / 8: the darkest faces are neutral, the brightest contempt.
    """
    convention = InputConvention(24, 24, 1, 0.0, 1.0, AFFECTNET_LABELS[:classes])
    path = folder / name
    path.write_bytes(with_convention(brightness_content(classes), convention))
    return path


@functools.cache
def brightness_content(classes: int) -> bytes:
    """Its bytes as the converter gives them, without a word about input and labels."""
    from fer_opt.backend import tf, tf_keras

    layers = tf_keras.layers
    dense = layers.Dense(classes, activation="softmax")
    model = tf_keras.Sequential(
        [layers.Input((24, 24, 1), batch_size=1), layers.GlobalAveragePooling2D(), dense]
    )
    centres = (np.arange(classes) + 0.5) / classes
    # The nearest centre c to a brightness b has the largest 2bc - c*c.
    dense.set_weights([400 * centres[None, :], -200 * centres**2])
    return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


@functools.cache
def _astronaut() -> Image.Image:
    found = importlib.util.find_spec("skimage")
    assert found is not None
    assert found.origin is not None
    picture = Image.open(Path(found.origin).parent / "data" / "astronaut.png").convert("RGB")
    return picture.crop((100, 0, 340, 240))  # her head and shoulders


def portrait(brightness: float, side: int = 240) -> Image.Image:
    """A photograph with one face, whose mean is about ``brightness``, 0 to 1."""
    pixels = np.asarray(_astronaut().resize((side, side)), np.float32) / 255
    face = pixels[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4].mean()
    gamma = np.log(brightness) / np.log(face)
    return Image.fromarray((255 * pixels**gamma).astype(np.uint8))


def write_photos(folder: Path) -> Path:
    """Twelve photos, of which :data:`SHOWN` tells what they show, and four things to leave out."""
    folder.mkdir()
    for index, brightness in enumerate((0.1, 0.1, 0.2, 0.3)):
        portrait(brightness).save(folder / f"one{index}.jpg", quality=92)
    portrait(0.5).save(folder / HOSTILE_NAME)
    inside = folder / "inside" / "deeper"
    inside.mkdir(parents=True)
    portrait(0.5).save(inside / "PNG.PNG")
    portrait(0.5).convert("L").save(inside / "grey.webp")
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    sideways = Image.new("RGB", (360, 240), "gray")
    sideways.paste(portrait(0.5), (60, 0))
    sideways.rotate(90, expand=True).save(folder / "turned.jpg", exif=turned)
    two = Image.new("RGB", (520, 240), "gray")
    two.paste(portrait(0.5), (0, 0))
    two.paste(portrait(0.5), (280, 0))
    two.save(folder / "two.jpg", quality=92)
    Image.new("RGB", (320, 200), "teal").save(folder / "wall.bmp")
    whole = (folder / "one0.jpg").read_bytes()
    (folder / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "words.jpg").write_text("not a picture")
    (folder / ".hidden.jpg").write_bytes(whole)
    (folder / "film.mov").write_bytes(b"film")
    (folder / "inside" / "away").symlink_to(folder)
    return folder
