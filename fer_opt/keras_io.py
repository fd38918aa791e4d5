"""Trained Keras models in: Keras 2 and Keras 3 files, weight pairs and SavedModels, told apart.

A file is read by the Keras that wrote it: ``tf_keras`` for Keras 1.x-2.x, ``keras`` for 3.x. Code
inside a model (Lambda layers, foreign modules) is refused unless the caller allows it, because
loading it would run it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fer_opt.backend import keras3, tf, tf_keras
from fer_opt.errors import ModelError
from fer_opt.files import sha256_of
from fer_opt.noise import quiet
from fer_opt.reports.record import ModelFacts

__all__ = ["TrainedModel", "from_keras", "load_model"]

_SAFE_MODULES = ("keras", "tf_keras", "builtins")
# Operations a functional Keras 2 model may hold as TFOpLambda; all are pure arithmetic.
_SAFE_OPS = ("math.", "nn.", "image.", "__operators__.", "linalg.")
_SAFE_OPS_BY_NAME = {
    "cast", "clip_by_value", "concat", "convert_to_tensor", "expand_dims", "identity", "pad",
    "reshape", "split", "squeeze", "stack", "tile", "transpose", "unstack", "where",
}  # fmt: skip
# SavedModel operations that reach outside the graph.
_UNSAFE_GRAPH_OPS = {
    "EagerPyFunc", "PyFunc", "PyFuncStateless", "ReadFile", "WriteFile", "Save", "SaveV2",
    "MatchingFiles", "PrintV2",
}  # fmt: skip
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained image classifier, whichever Keras it came from.

    Attributes:
        name: its file's, without the ending, or the model's own.
        source: the file's name, or how the model came to be.
        format: e.g. ``Keras 2 HDF5``.
        sha256: of the file (of JSON and weights, or of all files of a folder, in name order).
        parameters: number of weights, trainable or not.
        input_shape: height, width (None where the model takes any), channels.
        classes: number of outputs.
        network: float32 tensor (n, height, width, channels) in, tensor (n, classes) out, in
            inference mode.
        keras: the Keras model; None for a SavedModel.
    """

    name: str
    source: str
    format: str
    sha256: str
    parameters: int
    input_shape: tuple[int | None, int | None, int]
    classes: int
    network: Callable[[Any], Any]
    keras: Any

    def predict(self, images: npt.NDArray[np.float32], batch: int = 64) -> npt.NDArray[np.float32]:
        """Outputs (n, classes) for ``images`` (n, height, width, channels), in batches."""
        call = tf.function(self.network, reduce_retracing=True)
        parts = [
            np.asarray(call(tf.constant(images[start : start + batch])), dtype=np.float32)
            for start in range(0, len(images), batch)
        ]
        return np.concatenate(parts) if parts else np.empty((0, self.classes), np.float32)

    def facts(self, height: int, width: int) -> ModelFacts:
        """The record's view of the model, at the input size it is used with."""
        return ModelFacts(
            name=self.name,
            source=self.source,
            format=self.format,
            sha256=self.sha256,
            parameters=self.parameters,
            input_shape=(height, width, self.input_shape[2]),
            classes=self.classes,
        )


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
    kind = _sniff(path)
    if kind == "savedmodel":
        return _load_saved_model(path, allow_code)
    if kind == "json":
        config = _read_json(path)
        weights = weights or _weights_beside(path)
        if not weights.is_file():
            raise ModelError(f"{weights} does not exist; give the HDF5 weights of {path.name}.")
        version = config.get("keras_version")
        digest = _sha256_of_all([path, weights])
    else:
        reader = _read_zip_config if kind == "zip" else _read_hdf5_config
        config, version = reader(path)
        digest = sha256_of(path)
    major = 3 if str(version or "2").startswith("3") or _looks_like_keras3(config) else 2
    _refuse_code(config, path, allow_code)
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


def from_keras(
    model: Any, *, source: str, format_: str, sha256: str, name: str | None = None
) -> TrainedModel:
    """Wrap a live Keras 2 or Keras 3 model.

    Raises:
        ModelError: it has several inputs or outputs, or is no image classifier.
    """
    if not getattr(model, "built", True) or not getattr(model, "inputs", None):
        raise ModelError(
            f"{source} has no stated input shape; save it again after calling it on an image."
        )
    inputs, outputs = list(model.inputs), list(model.outputs)
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"{source} has {len(inputs)} inputs and {len(outputs)} outputs, so it is no image "
            "classifier; fer-opt takes models with one image in and one row of label scores out."
        )
    shape, classes = _classifier_shape(tuple(inputs[0].shape), tuple(outputs[0].shape), source)
    return TrainedModel(
        name=name or str(model.name),
        source=source,
        format=format_,
        sha256=sha256,
        parameters=int(model.count_params()),
        input_shape=shape,
        classes=classes,
        network=lambda images: model(images, training=False),
        keras=model,
    )


def _sniff(path: Path) -> str:
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


def _weights_beside(path: Path) -> Path:
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelError(
            f"{path} is not valid JSON ({exc}); save it with model.to_json()."
        ) from exc
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{path} is JSON, but no Keras model; save it with model.to_json().")
    return config


def _read_zip_config(path: Path) -> tuple[dict[str, Any], str | None]:
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as exc:
        raise ModelError(
            f"{path} is a damaged or foreign archive ({exc}); save the model again as .keras."
        ) from exc
    return config, metadata.get("keras_version")


def _read_hdf5_config(path: Path) -> tuple[dict[str, Any], str | None]:
    import h5py

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


