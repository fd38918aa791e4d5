"""Preprocessing inside the file against preprocessing before it, and ways to take any crop size.

    python benchmarks/fused_preprocessing.py [--rounds 200] [--threads 1] [--architecture xcao]

Makes an untrained network of the thesis (weights do not change times), converts it with and without
its preprocessing, and times all ways in one process: in every round each is called twice, in random
order, and the second call counts, when its weights are in the caches again. A time is the median
over rounds of what an app waits for: giving the crop to the interpreter, any resize of its input,
and the inference. Prints a table in Markdown, with the operators of each file and how many of them
XNNPACK runs.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf_keras
from fer_opt.convention import AFFECTNET_LABELS, InputConvention
from fer_opt.convert import convert
from fer_opt.data import prepare
from fer_opt.device.host import HostDevice
from fer_opt.device.host_worker import operator_coverage, quantize
from fer_opt.flatbuffer import pack, unpack
from fer_opt.keras_io import from_keras
from fer_opt.models import build
from fer_opt.recipe import parse_recipe

SIDE = 48
CROP = 96
BUCKETS = (64, 96, 128, 192)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Way:
    """One way from a crop to scores.

    Attributes:
        name: what it is called.
        call: takes the number of the round.
        operators: of the file.
        delegated: how many of them XNNPACK runs.
    """

    name: str
    call: Callable[[int], Any]
    operators: int
    delegated: int


def main() -> None:
    parser = argparse.ArgumentParser(description="preprocessing inside and outside of a file")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--architecture", default="xcao")
    chosen = parser.parse_args()
    cv2.setNumThreads(chosen.threads)
    random_pixels = np.random.default_rng(0)
    crops = {
        side: random_pixels.integers(0, 256, (side, side, 3), dtype=np.uint8)
        for side in {SIDE, CROP, 192, 400, *range(90, 103)}
    }
    grey = build(chosen.architecture, input_shape=(SIDE, SIDE, 1), classes=8, seed=0)
    colour = _in_colour(grey, chosen.architecture)
    print(
        f"{HostDevice().facts().name}, {chosen.threads} thread, {chosen.architecture} at "
        f"{SIDE}x{SIDE}, {chosen.rounds} rounds\n"
    )
    print("| format | way | median ms | over the plain file | operators (by XNNPACK) |")
    print("|---|---|---|---|---|")
    for number_format in ("int8", "float32"):
        ways = _ways(number_format, grey, colour, crops, chosen.threads)
        times = _time(ways, chosen.rounds)
        for way, median in zip(ways, times, strict=True):
            print(
                f"| `{number_format}` | {way.name} | {median:.3f} | {median - times[0]:+.3f} | "
                f"{way.operators} ({way.delegated}) |"
            )


def _ways(
    number_format: str, grey: Any, colour: Any, crops: dict[int, Pixels], threads: int
) -> list[Way]:
    plain = _converted(grey, 1, number_format)
    fused = _converted(grey, 1, f"{number_format}(input=crop)")
    folded = _converted(colour, 3, f"{number_format}(input=crop)")
    convention = InputConvention(SIDE, SIDE, 1, 0.0, 1.0, AFFECTNET_LABELS)
    tensors = _Runner(plain, threads)
    fixed = {side: _Runner(_of_size(fused, side), threads) for side in BUCKETS}
    kept = {side: _Runner(fused, threads) for side in crops}
    first = _Runner(folded, threads)
    changing = _Runner(fused, threads)
    ready = tensors.quantized(prepare(crops[CROP], convention))
    many = [crops[side] for side in range(90, 103)]

    def way(name: str, runner: _Runner, call: Callable[[int], Any]) -> Way:
        call(0)
        return Way(name, call, *runner.coverage())

    def bucketed(number: int) -> Any:
        crop = many[number % len(many)]
        side = next(side for side in BUCKETS if side >= crop.shape[0])
        return fixed[side](cv2.resize(crop, (side, side), interpolation=cv2.INTER_LINEAR))

    return [
        way("plain file, tensor ready", tensors, lambda _: tensors.tensor(ready)),
        way(
            f"plain file, OpenCV and NumPy before it, crop {CROP}",
            tensors,
            lambda _: tensors.tensor(tensors.quantized(prepare(crops[CROP], convention))),
        ),
        *(
            way(f"fused, crop {side}", kept[side], lambda _, side=side: kept[side](crops[side]))
            for side in (SIDE, CROP, 192, 400)
        ),
        way(
            "fused, another size each time (90 to 102)",
            changing,
            lambda number: changing(many[number % len(many)]),
        ),
        way(
            f"fused, size {CROP} fixed in the file",
            fixed[CROP],
            lambda _: fixed[CROP](crops[CROP]),
        ),
        way(
            f"fused, one interpreter for each of {', '.join(map(str, BUCKETS))}",
            fixed[CROP],
            bucketed,
        ),
        way(
            f"fused, a new interpreter each time, crop {CROP}",
            fixed[CROP],
            lambda _: _Runner(fused, threads)(crops[CROP]),
        ),
        way(
            f"fused, grey folded on into the first convolution, crop {CROP}",
            first,
            lambda _: first(crops[CROP]),
        ),
    ]  # fmt: skip


class _Runner:
    """An interpreter whose input is resized where the crop has another size."""

    def __init__(self, content: bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._shape = tuple(map(int, self._input["shape"]))

    def __call__(self, crop: Pixels) -> None:
        if (1, *crop.shape) != self._shape:
            self._shape = (1, *crop.shape)
            self._interpreter.resize_tensor_input(self._input["index"], self._shape)
            self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(self._input["index"], crop[np.newaxis])
        self._interpreter.invoke()

    def quantized(self, image: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """An image (height, width, channels) as the input tensor holds it."""
        return quantize(image[np.newaxis], self._input)  # type: ignore[no-any-return]

    def tensor(self, values: npt.NDArray[Any]) -> None:
        self._interpreter.set_tensor(self._input["index"], values)
        self._interpreter.invoke()

    def coverage(self) -> tuple[int, int]:
        operators, delegated = operator_coverage(self._interpreter)
        return operators or 0, delegated or 0


def _converted(network: Any, channels: int, text: str) -> bytes:
    convention = InputConvention(SIDE, SIDE, channels, 0.0, 1.0, AFFECTNET_LABELS)
    images = np.random.default_rng(1).random((20, *convention.input_shape), np.float32)
    model = from_keras(network, source="benchmark", format_="Keras 2", sha256="0")
    return convert(model, parse_recipe(text), convention, images)


def _in_colour(grey: Any, architecture: str) -> Any:
    """The same network on RGB, luma folded into the kernel of its first convolution."""
    colour = build(architecture, input_shape=(SIDE, SIDE, 3), classes=8, seed=0)
    taken = False
    for old, new in zip(grey.layers, colour.layers, strict=True):
        weights = old.get_weights()
        if not taken and isinstance(new, tf_keras.layers.Conv2D):
            weights[0] = weights[0] * LUMA[np.newaxis, np.newaxis, :, np.newaxis]
            taken = True
        new.set_weights(weights)
    images = np.random.default_rng(2).random((4, SIDE, SIDE, 3), np.float32)
    expected = grey.predict((images @ LUMA)[..., np.newaxis], verbose=0)
    np.testing.assert_allclose(colour.predict(images, verbose=0), expected, atol=1e-5)
    return colour


def _of_size(content: bytes, side: int) -> bytes:
    """The file with the size of its input fixed."""
    model = unpack(content)
    graph = model.subgraphs[0]
    tensor = graph.tensors[graph.inputs[0]]
    tensor.shape = np.array([1, side, side, 3], np.int32)
    tensor.shapeSignature = None
    return pack(model)


def _time(ways: list[Way], rounds: int) -> list[float]:
    """Median ms of each way over rounds."""
    order, times = random.Random(0), [[] for _ in ways]  # type: ignore[var-annotated]
    for number in range(rounds):
        places = list(range(len(ways)))
        order.shuffle(places)
        for place in places:
            ways[place].call(2 * number)
            begin = time.perf_counter()
            ways[place].call(2 * number + 1)
            times[place].append((time.perf_counter() - begin) * 1000)
    return [statistics.median(one) for one in times]


if __name__ == "__main__":
    main()
