"""2:4 sparsity: two of every four weights along the input channels become zero."""

from __future__ import annotations

from typing import Any

from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.prune_magnitude import prune_with

__all__ = ["prune_2_4"]


def prune_2_4(
    network: Any, materials: Materials, *, epochs: int = 2, learning_rate: float = 3e-4
) -> Outcome:
    """Set the two smallest of every four neighbouring input channels' weights to zero.

    The pattern is that of Mishra et al., "Accelerating sparse deep neural networks" (2021), made by
    tensorflow-model-optimization, which leaves kernels whose input channels are no multiple of
    four.

    Raises:
        RecipeError: there is nothing to train on, or no layer that can be pruned.
    """

    def settings(library: Any, _: int) -> dict[str, Any]:
        return {
            "pruning_schedule": library.ConstantSparsity(0.5, 0, -1, frequency=1),
            "sparsity_m_by_n": (2, 4),
        }

    return prune_with(network, materials, "prune_2_4", settings, epochs, learning_rate)
