"""``fer-opt classify``: what photos show, printed, saved, and as a page to look through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_opt.cli.classified import (
    print_photo,
    print_results,
    print_summary,
    say_what_was_left_out,
)
from fer_opt.cli.console import Terminal, say
from fer_opt.cli.options import AsJson, input_section

__all__ = ["register"]

EXAMPLES = """
Examples:

fer-opt classify holiday/ --model int8.tflite

fer-opt classify *.jpg --model int8.tflite --way faster --only happy,surprise

fer-opt classify holiday/ --model int8.tflite --gallery holiday.html

fer-opt classify holiday/ --model int8.tflite --detector blazeface.tflite --json
"""

FOREIGN = "A model that fer-opt did not make"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("classify", epilog=EXAMPLES)(classify)


def classify(
    photos: Annotated[
        list[Path],
        typer.Argument(
            help="Photos, or folders with some (and folders inside).", show_default=False
        ),
    ],
    model: Annotated[
        Path, typer.Option(help="The classifier, a .tflite file.", show_default=False)
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Show only these: labels of the model divided by commas, or 'several faces'. "
            "Results of all photos are saved all the same.",
            show_default=False,
        ),
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option(help="Write a page of thumbnails with filters.", metavar="PAGE.html"),
    ] = None,
    way: Annotated[
        str,
        typer.Option(
            help="thesis (every pixel, as its app did), or faster (small pictures; finds faces of "
            "a tenth of the photo or more)."
        ),
    ] = "thesis",
    detector: Annotated[
        str, typer.Option(help="haar (OpenCV's cascade), or a TFLite face detector's file.")
    ] = "haar",
    threads: Annotated[int, typer.Option(min=1, help="Of detector and classifier.")] = 1,
    out: Annotated[
        Path, typer.Option(help="Folder of results.jsonl, results.json and results.csv.")
    ] = Path("runs/classify"),
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over, whatever the folder holds.")
    ] = False,
    range_: Annotated[
        str | None,
        typer.Option(
            "--range",
            help="What black and white become, e.g. 0,1 or -1,1 or 0,255.",
            rich_help_panel=FOREIGN,
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Its labels in the order of its outputs.", rich_help_panel=FOREIGN),
    ] = None,
    preprocessing: Annotated[
        list[str] | None,
        typer.Option(
            help="A step of Table 4: equalize, dog(1, 2), gamma(0.75).", rich_help_panel=FOREIGN
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Tell what each photo shows: no face, several, or one and its expression.

    Stages are timed. Stop it at any time: the same command goes on where it stopped.
    Files that are no photos are named and passed over.
    """
    from fer_opt.experiment.classifying import ClassifyRequest, classify_photos, saved_results
    from fer_opt.experiment.classifying_pipeline import choose_ways

    request = ClassifyRequest(
        named=tuple(photos),
        model=model,
        ways=choose_ways(way, detector),
        out=out,
        threads=threads,
        only=tuple(only or ()),
        gallery=gallery,
        fresh=fresh,
        stated=input_section(None, None, range_, labels, preprocessing),
    )
    done = classify_photos(request, (lambda _: None) if json else print_photo, Terminal())
    if json:
        print_results(done, saved_results(done, out))
    else:
        print_summary(done)
    say_what_was_left_out(done)
    say(f"The {'gallery is' if gallery else 'results are in'} {gallery or done.files[0]}")