def _looks_like_keras3(config: Mapping[str, Any]) -> bool:
    """Keras 3 spells an input layer's shape ``batch_shape``; Keras 2 says ``batch_input_shape``."""
    return any(
        node.get("class_name") == "InputLayer" and "batch_shape" in (node.get("config") or {})
        for node in _nodes(config)
        if isinstance(node.get("config"), dict)
    )


def _nodes(config: Any) -> Iterator[Mapping[str, Any]]:
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


def _refuse_code(config: Mapping[str, Any], path: Path, allow_code: bool) -> None:
    """Refuse a configuration that would run code of the file's author."""
    if allow_code:
        return
    for node in _nodes(config):
        class_name, inner = str(node["class_name"]), node.get("config")
        module = node.get("module")
        name = inner.get("name", class_name) if isinstance(inner, dict) else class_name
        if class_name in ("Lambda", "__lambda__"):
            raise ModelError(
                f"{path} has the Lambda layer {name!r}, which is code and would run on loading; "
                "pass --allow-code if you trust the file's author."
            )
        if isinstance(module, str) and not _is_safe_module(module):
            raise ModelError(
                f"{path} asks for {class_name} from the module {module!r}, which would run on "
                "loading; pass --allow-code if you trust the file's author."
            )
        if class_name == "TFOpLambda" and isinstance(inner, dict):
            op = str(inner.get("function", ""))
            if not (op.startswith(_SAFE_OPS) or op in _SAFE_OPS_BY_NAME):
                raise ModelError(
                    f"{path} calls the TensorFlow function {op!r} in {name!r}; "
                    "pass --allow-code if you trust the file's author."
                )


def _is_safe_module(module: str) -> bool:
    return module.split(".")[0] in _SAFE_MODULES


def _why_not_loaded(path: Path, major: int, config: Mapping[str, Any], exc: Exception) -> str:
    """One sentence on a failed load, naming custom layers where they are the cause."""
    library: Any = keras3() if major == 3 else tf_keras
    known = set(dir(library.layers)) | {"Functional", "Sequential", "Model"}
    layers = [
        node
        for node in _nodes(config)
        if isinstance(node.get("config"), dict) and "name" in node["config"]
    ]
    if foreign := sorted({str(n["class_name"]) for n in layers} - known):
        return (
            f"{path} uses {', '.join(foreign)}, whose code is not part of Keras {major} and not "
            "in the file; export the model as a SavedModel and give that folder."
        )
    cause = (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
    return (
        f"{path} cannot be loaded by Keras {major} ({cause}); the file is damaged or its weights "
        "do not fit its structure: save it again."
    )


def _load_saved_model(path: Path, allow_code: bool) -> TrainedModel:
    """A SavedModel through its serving signature, whichever library exported it."""
    if not allow_code:
        _refuse_unsafe_graph(path)
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
    shape, classes = _classifier_shape(tuple(spec.shape), tuple(result.shape), path.name)

    # `loaded` is held by default argument: its variables die with it.
    def network(images: Any, _alive: Any = loaded) -> Any:
        return serve(**{input_name: images})[output_name]

    variables = serve.graph.variables or serve.variables
    return TrainedModel(
        name=path.name,
        source=path.name,
        format="SavedModel",
        sha256=_sha256_of_all(sorted(p for p in path.rglob("*") if p.is_file())),
        parameters=int(sum(np.prod(v.shape.as_list()) for v in variables)),
        input_shape=shape,
        classes=classes,
        network=network,
        keras=None,
    )


def _refuse_unsafe_graph(path: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    try:
        proto.ParseFromString((path / "saved_model.pb").read_bytes())
    except Exception as exc:
        raise ModelError(
            f"{path / 'saved_model.pb'} is damaged and cannot be read; export the model again."
        ) from exc
    for graph in proto.meta_graphs:
        functions = [
            function
            for function in graph.graph_def.library.function
            # Every SavedModel writes and reads its own checkpoint in these functions.
            if not function.signature.name.startswith(
                ("__inference__traced_save", "__inference__traced_restore")
            )
        ]
        used = {node.op for function in functions for node in function.node_def}
        if found := sorted(used & _UNSAFE_GRAPH_OPS):
            raise ModelError(
                f"{path} contains {', '.join(found)}, which reaches outside the graph; "
                "pass --allow-code if you trust the model's author."
            )


def _classifier_shape(
    input_shape: tuple[int | None, ...], output_shape: tuple[int | None, ...], source: str
) -> tuple[tuple[int | None, int | None, int], int]:
    """Height, width, channels and classes of a model whose tensors are those of a classifier."""
    classes = output_shape[-1] if len(output_shape) == 2 else None
    channels = input_shape[3] if len(input_shape) == 4 else None
    if channels is None or classes is None or classes < 2:
        raise ModelError(
            f"{source} maps {_shown(input_shape)} to {_shown(output_shape)}, so it is no image "
            "classifier; fer-opt takes (n, height, width, channels) in and (n, labels) out."
        )
    if channels not in (1, 3):
        raise ModelError(
            f"{source} wants {channels} channels; fer-opt feeds grey (1) or RGB (3) images, "
            "channels last."
        )
    return (input_shape[1], input_shape[2], channels), classes


def _shown(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if side is None else str(side) for side in shape) + ")"


def _sha256_of_all(paths: list[Path]) -> str:
    """One hash over several files, in the order given."""
    return hashlib.sha256("".join(sha256_of(path) for path in paths).encode()).hexdigest()
