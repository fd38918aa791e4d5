"""The steps there are and the options each takes, as data."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from fer_opt.errors import RecipeError

__all__ = ["STANDARD_RECIPES", "STEPS", "Choice", "Number", "Option", "StepKind", "Text", "near"]

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words; the first is the default."""

    values: tuple[str, ...]
    help: str

    @property
    def default(self) -> str:
        """What holds where nothing is said."""
        return self.values[0]

    def check(self, where: str, value: object) -> str:
        """The value, or a RecipeError that names the allowed ones."""
        if value not in self.values:
            raise RecipeError(f"{where} is {' or '.join(self.values)}, not {value!r}.")
        return str(value)


@dataclass(frozen=True, slots=True)
class Number:
    """A number between bounds; ``above`` and ``below`` are themselves excluded."""

    default: float
    help: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    whole: bool = False

    def check(self, where: str, value: object) -> int | float:
        """The value, or a RecipeError that names the bounds."""
        fits = (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and (isinstance(value, int) or math.isfinite(value))
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and (not self.whole or value == int(value))
        )
        if not fits:
            raise RecipeError(f"{where} is {self.bounds}, not {value!r}.")
        assert isinstance(value, int | float)
        return int(value) if self.whole else float(value)

    @property
    def bounds(self) -> str:
        """What is allowed, in words."""
        limits = [
            f"{word} {limit:g}"
            for word, limit in (
                ("at least", self.low),
                ("above", self.above),
                ("at most", self.high),
                ("below", self.below),
            )
            if limit is not None
        ]
        return " ".join(["a whole number" if self.whole else "a number", " and ".join(limits)])


@dataclass(frozen=True, slots=True)
class Text:
    """Free text, in quotes."""

    help: str
    default: str = ""

    def check(self, where: str, value: object) -> str:
        """The value, or a RecipeError."""
        if not isinstance(value, str):
            raise RecipeError(f"{where} is text in quotes, not {value!r}.")
        return value


Option = Choice | Number | Text


@dataclass(frozen=True, slots=True)
class StepKind:
    """What a step does and which options it takes.

    Attributes:
        title: the step in words; ``{name}`` stands for an option's value.
        role: whether it changes the network, or is the number format of the file.
        needs_data: whether it wants images whatever its options are.
        options: in order; the first may be given without its name if ``main`` is true.
        main: whether the first option says so much that it always stands in the text.
    """

    title: str
    role: Literal["network", "format"]
    needs_data: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)
    main: bool = False


def _epochs(default: int) -> Number:
    return Number(default, "passes over the training images; 0 trains nothing", low=0, whole=True)


def _learning_rate(default: float) -> Number:
    return Number(default, "Adam's", above=0, high=1)


_IO = "type of the file's input and output"
_FOLD = Choice(("on", "off"), "fold or rewrite batch normalization first, exactly")
_BACKEND = Choice(("converter", "ai_edge"), "TensorFlow's converter, or ai-edge-quantizer")
_INPUT = Choice(
    ("tensor", "crop"),
    "crop: 8-bit RGB of a face, any size; the file resizes, greys and scales it",
)

STEPS: Mapping[str, StepKind] = MappingProxyType(
    {
        "fold": StepKind("batch normalization folded into the layers beside it", "network"),
        "prune_channels": StepKind(
            "{share:.0%} of the channels removed",
            "network",
            options={
                "share": Number(
                    0.5,
                    "of the channels to remove: in each layer, or overall by a scan",
                    above=0,
                    below=1,
                ),
                "importance": Choice(
                    ("l1", "bn", "taylor"), "kernel norms, BN scales, or first-order Taylor on data"
                ),
                "allocation": Choice(
                    ("uniform", "sensitivity"), "the same share everywhere, or by a scan"
                ),
                "layers": Text('shares of their own, e.g. "stage1_*:0.25, stage2_*:0.5"'),
                "multiple": Number(
                    8, "kept channels are rounded up to it", low=1, high=256, whole=True
                ),
            },
            main=True,
        ),
        "low_rank": StepKind(
            "dense and 1x1 kernels split into two thin ones",
            "network",
            options={
                "energy": Number(0.9, "of the squared singular values to keep", above=0, high=1),
                "rank": Number(0, "fixed rank; 0 goes by energy", low=0, whole=True),
                "kernels": Choice(("all", "dense", "pointwise"), "which kernels to split"),
                "multiple": Number(8, "ranks are rounded up to it", low=1, high=256, whole=True),
            },
            main=True,
        ),
        "prune_magnitude": StepKind(
            "{sparsity:.0%} of the weights set to zero",
            "network",
            options={
                "sparsity": Number(0.5, "share of zeros in each kernel", above=0, below=1),
                "schedule": Choice(("polynomial", "constant"), "how it is reached in training"),
                "epochs": _epochs(2),
                "learning_rate": _learning_rate(3e-4),
            },
            main=True,
        ),
        "prune_2_4": StepKind(
            "two of every four weights set to zero",
            "network",
            options={"epochs": _epochs(2), "learning_rate": _learning_rate(3e-4)},
            main=True,
        ),
        "cluster": StepKind(
            "{clusters} distinct values per kernel",
            "network",
            options={
                "clusters": Number(16, "distinct values", low=2, high=256, whole=True),
                "init": Choice(("kmeans", "linear", "density"), "how the values are first chosen"),
                "epochs": _epochs(1),
                "learning_rate": _learning_rate(1e-4),
            },
            main=True,
        ),
        "fine_tune": StepKind(
            "fine-tuned, at most {epochs}x over the images",
            "network",
            options={
                "epochs": Number(3, "passes over the training images", low=1, whole=True),
                "learning_rate": _learning_rate(3e-4),
                "distill": Number(
                    0.0, "share of the loss that follows the original network", low=0, high=1
                ),
                "temperature": Number(4.0, "of the distillation", above=0, high=100),
                "patience": Number(
                    0, "epochs without gain before it stops; 0: never", low=0, whole=True
                ),
            },
            main=True,
        ),
        "quantize_aware": StepKind(
            "trained with quantization in the loop",
            "network",
            needs_data=True,
            options={"epochs": _epochs(2), "learning_rate": _learning_rate(1e-4)},
            main=True,
        ),
        "float32": StepKind("32-bit float", "format", options={"input": _INPUT}),
        "float16": StepKind("16-bit float weights", "format", options={"input": _INPUT}),
        "dynamic": StepKind(
            "dynamic range: 8-bit weights, float activations",
            "format",
            options={"backend": _BACKEND, "input": _INPUT},
        ),
        "int8": StepKind(
            "full integer, 8 bit",
            "format",
            needs_data=True,
            options={
                "io": Choice(("integer", "float"), _IO),
                "fold": _FOLD,
                "backend": _BACKEND,
                "input": _INPUT,
            },
        ),
        "int16x8": StepKind(
            "16-bit activations, 8-bit weights",
            "format",
            needs_data=True,
            options={"io": Choice(("float", "integer"), _IO), "fold": _FOLD},
        ),
    }
)

STANDARD_RECIPES = ("float32", "float16", "dynamic", "int8", "int16x8")


def near(name: str, known: Iterable[str]) -> str:
    """A hint at the name that was meant, and all there are."""
    names = list(known)
    if not names:
        return "it takes none"
    close = difflib.get_close_matches(name, names, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"known: {', '.join(names)}"
