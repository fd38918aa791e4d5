"""Which tensors of a network are rounded, and which of them share a range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fer_opt.compress.affine import Surroundings
from fer_opt.compress.graph import Call, calls
from fer_opt.compress.rounding import (
    FIXED_RANGES,
    fuses_relu,
    hard_swish_inside,
    kind_of,
)
from fer_opt.errors import RecipeError

__all__ = ["Place", "RangeFacts", "Ranges", "plan_ranges"]


@dataclass(frozen=True, slots=True)
class RangeFacts:
    """One range.

    Attributes:
        slots: number of places that share it.
        fixed: low and high end, where it is not learnt.
        is_input: whether it is that of the network's input.
    """

    slots: int
    fixed: tuple[float, float] | None
    is_input: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor is rounded: number of its range, and which of the range's places it is."""

    range: int
    slot: int


@dataclass(frozen=True, slots=True)
class Ranges:
    """What to round to which range.

    Attributes:
        facts: of each range, by its number.
        tensors: where each tensor is rounded, by its ``id``; one that is missing is not.
        readings: where a tensor is carried over to another range as a call reads it, by the
            ``id`` of the call's output and the tensor's.
    """

    facts: dict[int, RangeFacts]
    tensors: dict[int, Place]
    readings: dict[tuple[int, int], Place]


def plan_ranges(network: Any) -> Ranges:
    """Decide where to round so that TensorFlow Lite need not change scales between operators.

    Args:
        network: flat functional ``tf_keras.Model`` of operations that
            :func:`fer_opt.compress.rounding.kind_of` knows.

    Raises:
        RecipeError: it does not know one, or rows of a fixed range are joined with others.
    """
    around = Surroundings(network)
    order = list(calls(network))
    kinds = {id(call.output): kind_of(call) for call in order}
    made_by = {id(call.output): call for call in order}
    unrounded = {
        id(tensor) for call in order for tensor in hard_swish_inside(call, made_by, around)
    }
    groups = _Groups()
    image = network.inputs[0]
    tensors, readings = [id(image)], []
    fixed: dict[int, tuple[float, float]] = {}
    alone = {id(image)}
    for call in order:
        output, kind = id(call.output), kinds[id(call.output)]
        if kind == "same":
            groups.join(output, id(call.inputs[0]))
        elif kind == "joined":
            for tensor in call.inputs:
                # What has a range of its own keeps it, and is carried over to be joined.
                if groups.find(id(tensor)) in {groups.find(item) for item in alone}:
                    _refuse_rows(call, tensor)
                    readings.append((output, id(tensor)))
                else:
                    groups.join(output, id(tensor))
        elif kind in FIXED_RANGES:
            alone.add(output)
            fixed[output] = FIXED_RANGES[kind]
        reader = around.only_reader(call.output)
        fused = reader and kinds[id(reader.output)] == "relu" and fuses_relu(call)
        # The converter itself gives a result of fixed range that range; left unrounded here, a
        # small probability still teaches something. Where values only move about, rounding again
        # changes nothing, but without it the converter loses the range on some branched paths.
        if not fused and not (around.is_output(call.output) and kind in FIXED_RANGES):
            tensors.append(output)
    tensors = [tensor for tensor in tensors if tensor not in unrounded]
    return _numbered(groups, tensors, readings, fixed, id(image))


def _refuse_rows(call: Call, tensor: Any) -> None:
    if len(tensor.shape) != 4:
        raise RecipeError(
            f"quantize_aware cannot round the inputs of the layer {call.layer.name} to one range: "
            "one is the network's input or a sigmoid, softmax or tanh, whose range is fixed; join "
            "them earlier, or convert with int8 alone."
        )


def _numbered(
    groups: _Groups,
    tensors: list[int],
    readings: list[tuple[int, int]],
    fixed: dict[int, tuple[float, float]],
    image: int,
) -> Ranges:
    slots: dict[int, int] = {}

    def place(tensor: int) -> Place:
        number = groups.find(tensor)
        slots[number] = slots.get(number, 0) + 1
        return Place(number, slots[number] - 1)

    placed = {tensor: place(tensor) for tensor in tensors}
    reread = {reading: place(reading[0]) for reading in dict.fromkeys(readings)}
    ends = {groups.find(tensor): value for tensor, value in fixed.items()}
    return Ranges(
        {
            number: RangeFacts(count, ends.get(number), number == groups.find(image))
            for number, count in slots.items()
        },
        placed,
        reread,
    )


class _Groups:
    """Disjoint sets of tensors."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def find(self, tensor: int) -> int:
        while (parent := self._parent.setdefault(tensor, tensor)) != tensor:
            tensor = parent
        return tensor

    def join(self, one: int, other: int) -> None:
        self._parent[self.find(one)] = self.find(other)
