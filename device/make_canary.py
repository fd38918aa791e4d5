"""Make fer_opt/device/phone/canary.tflite, the model by which a phone is known to be throttled.

    python device/make_canary.py

A canary must be the same for ever, or times of different versions of fer-opt would not compare:
run this only to change it on purpose, and enter the printed SHA-256 in
fer_opt/device/phone/canary.py. What it computes means nothing. Three 3x3 convolutions of 29
million multiply-accumulates keep the arithmetic units and little else busy, so that its time
follows the clock: some 20 ms on a Cortex-A53 at 1.4 GHz, by the 114 ms that four of them were
published to need for the 569 million of MobileNet v1.
"""

from __future__ import annotations

from pathlib import Path

from fer_opt.backend import quiet, tf, tf_keras
from fer_opt.files import sha256_of, write_atomically

SIDE = 48
PLACE = Path(__file__).parents[1] / "fer_opt" / "device" / "phone" / "canary.tflite"


def main() -> None:
    """Write the file and say what it is."""
    write_atomically(PLACE, canary())
    said = f"{PLACE.name}: {PLACE.stat().st_size} bytes, SHA-256 {sha256_of(PLACE)}"
    print(said)


def canary() -> bytes:
    """A float32 .tflite file with weights from a fixed seed."""
    tf_keras.utils.set_random_seed(20180701)
    layers = tf_keras.layers
    network = tf_keras.Sequential(
        [
            layers.Input((SIDE, SIDE, 3)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7, activation="softmax"),
        ]
    )
    specification = tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32)
    function = tf.function(network).get_concrete_function(specification)
    with quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
        content: bytes = converter.convert()
    return content


if __name__ == "__main__":
    main()
