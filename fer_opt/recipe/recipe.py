"""A recipe: steps in order, checked when it is made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fer_opt.errors import RecipeError
from fer_opt.recipe.order import check_order
from fer_opt.recipe.steps import STEPS, Choice, Text, Value, near

__all__ = ["Recipe", "Step", "make_recipe", "make_step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step and the options that are not at their default; make it with :func:`make_step`."""

    name: str
    options: tuple[tuple[str, Value], ...] = ()

    def option(self, name: str) -> Any:
        """The value of an option, its default where none was given."""
        return self.keywords[name]

    @property
    def keywords(self) -> dict[str, Value]:
        """Every option with its value."""
        known = STEPS[self.name].options
        return {key: option.default for key, option in known.items()} | dict(self.options)

    @property
    def title(self) -> str:
        """The step in words."""
        kind, shown = STEPS[self.name], self.keywords
        title = kind.title.format(**shown)
        if kind.role == "network":
            return title
        ends = "output" if self.takes_crops else "input and output"
        words = {
            "io": f"{shown.get('io')} {ends}",
            "fold": "batch normalization left as it is",
            "backend": "by ai-edge-quantizer",
            "input": "preprocessing inside",
        }
        return ", ".join([title, *(words[key] for key, _ in self.options)])

    @property
    def takes_crops(self) -> bool:
        """Whether the file takes 8-bit pixels of a face and preprocesses them itself."""
        return self.keywords.get("input") == "crop"

    @property
    def trains(self) -> bool:
        """Whether it trains the network."""
        return bool(self.keywords.get("epochs", 0))

    @property
    def learns(self) -> bool:
        """Whether it trains, or chooses by labelled images; others must judge what it made."""
        chosen = self.keywords
        return (
            self.trains
            or chosen.get("importance") == "taylor"
            or chosen.get("allocation") == "sensitivity"
        )

    @property
    def needs_data(self) -> bool:
        """Whether it wants images, be it to learn from or to calibrate."""
        # The converter quantizes weights alone without images, and so does ai-edge-quantizer.
        return STEPS[self.name].needs_data or self.learns

    def __str__(self) -> str:
        kind, chosen = STEPS[self.name], self.keywords
        given = dict(self.options)
        parts = []
        for index, (key, option) in enumerate(kind.options.items()):
            if index == 0 and kind.main:
                # A rank takes the place of the energy.
                if not (key == "energy" and given.get("rank")):
                    parts.append(_shown(chosen[key], option))
            elif key in given:
                parts.append(f"{key}={_shown(chosen[key], option)}")
        return f"{self.name}({', '.join(parts)})" if parts else self.name


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps in the order they are carried out, the last a number format.

    ``str()`` gives the text that parses back. Make it with :func:`make_recipe` or
    :func:`fer_opt.recipe.parse_recipe`, which check it.
    """

    steps: tuple[Step, ...]

    @property
    def network_steps(self) -> tuple[Step, ...]:
        """What is done to the network before it is converted."""
        return self.steps[:-1]

    @property
    def format(self) -> Step:
        """The number format of the file."""
        return self.steps[-1]

    @property
    def title(self) -> str:
        """The recipe in words."""
        return ", then ".join(step.title for step in self.steps)

    @property
    def needs_data(self) -> bool:
        """Whether any step wants images."""
        return any(step.needs_data for step in self.steps)

    @property
    def trains(self) -> bool:
        """Whether any step trains the network."""
        return any(step.trains for step in self.steps)

    @property
    def learns(self) -> bool:
        """Whether any step trains, or chooses by labelled images."""
        return any(step.learns for step in self.steps)

    def __str__(self) -> str:
        return " > ".join(map(str, self.steps))


def make_step(name: str, *values: object, **options: object) -> Step:
    """A checked step: ``make_step("prune_channels", 0.5, importance="taylor")``.

    Raises:
        RecipeError: the step or an option is unknown, or a value is out of its bounds.
    """
    if name not in STEPS:
        raise RecipeError(f"there is no step {name!r}; {near(name, STEPS)}.")
    known = STEPS[name].options
    if len(values) > (1 if STEPS[name].main else 0):
        takes = f"only {next(iter(known))}" if STEPS[name].main else "no value"
        raise RecipeError(
            f"{name} takes {takes} without a name; write the others as option=value "
            f"({', '.join(known) or 'it has none'})."
        )
    given = dict(options)
    if values:
        first = next(iter(known))
        if first in given:
            raise RecipeError(f"{name} is given {first} twice.")
        given[first] = values[0]
    checked: dict[str, Value] = {}
    for key, value in given.items():
        if key not in known:
            raise RecipeError(f"{name} has no option {key!r}; {near(key, known)}.")
        found = known[key].check(f"{key} of {name}", value)
        if found != known[key].default:
            checked[key] = found
    return Step(name, tuple((key, checked[key]) for key in known if key in checked))


def make_recipe(steps: Iterable[Step]) -> Recipe:
    """A checked recipe; without a number format at its end it gets ``float32``.

    Raises:
        RecipeError: the steps do not go together in this order, and why.
    """
    ordered = tuple(steps)
    if not ordered:
        raise RecipeError("a recipe needs at least one step, e.g. int8.")
    if STEPS[ordered[-1].name].role != "format":
        quantized = any(step.name == "quantize_aware" for step in ordered)
        ordered = (*ordered, Step("int8" if quantized else "float32"))
    check_order(ordered)
    return Recipe(ordered)


def _shown(value: Value, option: object) -> str:
    if isinstance(option, Text):
        return json.dumps(value)  # a Python literal, too
    if isinstance(option, Choice):
        return str(value)
    # repr() gives the shortest text that reads back as the same number.
    return repr(int(value)) if value == int(value) else repr(value)
