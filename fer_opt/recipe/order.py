"""Which steps go together in which order, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence

from fer_opt.errors import RecipeError
from fer_opt.recipe.steps import STEPS

__all__ = ["check_order"]

_UNDOES_ZEROS = (
    "it replaces a kernel by two thin ones without a zero, which undoes {earlier}; put low_rank "
    "first"
)
_LEAVES_CLUSTERS = (
    "its training moves weights out of the values cluster gave them; put cluster after it"
)
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
        "prune_2_4": "removing channels tears the groups of four apart; put prune_channels first"
    },
    "fold": {
        "prune_2_4": "it may merge kernels and so undo {earlier}; put fold first",
        "cluster": "it scales each channel of a kernel, which undoes {earlier}; put fold first",
    },
}

_AFTER_QUANTIZE_AWARE = (
    "the quantization ranges were trained for the network as quantize_aware left it; only int8 may "
    "follow it, so put {later} before quantize_aware"
)


def check_order(steps: Sequence[tuple[str, str]]) -> None:
    """Refuse an order that makes no sense.

    Args:
        steps: name and text of each step, the last a number format.

    Raises:
        RecipeError: naming the two steps and the reason.
    """
    text = " > ".join(shown for _, shown in steps)
    names = [name for name, _ in steps]
    for name in names[:-1]:
        if STEPS[name].role == "format":
            raise RecipeError(
                f"the recipe {text!r} has {name} before its end, but a number format comes last "
                "and a file has one; write them as separate recipes."
            )
    for position, later in enumerate(names):
        for earlier in names[:position]:
            if earlier == "quantize_aware" and later != "int8":
                reason = _AFTER_QUANTIZE_AWARE
                if later == earlier:
                    reason = "once is enough; leave the second out and give the first more epochs"
                if STEPS[later].role == "format":
                    reason = (
                        "the quantization ranges it trained are those of int8; end the recipe "
                        "with int8"
                    )
            else:
                reason = _CLASHES.get(later, {}).get(earlier, "")
            if reason:
                raise RecipeError(
                    f"the recipe {text!r} puts {later} after {earlier}: "
                    f"{reason.format(earlier=earlier, later=later)}."
                )
