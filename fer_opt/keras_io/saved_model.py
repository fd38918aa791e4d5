"""SavedModels, through their serving signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fer_opt.backend import tf
from fer_opt.errors import ModelError
from fer_opt.keras_io.formats import sha256_of_all
from fer_opt.keras_io.safety import refuse_unsafe_graph
from fer_opt.keras_io.trained import TrainedModel, classifier_shape
from fer_opt.noise import quiet

__all__ = ["load_saved_model"]


def load_saved_model(path: Path, allow_code: bool) -> TrainedModel:
    """A SavedModel through its serving signature, whichever library exported it."""
    if not allow_code:
        refuse_unsafe_graph(path)
    try:
        with quiet():
            loaded = tf.saved_model.load(str(path))
    except Exception as exc:
        raise ModelError(
            f"{path} is damaged and cannot be loaded as a SavedModel; export it again."
        ) from exc
    signatures = dict(loaded.signatures)
    serve = signatures.get("serving_default") or next(iter(signatures.values()), None)
    if serve is None:
        raise ModelError(
            f"{path} has no serving signature; export it with model.export() or save()."
        )
    _, inputs = serve.structured_input_signature
    outputs = serve.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs, so it is no image "
            "classifier; fer-opt takes models with one image in and one row of label scores out."
        )
    ((input_name, spec),) = inputs.items()
    ((output_name, result),) = outputs.items()
    shape, classes = classifier_shape(tuple(spec.shape), tuple(result.shape), path.name)

    # `loaded` is held by default argument: its variables die with it.
    def network(images: Any, _alive: Any = loaded) -> Any:
        return serve(**{input_name: images})[output_name]

    variables = serve.graph.variables or serve.variables
    return TrainedModel(
        name=path.name,
        source=path.name,
        format="SavedModel",
        sha256=sha256_of_all(sorted(p for p in path.rglob("*") if p.is_file())),
        parameters=int(sum(np.prod(v.shape.as_list()) for v in variables)),
        input_shape=shape,
        classes=classes,
        network=network,
        keras=None,
    )
