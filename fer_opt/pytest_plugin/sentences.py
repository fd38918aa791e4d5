"""fer-opt's sentences in a test run: errors without traceback, options by their names there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import pytest

from fer_opt.errors import FerOptError

__all__ = ["for_pytest", "or_fail"]

Result = TypeVar("Result")

OPTION = re.compile(r"(?<![\w-])--(on|via|runner|runs|threads)\b")
LOOKS = re.compile(r"--looks (\d+(?:,\d+)*)")


def for_pytest(sentence: str) -> str:
    """A sentence that advises options of ``fer-opt``, with what they are called in pytest."""
    looks = LOOKS.sub(lambda found: f"looks=({', '.join(found[1].split(','))})", sentence)
    return OPTION.sub(r"--fer-opt-\1", looks)


def or_fail(work: Callable[[], Result]) -> Result:
    """What ``work`` gives; where it raises a FerOptError, the test fails with its sentence."""
    try:
        return work()
    except FerOptError as exc:
        sentence = for_pytest(str(exc))
    # Outside the block, else pytest would print the whole chain of causes.
    pytest.fail(sentence, pytrace=False)
