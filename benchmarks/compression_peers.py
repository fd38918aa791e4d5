"""The same network compressed by other tools alone, as their tutorials show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from compression_rows import Bench

from fer_opt.backend import keras3, tf, tf_keras
from fer_opt.compress.graph import calls
from fer_opt.convert import convert
from fer_opt.data import to_tf_data
from fer_opt.keras_io import from_keras
from fer_opt.recipe import parse_recipe


def peer_tfmot(bench: Bench) -> bytes:
    """The script that tutorials show: prune to 50 %, train on, strip, convert to int8."""
    import tensorflow_model_optimization as tfmot

    tf_keras.utils.set_random_seed(0)
    network = tf_keras.models.load_model(bench.keras_path, compile=False)
    data = to_tf_data(bench.training, bench.convention, batch_size=32, shuffle_seed=0)
    epochs, steps = 2, math.ceil(len(bench.training) / 32)
    sparsity = tfmot.sparsity.keras
    pruned = sparsity.prune_low_magnitude(
        network,
        pruning_schedule=sparsity.PolynomialDecay(0.0, 0.5, 0, epochs * steps),
    )
    pruned.compile(tf_keras.optimizers.Adam(3e-4), tf_keras.losses.SparseCategoricalCrossentropy())
    pruned.fit(data, epochs=epochs, verbose=0, callbacks=[sparsity.UpdatePruningStep()])
    converter = tf.lite.TFLiteConverter.from_keras_model(sparsity.strip_pruning(pruned))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in bench.representative)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def peer_keras3(bench: Bench) -> bytes:
    """The same network in Keras 3, quantized by Keras 3 itself, converted as it is."""
    keras = keras3()
    layers = {layer.name: layer for layer in bench.model.keras.layers}
    network = _in_keras3(keras, bench.model.keras)
    for layer in network.layers:
        if layer.name in layers:
            layer.set_weights(layers[layer.name].get_weights())
    before = np.asarray(network(bench.samples, training=False))
    assert np.allclose(before, bench.model.predict(bench.samples), atol=1e-4)
    network.quantize("int8")
    model = from_keras(network, source="Keras 3", format_="Keras 3", sha256="")
    return convert(model, parse_recipe("float32"), bench.convention)


def _in_keras3(keras: Any, network: Any) -> Any:
    """xcao_two_stream's layers again in Keras 3; all are of kinds both Kerases have."""
    (old,) = network.inputs
    image = keras.Input(old.shape[1:], name="image")
    tensors = {id(old): image}
    for call in calls(network):
        config = call.layer.get_config()
        config = {
            key: value
            for key, value in config.items()
            if key in ("name", "filters", "kernel_size", "padding", "activation", "units", "rate",
                       "pool_size", "strides", "momentum", "epsilon")
        }  # fmt: skip
        layer = getattr(keras.layers, type(call.layer).__name__)(**config)
        given = [tensors[id(tensor)] for tensor in call.inputs]
        tensors[id(call.output)] = layer(given[0] if len(given) == 1 else given)
    return keras.Model(image, tensors[id(network.outputs[0])])
