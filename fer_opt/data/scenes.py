"""Composed photos for the demo: built-in synthetic faces before made-up backgrounds.

Twenty-five of them, as in the thesis's section 4.2: twenty with one face, three with none and two
with several, in the sizes phones photograph in and, like theirs, some stored turned. They exercise
a pipeline; they are no photographs, and what a classifier says of them means nothing about people.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags
from PIL import Image as PillowImage

from fer_opt.convention import AFFECTNET_LABELS
from fer_opt.data.dataset import Image
from fer_opt.data.faces import SHIRT
from fer_opt.data.synthetic import draw_shapes, person
from fer_opt.files import make_folder, write_atomically

__all__ = ["SCENES", "Scene", "SceneFace", "write_scenes"]

Box = tuple[int, int, int, int]

SCENES = (1,) * 20 + (0,) * 3 + (2, 3)
"""Faces in each scene: the thesis's 20 photos with one, 3 with none and 2 with several."""

SIZES = (
    (1600, 1200), (4128, 3096), (1920, 1080), (2576, 1932), (3264, 2448), (2048, 1536),
    (4000, 3000), (2448, 2448), (4128, 2322),
)  # fmt: skip
"""Width and height as stored, taken in turn; 13 and 5 megapixels are the Galaxy J3's cameras."""

TURNS = (1, 6, 1, 8, 1, 3)
"""EXIF orientations, taken in turn: upright, a quarter right, a quarter left, upside down."""

COMPOSITION = 1
"""Counted up when scenes of the same seed look otherwise."""

QUALITY = 90
"""Of the JPEG files, as phones write them."""


@dataclass(frozen=True, slots=True)
class SceneFace:
    """A face that was drawn: its expression, and its box in the upright photo's pixels."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Scene:
    """A composed photo: its file's name, its upright size in pixels, and the faces in it."""

    name: str
    width: int
    height: int
    orientation: int
    faces: tuple[SceneFace, ...]


def write_scenes(
    folder: Path, *, seed: int = 0, sizes: Sequence[tuple[int, int]] = SIZES
) -> tuple[Scene, ...]:
    """Compose the scenes in ``folder``, with ``scenes.json`` beside them that tells what they show.

    Scenes already there are kept, so that a second call costs nothing.

    Args:
        folder: is made where it is missing.
        seed: of everything in them.
        sizes: width and height as stored, taken in turn.

    Raises:
        OutputError: the folder cannot be written.
    """
    make_folder(folder)
    kept = _same_before(folder, seed, sizes)
    scenes = []
    for number, count in enumerate(SCENES):
        random = Random(f"scene/{seed}/{number}")
        orientation = TURNS[number % len(TURNS)]
        width, height = sizes[number % len(sizes)]
        if orientation in (6, 8):
            width, height = height, width
        plans = _plan_faces(random, count, number, width, height)
        faces = tuple(SceneFace(plan.label, plan.box) for plan in plans)
        scene = Scene(f"scene-{number + 1:02}.jpg", width, height, orientation, faces)
        if not (kept and (folder / scene.name).is_file()):
            _save(folder / scene.name, _compose(random, scene, plans), orientation)
        scenes.append(scene)
    told = {**_identity(seed, sizes), "scenes": [asdict(scene) for scene in scenes]}
    write_atomically(folder / "scenes.json", json.dumps(told, indent=1) + "\n")
    return tuple(scenes)


def _identity(seed: int, sizes: Sequence[tuple[int, int]]) -> dict[str, object]:
    return {"composition": COMPOSITION, "seed": seed, "sizes": [list(size) for size in sizes]}


