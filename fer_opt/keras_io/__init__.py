"""Trained Keras models in: Keras 2 and Keras 3 files, weight pairs and SavedModels, told apart.

A file is read by the Keras that wrote it: ``tf_keras`` for Keras 1.x-2.x, ``keras`` for 3.x. Code
inside a model (Lambda layers, foreign modules) is refused unless the caller allows it, because
loading it would run it. For compression, a model of either Keras is rebuilt flat in ``tf_keras``.
"""

from __future__ import annotations

from fer_opt.keras_io.functional import to_functional
from fer_opt.keras_io.loading import load_model
from fer_opt.keras_io.trained import TrainedModel, from_keras

__all__ = ["TrainedModel", "from_keras", "load_model", "to_functional"]
