"""``fer-opt train``: one of the thesis's architectures, as its section 3.3 does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_opt.cli.options import (
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
    data_section,
    input_section,
)

__all__ = ["register"]

EXAMPLES = """
Examples:

fer-opt train xcao --kind synthetic --out runs/xcao

fer-opt train xcao_two_stream --data fer2013.csv --epochs 20 --export savedmodel

fer-opt train mobilenet --data AffectNet/ --size 224 --channels 3 --reduce 0.1
"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("train", epilog=EXAMPLES)(train)


def train(
    architecture: Annotated[
        str, typer.Argument(help="One that fer-opt models lists.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option(help="Folder; by default runs/ARCHITECTURE.")] = None,
    data: Data = None,
    kind: Kind = None,
    split: Annotated[str, typer.Option(help="Part that is trained on.")] = "train",
    test_split: Annotated[str, typer.Option(help="Part that is tested on.")] = "test",
    annotations: Annotations = None,
    skip_bad: SkipBad = False,
    reduce: Annotated[float, typer.Option(help="Share of the data to keep, per label.")] = 1.0,
    samples: Annotated[
        int | None, typer.Option(min=8, help="How many synthetic faces to train on.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Images in one step.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Adam's.")] = 0.001,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and order.")] = 0,
    size: Size = None,
    channels: Channels = None,
    range_: Range = None,
    labels: Labels = None,
    preprocessing: Preprocessing = None,
    export: Annotated[
        list[str] | None,
        typer.Option(help="keras, json, savedmodel or frozen; several allowed."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget earlier epochs.")] = False,
    json: AsJson = False,
) -> None:
    """Train an architecture of the thesis: Adam, categorical cross-entropy, 10 epochs.

    Stop it at any time; the same command goes on with the next epoch.
    """
    from fer_opt.experiment.specification import (
        Experiment,
        ModelSection,
        check_experiment,
        section,
    )

    where = data_section(
        data, kind, test_split, annotations, skip_bad=skip_bad, reduce=reduce, seed=seed
    )
    wanted = Experiment(
        name=architecture,
        model=ModelSection(architecture=architecture),
        data=where,
        input=input_section(size, channels, range_, labels, preprocessing),
        training=section(
            "training",
            split=split,
            samples=samples,
            epochs=epochs,
            batch=batch,
            learning_rate=learning_rate,
            seed=seed,
        ),
    )
    check_experiment(wanted, "fer-opt train")
