"""The preprocessing of the thesis's Table 4, on 8-bit images and before they are resized.

    none             leaves the image as it is
    equalize         histogram equalization
    dog(S1, S2)      difference of Gaussians with standard deviations S1 < S2, in pixels
    gamma(G)         gamma correction, Eq. (4); below 1 brightens
    resize(S)        to S x S pixels before the next step; resize(H, W) likewise

The thesis found that none of them helps and that dog does harm; they are here to repeat that.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from fer_opt.convention import Interpolation
from fer_opt.data.dataset import Image
from fer_opt.errors import ConventionError

__all__ = ["INTERPOLATIONS", "parse_preprocessing", "preprocess"]

INTERPOLATIONS: dict[Interpolation, int] = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}
"""OpenCV's flag for each interpolation; of these only ``area`` averages when shrinking."""

Step = Callable[[Image, Interpolation], Image]

_STEP = re.compile(r"\s*([^\s(),;]+)\s*(?:\(([^()]*)\))?\s*(?:[,;]|$)")
_LARGEST_SIDE = 4096


def parse_preprocessing(steps: str | Sequence[str]) -> tuple[str, ...]:
    """The steps in their canonical spelling: ``"Equalize, gamma(.75)"`` is two of them.

    ``none`` and nothing at all both mean no steps.

    Args:
        steps: one text with steps between commas, or a text for each step.

    Raises:
        ConventionError: an unknown step (the nearest known one is named), or bad numbers in it.
    """
    texts = [steps] if isinstance(steps, str) else steps
    names = [_canonical(*parsed) for text in texts for parsed in _parse(text)]
    return tuple(name for name in names if name != "none")


def preprocess(image: Image, steps: tuple[str, ...], interpolation: Interpolation) -> Image:
    """Apply ``steps``, in their canonical spelling or not, to a grey or RGB image.

    Raises:
        ConventionError: see :func:`parse_preprocessing`.
    """
    for step in _compile(steps):
        image = step(image, interpolation)
    return image


@functools.lru_cache(maxsize=64)
def _compile(steps: tuple[str, ...]) -> tuple[Step, ...]:
    return tuple(
        _MAKERS[name][0](*numbers)
        for text in parse_preprocessing(steps)
        for name, numbers in _parse(text)
    )


def _parse(text: str) -> list[tuple[str, tuple[float, ...]]]:
    """Names and numbers of the steps in ``text``, checked."""
    parsed, position = [], 0
    while text[position:].strip():
        match = _STEP.match(text, position)
        if match is None:
            raise ConventionError(
                f"the preprocessing {text!r} cannot be understood from {text[position:]!r} on; "
                "write steps such as equalize, dog(1, 2) or gamma(0.75) with commas between."
            )
        position = match.end()
        parsed.append(_check(match[1].lower(), match[2]))
    return parsed


def _check(name: str, inside: str | None) -> tuple[str, tuple[float, ...]]:
    if name not in _MAKERS:
        near = difflib.get_close_matches(name, _MAKERS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConventionError(
            f"there is no preprocessing step {name!r}; {hint}"
            f"There are {', '.join(usage for _, usage, _ in _MAKERS.values())}."
        )
    _, usage, valid = _MAKERS[name]
    try:
        numbers = tuple(float(part) for part in inside.split(",")) if (inside or "").strip() else ()  # type: ignore[union-attr]
    except ValueError:
        numbers = (math.nan,)
    if not all(map(math.isfinite, numbers)) or not valid(numbers):
        raise ConventionError(
            f"the preprocessing step {name}({inside or ''}) makes no sense; write {usage}."
        )
    return name, numbers


def _canonical(name: str, numbers: tuple[float, ...]) -> str:
    return f"{name}({', '.join(f'{number:g}' for number in numbers)})" if numbers else name


def _none() -> Step:
    return lambda image, _: image


def _equalize() -> Step:
    """OpenCV's histogram equalization; of a colour image, its luma (ITU-R 601) alone."""

    def equalize(image: Image, _: Interpolation) -> Image:
        if image.ndim == 2:
            return cv2.equalizeHist(image)  # type: ignore[return-value]
        luma = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
        luma[..., 0] = cv2.equalizeHist(np.ascontiguousarray(luma[..., 0]))
        return cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB)  # type: ignore[return-value]

    return equalize


def _dog(narrow: float, wide: float) -> Step:
    """The image blurred by ``narrow`` less the image blurred by ``wide``, around mid-grey 128.

    The thesis does not say how it kept the signed difference in eight bits; the offset of 128,
    clipped at both ends, loses neither the sign nor the scale from image to image.
    """

    def dog(image: Image, _: Interpolation) -> Image:
        pixels = image.astype(np.float32)
        less, more = (cv2.GaussianBlur(pixels, (0, 0), deviation) for deviation in (narrow, wide))
        signed = np.asarray(less - more, np.float32)
        return np.clip(np.rint(signed + 128), 0, 255).astype(np.uint8)

    return dog


def _gamma(gamma: float) -> Step:
    """Eq. (4), V_out = A * V_in ** gamma, on values of 0 to 1 with A = 1, so white stays white."""
    table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return lambda image, _: cv2.LUT(image, table)  # type: ignore[return-value]


def _resize(height: float, width: float | None = None) -> Step:
    size = (int(height if width is None else width), int(height))

    def resize(image: Image, interpolation: Interpolation) -> Image:
        return cv2.resize(image, size, interpolation=INTERPOLATIONS[interpolation])  # type: ignore[return-value]

    return resize


def _sides(numbers: tuple[float, ...]) -> bool:
    whole = all(number.is_integer() and 1 <= number <= _LARGEST_SIDE for number in numbers)
    return len(numbers) in (1, 2) and whole


_MAKERS: dict[str, tuple[Callable[..., Step], str, Callable[[tuple[float, ...]], bool]]] = {
    "none": (_none, "none", lambda numbers: not numbers),
    "equalize": (_equalize, "equalize", lambda numbers: not numbers),
    "dog": (_dog, "dog(1, 2)", lambda sds: len(sds) == 2 and 0 < sds[0] < sds[1] <= 100),
    "gamma": (_gamma, "gamma(0.75)", lambda numbers: len(numbers) == 1 and 0 < numbers[0] <= 100),
    "resize": (_resize, "resize(48)", _sides),
}
