"""TensorFlow and both Kerases, imported by name and without their start-up noise.

Import them from here and nowhere else: ``from fer_opt.backend import tf, tf_keras``. The working
Keras is ``tf_keras`` (Keras 2), because tensorflow-model-optimization knows no other; ``keras``
(Keras 3) is only for reading files it wrote.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fer_opt.noise import quiet

__all__ = ["keras3", "tf", "tf_keras"]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# With oneDNN's kernels TensorFlow 2.21 crashes while it trains mini_XCEPTION (separable
# convolutions, 64x64); without them it does not.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


if TYPE_CHECKING:
    tf: Any
    tf_keras: Any
else:
    with quiet():
        import tensorflow as tf
        import tf_keras

    tf.get_logger().setLevel("ERROR")


def keras3() -> Any:
    """Keras 3, which takes its time to import and is needed only for its own files."""
    with quiet():
        import keras
    return keras
