"""Training with 8-bit rounding in the loop, so that the network learns to live with it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import tf, tf_keras
from fer_opt.compress.fake_quant import (
    FakeQuant,
    QuantizedConv2D,
    QuantizedDense,
    QuantizedDepthwiseConv2D,
    is_quantize_aware,
)
from fer_opt.compress.graph import Call, Copy, calls, rebuild
from fer_opt.compress.materials import Materials, Outcome
from fer_opt.compress.ranges import Place, plan_ranges
from fer_opt.compress.simplify import simplify
from fer_opt.compress.split_activations import split_activations
from fer_opt.compress.split_separable import split_separable
from fer_opt.compress.split_sums import split_sums
from fer_opt.compress.structure import structure_of
from fer_opt.compress.tuning import Tuning, tune
from fer_opt.errors import RecipeError

__all__ = ["quantize_aware"]

Floats = npt.NDArray[np.float32]

_QUANTIZED: dict[Any, Any] = {
    tf_keras.layers.Conv2D: QuantizedConv2D,
    tf_keras.layers.Dense: QuantizedDense,
    tf_keras.layers.DepthwiseConv2D: QuantizedDepthwiseConv2D,
}


def quantize_aware(
    network: Any, materials: Materials, *, epochs: int = 2, learning_rate: float = 1e-4
) -> Outcome:
    """Round weights and activations as TensorFlow Lite will, calibrate, and train on.

    Zeros and clusters that earlier steps made survive into the 8-bit weights.

    Args:
        network: flat functional ``tf_keras.Model``.
        materials: the representative images calibrate the ranges.
        epochs: passes over the training images; 0 calibrates only.
        learning_rate: Adam's.

    Raises:
        RecipeError: an operation has no 8-bit counterpart, or there is nothing to train on.
        DatasetError: an image cannot be read.
    """
    if is_quantize_aware(network):
        raise RecipeError(
            f"{network.name} is quantization-aware already; leave the second quantize_aware out."
        )
    whole = split_separable(network)
    simplified = simplify(whole, keep_clusters=True)
    atomic = split_sums(split_activations(simplified.network))
    rounded = _with_rounding(atomic, _cluster_gains(whole, atomic))
    _calibrate(rounded, materials)
    notes = tune(rounded, materials, "quantize_aware", Tuning(epochs, learning_rate))
    return Outcome(rounded, (*simplified.notes, *notes))


def _with_rounding(network: Any, gains: dict[str, tuple[Floats, Floats]]) -> Any:
    """The network with its kernels and activations rounded.

    Args:
        network: of operations that have an 8-bit counterpart.
        gains: clustered kernel and gain of layers that have them, by name.
    """
    ranges = plan_ranges(network)
    originals = {id(call.output): call for call in calls(network)}
    rounders: dict[int, Any] = {}
    layers: dict[int, Any] = {}
    images: list[Any] = []

    def rounded(tensor: Any, place: Place) -> Any:
        facts = ranges.facts[place.range]
        if place.range not in rounders:
            rounders[place.range] = FakeQuant(facts.slots, facts.fixed, facts.is_input)
        return rounders[place.range](tensor, slot=place.slot)

    def read(original: Call, moved: Call) -> Call:
        """The call with its inputs rounded where it reads them so."""
        changed = {}
        for old, new in zip(original.inputs, moved.inputs, strict=True):
            value = new
            if old is network.inputs[0]:
                if not images:
                    images.append(rounded(new, ranges.tensors[id(old)]))
                value = images[0]
            if place := ranges.readings.get((id(original.output), id(old))):
                value = rounded(_carried_over(value), place)
            changed[id(new)] = value

        def renewed(value: Any) -> Any:
            return tf.nest.map_structure(lambda item: changed.get(id(item), item), value)

        arguments, keywords = renewed(list(moved.arguments)), renewed(moved.keywords)
        return dataclasses.replace(moved, arguments=tuple(arguments), keywords=keywords)

    def visit(moved: Call, copy: Copy) -> Any:
        call = read(originals[id(moved.output)], moved)
        if type(call.layer) in _QUANTIZED:
            if id(call.layer) in layers:
                output = call.apply(layers[id(call.layer)])
            else:
                layer, weights = _quantized(call.layer, gains.get(call.layer.name))
                output = call.apply(layer)
                layer.set_weights(weights)
                layers[id(call.layer)] = layer
        else:
            output = call.apply(copy(call.layer))
        place = ranges.tensors.get(id(moved.output))
        return output if place is None else rounded(output, place)

    return rebuild(network, visit)


def _carried_over(image: Any) -> Any:
    """An image, unchanged by an operator that may give it another scale.

    Of two roundings in a row the converter would take only one.
    """
    identity = QuantizedDepthwiseConv2D(
        1, use_bias=False, depthwise_initializer="ones", trainable=False
    )
    return identity(image)


def _quantized(layer: Any, gain: tuple[Floats, Floats] | None) -> tuple[Any, list[Any]]:
    """A layer's counterpart with a rounded kernel, and its weights."""
    quantized = _QUANTIZED[type(layer)]
    if gain is None:
        return quantized.from_config(layer.get_config()), layer.get_weights()
    _, *bias = layer.get_weights()
    config = {**layer.get_config(), "clustered": True}
    return quantized.from_config(config), [gain[0], *bias, gain[1]]


def _cluster_gains(before: Any, after: Any) -> dict[str, tuple[Floats, Floats]]:
    """What folding batch normalization did to clustered convolutions, by the layer's name.

    That is the kernel as it was ``before`` and the gain of each channel (channels,) that makes of
    it the kernel ``after``.
    """
    kinds = (tf_keras.layers.Conv2D, tf_keras.layers.DepthwiseConv2D)
    clustered = {
        layer.name: layer.get_weights()[0]
        for layer in before.layers
        if type(layer) in kinds and structure_of(layer.get_weights()[0]).cluster is not None
    }
    found = {}
    for layer in after.layers:
        if layer.name not in clustered or type(layer) not in kinds:
            continue
        old, new = clustered[layer.name], layer.get_weights()[0]
        channels = old.shape[-1] if type(layer) is kinds[0] else old.shape[-1] * old.shape[-2]
        rows, folded = old.reshape(-1, channels), new.reshape(-1, channels)
        largest = np.abs(rows).argmax(axis=0), np.arange(channels)
        alive = rows[largest] != 0
        gain = np.divide(folded[largest], rows[largest], out=np.ones(channels, "f4"), where=alive)
        if np.allclose(rows * gain, folded, rtol=1e-4, atol=1e-7):
            found[layer.name] = (old, gain)
    return found


def _calibrate(network: Any, materials: Materials) -> None:
    """Set the ranges from the representative images before any training.

    Ranges that start elsewhere take long to find their way: at tensorflow-model-optimization's
    -6 to 6, a network of .95 accuracy was left with .14.
    """
    images, batch = materials.representative, materials.batch
    observe = tf.function(lambda part: network(part, training=True), reduce_retracing=True)
    with materials.progress.stage("quantize_aware: calibrating", len(images)) as advance:
        for start in range(0, len(images), batch):
            part = images[start : start + batch]
            observe(tf.constant(part))
            advance(len(part))
