"""What processes warned of, each thing kept once although every process says it again."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["of_models", "with_warning"]

NUMBER = re.compile(r"\d+(\.\d+)?")


def with_warning(warnings: tuple[str, ...], warning: str) -> tuple[str, ...]:
    """``warnings`` and this one, unless it is among them or differs by numbers only."""
    if _gist(warning) in map(_gist, warnings):
        return warnings
    return (*warnings, warning)


def of_models(warnings: Sequence[str], models: Sequence[str]) -> tuple[str, ...]:
    """Those that a process of one of the models gave: ``MODEL: WARNING``."""
    return tuple(one for one in warnings if one.startswith(tuple(f"{name}: " for name in models)))


def _gist(warning: str) -> tuple[str, str]:
    """The model, in whose name numbers matter, and what it is about, in which they do not."""
    model, _, words = warning.partition(": ")
    return model, NUMBER.sub("#", words)
