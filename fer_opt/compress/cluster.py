"""Weight clustering: each kernel keeps a few distinct values."""

from __future__ import annotations

from typing import Any

from fer_opt.compress.graph import rebuild
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.structure import kernels, structure_of
from fer_opt.compress.tfmot import clustering, refusals
from fer_opt.compress.tuning import Tuning, tune

__all__ = ["cluster"]

INITS = {"kmeans": "KMEANS_PLUS_PLUS", "linear": "LINEAR", "density": "DENSITY_BASED"}


def cluster(
    network: Any,
    materials: Materials,
    *,
    clusters: int = 16,
    init: str = "kmeans",
    epochs: int = 1,
    learning_rate: float = 1e-4,
) -> Outcome:
    """Give each kernel ``clusters`` distinct values, by tensorflow-model-optimization.

    Zeros of a pruned kernel stay. Training moves the values, not the members of a cluster.

    Raises:
        RecipeError: there is nothing to train on, or no layer that can be clustered.
    """
    if epochs:
        materials.streams("cluster")
    library = clustering()
    copy = rebuild(network, lambda call, copy: call.apply(copy(call.layer)))
    with refusals("cluster"):
        from tensorflow_model_optimization.python.core.clustering.keras.experimental import (
            cluster as experimental,
        )

        wrapped = experimental.cluster_weights(
            copy,
            number_of_clusters=clusters,
            cluster_centroids_init=getattr(library.CentroidInitialization, INITS[init]),
            preserve_sparsity=True,
        )
        stripped = library.strip_clustering(wrapped)
        result = rebuild(stripped, lambda call, copy: call.apply(copy(call.layer)))
    notes = tune(result, materials, "cluster", Tuning(epochs, learning_rate))
    return Outcome(result, (*notes, *_reached(result, clusters)))


def _reached(network: Any, clusters: int) -> tuple[str, ...]:
    left = []
    done = 0
    for layer in network.layers:
        for kernel in kernels(layer)[:1]:
            if structure_of(kernel.numpy()).distinct <= clusters:
                done += 1
            else:
                left.append(layer.name)
    notes = [f"{done} kernels have at most {clusters} distinct values."]
    if left:
        names = ", ".join(left[:4]) + (" and others" if len(left) > 4 else "")
        notes.append(
            f"tensorflow-model-optimization left {len(left)} kernels as they were, because it does "
            f"not cluster layers of their kind: {names}."
        )
    return tuple(notes)
