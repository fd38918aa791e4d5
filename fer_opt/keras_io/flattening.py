"""A functional or sequential model of either Keras, call by call, as one flat tf_keras network."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fer_opt.backend import keras3, tf, tf_keras
from fer_opt.errors import first_line
from fer_opt.keras_io.activations import apply_activation, split_activation
from fer_opt.keras_io.layers import (
    ends_with_activation,
    own_weights,
    rebuild_layer,
    refuse_foreign,
    transfer_weights,
)
from fer_opt.keras_io.naming import Names, Place, TranslationError, clean, described
from fer_opt.keras_io.operations import combine, is_tensor, plain_constant, translate_operation

__all__ = ["flatten", "is_keras3"]

# Augmentation and noise: in use they give back what they are given.
_TRAINING_ONLY = {
    "ActivityRegularization", "AlphaDropout", "AugMix", "CutMix", "GaussianDropout",
    "GaussianNoise", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration",
    "RandomColorJitter", "RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip",
    "RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue", "RandomInvert",
    "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom",
    "Solarization",
}  # fmt: skip
_DROPOUT = {"Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"}
_ARITHMETIC_SYMBOLS = {
    "__operators__.add": "Add", "math.add": "Add", "math.maximum": "Maximum",
    "math.minimum": "Minimum", "math.multiply": "Multiply", "math.subtract": "Subtract",
}  # fmt: skip


def flatten(model: Any, shape: tuple[int, int, int]) -> Any:
    """A flat float32 functional ``tf_keras.Model`` that computes what ``model`` does in inference.

    Args:
        model: of either Keras, one input and one output.
        shape: height, width, channels of the input.

    Raises:
        TranslationError: something would be lost.
    """
    names = Names()
    name = names.new(model.inputs[0].name.split(":")[0])
    inner = getattr(model, "operations", model.layers)
    names.keep(layer for layer in inner if type(layer).__name__ != "InputLayer")
    flattening = _Flattening(is_keras3(model), names)
    image = tf_keras.Input(shape, dtype="float32", name=name)
    (scores,) = flattening.inlined(model, [image], owner="", training=None)
    flattening.transfer_weights()
    return tf_keras.Model(image, scores, name=clean(model.name))


def is_keras3(model: Any) -> bool:
    """Whether a model or layer is of Keras 3; tf_keras is the other."""
    return any(base.__module__.startswith("keras.src.") for base in type(model).__mro__)


@dataclass(slots=True)
class _Flattening:
    """A network on its way.

    Attributes:
        keras3: whether it comes from Keras 3.
        names: given so far.
        copies: old and new layer by the old one's ``id``, so that shared layers stay shared.
    """

    keras3: bool
    names: Names
    copies: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def inlined(
        self, model: Any, given: Sequence[Any], owner: str, training: bool | None
    ) -> list[Any]:
        """The outputs of a model on the tensors ``given``."""
        if _kind_of(model) == "Sequential":
            return [self.chained(model.layers, given[0], owner, training)]
        if len(given) != len(model.inputs):
            raise TranslationError(
                f"the model {model.name!r} is given {len(given)} of its {len(model.inputs)} inputs"
            )
        tensors = {id(old): new for old, new in zip(model.inputs, given, strict=True)}

        def renewed(value: Any) -> Any:
            return tf.nest.map_structure(lambda item: tensors.get(id(item), item), value)

        for use in _uses(model):
            outputs = self.used(
                use.operation,
                renewed(list(use.arguments)),
                renewed(dict(use.keywords)),
                owner,
                training,
            )
            tensors |= {id(old): new for old, new in zip(use.outputs, outputs, strict=True)}
        return [tensors[id(old)] for old in model.outputs]

    def chained(self, layers: Sequence[Any], tensor: Any, owner: str, training: bool | None) -> Any:
        """The output of layers one after the other."""
        for layer in layers:
            (tensor,) = self.used(layer, [tensor], {}, owner, training)
        return tensor

    def used(
        self,
        operation: Any,
        arguments: list[Any],
        keywords: dict[str, Any],
        owner: str,
        training: bool | None,
    ) -> list[Any]:
        """The outputs of one use of a layer, an operation or a nested model."""
        try:
            if self._is_model(operation):
                return self._nested(operation, arguments, keywords, training)
            if not hasattr(operation, "weights"):
                place = Place(self.names.of(operation, owner), self.names)
                outputs = translate_operation(operation, place, arguments, keywords)
            elif type(operation).__module__.endswith(".tf_op_layer"):
                outputs = self._function(operation, arguments, keywords, owner)
            else:
                outputs = self._layer(operation, arguments, keywords, owner, training)
        except TranslationError:
            raise
        # Whatever Keras has against it, the reader is told which layer it was.
        except Exception as exc:
            cause = first_line(exc)[:200]
            raise TranslationError(
                f"{described(operation)} does not fit tf_keras ({cause})"
            ) from exc
        return outputs if isinstance(outputs, list) else [outputs]

    def transfer_weights(self) -> None:
        """Give every new layer the weights of its old one."""
        owners: dict[int, Any] = {}
        for old, new in self.copies.values():
            for variable, _ in own_weights(old):
                owner = owners.setdefault(id(variable), old)
                if owner is not old:
                    raise TranslationError(
                        f"{described(old)} shares the weight {variable.name!r} with "
                        f"{described(owner)}"
                    )
            transfer_weights(old, new)

    def _is_model(self, operation: Any) -> bool:
        return isinstance(operation, keras3().Model if self.keras3 else tf_keras.Model)

    def _nested(
        self, model: Any, arguments: list[Any], keywords: dict[str, Any], training: bool | None
    ) -> list[Any]:
        given, options = _spread(model, arguments, keywords)
        explicit = options.pop("training", None)
        if options:
            raise TranslationError(
                f"the model {model.name!r} is called with {', '.join(sorted(options))}"
            )
        if isinstance(given, Mapping) and len(given) > 1:
            raise TranslationError(f"the model {model.name!r} takes its inputs by name")
        mode = training if explicit is None else bool(explicit)
        return self.inlined(model, tf.nest.flatten(given), model.name, mode)

    def _function(
        self, layer: Any, arguments: list[Any], keywords: dict[str, Any], owner: str
    ) -> Any:
        """A TensorFlow function that a Keras 2 model uses as a layer."""
        where, config = described(layer), layer.get_config()
        arguments, keywords = tf.nest.map_structure(
            lambda value: plain_constant(value, where), [arguments, keywords]
        )
        symbol, operands = config.get("function"), [item for item in arguments if is_tensor(item)]
        if symbol == "cast" and tf.as_dtype(_second(arguments, keywords, "dtype")).is_floating:
            return arguments[0]
        name = self.names.of(layer, owner)
        if symbol in _ARITHMETIC_SYMBOLS and len(operands) == len(arguments) == 2:
            return combine(Place(name, self.names), _ARITHMETIC_SYMBOLS[symbol], *operands)
        new = type(layer).from_config({**config, "name": name, "dtype": "float32"})
        return _single(layer, new(*arguments, **keywords))

    def _layer(
        self,
        layer: Any,
        arguments: list[Any],
        keywords: dict[str, Any],
        owner: str,
        training: bool | None,
    ) -> Any:
        refuse_foreign(layer, keras3=self.keras3)
        kind = type(layer).__name__
        given, options = _spread(layer, arguments, keywords)
        explicit = options.pop("training", None)
        # Keras 3 lets the caller of the whole model decide, tf_keras the one who built it.
        in_training = not self.keras3 and bool(training if explicit is None else explicit)
        if in_training and kind in _TRAINING_ONLY | _DROPOUT | {"RandomCrop"}:
            raise TranslationError(f"{described(layer)} is called with training=True, at random")
        if in_training and "training" in inspect.signature(layer.call).parameters:
            options["training"] = True
        if kind in _TRAINING_ONLY:
            return given
        if kind == "Pipeline":
            return self.chained(layer.layers, given, owner, training)
        if kind in ("CenterCrop", "RandomCrop"):
            return self._cropped(layer, given, owner)
        after = split_activation(layer)[1] if ends_with_activation(layer) else None
        if kind == "Activation" and isinstance(after, str):
            return apply_activation(Place(self.names.of(layer, owner), self.names), after, given)
        new = self._copy(layer, owner)
        output = _single(layer, new(given, **options))
        if after is None:
            return output
        if isinstance(after, str):
            return apply_activation(Place(new.name, self.names).beside(after), after, output)
        return self._layer(after, [output], {}, owner, training)

    def _copy(self, layer: Any, owner: str) -> Any:
        if id(layer) not in self.copies:
            new = rebuild_layer(layer, self.names.of(layer, owner), keras3=self.keras3)
            self.copies[id(layer)] = (layer, new)
        return self.copies[id(layer)][1]

    def _cropped(self, layer: Any, tensor: Any, owner: str) -> Any:
        """What a crop to a size does at the size the image now has."""
        is_random = type(layer).__name__ == "RandomCrop"
        height, width = tensor.shape[1] - layer.height, tensor.shape[2] - layer.width
        if (height, width) == (0, 0) or (is_random and self.keras3):
            return tensor
        place = Place(self.names.of(layer, owner), self.names)
        if is_random or min(height, width) < 0:
            return place.layer(
                "Resizing", height=layer.height, width=layer.width, crop_to_aspect_ratio=True
            )(tensor)
        top, left = height // 2, width // 2
        return place.layer("Cropping2D", cropping=((top, height - top), (left, width - left)))(
            tensor
        )


@dataclass(frozen=True, slots=True)
class _Use:
    """One node of a model's graph: what is called, with what, and what comes out."""

    operation: Any
    arguments: Sequence[Any]
    keywords: Mapping[str, Any]
    outputs: Sequence[Any]


