"""Untrained models as .tflite files, converted once and kept in fer-opt's cache.

Their weights are random: only their times and sizes mean anything, which depend on shapes alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import fer_opt
from fer_opt.experiment.store import default_store, key_of, made_by
from fer_opt.files import make_folder, write_atomically

SEED = 0
SAMPLES = 20
"""Random images that calibrate integer models."""


def converted(model: str, recipe: str, *, side: int) -> Path:
    """The file, made anew only where the code that makes it has changed."""
    from filelock import FileLock

    folder = make_folder(default_store().folder / "benchmarks")
    key = key_of(
        {"model": model, "recipe": recipe, "side": side, "made_by": {**made_by(), "code": _code()}}
    )
    path = folder / f"{model}-{side}-{recipe}-{key[:12]}.tflite"
    if not path.exists():
        with FileLock(f"{path}.lock"):
            if not path.exists():
                write_atomically(path, _convert(model, recipe, side))
    return path


def _convert(model: str, recipe: str, side: int) -> bytes:
    import numpy as np

    from fer_opt.convention import AFFECTNET_LABELS, InputConvention
    from fer_opt.convert import convert
    from fer_opt.keras_io.trained import from_keras
    from fer_opt.models import build
    from fer_opt.recipe import parse_recipe

    network = build(model, input_shape=(side, side, 1), seed=SEED)
    images = np.random.default_rng(SEED).random((SAMPLES, side, side, 1), np.float32)
    _normalise(network, images)
    trained = from_keras(
        network, source=f"untrained {model}", format_="built here", sha256="", name=model
    )
    convention = InputConvention(side, side, 1, 0.0, 1.0, AFFECTNET_LABELS)
    return convert(trained, parse_recipe(recipe), convention, images)


def _normalise(network: Any, images: Any) -> None:
    """Let batch normalization take the statistics of ``images``, as training would.

    With its initial ones activations fade from layer to layer, until MobileNet's 16-bit scales are
    so small that LiteRT refuses them.
    """
    layers = [one for one in network.layers if type(one).__name__ == "BatchNormalization"]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    network(images, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _code() -> str:
    """A hash of what builds and converts, besides what ``made_by`` covers."""
    package = Path(fer_opt.__file__).parent
    files = [*sorted((package / "models").glob("*.py")), package / "convert.py", Path(__file__)]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
