"""``fer-opt evaluate``: accuracy per label of TFLite or Keras models."""

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
    short_names,
)

__all__ = ["register"]

EXAMPLES = """
Examples:

fer-opt evaluate int8.tflite --data faces/

fer-opt evaluate model.h5 float32.tflite --data fer2013.csv --split test --range=-1,1

fer-opt evaluate runs/demo/models/*.tflite --kind synthetic --split test --json
"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("evaluate", epilog=EXAMPLES)(evaluate)


def evaluate(
    files: Annotated[
        list[Path], typer.Argument(help="TFLite or Keras models.", show_default=False)
    ],
    data: Data = None,
    kind: Kind = None,
    split: Split = None,
    annotations: Annotations = None,
    skip_bad: SkipBad = False,
    size: Size = None,
    channels: Channels = None,
    range_: Range = None,
    labels: Labels = None,
    preprocessing: Preprocessing = None,
    weights: Weights = None,
    allow_code: AllowCode = False,
    json: AsJson = False,
) -> None:
    """Measure accuracy, overall and per label, of TFLite or Keras models on labelled images.

    A .tflite file made by fer-opt knows its own input; for others, state --range and --labels.
    """
    where = data_section(data, kind, split, annotations, skip_bad=skip_bad)
    stated = input_section(size, channels, range_, labels, preprocessing)
    from fer_opt.experiment.single import evaluate_file, open_classifier, open_evaluation

    terminal = Terminal()
    networks = [
        open_classifier(file, stated, weights=weights, allow_code=allow_code) for file in files
    ]
    dataset = open_evaluation(where, terminal)
    results = [
        evaluate_file(network, known, dataset, name, terminal)
        for name, (network, known) in zip(short_names(files), networks, strict=True)
    ]
    if json:
        print_json(
            [
                {
                    "file": str(file),
                    "data": dataclasses.asdict(dataset.facts()),
                    "convention": dataclasses.asdict(convention),
                    "accuracy": {
                        key: value
                        for key, value in dataclasses.asdict(item).items()
                        if key not in ("recipe", "versus_float", "predictions_path")
                    },
                }
                for file, (item, convention) in zip(files, results, strict=True)
            ]
        )
        return
    show_accuracies([item for item, _ in results], dataset.name)


def show_accuracies(accuracies: list[Any], data: str) -> None:
    """Print accuracy of each model, and of each label; shout about labels never predicted."""
    print_table(
        f"Accuracy on {data} ({accuracies[0].samples} images)",
        ["model", "accuracy", "95 % interval", "balanced", "cross-entropy"],
        [
            [
                item.recipe,
                f"{item.accuracy:.3f}",
                f"{item.low:.3f} to {item.high:.3f}",
                f"{item.balanced_accuracy:.3f}",
                f"{item.cross_entropy:.3f}",
            ]
            for item in accuracies
        ],
    )
    labels = [row for row in accuracies[0].labels if row.support]
    print_table(
        "Accuracy per label",
        ["label", "images", *(item.recipe for item in accuracies)],
        [
            [row.label, str(row.support)]
            + [
                next(f"{r.accuracy:.3f}" for r in item.labels if r.label == row.label)
                for item in accuracies
            ]
            for row in labels
        ],
    )
    for item in accuracies:
        if item.never_predicted:
            say(f"WARNING: {item.recipe} never predicts {', '.join(item.never_predicted)}.")
