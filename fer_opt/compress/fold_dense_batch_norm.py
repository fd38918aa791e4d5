"""Exact: batch normalization before or after a dense layer becomes part of its kernel and bias."""

from __future__ import annotations

from typing import Any

import numpy as np

from fer_opt.backend import tf_keras
from fer_opt.compress.affine import Affine, Surroundings, affine_of
from fer_opt.compress.graph import Call, Copy, calls, is_linear, rebuild
from fer_opt.compress.structure import structure_of

__all__ = ["fold_dense_batch_norm"]

_Dense = tf_keras.layers.Dense


def fold_dense_batch_norm(network: Any, *, keep_clusters: bool = False) -> Any:
    """Fold batch normalization into dense layers: back into a linear one, else into those it feeds.

    Back: W' = W a and b' = a b + shift along the outputs. Forward: W' = a W along the inputs and
    b' = b + shift W. Where there is nothing to fold, the network itself comes back.

    Args:
        network: flat functional ``tf_keras.Model``.
        keep_clusters: leave kernels of few distinct values alone, which scaling would multiply.
    """
    return _forward(_back(network, keep_clusters), keep_clusters)


def _back(network: Any, keep_clusters: bool) -> Any:
    around = Surroundings(network)
    folded: dict[int, Affine] = {}
    dropped: set[int] = set()
    for call in calls(network):
        if _can_take(call, around, keep_clusters) and is_linear(call.layer):
            affine, chain = around.affine_after(call.output)
            if affine is not None:
                folded[id(call.output)] = affine
                dropped.update(id(item.output) for item in chain)

    def weights(layer: Any, affine: Affine) -> list[Any]:
        kernel, bias = _weights(layer)
        return [kernel * affine.scale, bias * affine.scale + affine.shift]

    return _refolded(network, folded, dropped, weights)


def _forward(network: Any, keep_clusters: bool) -> Any:
    around = Surroundings(network)
    folded: dict[int, Affine] = {}
    dropped: set[int] = set()
    for call in calls(network):
        affine, readers = affine_of(call), around.readers(call.output)
        if (
            affine is not None
            and readers
            and not around.is_output(call.output)
            and all(_can_take(reader, around, keep_clusters) for reader in readers)
        ):
            folded.update({id(reader.output): affine for reader in readers})
            dropped.add(id(call.output))

    def weights(layer: Any, affine: Affine) -> list[Any]:
        kernel, bias = _weights(layer)
        return [affine.scale[:, None] * kernel, bias + affine.shift @ kernel]

    return _refolded(network, folded, dropped, weights)


def _refolded(network: Any, folded: dict[int, Affine], dropped: set[int], weights: Any) -> Any:
    if not folded:
        return network

    def visit(call: Call, copy: Copy) -> Any:
        if id(call.output) in dropped:
            return call.inputs[0]
        affine = folded.get(id(call.output))
        if affine is None:
            return call.apply(copy(call.layer))
        layer = _Dense.from_config({**call.layer.get_config(), "use_bias": True})
        output = call.apply(layer)
        layer.set_weights(weights(call.layer, affine))
        return output

    return rebuild(network, visit)


def _can_take(call: Call, around: Surroundings, keep_clusters: bool) -> bool:
    if type(call.layer) is not _Dense or not around.used_once(call.layer):
        return False
    return not keep_clusters or structure_of(call.layer.get_weights()[0]).cluster is None


def _weights(layer: Any) -> tuple[Any, Any]:
    kernel, *bias = (item.astype(np.float64) for item in layer.get_weights())
    return kernel, bias[0] if bias else np.zeros(kernel.shape[1])
