"""Pruning by tensorflow-model-optimization (tfmot), which nothing else imports.

The library wraps each layer in one of its own that masks the kernel as the network trains. The
wrappers live only in here: a plain network goes in, and one comes out.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Collection, Iterator
from typing import Any

from fer_opt.backend import tf
from fer_opt.compress.graph import Call, Copy, rebuild
from fer_opt.compress.materials import Materials
from fer_opt.compress.tuning import Tuning, tune
from fer_opt.errors import FerOptError, RecipeError, first_line
from fer_opt.noise import quiet

__all__ = ["constant_sparsity", "polynomial_decay", "prunable", "prune", "tfmot"]

_LEGACY = "TF_USE_LEGACY_KERAS"


@functools.cache
def tfmot() -> Any:
    """The library, imported on first use.

    Raises:
        RecipeError: it is missing or broken.
    """
    before = os.environ.get(_LEGACY)
    try:
        with quiet():
            import tensorflow_model_optimization
    except Exception as exc:  # whatever keeps it from loading
        raise RecipeError(
            f"tensorflow-model-optimization cannot be loaded ({_first_line(exc)}); install it anew."
        ) from exc
    finally:
        # It sets the variable for the whole process, which child processes would inherit.
        if before is None:
            os.environ.pop(_LEGACY, None)
        else:
            os.environ[_LEGACY] = before
    return tensorflow_model_optimization


def prunable(layer: Any) -> list[Any]:
    """The weights of a layer that tfmot would prune; none where it does not know such layers."""
    library = tfmot()
    if isinstance(layer, library.sparsity.keras.PrunableLayer):
        return list(layer.get_prunable_weights())
    # The public functions change the layer they are asked about.
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import (
        PruneRegistry,
    )

    if not PruneRegistry.supports(layer):
        return []
    return [getattr(layer, name) for name in PruneRegistry._weight_names(layer)]


def constant_sparsity(sparsity: float) -> Any:
    """A schedule that chooses the zeros once, in the first training step.

    Args:
        sparsity: share of zeros.
    """
    return tfmot().sparsity.keras.ConstantSparsity(sparsity, begin_step=1, end_step=1, frequency=1)


def polynomial_decay(sparsity: float, steps: int, updates: int) -> Any:
    """A schedule by which the share of zeros rises from nothing, fast at first, then slower.

    Share at step t of T: s - s (1 - t/T)^3 (Zhu and Gupta, "To prune, or not to prune", 2017,
    equation 1).

    Args:
        sparsity: share of zeros in the end.
        steps: training steps until then, 1 or more.
        updates: how often the zeros are chosen anew until then, about.
    """
    frequency = max(steps // updates, 1)
    # tfmot looks only every so many steps: the last look has to be the last step, or the sparsity
    # is never reached.
    end = steps // frequency * frequency
    return tfmot().sparsity.keras.PolynomialDecay(
        0.0, sparsity, begin_step=0, end_step=end, frequency=frequency
    )


def prune(
    network: Any,
    materials: Materials,
    step: str,
    layers: Collection[str],
    parameters: dict[str, Any],
    *,
    epochs: int,
    learning_rate: float,
) -> tuple[Any, tuple[str, ...]]:
    """Prune some layers of a copy of the network.

    Args:
        network: flat functional ``tf_keras.Model``.
        materials: to train on, where there are epochs.
        step: its name, for messages.
        layers: names of those to prune.
        parameters: of ``prune_low_magnitude``.
        epochs: passes over the training images; 0 chooses the zeros once and trains nothing.
        learning_rate: Adam's.

    Returns:
        The pruned network, and notes on its training.

    Raises:
        DatasetError: an image cannot be read.
        RecipeError: tfmot refuses, or the training failed.
    """
    library = tfmot().sparsity.keras
    wrappers: dict[int, Any] = {}

    def wrap(call: Call, copy: Copy) -> Any:
        layer = copy(call.layer)
        if call.layer.name not in layers:
            return call.apply(layer)
        if id(layer) not in wrappers:
            wrappers[id(layer)] = library.prune_low_magnitude(layer, **parameters)
        return call.apply(wrappers[id(layer)])

    def unwrap(call: Call, copy: Copy) -> Any:
        wrapped = any(call.layer is wrapper for wrapper in wrappers.values())
        return call.apply(copy(call.layer.layer if wrapped else call.layer))

    with _refusals(step), quiet():
        masked = rebuild(network, wrap)
    notes: tuple[str, ...] = ()
    if epochs:
        notes = tune(
            masked,
            materials,
            step,
            Tuning(epochs, learning_rate, keep_best=False),
            callbacks=[library.UpdatePruningStep()],
            keep_structure=False,
        )
    else:
        with _refusals(step):
            for wrapper in wrappers.values():
                _mask_once(wrapper)
    for wrapper in wrappers.values():
        for weights, mask, _ in wrapper.pruning_vars:
            # Not only masked: a negative weight times zero is another zero, which compresses badly.
            weights.assign(tf.where(mask != 0, weights, tf.zeros_like(weights)))
    return rebuild(masked, unwrap), notes


def _mask_once(wrapper: Any) -> None:
    """What a training step does with a wrapped layer, but for the training."""
    wrapper.pruning_step.assign(1)
    wrapper.pruning_obj.conditional_mask_update()
    wrapper.pruning_obj.weight_mask_op()


@contextlib.contextmanager
def _refusals(step: str) -> Iterator[None]:
    try:
        yield
    except FerOptError:
        raise
    except Exception as exc:  # whatever the library raises is its way to refuse
        raise RecipeError(
            f"tensorflow-model-optimization would not carry out {step} on this network "
            f"({_first_line(exc)}); leave {step} out."
        ) from exc


def _first_line(exc: BaseException) -> str:
    return first_line(exc)[:200]
