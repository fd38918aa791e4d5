"""Names and layers for a network being built in tf_keras."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fer_opt.backend import tf_keras
from fer_opt.errors import ModelError

__all__ = ["Names", "NotExactError", "Place", "TranslationError", "clean", "described"]


class TranslationError(ModelError):
    """Something would be lost; the message is a clause that names the layer and the cause."""


class NotExactError(Exception):
    """Why one operation cannot be said exactly; a clause without its subject."""


class Names:
    """Gives every layer of a network a name of its own."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._kept: dict[int, str] = {}

    def keep(self, layers: Iterable[Any]) -> None:
        """Let these layers have their own names, whatever is named before they are reached."""
        for layer in layers:
            self._kept[id(layer)] = self.new(layer.name)

    def of(self, layer: Any, owner: str) -> str:
        """A name for ``layer``, found in the model ``owner`` ("" for the outermost)."""
        kept = self._kept.pop(id(layer), None)
        return kept or self.new(layer.name, owner)

    def new(self, wanted: str, owner: str = "") -> str:
        """``wanted``, or else ``owner_wanted``, or else either with a number."""
        name = clean(wanted)
        if name in self._taken and owner:
            name = clean(f"{owner}_{wanted}")
        number, free = 2, name
        while free in self._taken:
            free, number = f"{name}_{number}", number + 1
        self._taken.add(free)
        return free


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a network layers are to be made.

    Attributes:
        name: of the layer that stands for the whole; others add to it.
        names: of the network.
    """

    name: str
    names: Names

    def layer(self, kind: str, more: str = "", **config: Any) -> Any:
        """A new ``tf_keras`` layer."""
        return getattr(tf_keras.layers, kind)(name=self._name(more), dtype="float32", **config)

    def function(self, symbol: str, more: str = "", kind: str = "TFOpLambda") -> Any:
        """A layer that calls TensorFlow's ``tf.symbol``."""
        # Calling tf.symbol would make the same layer, with a name out of a process-wide count.
        config = {"name": self._name(more), "dtype": "float32", "function": symbol}
        return tf_keras.layers.deserialize({"class_name": kind, "config": config})

    def beside(self, more: str) -> Place:
        """A place for another layer that belongs to this one."""
        return Place(self._name(more), self.names)

    def _name(self, more: str) -> str:
        return self.names.new(f"{self.name}_{more}") if more else self.name


def clean(name: str) -> str:
    """``name`` as TensorFlow allows it for the names of scopes."""
    allowed = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)
    return allowed if re.match(r"[A-Za-z0-9.]", allowed) else f"n{allowed}"


def described(layer: Any) -> str:
    """How messages call a layer or operation."""
    what = "layer" if hasattr(layer, "weights") else "operation"
    return f"the {what} {layer.name!r} ({type(layer).__name__})"
