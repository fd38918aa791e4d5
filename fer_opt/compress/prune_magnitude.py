"""Magnitude pruning: the smallest weights of each kernel become zero."""

from __future__ import annotations

import math
from typing import Any

from fer_opt.compress.graph import rebuild
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.structure import kernels, structure_of
from fer_opt.compress.tfmot import refusals, sparsity
from fer_opt.compress.tuning import Tuning, tune

__all__ = ["prune_magnitude", "prune_with"]


def prune_magnitude(
    network: Any,
    materials: Materials,
    *,
    sparsity: float = 0.5,
    schedule: str = "polynomial",
    epochs: int = 2,
    learning_rate: float = 3e-4,
) -> Outcome:
    """Set ``sparsity`` of the weights in each kernel to zero, by tensorflow-model-optimization.

    The polynomial schedule raises the share of zeros while the network trains (Zhu and Gupta, "To
    prune, or not to prune", 2017); the constant one sets it at once and trains what is left.
    Without epochs the weights are masked once and nothing is trained.

    Raises:
        RecipeError: there is nothing to train on, or no layer that can be pruned.
    """

    def settings(library: Any, steps: int) -> dict[str, Any]:
        if schedule == "polynomial" and epochs:
            # Twenty updates, the last after three quarters of the steps: a multiple of the
            # frequency, or the final sparsity would not be reached.
            frequency = max(1, int(steps * 0.75) // 20)
            end = frequency * max(1, int(steps * 0.75) // frequency)
            decay = library.PolynomialDecay(0.0, sparsity, 0, end, frequency=frequency)
            return {"pruning_schedule": decay}
        # The library counts steps from 1, so a higher frequency could pass a short training by.
        return {"pruning_schedule": library.ConstantSparsity(sparsity, 0, -1, frequency=1)}

    return prune_with(network, materials, "prune_magnitude", settings, epochs, learning_rate)


def prune_with(
    network: Any,
    materials: Materials,
    step: str,
    settings: Any,
    epochs: int,
    learning_rate: float,
) -> Outcome:
    """Prune with the given settings of tensorflow-model-optimization, strip, and say what it left.

    Args:
        network: flat functional model.
        materials: to train on, where there are epochs.
        step: its name, for messages.
        settings: from (library, number of training steps) to keyword arguments.
        epochs: of training; 0 masks once.
        learning_rate: Adam's.

    Raises:
        RecipeError: there is nothing to train on, or no layer that can be pruned.
    """
    library = sparsity()
    copy = rebuild(network, lambda call, copy: call.apply(copy(call.layer)))
    steps = _training_steps(materials, step) * epochs if epochs else 1
    with refusals(step):
        wrapped = library.prune_low_magnitude(copy, **settings(library, steps))
    notes: tuple[str, ...] = ()
    if epochs:
        with refusals(step):
            notes = tune(
                wrapped,
                materials,
                step,
                Tuning(epochs, learning_rate, keep_best=False),
                callbacks=[library.UpdatePruningStep()],
                keep_structure=False,
            )
    with refusals(step):
        if not epochs:
            _mask_once(wrapped)
        stripped = library.strip_pruning(wrapped)
        result = rebuild(stripped, lambda call, copy: call.apply(copy(call.layer)))
    return Outcome(result, (*notes, *_skipped(result, step)))


def _training_steps(materials: Materials, step: str) -> int:
    training, _ = materials.streams(step)
    return max(1, int(training(materials.batch, None).cardinality().numpy()))


def _mask_once(wrapped: Any) -> None:
    """Compute the masks of every wrapped layer at the schedule's first step and apply them."""
    for layer in wrapped.layers:
        if hasattr(layer, "pruning_obj"):
            layer.pruning_step.assign(1)
            layer.pruning_obj.conditional_mask_update()
            layer.pruning_obj.weight_mask_op()


def _skipped(network: Any, step: str) -> tuple[str, ...]:
    """What was left as it was, and the sparsity reached elsewhere."""
    dense: list[tuple[str, float]] = []
    reached: list[tuple[str, float]] = []
    for layer in network.layers:
        for kernel in kernels(layer)[:1]:
            found = structure_of(kernel.numpy())
            (reached if found.mask is not None else dense).append((layer.name, found.sparsity))
    notes = []
    if reached:
        low = min(share for _, share in reached)
        high = max(share for _, share in reached)
        shown = (
            f"{low:.0%}" if math.isclose(low, high, abs_tol=0.005) else f"{low:.0%} to {high:.0%}"
        )
        notes.append(f"{len(reached)} kernels have {shown} zeros.")
    if dense:
        names = ", ".join(name for name, _ in dense[:4]) + (" and others" if len(dense) > 4 else "")
        notes.append(
            f"tensorflow-model-optimization left {len(dense)} kernels as they were, because it "
            f"does not prune layers of their kind or shape: {names}."
        )
    return tuple(notes)
