"""The fractal model (section 3.2.2, Figure 20).

A reconstruction, for the figure is not in the text, which gives: 4 blocks of 2 convolutions and a
pool in the main path; the same blocks "replicated in a secondary path reducing symmetrically the
number of block and adding concatenation layers"; a maximum at the end; conventional blocks in
place of pools in cascade. Halving the number of blocks makes paths of 4, 2 and 1, which is the
expansion rule of FractalNet (Larsson et al., 2017: f(C+1) = f(C) twice, joined with one more
block). A path of fewer blocks pools more in each, between its convolutions and after them.

    main, 4 blocks     2,608 + 14,144 + 74,368 + 222,464               =    313,584
    second, 2 blocks   9,824 + 222,464                                 =    232,288
    third, 1 block                                                     =    149,888
    head               14 * 14 * 128 * 1024 + 1024 + 1024 * 8 + 8 + 32 = 25,699,368
                                                                         26,395,128

at 224x224x1 and 8 labels, 3,888 (0.015 %) short of the published 26,399,016. That is not one
misplaced layer: the head leaves 699,648 for the paths, an even multiple of 16, whereas one path
that begins with two normalized 16-channel convolutions, beside wider ones, always makes an odd
multiple. Among some millions of other layouts the few hundred that meet the count to the digit
had arbitrary widths and joins, and nothing in the text to tell one from another.
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

__all__ = ["fractal"]

UNITS = 1024


def fractal(input_shape: tuple[int, int, int], classes: int) -> Any:
    """Paths of 4, 2 and 1 blocks over the same image."""
    image = image_input(input_shape)
    main = _block(image, 16, "main1", FIRST_DROPOUT, shrink=2)
    main = _block(main, 32, "main2", FIRST_DROPOUT, shrink=2)
    second = _block(image, 32, "second1", FIRST_DROPOUT, shrink=4)
    middle = tf_keras.layers.Concatenate(name="middle_concatenate")([main, second])
    main = _block(middle, 64, "main3", LAST_DROPOUT, shrink=2)
    main = _block(main, 128, "main4", LAST_DROPOUT, shrink=2)
    second = _block(middle, 128, "second2", LAST_DROPOUT, shrink=4)
    third = _block(image, 128, "third1", LAST_DROPOUT, shrink=16)
    end = tf_keras.layers.Maximum(name="end_maximum")([main, second, third])
    return tf_keras.Model(image, head(end, UNITS, classes), name="fractal")


def _block(tensor: Any, channels: int, name: str, rate: float, *, shrink: int) -> Any:
    """Two convolutions and as much pooling as divides both sides by ``shrink`` (2, 4 or 16)."""
    between, after = {2: (1, 2), 4: (2, 2), 16: (4, 4)}[shrink]
    tensor = convolution(tensor, channels, f"{name}_1")
    if between > 1:
        tensor = pool(tensor, f"{name}_1", between)
    tensor = convolution(tensor, channels, f"{name}_2")
    tensor = pool(tensor, f"{name}_2", after)
    return dropout(tensor, rate, name)
