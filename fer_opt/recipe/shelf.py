"""A shelf of recipes worth trying, in the order to try them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SHELF", "ShelfRecipe"]


@dataclass(frozen=True, slots=True)
class ShelfRecipe:
    """One recipe and what to expect of it.

    Attributes:
        name: short, may be used in the place of the text.
        text: the recipe.
        use: when to take it.
    """

    name: str
    text: str
    use: str


SHELF = (
    ShelfRecipe("plain", "float32", "the yardstick of every other"),
    ShelfRecipe("quick", "int8", "first try: a quarter of the size, no training"),
    ShelfRecipe(
        "half",
        "prune_channels(0.5) > fine_tune(4, distill=0.5) > int8",
        "faster everywhere: half of the channels, a quarter of the work",
    ),
    ShelfRecipe(
        "patient",
        "prune_channels(0.5, spare=1) > fine_tune(10, distill=0.5) > quantize_aware(2) > int8",
        "half without its loss of accuracy, for three times the training",
    ),
    ShelfRecipe(
        "light",
        "prune_channels(0.5, spare=1) > fine_tune(10, distill=0.5) > fold > dynamic",
        "the same where 8-bit operators are slow: 8-bit weights, float activations",
    ),
    ShelfRecipe(
        "quarter",
        "prune_channels(0.5) > fine_tune(3, distill=0.5) > prune_channels(0.5) > "
        "fine_tune(6, distill=0.5) > quantize_aware(2) > int8",
        "much faster: a quarter of the channels in two rounds, a sixteenth of the work",
    ),
    ShelfRecipe(
        "careful",
        "prune_channels(0.5, importance=taylor, allocation=sensitivity) > "
        "fine_tune(4, distill=0.5) > quantize_aware(2) > int8",
        "where half costs too much accuracy: spares the layers that matter",
    ),
    ShelfRecipe(
        "head",
        "low_rank(0.9, kernels=dense) > fine_tune(2) > int8",
        "where one dense layer holds most of the weights",
    ),
    ShelfRecipe(
        "download",
        "prune_magnitude(0.5) > cluster(16) > quantize_aware(2) > int8",
        "for the download only: smaller when zipped, not faster",
    ),
)
