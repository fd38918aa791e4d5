"""Every exact rewriting of a network's graph, in the order in which they help each other."""

from __future__ import annotations

from typing import Any

from fer_opt.backend import tf_keras
from fer_opt.compress.drop_training_layers import drop_training_layers, training_layers
from fer_opt.compress.fold_conv_batch_norm import fold_conv_batch_norm
from fer_opt.compress.fold_dense_batch_norm import fold_dense_batch_norm
from fer_opt.compress.fold_relu_batch_norm import fold_relu_batch_norm
from fer_opt.compress.graph import calls
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.rewrite_batch_norm import rewrite_batch_norm

__all__ = ["can_simplify", "fold", "simplify"]


def fold(network: Any, materials: Materials) -> Outcome:
    """The recipe step ``fold``: batch normalization folded or rewritten, the outputs unchanged.

    Args:
        network: flat functional ``tf_keras.Model``.
        materials: not used.
    """
    del materials
    outcome = simplify(network)
    dropped = training_layers(network)
    if not dropped:
        return outcome
    note = (
        f"{_count(len(dropped), 'training-only layer')} taken out ({_names(dropped)}); steps that "
        "train do without them from here on."
    )
    return Outcome(outcome.network, (*outcome.notes, note))


def simplify(network: Any, *, keep_clusters: bool = False) -> Outcome:
    """Drop what acts in training only, fold batch normalization, rewrite what does not fold.

    Outputs stay the same but for float rounding.

    Args:
        network: flat functional ``tf_keras.Model``.
        keep_clusters: leave kernels of few distinct values alone where folding would multiply them.
    """
    steps = (
        ("folded into convolutions", fold_conv_batch_norm),
        (
            "folded into dense layers",
            lambda given: fold_dense_batch_norm(given, keep_clusters=keep_clusters),
        ),
        (
            "folded around ReLUs",
            lambda given: fold_relu_batch_norm(given, keep_clusters=keep_clusters),
        ),
        ("rewritten as 1x1 depthwise convolutions", rewrite_batch_norm),
    )
    current = drop_training_layers(network)
    done = []
    for what, graph_pass in steps:
        before = len(_batch_norms(current))
        current = graph_pass(current)
        if number := before - len(_batch_norms(current)):
            done.append(f"{number} {what}")
    notes = [f"Batch normalizations: {', '.join(done)}."] if done else []
    if left := _batch_norms(current):
        notes.append(
            f"{_count(len(left), 'batch normalization')} could neither fold nor be rewritten "
            f"({_names(left)}): of another axis than the last, with renormalization, or "
            "normalizing by the batch in use."
        )
    return Outcome(current, tuple(notes))


def can_simplify(network: Any) -> bool:
    """Whether something is a flat functional ``tf_keras.Model`` of float32, one in and one out."""
    return (
        isinstance(network, tf_keras.Model)
        and getattr(network, "_is_graph_network", False)
        and len(network.inputs) == len(network.outputs) == 1
        and not any(isinstance(layer, tf_keras.Model) for layer in network.layers)
        and all(layer.dtype_policy.name == "float32" for layer in network.layers)
    )


def _batch_norms(network: Any) -> list[str]:
    kinds = (
        tf_keras.layers.BatchNormalization,
        tf_keras.layers.experimental.SyncBatchNormalization,
    )
    return [call.layer.name for call in calls(network) if isinstance(call.layer, kinds)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _names(names: list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
