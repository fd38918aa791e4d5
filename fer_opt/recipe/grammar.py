"""A recipe's text: Python's own expression grammar, comparisons for the chain, calls for steps."""

from __future__ import annotations

import ast

from fer_opt.errors import RecipeError
from fer_opt.recipe.recipe import Recipe, Step, make_recipe, make_step
from fer_opt.recipe.shelf import SHELF

__all__ = ["parse_recipe"]


def parse_recipe(text: str) -> Recipe:
    """Read a recipe such as ``prune_channels(0.5) > fine_tune(3) > int8(io=float)``.

    The name of a recipe on the shelf stands for its text.

    Raises:
        RecipeError: it does not parse, names an unknown step, option or value, or puts steps in
            an order that makes no sense.
    """
    text = next((item.text for item in SHELF if item.name == text.strip()), text)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        raise _unreadable(text) from exc
    if isinstance(tree, ast.Compare) and all(isinstance(op, ast.Gt) for op in tree.ops):
        parts = [tree.left, *tree.comparators]
    else:
        parts = [tree]
    try:
        return make_recipe([_step(part, text) for part in parts])
    except RecipeError as exc:
        if str(exc).startswith("the recipe"):
            raise
        raise RecipeError(f"the recipe {text.strip()!r}: {exc}") from exc


def _step(node: ast.expr, text: str) -> Step:
    if isinstance(node, ast.Name):
        whole = next((item for item in SHELF if item.name == node.id), None)
        if whole is not None:
            raise RecipeError(
                f"{whole.name} is a whole recipe of the shelf and stands alone; to change it, "
                f"begin with its text, {whole.text!r}."
            )
        return make_step(node.id)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise _unreadable(text)
    options = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in options:
            raise _unreadable(text)
        options[keyword.arg] = _value(keyword.value)
    return make_step(node.func.id, *(_value(value) for value in node.args), **options)


def _value(node: ast.expr) -> object:
    """A literal, or a bare word as itself."""
    if isinstance(node, ast.Name):
        return node.id
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ast.unparse(node)


def _unreadable(text: str) -> RecipeError:
    return RecipeError(
        f"the recipe {text.strip()!r} cannot be read; write steps like int8 or "
        "prune_channels(0.5), joined by >, in quotes on the command line."
    )
