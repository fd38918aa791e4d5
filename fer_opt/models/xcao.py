"""The models after Xudong Cao's advice (section 3.2.2, Figure 18): one stream, and two.

A reconstruction, for the figure is not in the text. The text gives: 16 channels at first, 128 at
last; an early pool of stride 2; features shrunk to 7x7x128. The counts at 224x224x1 and 8 labels
give the rest:

    head    7 * 7 * 128 * 1024 + 1024 + 1024 * 8 + 8 + 4 * 8           = 6,431,784
    trunk   3, 4, 4 and 3 convolutions of 16, 32, 64, 128 channels:
            4,800 + 32,384 + 129,280 + 369,024                         =   535,488
            the batch normalization after each: 4 * (48+128+256+384)   =     3,264
            one more of 16 and one of 32 channels: 4 * 48              =       192
    xcao                                                                 6,970,728
    the second stream: exactly one more trunk                          +   538,944
    xcao_two_stream                                                      7,509,672

Where the two extra normalizations stand is not known; here they follow the pools that end the
first two stages. Five pools make 7 of 224: the early one after the first convolution, and one at
the end of each stage. The two streams are added in the middle, where the sum feeds both second
halves, and again at the end; the counts leave no room for a head on each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fer_opt.backend import tf_keras
from fer_opt.models.layers import (
    FIRST_DROPOUT,
    LAST_DROPOUT,
    convolution,
    dropout,
    head,
    image_input,
    normalization,
    pool,
)

__all__ = ["xcao", "xcao_two_stream"]

UNITS = 1024


@dataclass(frozen=True, slots=True)
class Stage:
    """Convolutions of equal width with a pool and dropout at their end."""

    name: str
    channels: int
    convolutions: int
    dropout: float
    early_pool: bool = False
    normalize_pooled: bool = False


FIRST_HALF = (
    Stage("stage1", 16, 3, FIRST_DROPOUT, early_pool=True, normalize_pooled=True),
    Stage("stage2", 32, 4, FIRST_DROPOUT, normalize_pooled=True),
)
SECOND_HALF = (
    Stage("stage3", 64, 4, FIRST_DROPOUT),
    Stage("stage4", 128, 3, LAST_DROPOUT),
)


def xcao(input_shape: tuple[int, int, int], classes: int) -> Any:
    """One stream."""
    image = image_input(input_shape)
    tensor = _stages(_stages(image, FIRST_HALF), SECOND_HALF)
    return tf_keras.Model(image, head(tensor, UNITS, classes), name="xcao")


def xcao_two_stream(input_shape: tuple[int, int, int], classes: int) -> Any:
    """Two streams of equal shape, added in the middle and at the end."""
    image = image_input(input_shape)
    streams = ("left_", "right_")
    middle = tf_keras.layers.Add(name="middle_add")(
        [_stages(image, FIRST_HALF, prefix) for prefix in streams]
    )
    end = tf_keras.layers.Add(name="end_add")(
        [_stages(middle, SECOND_HALF, prefix) for prefix in streams]
    )
    return tf_keras.Model(image, head(end, UNITS, classes), name="xcao_two_stream")


def _stages(tensor: Any, stages: tuple[Stage, ...], prefix: str = "") -> Any:
    for stage in stages:
        name = prefix + stage.name
        for number in range(1, stage.convolutions + 1):
            tensor = convolution(tensor, stage.channels, f"{name}_{number}")
            if stage.early_pool and number == 1:
                tensor = pool(tensor, f"{name}_early")
        tensor = pool(tensor, name)
        if stage.normalize_pooled:
            tensor = normalization(tensor, f"{name}_pool_bn")
        tensor = dropout(tensor, stage.dropout, name)
    return tensor
