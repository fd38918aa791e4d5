"""Which format a model file has, and the structure and version written in it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py

from fer_opt.errors import ModelError
from fer_opt.files import sha256_of

__all__ = [
    "looks_like_keras3",
    "nodes",
    "read_hdf5_config",
    "read_json",
    "read_zip_config",
    "sha256_of_all",
    "sniff",
    "weights_beside",
]

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def sniff(path: Path) -> str:
    """Which of the known formats ``path`` is, by content rather than by name."""
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return "savedmodel"
        raise ModelError(
            f"{path} is a folder without saved_model.pb, so it is no SavedModel; "
            "give a .keras, .h5 or .json file, or a SavedModel folder."
        )
    try:
        with path.open("rb") as handle:
            head = handle.read(8)
    except OSError as exc:
        raise ModelError(
            f"{path} cannot be read ({exc.strerror}); check the path to the trained model."
        ) from exc
    if head == _HDF5_MAGIC:
        return "hdf5"
    if head.startswith(b"PK"):
        return "zip"
    if head.lstrip().startswith(b"{"):
        return "json"
    if head[4:8] == b"TFL3":
        raise ModelError(
            f"{path} is already a TFLite model; evaluate and bench take it, "
            "but converting wants the trained Keras model."
        )
    raise ModelError(
        f"{path} is none of .keras, HDF5, JSON or SavedModel "
        f"({'it is empty' if not head else 'its first bytes are of no known format'}); "
        "save the model again from Keras."
    )


def weights_beside(path: Path) -> Path:
    """The HDF5 weights that belong to a model's JSON: of the same stem, or the only ones there."""
    endings = (".weights.h5", "_weights.h5", ".h5", ".hdf5")
    for name in [path.stem + ending for ending in endings] + ["weights.h5", "model.weights.h5"]:
        if (path.parent / name).is_file():
            return path.parent / name
    others = sorted([*path.parent.glob("*.h5"), *path.parent.glob("*.hdf5")])
    if len(others) == 1:
        return others[0]
    raise ModelError(
        f"{path} holds only the structure and {len(others) or 'no'} weight files lie beside it; "
        "name the HDF5 weights with --weights."
    )


def read_json(path: Path) -> dict[str, Any]:
    """The structure in a model's JSON."""
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelError(
            f"{path} is not valid JSON ({exc}); save it with model.to_json()."
        ) from exc
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{path} is JSON, but no Keras model; save it with model.to_json().")
    return config


def read_zip_config(path: Path) -> tuple[dict[str, Any], str | None]:
    """The structure in a ``.keras`` archive, and the version of the Keras that wrote it."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as exc:
        raise ModelError(
            f"{path} is a damaged or foreign archive ({exc}); save the model again as .keras."
        ) from exc
    return config, metadata.get("keras_version")


def read_hdf5_config(path: Path) -> tuple[dict[str, Any], str | None]:
    """The structure in an HDF5 file, and the version of the Keras that wrote it."""
    try:
        with h5py.File(path, "r") as file:
            raw, version = file.attrs.get("model_config"), file.attrs.get("keras_version")
    except OSError as exc:
        raise ModelError(
            f"{path} is damaged and cannot be read as HDF5; copy it again from its source."
        ) from exc
    if raw is None:
        raise ModelError(
            f"{path} holds weights without the model's structure; "
            "give the model's JSON and name this file with --weights."
        )
    text = raw.decode("utf-8") if isinstance(raw, bytes) else str(raw)
    try:
        return json.loads(text), version.decode() if isinstance(version, bytes) else version
    except ValueError as exc:
        raise ModelError(
            f"{path} has a damaged model_config attribute; save the model again."
        ) from exc


def looks_like_keras3(config: Mapping[str, Any]) -> bool:
    """Keras 3 spells an input layer's shape ``batch_shape``; Keras 2 says ``batch_input_shape``."""
    return any(
        node.get("class_name") == "InputLayer" and "batch_shape" in (node.get("config") or {})
        for node in nodes(config)
        if isinstance(node.get("config"), dict)
    )


def nodes(config: Any) -> Iterator[Mapping[str, Any]]:
    """Every object of a model's configuration that names a class."""
    stack = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def sha256_of_all(paths: list[Path]) -> str:
    """One hash over several files, in the order given."""
    return hashlib.sha256("".join(sha256_of(path) for path in paths).encode()).hexdigest()
