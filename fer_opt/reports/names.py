"""What a recipe is called where its text is too long to stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["LONGEST_NAME", "listed", "number_format", "short_names"]

LONGEST_NAME = 24
"""Longer recipes are numbered in charts, headings and sentences."""


def short_names(recipes: Iterable[str]) -> dict[str, str]:
    """A short name for each recipe: itself, or else a number and its format, such as ``R3 int8``.

    Numbers follow the order of the recipes, so all of a record must be given at once.
    """
    short: dict[str, str] = {}
    taken = set(recipes := list(recipes))
    number = 0
    for recipe in recipes:
        if len(recipe) <= LONGEST_NAME:
            short[recipe] = recipe
            continue
        found = re.match(r"\w{1,12}(?=\(|$)", number_format(recipe))
        while True:
            number += 1
            name = f"R{number} {found.group()}" if found else f"R{number}"
            if name not in taken:
                break
        short[recipe] = name
    return short


def number_format(recipe: str, steps: Sequence[str] = ()) -> str:
    """The last step of a recipe's text: ``int8`` of ``prune_channels(0.5) > int8``.

    Args:
        recipe: the whole text.
        steps: texts of the steps before it, where they are known; an option in quotes may hold
            the arrow that joins steps.
    """
    before = "".join(f"{step} > " for step in steps)
    if before and recipe.startswith(before):
        return recipe.removeprefix(before)
    return recipe.rsplit(" > ", 1)[-1]


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names as a sentence lists them, long lists cut."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
