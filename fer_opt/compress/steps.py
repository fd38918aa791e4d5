"""Every step a recipe can name, by that name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from fer_opt.compress.cluster import cluster
from fer_opt.compress.fine_tune import fine_tune
from fer_opt.compress.low_rank import low_rank
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.prune_2_4 import prune_2_4
from fer_opt.compress.prune_channels import prune_channels
from fer_opt.compress.prune_magnitude import prune_magnitude
from fer_opt.compress.quantize_aware import quantize_aware
from fer_opt.compress.simplify import fold
from fer_opt.recipe import Step

__all__ = ["STEP_FUNCTIONS", "apply_step"]

STEP_FUNCTIONS: Mapping[str, Callable[..., Outcome]] = MappingProxyType(
    {
        "fold": fold,
        "prune_channels": prune_channels,
        "low_rank": low_rank,
        "prune_magnitude": prune_magnitude,
        "prune_2_4": prune_2_4,
        "cluster": cluster,
        "fine_tune": fine_tune,
        "quantize_aware": quantize_aware,
    }
)


def apply_step(step: Step, network: Any, materials: Materials) -> Outcome:
    """Carry out one step on a flat functional ``tf_keras.Model``.

    Raises:
        RecipeError: the step cannot be carried out on this network, or wants images there are none
            of.
        DatasetError: an image cannot be read.
    """
    return STEP_FUNCTIONS[step.name](network, materials, **step.keywords)
