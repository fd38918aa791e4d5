"""Small real models for gates: the same layers, more or fewer of them."""

from __future__ import annotations

from pathlib import Path

SIDE = 32


def make_gate_models(folder: Path) -> None:
    """Write light.tflite, heavy.tflite (several times the work) and fails.tflite."""
    from fer_opt.backend import quiet, tf, tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers

    def write(name: str, network: object, shape: tuple[int, ...]) -> None:
        function = tf.function(network).get_concrete_function(tf.TensorSpec(shape, tf.float32))
        with quiet():
            converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
            (folder / f"{name}.tflite").write_bytes(converter.convert())

    for name, depth in (("light", 2), ("heavy", 8)):
        network = tf_keras.Sequential([
            layers.Input((SIDE, SIDE, 1)),
            *(layers.Conv2D(16, 3, padding="same", activation="relu") for _ in range(depth)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(8, activation="softmax"),
        ])  # fmt: skip
        write(name, network, (1, SIDE, SIDE, 1))
    table = tf.constant(range(10), tf.float32)
    # Fails at run time: the table has ten places.
    write("fails", lambda x: tf.gather(table, tf.cast(x + 10, tf.int32)), (1, 2, 2, 1))
