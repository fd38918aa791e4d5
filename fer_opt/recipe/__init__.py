"""Recipes: what is done to a model, as data whose name decodes.

A recipe is written ``step > step(value, option=value)``, number format last:
``prune_channels(0.5) > fine_tune(3) > int8``. The same text stands on the command line, in an
experiment file, in Python and in every report. Nothing here needs TensorFlow.
"""

from __future__ import annotations

from fer_opt.recipe.grammar import parse_recipe
from fer_opt.recipe.recipe import Recipe, Step, make_recipe, make_step
from fer_opt.recipe.shelf import SHELF, ShelfRecipe
from fer_opt.recipe.steps import STANDARD_RECIPES, STEPS, Choice, Number, StepKind, Text

__all__ = [
    "SHELF",
    "STANDARD_RECIPES",
    "STEPS",
    "Choice",
    "Number",
    "Recipe",
    "ShelfRecipe",
    "Step",
    "StepKind",
    "Text",
    "make_recipe",
    "make_step",
    "parse_recipe",
]