def _uses(model: Any) -> Iterator[_Use]:
    """The calls of a functional model of either Keras, in the order of data flow."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            outputs = tf.nest.flatten(node.outputs)
            if hasattr(node, "operation"):
                yield _Use(node.operation, node.arguments.args, node.arguments.kwargs, outputs)
            else:
                yield _Use(node.layer, node.call_args, node.call_kwargs, outputs)


def _kind_of(model: Any) -> str:
    """``Functional`` or ``Sequential``, whose graph is all there is to them."""
    bases: tuple[Any, ...] = type(model).__mro__
    for base in bases:
        of_keras = base.__module__.startswith(("keras.src.models.", "tf_keras.src.engine."))
        if of_keras and base.__name__ in ("Functional", "Sequential"):
            if type(model).call is base.call:
                return str(base.__name__)
            break
    raise TranslationError(
        f"the model {model.name!r} ({type(model).__name__}) is a subclass with code of its own, so "
        "its structure cannot be read"
    )


def _spread(
    layer: Any, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """A call's first argument, and the others that are given, by name."""
    names = list(inspect.signature(layer.call).parameters)
    named = {**dict(zip(names, arguments, strict=False)), **keywords}
    first = named.pop(names[0])
    return first, {name: value for name, value in named.items() if value is not None}


def _second(arguments: Sequence[Any], keywords: Mapping[str, Any], name: str) -> Any:
    return arguments[1] if len(arguments) > 1 else keywords[name]


def _single(layer: Any, outputs: Any) -> Any:
    if len(tf.nest.flatten(outputs)) != 1:
        raise TranslationError(
            f"{described(layer)} has {len(tf.nest.flatten(outputs))} outputs, and compression "
            "follows one a layer"
        )
    return tf.nest.flatten(outputs)[0]
