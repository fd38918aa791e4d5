"""``fer-opt convert``: a trained Keras model as checked TFLite files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_opt.cli.console import Terminal, print_json, print_table, say
from fer_opt.cli.options import (
    AllowCode,
    Annotations,
    AsJson,
    Channels,
    Data,
    Kind,
    Labels,
    Preprocessing,
    Range,
    Size,
    SkipBad,
    Split,
    Weights,
    data_section,
    input_section,
)

__all__ = ["megabytes", "register"]

EXAMPLES = """
Examples:

fer-opt convert model.keras --out tflite/

fer-opt convert model.h5 --data faces/ --recipe int8 --recipe "int8(io=float)" --range=-1,1

fer-opt convert model.json --weights weights.h5 --data fer2013.csv --split train

fer-opt convert model.h5 --data faces/ -r "prune_channels(0.5) > fine_tune(3) > int8"
"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("convert", epilog=EXAMPLES)(convert)


def convert(
    model: Annotated[Path, typer.Argument(help="Trained Keras model.", show_default=False)],
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            "-r",
            help="E.g. int8 or 'prune_channels(0.5) > float32'; see fer-opt recipes; several "
            "allowed. By default the five number formats, as far as they can be made.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the .tflite files.")] = Path("tflite"),
    data: Data = None,
    kind: Kind = None,
    split: Split = None,
    annotations: Annotations = None,
    skip_bad: SkipBad = False,
    samples: Annotated[int, typer.Option(min=1, help="Images that calibrate int8.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw of those images.")] = 0,
    size: Size = None,
    channels: Channels = None,
    range_: Range = None,
    labels: Labels = None,
    preprocessing: Preprocessing = None,
    weights: Weights = None,
    allow_code: AllowCode = False,
    json: AsJson = False,
) -> None:
    """Convert a trained Keras model to TFLite and compare every file with it.

    The integer formats need images (--data) to calibrate, and steps that train need them to
    train on. Each file carries what its input holds, so that evaluate and bench need not be told
    again.
    """
    from fer_opt.recipe import STANDARD_RECIPES, parse_recipe

    has_data = data is not None or kind is not None
    recipes = [parse_recipe(text) for text in recipe or STANDARD_RECIPES]
    if not recipe and not has_data:
        left_out = [str(item) for item in recipes if item.needs_data]
        recipes = [item for item in recipes if not item.needs_data]
        say(
            f"Without --data there is nothing to calibrate with; leaving out {', '.join(left_out)}."
        )
    where = data_section(data, kind, split, annotations, skip_bad=skip_bad) if has_data else None
    stated = input_section(size, channels, range_, labels, preprocessing)
    from fer_opt.experiment.single import convert_file, open_evaluation
    from fer_opt.experiment.specification import CalibrationSection
    from fer_opt.files import make_folder
    from fer_opt.keras_io import load_model

    terminal = Terminal()
    trained = load_model(model, weights, allow_code=allow_code)
    dataset = None if where is None else open_evaluation(where, terminal)
    variants, convention = convert_file(
        trained,
        recipes,
        stated,
        dataset,
        CalibrationSection(samples=samples, seed=seed),
        make_folder(out),
        terminal,
    )
    if json:
        print_json(
            {
                "convention": dataclasses.asdict(convention),
                "variants": [dataclasses.asdict(item) for item in variants],
            }
        )
        return
    show_variants(variants, f"{model.name} in {out}")
    if dataset is None:
        say("Compared with Keras on random values only; with --data it would be on real images.")


def show_variants(variants: tuple[Any, ...], title: str) -> None:
    """Print size and faithfulness of each variant, and what is wrong with it."""
    print_table(
        title,
        ["file", "size", "zipped", "same label", "largest difference"],
        [
            [
                item.path,
                megabytes(item.size_bytes),
                megabytes(item.gzip_bytes),
                f"{item.check.label_agreement:.1%}",
                f"{item.check.max_abs_difference:.2g}",
            ]
            for item in variants
        ],
    )
    for item in variants:
        for sentence in item.check.flags:
            say(f"WARNING: {item.recipe}: {sentence}")
        for sentence in item.check.notes:
            say(f"{item.recipe}: {sentence}")


def megabytes(size_bytes: int) -> str:
    """A size a person can compare: 1 MB = 10^6 bytes."""
    return f"{size_bytes / 1e6:.2f} MB"
