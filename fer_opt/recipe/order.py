"""Which steps go together in which order, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fer_opt.errors import RecipeError
from fer_opt.recipe.steps import STEPS

if TYPE_CHECKING:
    from fer_opt.recipe.recipe import Step

__all__ = ["check_order"]

_UNDOES_ZEROS = (
    "it replaces a kernel by two thin ones without a zero, which undoes {earlier}; put low_rank "
    "first"
)
_LEAVES_CLUSTERS = "it makes zeros of weights that cluster gave other values; put cluster after it"
_ONE_PATTERN = "its zeros are chosen anew, which undoes those of {earlier}; choose one of the two"

_CLASHES: dict[str, dict[str, str]] = {
    # later step: {earlier step: why not}
    "low_rank": {
        "prune_magnitude": _UNDOES_ZEROS,
        "prune_2_4": _UNDOES_ZEROS,
        "cluster": "it replaces a kernel by two of other values, which undoes {earlier}; put "
        "low_rank first",
    },
    "prune_magnitude": {"cluster": _LEAVES_CLUSTERS, "prune_2_4": _ONE_PATTERN},
    "prune_2_4": {"cluster": _LEAVES_CLUSTERS, "prune_magnitude": _ONE_PATTERN},
    "prune_channels": {
        "prune_2_4": "removing channels tears the groups of four apart; put prune_channels first",
        "fold": "it would take channels that hold a constant, as folding adds them, for useless; "
        "put {earlier} after it",
    },
    "fold": {
        "cluster": "it scales each channel of a kernel, which undoes {earlier}; put fold first",
    },
}

_AFTER_QUANTIZE_AWARE = (
    "the quantization ranges were trained for the network as quantize_aware left it; only int8 may "
    "follow it, so put {later} before quantize_aware"
)


def check_order(steps: Sequence[Step]) -> None:
    """Refuse an order that makes no sense.

    Args:
        steps: the last a number format.

    Raises:
        RecipeError: naming the two steps and the reason.
    """
    text = " > ".join(map(str, steps))
    for step in steps[:-1]:
        if STEPS[step.name].role == "format":
            raise RecipeError(
                f"the recipe {text!r} has {step.name} before its end, but a number format comes "
                "last and a file has one; write them as separate recipes."
            )
    for position, later in enumerate(steps):
        for earlier in steps[:position]:
            if reason := _clash(earlier, later):
                raise RecipeError(
                    f"the recipe {text!r} puts {later.name} after {earlier.name}: {reason}."
                )


def _clash(earlier: Step, later: Step) -> str:
    """Why a step may not stand after another; empty where it may."""
    if earlier.name == "quantize_aware" and later.name != "int8":
        reason = _AFTER_QUANTIZE_AWARE
        if later.name == earlier.name:
            reason = "once is enough; leave the second out and give the first more epochs"
        if STEPS[later.name].role == "format":
            reason = (
                "the quantization ranges it trained are those of int8; end the recipe with int8"
            )
    elif later.name == earlier.name:
        return _undone(earlier, later)
    else:
        reason = _CLASHES.get(later.name, {}).get(earlier.name, "")
    return reason.format(earlier=earlier.name, later=later.name)


def _undone(earlier: Step, later: Step) -> str:
    """Why a step is of no use for the second time, with options that go back behind the first."""
    if later.name == "prune_magnitude":
        first, second = earlier.option("sparsity"), later.option("sparsity")
        if second < first:
            return (
                f"its zeros are chosen anew, and {second} are fewer than the {first} there were; "
                "raise the second, or leave it out"
            )
    if later.name == "cluster":
        first, second = earlier.option("clusters"), later.option("clusters")
        if second > first:
            return (
                f"of the {first} values there are it cannot make {second}; lower the second, or "
                "leave it out"
            )
    return ""
