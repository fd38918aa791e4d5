"""Loading a trained classifier from a file, by the Keras that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_opt.backend import keras3, tf_keras
from fer_opt.errors import ModelError, first_line
from fer_opt.files import sha256_of
from fer_opt.keras_io.formats import (
    looks_like_keras3,
    nodes,
    read_hdf5_config,
    read_json,
    read_zip_config,
    sha256_of_all,
    sniff,
    weights_beside,
)
from fer_opt.keras_io.safety import refuse_code
from fer_opt.keras_io.saved_model import load_saved_model
from fer_opt.keras_io.trained import TrainedModel, from_keras
from fer_opt.noise import quiet

__all__ = ["load_model"]


def load_model(
    path: Path, weights: Path | None = None, *, allow_code: bool = False
) -> TrainedModel:
    """Load a trained classifier from a ``.keras``, HDF5, JSON + HDF5 or SavedModel.

    Args:
        path: the model file, its JSON, or a SavedModel folder.
        weights: the weights of a JSON; by default the HDF5 file beside it.
        allow_code: load models that carry code of their own, which runs it.

    Raises:
        ModelError: missing, corrupt, of an unknown format, with code, or no image classifier.
    """
    kind = sniff(path)
    if kind == "savedmodel":
        return load_saved_model(path, allow_code)
    if kind == "json":
        config = read_json(path)
        weights = weights or weights_beside(path)
        if not weights.is_file():
            raise ModelError(f"{weights} does not exist; give the HDF5 weights of {path.name}.")
        version = config.get("keras_version")
        digest = sha256_of_all([path, weights])
    else:
        reader = read_zip_config if kind == "zip" else read_hdf5_config
        config, version = reader(path)
        digest = sha256_of(path)
    major = 3 if str(version or "2").startswith("3") or looks_like_keras3(config) else 2
    refuse_code(config, path, allow_code)
    library: Any = keras3() if major == 3 else tf_keras
    try:
        with quiet():
            if kind == "json":
                model = library.models.model_from_json(path.read_text("utf-8"))
                model.load_weights(str(weights))
            else:
                model = library.models.load_model(
                    str(path), compile=False, safe_mode=not allow_code
                )
    except Exception as exc:
        raise ModelError(_why_not_loaded(path, major, config, exc)) from exc
    titles = {"json": "JSON + HDF5", "zip": ".keras", "hdf5": "HDF5"}
    return from_keras(
        model,
        source=path.name,
        format_=f"Keras {major} {titles[kind]}",
        sha256=digest,
        name=path.stem,
    )


def _why_not_loaded(path: Path, major: int, config: Mapping[str, Any], exc: Exception) -> str:
    """One sentence on a failed load, naming custom layers where they are the cause."""
    library: Any = keras3() if major == 3 else tf_keras
    known = set(dir(library.layers)) | {"Functional", "Sequential", "Model"}
    layers = [
        node
        for node in nodes(config)
        if isinstance(node.get("config"), dict) and "name" in node["config"]
    ]
    if foreign := sorted({str(n["class_name"]) for n in layers} - known):
        return (
            f"{path} uses {', '.join(foreign)}, whose code is not part of Keras {major} and not "
            "in the file; export the model as a SavedModel and give that folder."
        )
    cause = first_line(exc)[:200]
    return (
        f"{path} cannot be loaded by Keras {major} ({cause}); the file is damaged or its weights "
        "do not fit its structure: save it again."
    )
