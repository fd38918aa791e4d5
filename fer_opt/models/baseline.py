"""The simple baseline (section 3.1.1, Figure 12) and its enhancement (3.2.2, Figure 17).

A reconstruction, for the figures are not in the text: two blocks of two convolutions and a pool,
32 and 64 channels, a dense layer of 512, softmax. At 224x224x1 and 8 labels:

    convolutions    320 + 9,248 + 18,496 + 36,928      =      64,992
    dense           56 * 56 * 64 * 512 + 512           = 102,760,960
    output          512 * 8 + 8                        =       4,104
    baseline                                             102,830,056
    normalization   4 * (32 + 32 + 64 + 64) + 4 * 8    =         800
    enhanced                                             102,830,856

The enhanced count is the one Table 5 prints, so that its 102,839,056 for the plain baseline must be
a misprint of 102,830,056. Section 3.1.1 speaks of "no padding"; only same padding meets the counts.
"""

from __future__ import annotations

from typing import Any

from fer_opt.backend import tf_keras
from fer_opt.models.layers import (
    FIRST_DROPOUT,
    LAST_DROPOUT,
    convolution,
    dropout,
    head,
    image_input,
    pool,
)

__all__ = ["baseline", "baseline_enhanced"]

BLOCKS = ((32, FIRST_DROPOUT), (64, LAST_DROPOUT))
UNITS = 512


def baseline(input_shape: tuple[int, int, int], classes: int) -> Any:
    """Without batch normalization and dropout."""
    return _two_blocks("baseline", input_shape, classes, enhanced=False)


def baseline_enhanced(input_shape: tuple[int, int, int], classes: int) -> Any:
    """With both."""
    return _two_blocks("baseline_enhanced", input_shape, classes, enhanced=True)


def _two_blocks(
    name: str, input_shape: tuple[int, int, int], classes: int, *, enhanced: bool
) -> Any:
    image = image_input(input_shape)
    tensor = image
    for number, (channels, rate) in enumerate(BLOCKS, 1):
        block = f"block{number}"
        for layer in (1, 2):
            tensor = convolution(tensor, channels, f"{block}_{layer}", normalize=enhanced)
        tensor = pool(tensor, block)
        if enhanced:
            tensor = dropout(tensor, rate, block)
    return tf_keras.Model(image, head(tensor, UNITS, classes, enhanced=enhanced), name=name)
