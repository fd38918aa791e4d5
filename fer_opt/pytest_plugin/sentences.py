"""fer-opt's errors as failures of a test: one sentence, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from fer_opt.errors import FerOptError

__all__ = ["or_fail"]

Result = TypeVar("Result")


def or_fail(work: Callable[[], Result]) -> Result:
    """What ``work`` gives; where it raises a FerOptError, the test fails with its sentence."""
    try:
        return work()
    except FerOptError as exc:
        sentence = str(exc)
    # Outside the block, else pytest would print the whole chain of causes.
    pytest.fail(sentence, pytrace=False)
