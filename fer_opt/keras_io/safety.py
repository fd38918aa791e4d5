"""Refusing models that would run code of their author."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_opt.errors import ModelError
from fer_opt.keras_io.formats import nodes

__all__ = ["refuse_code", "refuse_unsafe_graph"]

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


def refuse_code(config: Mapping[str, Any], path: Path, allow_code: bool) -> None:
    """Refuse a configuration that would run code of the file's author."""
    if allow_code:
        return
    for node in nodes(config):
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


def refuse_unsafe_graph(path: Path) -> None:
    """Refuse a SavedModel with operations that reach outside its graph."""
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
