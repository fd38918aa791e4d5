"""A network whose channels can be switched off one by one, at the layers that read them.

Where batch normalization follows a ReLU, a filter of zeros still gives a constant; switched off at
the reader, a channel is gone, and that is what removing it does.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf, tf_keras
from fer_opt.compress.channels.dependencies import Dependencies
from fer_opt.compress.graph import rebuild
from fer_opt.compress.tuning import gives_probabilities

__all__ = ["Gated", "gate"]

_FEW = 32
"""Images enough to see what a network gives."""


class _Gate(tf_keras.layers.Layer):  # type: ignore[misc]
    """Multiplies each channel by a weight, one at first."""

    def build(self, shape: Any) -> None:
        self.open = self.add_weight("open", (int(shape[-1]),), initializer="ones")
        super().build(shape)

    def call(self, tensor: Any) -> Any:
        return tensor * self.open


@dataclass(frozen=True, slots=True)
class Gated:
    """A copy of a network with a gate before every layer that reads all of its input's channels.

    Attributes:
        network: with gates.
        gates: per reading layer, its gate's weights and the root of each channel it reads.
    """

    network: Any
    gates: dict[str, tuple[Any, npt.NDArray[np.int64]]]

    def close(self, removed: Collection[int]) -> None:
        """Switch these channels off everywhere, and all others on."""
        shut = np.array(sorted(removed), dtype=np.int64)
        for variable, roots in self.gates.values():
            variable.assign((~np.isin(roots, shut)).astype(np.float32))

    def cross_entropy(self, images: Any, labels: Any) -> float:
        """Mean of it over labelled images."""
        outputs = self.network(images, training=False)
        probabilities = gives_probabilities(self.network, images[:_FEW])
        return float(tf.reduce_mean(_losses(probabilities, outputs, labels)))

    def taylor(self, images: Any, labels: Any) -> dict[int, float]:
        """|change of the loss| to first order if a channel were switched off, mean over images.

        The gradient with respect to a gate is the sum over places of activation times gradient
        (Molchanov et al., "Pruning convolutional neural networks", 2017, equation 7).
        """
        variables = [variable for variable, _ in self.gates.values()]
        probabilities = gives_probabilities(self.network, images[:_FEW])
        all_roots = np.concatenate([roots for _, roots in self.gates.values()])

        def gradients(image: Any, label: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = _losses(probabilities, self.network(image, training=False), label)
            return tf.concat(tape.gradient(loss, variables), axis=0)

        compiled = tf.function(gradients, reduce_retracing=True)
        found = np.unique(all_roots)
        place = np.searchsorted(found, all_roots)
        total = np.zeros(len(found))
        for index in range(len(images)):
            one = np.asarray(compiled(images[index : index + 1], labels[index : index + 1]))
            # A channel read in several places goes everywhere at once.
            total += np.abs(np.bincount(place, weights=one, minlength=len(found)))
        return dict(zip(found.tolist(), (total / len(images)).tolist(), strict=True))


def gate(network: Any, dependencies: Dependencies) -> Gated:
    """Put a gate before every layer that reads all of its input's channels."""
    made: dict[str, Any] = {}

    def visit(call: Any, copy: Any) -> Any:
        name = call.layer.name
        if name not in dependencies.read:
            return call.apply(copy(call.layer))
        if name not in made:
            made[name] = _Gate(name=f"{name}_gate")
        return copy(call.layer)(made[name](call.inputs[0]))

    gated = rebuild(network, visit)
    return Gated(
        gated,
        {
            name: (layer.open, dependencies.roots(dependencies.read[name]))
            for name, layer in made.items()
        },
    )


def _losses(probabilities: bool, outputs: Any, labels: Any) -> Any:
    return tf_keras.losses.sparse_categorical_crossentropy(
        labels, outputs, from_logits=not probabilities
    )
