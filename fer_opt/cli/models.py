"""``fer-opt models``: the thesis's architectures."""

from __future__ import annotations

import dataclasses

import typer

from fer_opt.cli.console import print_json, print_table, print_text
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
    print_table(
        "Architectures of the thesis, at 224x224x1 and 8 labels",
        ["name", "parameters", "published", "accuracy", "section"],
        [
            [
                item.name,
                f"{item.parameters:,}",
                f"{item.thesis_parameters:,}",
                f"{item.thesis_accuracy:.3f}",
                item.thesis_section,
            ]
            for item in ARCHITECTURES
        ],
    )
    for item in ARCHITECTURES:
        print_text(f"{item.name}: {item.summary}. {item.note}".strip())
    print_text("Published figures are those of the thesis's Table 5, on AffectNet.")
