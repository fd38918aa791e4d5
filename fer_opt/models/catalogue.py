"""What the architectures are and what the thesis published of them; loads without TensorFlow."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from fer_opt.errors import ModelError

__all__ = ["ARCHITECTURES", "NAMES", "Architecture", "architecture"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """One row of the thesis's Table 5, and what :func:`fer_opt.models.build` makes of it.

    Attributes:
        name: for ``build``, experiment files and the command line.
        title: what Table 5 calls it.
        summary: what it is, in a line.
        thesis_section: where the thesis describes it.
        thesis_parameters: number of parameters Table 5 prints.
        thesis_accuracy: Table 5: trained on the reduced AffectNet, tested on 25,000 faces.
        thesis_loss: Table 5, categorical cross-entropy.
        parameters: number of parameters built here, at 224x224x1 and 8 labels.
        minimum_side: shortest side of an input image, in pixels.
        note: what the reader of the two counts should know; empty when they are equal.
    """

    name: str
    title: str
    summary: str
    thesis_section: str
    thesis_parameters: int
    thesis_accuracy: float
    thesis_loss: float
    parameters: int
    minimum_side: int
    note: str = ""


ARCHITECTURES = (
    Architecture(
        name="baseline",
        title="Baseline",
        summary="two blocks of two convolutions, 32 and 64 channels, and a dense layer of 512",
        thesis_section="3.1.1",
        thesis_parameters=102_839_056,
        thesis_accuracy=0.6276,
        thesis_loss=3.0361,
        parameters=102_830_056,
        minimum_side=8,
        note="Table 5's 102,839,056 is a misprint: the enhanced baseline has exactly the 800 "
        "parameters of its batch normalization more than 102,830,056.",
    ),
    Architecture(
        name="baseline_enhanced",
        title="Baseline enhanced",
        summary="the baseline with batch normalization and dropout",
        thesis_section="3.2.2",
        thesis_parameters=102_830_856,
        thesis_accuracy=0.6300,
        thesis_loss=1.3137,
        parameters=102_830_856,
        minimum_side=8,
    ),
    Architecture(
        name="xcao",
        title="XCao adapted to 224x224",
        summary="14 convolutions, 16 to 128 channels, shrunk to 7x7 before the dense layer",
        thesis_section="3.2.2",
        thesis_parameters=6_970_728,
        thesis_accuracy=0.6861,
        thesis_loss=0.9185,
        parameters=6_970_728,
        minimum_side=32,
    ),
    Architecture(
        name="xcao_two_stream",
        title="X.Cao with 2 streams",
        summary="two xcao trunks side by side, added in the middle and at the end",
        thesis_section="3.2.2",
        thesis_parameters=7_509_672,
        thesis_accuracy=0.7540,
        thesis_loss=0.6863,
        parameters=7_509_672,
        minimum_side=32,
    ),
    Architecture(
        name="fractal",
        title="Fractal with batch Nom. and dropout",
        summary="paths of 4, 2 and 1 blocks, concatenated in the middle, their maximum at the end",
        thesis_section="3.2.2",
        thesis_parameters=26_399_016,
        thesis_accuracy=0.6923,
        thesis_loss=0.991,
        parameters=26_395_128,
        minimum_side=16,
        note="The thesis's figure of the paths did not survive; this layout follows its text and "
        "has 3,888 parameters (0.015 %) fewer.",
    ),
    Architecture(
        name="googlenet",
        title="GoogleNet",
        summary="Keras's InceptionV3, untrained",
        thesis_section="3.1.2",
        thesis_parameters=23_851_784,
        thesis_accuracy=0.6893,
        thesis_loss=1.3067,
        parameters=21_818_600,
        minimum_side=75,
        note="Table 5 counts InceptionV3 as Keras ships it, for 299x299x3 and 1000 classes.",
    ),
    Architecture(
        name="mobilenet",
        title="MobileNet",
        summary="Keras's MobileNet v1, untrained",
        thesis_section="4.1",
        thesis_parameters=4_253_864,
        thesis_accuracy=0.4730,
        thesis_loss=1.4600,
        parameters=3_236_488,
        minimum_side=32,
        note="Table 5 counts MobileNet v1 as Keras ships it, for 224x224x3 and 1000 classes.",
    ),
)
"""In the order the thesis develops them; GoogleNet and MobileNet are its points of reference."""

NAMES = tuple(item.name for item in ARCHITECTURES)
"""What :func:`fer_opt.models.build` knows."""


def architecture(name: str) -> Architecture:
    """The architecture called ``name``.

    Raises:
        ModelError: there is none; the message names the nearest and all.
    """
    for item in ARCHITECTURES:
        if item.name == name:
            return item
    near = difflib.get_close_matches(name.strip().lower().replace("-", "_"), NAMES, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? All" if near else "all"
    raise ModelError(f"there is no architecture {name!r}; {hint} of them are {', '.join(NAMES)}.")
