"""tensorflow-model-optimization behind one door; nothing else imports it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from fer_opt.errors import FerOptError, RecipeError
from fer_opt.noise import quiet

__all__ = ["clustering", "refusals", "sparsity"]


@cache
def sparsity() -> Any:
    """``tfmot.sparsity.keras``."""
    return _package().sparsity.keras


@cache
def clustering() -> Any:
    """``tfmot.clustering.keras``."""
    return _package().clustering.keras


def _package() -> Any:
    with quiet():
        import tensorflow_model_optimization
    return tensorflow_model_optimization


@contextmanager
def refusals(step: str) -> Iterator[None]:
    """Say in one sentence what the library would not do."""
    try:
        with quiet():
            yield
    except FerOptError:
        raise
    except (ValueError, TypeError, AttributeError, RuntimeError) as exc:
        cause = (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
        raise RecipeError(
            f"{step} cannot be carried out on this network ({cause}); leave the step out."
        ) from exc
