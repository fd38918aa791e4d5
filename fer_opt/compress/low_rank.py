"""Low-rank factors: a large dense or 1x1 kernel becomes two thin ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf_keras
from fer_opt.compress.graph import Call, Copy, rebuild
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.wording import counted, listed
from fer_opt.errors import RecipeError
from fer_opt.recipe import make_step

__all__ = ["Factors", "factorize", "low_rank"]

Floats = npt.NDArray[np.float32]

_KINDS = {
    "all": "dense layer or 1x1 convolution",
    "dense": "dense layer",
    "pointwise": "1x1 convolution",
}


@dataclass(frozen=True, slots=True)
class Factors:
    """A matrix W (m, n) as the product of two thin ones.

    Attributes:
        first: float32 (m, rank).
        second: float32 (rank, n).
        energy: share of the sum of squared singular values of W that the product has.
    """

    first: Floats
    second: Floats
    energy: float

    @property
    def rank(self) -> int:
        """Width of the waist."""
        return int(self.first.shape[1])


def low_rank(
    network: Any,
    materials: Materials,
    *,
    energy: float = 0.9,
    rank: int = 0,
    kernels: str = "all",
    multiple: int = 8,
) -> Outcome:
    """Replace dense layers and 1x1 convolutions by two each that multiply less.

    A kernel W of m inputs and n outputs becomes one of m to r and one of r to n, by the truncated
    singular value decomposition (Xue, Li and Gong, "Restructuring of deep neural network acoustic
    models with singular value decomposition", 2013), where that saves multiply-accumulates: where
    r (m + n) < m n. Strides go with the first; bias and activation stay with the second, which
    keeps the layer's name.

    Args:
        network: flat functional ``tf_keras.Model``.
        materials: not used.
        energy: share of the sum of squared singular values to keep, above 0 and at most 1; one
            less this share is the squared error, relative to the kernel's squared norm.
        rank: r for every kernel; 0 takes for each the least that keeps ``energy``.
        kernels: ``dense``, ``pointwise`` (1x1 convolutions) or ``all``.
        multiple: r is rounded up to it.

    Returns:
        The network as it was, and a note, where no layer would get cheaper.

    Raises:
        RecipeError: an option is out of its bounds, the network has no such layer, or a kernel
            holds something that is no number.
    """
    del materials
    make_step("low_rank", energy=energy, rank=rank, kernels=kernels, multiple=multiple)
    layers = [layer for layer in network.layers if _qualifies(layer, kernels)]
    if not layers:
        raise RecipeError(
            f"low_rank finds no {_KINDS[kernels]} to split in this network; leave it out."
        )
    split: dict[str, Factors] = {}
    for layer in layers:
        factors = _worthwhile(layer, energy, rank, multiple)
        if factors is not None:
            split[layer.name] = factors
    left = [layer.name for layer in layers if layer.name not in split]
    return Outcome(_with_factors(network, split), (*_shown(split), *_left(left)))


def factorize(matrix: Floats, energy: float, rank: int = 0, multiple: int = 1) -> Factors:
    """The closest product of two matrices of a rank (Eckart and Young, 1936).

    The singular values are shared evenly between both factors, so that neither outgrows the other.

    Args:
        matrix: (m, n), finite.
        energy: to keep, where ``rank`` is 0.
        rank: wanted; at most min(m, n) is given.
        multiple: the rank is rounded up to it, as far as min(m, n) allows.
    """
    left, values, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    kept = np.cumsum(values**2)
    # Less a share that is only the rounding of float32, or all the energy would want every rank.
    wanted = rank or int(np.searchsorted(kept, energy * kept[-1] * (1 - 1e-12))) + 1
    number = _rounded(wanted, multiple, len(values))
    root = np.sqrt(values[:number])
    return Factors(
        (left[:, :number] * root).astype(np.float32),
        (root[:, None] * right[:number]).astype(np.float32),
        float(kept[number - 1] / kept[-1]) if kept[-1] > 0 else 1.0,
    )


def _rounded(rank: int, multiple: int, most: int) -> int:
    return min(-(-rank // multiple) * multiple, most)


def _qualifies(layer: Any, kernels: str) -> bool:
    if type(layer) is tf_keras.layers.Dense:
        return kernels in ("all", "dense")
    return (
        type(layer) is tf_keras.layers.Conv2D
        and kernels in ("all", "pointwise")
        and tuple(layer.kernel_size) == (1, 1)
        and layer.groups == 1
    )


def _worthwhile(layer: Any, energy: float, rank: int, multiple: int) -> Factors | None:
    """The layer's factors; None where they would multiply as much as it does."""
    kernel = layer.kernel.numpy()
    rows, columns = kernel.shape[-2:]
    if not np.isfinite(kernel).all():
        raise RecipeError(
            f"low_rank cannot split {layer.name}, because its kernel holds something that is no "
            "number; train the network anew."
        )
    if _rounded(rank or 1, multiple, min(rows, columns)) * (rows + columns) >= rows * columns:
        return None  # saves the time to find the factors
    factors = factorize(kernel.reshape(rows, columns), energy, rank, multiple)
    return factors if factors.rank * (rows + columns) < rows * columns else None


def _with_factors(network: Any, split: dict[str, Factors]) -> Any:
    taken = {layer.name for layer in network.layers}
    pairs: dict[str, tuple[Any, Any]] = {}

    def visit(call: Call, copy: Copy) -> Any:
        name = call.layer.name
        if name not in split:
            return call.apply(copy(call.layer))
        if name not in pairs:
            pairs[name] = _two_layers(call.layer, split[name].rank, taken)
        first, second = pairs[name]
        output = second(first(call.inputs[0]))
        shape = call.layer.kernel.shape[:-2]
        first.set_weights([split[name].first.reshape(*shape, *split[name].first.shape)])
        bias = call.layer.get_weights()[1:]
        second.set_weights([split[name].second.reshape(*shape, *split[name].second.shape), *bias])
        return output

    return rebuild(network, visit)


def _two_layers(layer: Any, rank: int, taken: set[str]) -> tuple[Any, Any]:
    config = {**layer.get_config(), "kernel_constraint": None}
    name = f"{layer.name}_low_rank"
    while name in taken:
        name += "_"
    taken.add(name)
    first = {
        **config,
        "name": name,
        "units" if "units" in config else "filters": rank,
        "use_bias": False,
        "activation": "linear",
        "activity_regularizer": None,
    }
    second = config | ({"strides": (1, 1)} if "strides" in config else {})
    second.pop("batch_input_shape", None)
    return type(layer).from_config(first), type(layer).from_config(second)


def _shown(split: dict[str, Factors]) -> tuple[str, ...]:
    if not split:
        return ()
    each = [
        f"{name} {len(item.first)}x{item.second.shape[1]} by rank {item.rank}, {item.energy:.1%} "
        "of its energy"
        for name, item in split.items()
    ]
    return (f"{counted(len(split), 'layer')} became two each: {listed(each)}.",)


def _left(names: list[str]) -> tuple[str, ...]:
    if not names:
        return ()
    return (
        f"{counted(len(names), 'layer')} stayed whole, for two would multiply as much "
        f"({listed(names)}).",
    )