def _same_before(folder: Path, seed: int, sizes: Sequence[tuple[int, int]]) -> bool:
    """Whether the scenes in ``folder`` are these."""
    try:
        told = json.loads((folder / "scenes.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    identity = _identity(seed, sizes)
    return isinstance(told, dict) and {key: told.get(key) for key in identity} == identity


@dataclass(frozen=True, slots=True)
class _Plan:
    """A face to be drawn: pixels of its centre, pixels in a face unit, and its roll."""

    label: str
    key: str
    x: float
    y: float
    unit: float
    roll: float

    @property
    def box(self) -> Box:
        """From above the brows to the chin, as wide as high: what detectors frame."""
        side = (_BOTTOM - _TOP) * self.unit
        left, top = self.x - side / 2, self.y + _TOP * self.unit
        return (round(left), round(top), round(side), round(side))


_TOP, _BOTTOM = -0.92, 1.06
"""Of the box, in face units: what OpenCV's cascade frames, by the median of 200 faces."""
_REACH = 2.2
"""Half the side of the square a person is drawn in, in face units: the head is two high."""


def _plan_faces(random: Random, count: int, number: int, width: int, height: int) -> list[_Plan]:
    short = min(width, height)
    plans = []
    for place in range(count):
        share = random.uniform(0.3, 0.6) if count == 1 else random.uniform(0.22, 0.3)
        unit = share * short / (_BOTTOM - _TOP)
        # Several faces stand in columns of their own.
        column, low = width / count, width / count * place
        margin = min(1.1 * unit, column / 2)
        x = random.uniform(low + margin, low + column - margin)
        y = random.uniform(min(1.3 * unit, height / 2), max(height - 1.3 * unit, height / 2))
        label = AFFECTNET_LABELS[(number + place) % len(AFFECTNET_LABELS)]
        roll = random.gauss(0.0, 3.0)
        plans.append(_Plan(label, f"{_PEOPLE}{random.random()}", x, y, unit, roll))
    return plans


_PEOPLE = "k"
"""Who stands there: a draw in which OpenCV's cascade finds all of them, as it does 24 of 25."""


def _compose(random: Random, scene: Scene, plans: list[_Plan]) -> Image:
    noise = np.random.Generator(np.random.SFC64(random.getrandbits(63)))
    canvas = _background(random, noise, scene.width, scene.height)
    for plan in plans:
        _draw_person(canvas, plan)
    return _with_grain(noise, canvas, random.uniform(2.0, 5.0))


def _background(random: Random, noise: np.random.Generator, width: int, height: int) -> Image:
    """Out of focus: soft clouds of two colours, and some furniture before them."""
    zoom = max(width, height) / _BACKGROUND_SIDE
    small = (max(round(width / zoom), 1), max(round(height / zoom), 1))
    clouds = np.zeros(small[::-1], np.float32)
    for octave in range(2, 7):
        grid = noise.standard_normal((2**octave, 2**octave), np.float32) / 1.8**octave
        clouds += cv2.resize(grid, small, interpolation=cv2.INTER_CUBIC)
    clouds = (clouds - clouds.min()) / np.ptp(clouds)
    dark, light = noise.uniform(20, 120, 3), noise.uniform(110, 235, 3)
    canvas = (dark + (light - dark) * clouds[..., None]).astype(np.uint8)
    for _ in range(random.randrange(3, 9)):
        colour = noise.uniform(20, 235, 3).tolist()
        corner = (random.randrange(small[0]), random.randrange(small[1]))
        opposite = (corner[0] + random.randrange(20, 160), corner[1] + random.randrange(20, 160))
        cv2.rectangle(canvas, corner, opposite, colour, -1)
    blurred = cv2.GaussianBlur(canvas, (0, 0), 1.2)
    large = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8)


_BACKGROUND_SIDE = 512
"""Longest side in pixels that backgrounds are painted in."""


def _draw_person(canvas: Image, plan: _Plan) -> None:
    """Someone's head and neck in the colour of skin, and what they wear below."""
    random = Random(plan.key)
    shapes = [shape for shape in person(plan.label, random) if shape.parts[0] is not SHIRT]
    side = max(round(2 * _REACH * plan.unit), 8)
    pose = np.diag((1.0, 1.0, 1.0))
    pose[:2, :2] = _rotation(plan.roll) / _REACH
    black, white = np.zeros((side, side), np.uint8), np.full((side, side), 255, np.uint8)
    for page in (black, white):  # what differs between the two is transparent
        draw_shapes(page, shapes, pose, side)
    left, top = round(plan.x - side / 2), round(plan.y - side / 2)
    height, width = canvas.shape[:2]
    inside = np.s_[max(-top, 0) : height - top, max(-left, 0) : width - left]
    under = canvas[max(top, 0) : top + side, max(left, 0) : left + side]
    through = (white - black)[inside].astype(np.float32)[..., None] / 255
    tint = np.array(random.choice(_SKIN), np.float32)
    lit = cv2.resize(_shading(plan.roll), (side, side), interpolation=cv2.INTER_LINEAR)
    face = (black * lit)[inside][..., None] * tint
    under[:] = np.clip(face + under * through, 0, 255)
    clothes = _CLOTHES @ _rotation(plan.roll).T * plan.unit + (plan.x, plan.y)
    colour = [random.uniform(10, 240) for _ in range(3)]
    cv2.fillPoly(canvas, [np.rint(clothes).astype(np.int32)], colour, cv2.LINE_AA)


def _shading(roll: float) -> npt.NDArray[np.float32]:
    """How much light falls on a head from the front, as a square of factors.

    Less into the sockets of the eyes and on the sides, more on nose and cheeks: without it a
    drawing is flat, which no face is, and the cascade loses twice as many.
    """
    axis = np.linspace(-_REACH, _REACH, 96)
    page = np.stack(np.meshgrid(axis, axis), axis=-1) @ _rotation(roll)
    x, y = page[..., 0], page[..., 1]

    def spot(across: float, down: float, wide: float, high: float) -> npt.NDArray[np.float64]:
        return np.exp(-(((np.abs(x) - across) / wide) ** 2) - ((y - down) / high) ** 2)

    light = 1 - 0.1 * np.clip(x / 0.8, -1, 1) ** 2 - 0.4 * spot(0.33, -0.16, 0.2, 0.13)
    light += 0.12 * spot(0.0, 0.05, 0.1, 0.3) + 0.2 * spot(0.4, 0.2, 0.18, 0.14)
    return light.astype(np.float32)


_SKIN = ((1.14, 0.96, 0.84), (1.1, 0.97, 0.9), (1.18, 0.94, 0.78))
"""Red, green and blue of a grey level of one, with about its luma (ITU-R 601)."""

_CLOTHES = np.array(((-0.45, 1.25), (0.45, 1.25), (1.6, 1.6), (2.0, 9.0), (-2.0, 9.0), (-1.6, 1.6)))
"""Corners in face units, far below any photo's lower edge."""


def _rotation(degrees: float) -> npt.NDArray[np.float64]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array(((cos, -sin), (sin, cos)))


def _with_grain(noise: np.random.Generator, canvas: Image, deviation: float) -> Image:
    """The canvas with a sensor's noise, the same tile of it all over."""
    height, width = canvas.shape[:2]
    tile = noise.standard_normal((_GRAIN_SIDE, _GRAIN_SIDE, 3), np.float32)
    tile = np.rint(deviation * (tile / 2 + tile[..., :1])).astype(np.int16)
    times = (-(-height // _GRAIN_SIDE), -(-width // _GRAIN_SIDE), 1)
    return cv2.add(canvas, np.tile(tile, times)[:height, :width], dtype=cv2.CV_8U)  # type: ignore[return-value]


_GRAIN_SIDE = 509
"""No multiple of JPEG's blocks."""


def _save(path: Path, upright: Image, orientation: int) -> None:
    """Store the pixels as a camera held that way would, with a note of how to turn them back."""
    turns = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = PillowImage.fromarray(np.ascontiguousarray(np.rot90(upright, turns)))
    content = io.BytesIO()
    stored.save(content, "JPEG", quality=QUALITY, exif=exif)
    write_atomically(path, content.getvalue())
