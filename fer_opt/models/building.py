"""From an architecture's name to an untrained Keras model."""

from __future__ import annotations

from typing import Any

from fer_opt.errors import ConventionError
from fer_opt.models.catalogue import architecture

__all__ = ["build"]


def build(
    name: str,
    *,
    input_shape: tuple[int, int, int] = (224, 224, 1),
    classes: int = 8,
    seed: int | None = None,
) -> Any:
    """An untrained ``tf_keras.Model`` of one of the thesis's architectures.

    Its input, ``image``, is float32 (n, height, width, channels); its output, the layer
    ``label``, is the softmax over ``classes`` labels, float32 (n, classes).

    Args:
        name: one of :data:`fer_opt.models.NAMES`.
        input_shape: height, width and channels (1 or 3) of the images.
        classes: number of labels, 2 or more.
        seed: of the initial weights and of dropout; it seeds Python, NumPy and TensorFlow
            globally. None leaves the random state alone.

    Raises:
        ModelError: no architecture of that name.
        ConventionError: the images are too small for it, or shape or labels make no classifier.
    """
    described = architecture(name)
    _check(name, input_shape, classes, described.minimum_side)
    from fer_opt.backend import tf_keras
    from fer_opt.models import applications, baseline, fractal, xcao

    builders = {
        "baseline": baseline.baseline,
        "baseline_enhanced": baseline.baseline_enhanced,
        "xcao": xcao.xcao,
        "xcao_two_stream": xcao.xcao_two_stream,
        "fractal": fractal.fractal,
        "googlenet": applications.googlenet,
        "mobilenet": applications.mobilenet,
    }
    if seed is not None:
        tf_keras.utils.set_random_seed(seed)
    return builders[name](input_shape, classes)


def _check(name: str, shape: tuple[int, int, int], classes: int, minimum_side: int) -> None:
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise ConventionError(
            f"{name} cannot take images of shape {tuple(shape)}; "
            "state height, width and 1 (grey) or 3 (RGB) channels."
        )
    if min(shape[:2]) < minimum_side:
        raise ConventionError(
            f"{name} needs images of at least {minimum_side}x{minimum_side} pixels, not "
            f"{shape[1]}x{shape[0]}; feed it larger ones or choose another architecture."
        )
    if classes < 2:
        raise ConventionError(
            f"a classifier of {classes} labels has nothing to tell apart; state 2 or more."
        )
