"""Exact: batch normalization that folds nowhere becomes a 1x1 depthwise convolution.

TensorFlow Lite makes a multiplication and an addition of it, each rounded to 8 bits; as a depthwise
convolution it is one operator, with one rounding and a scale for each channel.
"""

from __future__ import annotations

from typing import Any

from fer_opt.backend import tf_keras
from fer_opt.compress.affine import Affine, Surroundings, affine_of
from fer_opt.compress.graph import Call, Copy, calls, rebuild

__all__ = ["rewrite_batch_norm"]


def rewrite_batch_norm(network: Any) -> Any:
    """Rewrite batch normalization, normalization and rescaling as ``DepthwiseConv2D(1)``.

    Its kernel is a = gamma / sqrt(variance + epsilon), its bias beta - mean a. Rows of features are
    reshaped to images of one pixel and back, which costs nothing. What follows in a row becomes
    one layer. Of tensors of five axes or more, or of unknown length, it is left. Where there is
    nothing to rewrite, the network itself comes back.

    Args:
        network: flat functional ``tf_keras.Model``.
    """
    around = Surroundings(network)
    rewritten: dict[int, Affine] = {}
    dropped: set[int] = set()
    for call in calls(network):
        affine = affine_of(call)
        if affine is None or id(call.output) in dropped or not _fits(call.inputs[0].shape):
            continue
        following, chain = around.affine_after(call.output)
        rewritten[id(call.output)] = affine.then(following) if following else affine
        dropped.update(id(item.output) for item in chain)

    if not rewritten:
        return network

    def visit(call: Call, copy: Copy) -> Any:
        if id(call.output) in dropped:
            return call.inputs[0]
        affine = rewritten.get(id(call.output))
        if affine is None:
            return call.apply(copy(call.layer))
        return _depthwise(call.inputs[0], affine, call.layer)

    return rebuild(network, visit)


def _fits(shape: Any) -> bool:
    return len(shape) in (2, 4) or (len(shape) == 3 and shape[1] is not None)


def _depthwise(tensor: Any, affine: Affine, origin: Any) -> Any:
    layers = tf_keras.layers
    depthwise = layers.DepthwiseConv2D(1, name=origin.name, trainable=origin.trainable)
    shape = tuple(tensor.shape[1:])
    if len(shape) == 3:
        output = depthwise(tensor)
    else:
        as_image = (*shape[:-1], *(1,) * (3 - len(shape)), shape[-1])
        image = layers.Reshape(as_image, name=f"{origin.name}_as_image")(tensor)
        output = layers.Reshape(shape, name=f"{origin.name}_as_rows")(depthwise(image))
    depthwise.set_weights([affine.scale.reshape(1, 1, -1, 1), affine.shift])
    return output
