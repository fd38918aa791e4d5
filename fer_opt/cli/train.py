"""``fer-opt train``: one of the thesis's architectures, as its section 3.3 does it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Annotated

import typer

from fer_opt.cli.console import Terminal, print_json, print_table, say
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
    from fer_opt.experiment.sources import open_sources
    from fer_opt.experiment.trained import train_model
    from fer_opt.export import export as export_model
    from fer_opt.export import plot_history
    from fer_opt.files import make_folder
    from fer_opt.models import architecture as known_architecture

    known_architecture(architecture)
    terminal = Terminal()
    sources = open_sources(wanted, Path(), terminal)
    folder = make_folder(out or Path("runs") / architecture)
    if fresh:
        shutil.rmtree(folder / "trained", ignore_errors=True)
    model, history = train_model(wanted, sources, folder, terminal)
    written = [
        folder / "trained" / "model.keras",
        *(export_model(model.keras, folder / "exported", export) if export else ()),
    ]
    plot_history(history, folder / "history.svg")
    written.append(folder / "history.svg")
    if json:
        print_json(
            {
                "history": [dataclasses.asdict(epoch) for epoch in history],
                "files": [str(path) for path in written],
            }
        )
        return
    print_table(
        f"{architecture} on {sources.training.name if sources.training else ''}",
        ["epoch", "accuracy", "loss", "validation accuracy", "validation loss"],
        [
            [
                str(epoch.epoch),
                f"{epoch.accuracy:.3f}",
                f"{epoch.loss:.3f}",
                f"{epoch.validation_accuracy:.3f}",
                f"{epoch.validation_loss:.3f}",
            ]
            for epoch in history
        ],
    )
    for path in written:
        say(f"Wrote {path}")
