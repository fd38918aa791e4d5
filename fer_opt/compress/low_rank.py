"""Low-rank factors: a large dense or 1x1 kernel becomes two thin ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf_keras
from fer_opt.compress.graph import rebuild
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.errors import RecipeError

__all__ = ["low_rank", "rank_for_energy"]

Floats = npt.NDArray[np.float32]


def low_rank(
    network: Any,
    materials: Materials,
    *,
    energy: float = 0.9,
    rank: int = 0,
    kernels: str = "all",
    multiple: int = 8,
) -> Outcome:
    """Replace kernels W (m x n) by U (m x r) and V (r x n) of their singular value decomposition.

    The truncated decomposition is the closest matrix of rank r (Eckart and Young, 1936); for dense
    layers see Denton et al., "Exploiting linear structure within convolutional networks" (2014).
    Only where r (m + n) < m n, so that there is less to multiply.

    Args:
        network: flat functional model.
        materials: not used.
        energy: share of the sum of squared singular values to keep.
        rank: fixed rank; 0 goes by ``energy``.
        kernels: ``dense`` layers, ``pointwise`` convolutions, or ``all``.
        multiple: ranks are rounded up to it.

    Raises:
        RecipeError: the network has no layer of the kind asked for.
    """
    found = [layer for layer in network.layers if _qualifies(layer, kernels)]
    if not found:
        kind = {"dense": "dense layer", "pointwise": "1x1 convolution"}.get(
            kernels, "dense layer or 1x1 convolution"
        )
        raise RecipeError(f"low_rank finds no {kind} in this network; leave the step out.")
    factors: dict[int, tuple[Floats, Floats]] = {}
    left, notes = [], []
    for layer in found:
        matrix = layer.get_weights()[0].reshape(-1, layer.get_weights()[0].shape[-1])
        made = _factors(matrix, energy, rank, multiple)
        if made is None:
            left.append(layer.name)
        else:
            factors[id(layer)] = made
            notes.append(f"{layer.name}: rank {made[0].shape[1]} of {min(matrix.shape)}.")
    if left:
        notes.append(f"Left as they were, for factors would not be smaller: {', '.join(left)}.")
    pairs: dict[int, tuple[Any, Any]] = {}

    def visit(call: Any, copy: Any) -> Any:
        if id(call.layer) not in factors:
            return call.apply(copy(call.layer))
        if id(call.layer) not in pairs:
            pairs[id(call.layer)] = _two_layers(call.layer, factors[id(call.layer)])
        first, second = pairs[id(call.layer)]
        output = second(first(call.inputs[0]))
        _set_weights(call.layer, first, second, factors[id(call.layer)])
        return output

    return Outcome(rebuild(network, visit), tuple(notes))


def rank_for_energy(singular_values: npt.NDArray[np.floating[Any]], energy: float) -> int:
    """The least rank whose squared singular values sum to at least ``energy`` of all."""
    kept = np.cumsum(np.square(singular_values, dtype=np.float64))
    if kept[-1] == 0:
        return 1
    return min(int(np.searchsorted(kept / kept[-1], energy - 1e-12) + 1), len(kept))


def _qualifies(layer: Any, kernels: str) -> bool:
    layers = tf_keras.layers
    if type(layer) is layers.Dense:
        return kernels in ("all", "dense")
    return (
        type(layer) is layers.Conv2D
        and tuple(layer.kernel_size) == (1, 1)
        and layer.groups == 1
        and kernels in ("all", "pointwise")
    )


def _factors(
    matrix: Floats, energy: float, rank: int, multiple: int
) -> tuple[Floats, Floats] | None:
    """U and V, the singular values shared evenly between them; None where they save nothing."""
    rows, columns = matrix.shape
    left, values, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    wanted = rank or rank_for_energy(values, energy)
    kept = min(-(-wanted // multiple) * multiple, len(values))
    if kept * (rows + columns) >= rows * columns:
        return None
    root = np.sqrt(values[:kept])
    return (
        (left[:, :kept] * root).astype(np.float32),
        (root[:, None] * right[:kept]).astype(np.float32),
    )


def _two_layers(layer: Any, factors: tuple[Floats, Floats]) -> tuple[Any, Any]:
    config, rank = layer.get_config(), factors[0].shape[1]
    size = "filters" if "filters" in config else "units"
    first = {**config, "name": f"{layer.name}_u", size: rank, "use_bias": False}
    first |= {"activation": "linear", "activity_regularizer": None}
    second = {**config, "name": f"{layer.name}_v"}
    if "strides" in second:
        second["strides"] = (1, 1)
    return type(layer).from_config(first), type(layer).from_config(second)


def _set_weights(layer: Any, first: Any, second: Any, factors: tuple[Floats, Floats]) -> None:
    kernel, *bias = layer.get_weights()
    lead = kernel.shape[:-2]
    first.set_weights([factors[0].reshape(*lead, *factors[0].shape)])
    second.set_weights([factors[1].reshape(*lead, *factors[1].shape), *bias])
