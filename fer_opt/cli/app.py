"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

import fer_opt
from fer_opt.cli import (
    bench,
    classify,
    convert,
    evaluate,
    gate,
    history,
    models,
    phone,
    recipes,
    run,
    train,
)

__all__ = ["app"]

app = typer.Typer(
    name="fer-opt",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=fer_opt.__doc__,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fer-opt {fer_opt.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for module in (
    models, train, recipes, convert, evaluate, classify, bench, gate, history, phone, run,
):  # fmt: skip
    module.register(app)
