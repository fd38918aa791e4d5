"""``fer-opt models``: the thesis's architectures."""

from __future__ import annotations

import dataclasses

import typer

from fer_opt.cli.console import print_json
from fer_opt.cli.options import AsJson

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("models")(show_models)


def show_models(json: AsJson = False) -> None:
    """List the architectures of the thesis and their published figures.

    Example: fer-opt models
    """
    from fer_opt.models import ARCHITECTURES

    if json:
        print_json([dataclasses.asdict(item) for item in ARCHITECTURES])
        return
    raise NotImplementedError
