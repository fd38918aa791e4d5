"""Recipes: what is done to a model, as data whose name decodes.

A recipe is written ``step > step(option=value)``; the same text stands on the command line, in an
experiment file and in every report. So far the steps are the number formats TFLite can hold.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fer_opt.errors import RecipeError

__all__ = ["STANDARD_RECIPES", "STEPS", "Recipe", "Step", "StepKind", "parse_recipe"]


@dataclass(frozen=True, slots=True)
class StepKind:
    """What a step does and which options it takes.

    Attributes:
        title: the step in words.
        needs_data: whether it wants a representative dataset.
        options: allowed values of each option, its default first.
    """

    title: str
    needs_data: bool
    options: Mapping[str, tuple[str, ...]]


STEPS: Mapping[str, StepKind] = MappingProxyType(
    {
        "float32": StepKind("32-bit float", False, {}),
        "float16": StepKind("16-bit float weights", False, {}),
        "dynamic": StepKind("dynamic range: 8-bit weights, float activations", False, {}),
        "int8": StepKind("full integer, 8 bit", True, {"io": ("integer", "float")}),
        "int16x8": StepKind(
            "16-bit activations, 8-bit weights", True, {"io": ("float", "integer")}
        ),
    }
)

STANDARD_RECIPES = ("float32", "float16", "dynamic", "int8", "int16x8")


@dataclass(frozen=True, slots=True)
class Step:
    """One step with its options; those at their default are left out of its text."""

    name: str
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str:
        """The value of an option, its default where none was given."""
        return dict(self.options).get(name, STEPS[self.name].options[name][0])

    def __str__(self) -> str:
        inner = ", ".join(f"{key}={value}" for key, value in self.options)
        return f"{self.name}({inner})" if inner else self.name


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps in the order they are carried out; ``str()`` gives the text that parses back."""

    steps: tuple[Step, ...]

    @property
    def title(self) -> str:
        """The recipe in words."""
        titles = []
        for step in self.steps:
            options = "".join(f", {value} input and output" for _, value in step.options)
            titles.append(STEPS[step.name].title + options)
        return ", then ".join(titles)

    @property
    def needs_data(self) -> bool:
        """Whether any step wants a representative dataset."""
        return any(STEPS[step.name].needs_data for step in self.steps)

    def __str__(self) -> str:
        return " > ".join(map(str, self.steps))


def parse_recipe(text: str) -> Recipe:
    """Read a recipe such as ``int8`` or ``int8(io=float)``.

    Raises:
        RecipeError: it does not parse, or names an unknown step, option or value.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as exc:
        raise RecipeError(
            f"the recipe {text!r} cannot be read; write steps like int8 or int8(io=float), "
            "joined by >."
        ) from exc
    if isinstance(tree, ast.Compare) and all(isinstance(op, ast.Gt) for op in tree.ops):
        parts = [tree.left, *tree.comparators]
    else:
        parts = [tree]
    steps = tuple(_step(part, text) for part in parts)
    if len(steps) > 1:
        raise RecipeError(
            f"the recipe {text!r} has {len(steps)} number formats, but a file holds one; "
            "write them as separate recipes."
        )
    return Recipe(steps)


def _step(node: ast.expr, text: str) -> Step:
    if isinstance(node, ast.Name):
        name, keywords = node.id, []
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        name, keywords = node.func.id, node.keywords
    else:
        raise RecipeError(
            f"the recipe {text!r} cannot be read; write steps like int8 or int8(io=float)."
        )
    if name not in STEPS:
        raise RecipeError(
            f"the recipe {text!r} has the unknown step {name!r}; {_near(name, STEPS)}."
        )
    allowed, options = STEPS[name].options, {}
    for keyword in keywords:
        key, value = str(keyword.arg), _word(keyword.value)
        if key not in allowed:
            raise RecipeError(f"{name} has no option {key!r}; {_near(key, allowed)}.")
        if value not in allowed[key]:
            raise RecipeError(f"{name} takes {key} = {' or '.join(allowed[key])}, not {value!r}.")
        if value != allowed[key][0]:
            options[key] = value
    return Step(name, tuple(sorted(options.items())))


def _word(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)


def _near(name: str, known: Mapping[str, object]) -> str:
    if not known:
        return "it takes none"
    near = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {near[0]}? " if near else "") + f"known: {', '.join(known)}"
