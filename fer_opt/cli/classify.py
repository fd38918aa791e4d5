"""``fer-opt classify``: what photos show, printed, saved, and as a page to look through."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_opt.cli.console import (
    Terminal,
    print_line,
    print_pieces,
    print_table,
    print_text,
    say,
)
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
        str, typer.Option(help="thesis (every pixel, as its app did) or faster (small pictures).")
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
    """Tell the expression each photo shows: find faces, and classify the one of a photo with one.

    Every stage is timed. Each result is saved at once: stop it at any time, the same command goes
    on. Files that are no photos are named and passed over.
    """
    from fer_opt.experiment.classifying import (
        ClassifyRequest,
        choose_ways,
        classify_photos,
        saved_results,
    )

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
    done = classify_photos(request, _ignore if json else _print_photo, Terminal())
    if json:
        _print_json(done, saved_results(done, out))
    else:
        _print_summary(done)
    _tell_left_out(done)
    say(f"The {'gallery is' if gallery else 'results are in'} {gallery or done.files[0]}")


def _ignore(result: Any) -> None:
    """Print nothing."""


def _print_photo(result: Any) -> None:
    """Print one line: what the photo shows, how sure that is, how long it took, its path."""
    from fer_opt.stages.photos.naming import emoji_of, filed_under, shown_name

    label = filed_under(result)
    sure = "" if result.confidence is None else f"{result.confidence:.0%}"
    took = "" if result.outcome == "unreadable" else f"{result.total_ms:.1f} ms"
    print_line(f"{emoji_of(label)} {label:<13} {sure:>4} {took:>10}  ", shown_name(result.photo))


def _print_summary(done: Any) -> None:
    """Print how many photos show what, and how long the stages took."""
    from fer_opt.stages.photos.naming import emoji_of

    counts = done.tally.labels
    order = [*done.made_with.labels, "several faces", "no face", "unreadable"]
    print_text("")
    print_table(
        f"{_photos(done.tally.photos)}",
        ["", "label", "photos"],
        [[emoji_of(label), label, str(counts[label])] for label in order if counts[label]],
        left=(0, 1),
    )
    stages = done.tally.stages()
    if stages:
        print_table(
            "Milliseconds a photo on this computer (a phone's differ)",
            ["stage", "photos", "mean", "sd", "median", "p95", "max"],
            [
                [
                    one.stage,
                    str(one.photos),
                    f"{one.mean_ms:.2f}",
                    "?" if one.sd_ms is None else f"{one.sd_ms:.2f}",
                    f"{one.median_ms:.2f}",
                    f"{one.p95_ms:.2f}",
                    f"{one.max_ms:.2f}",
                ]
                for one in stages
            ],
        )
    if done.only:
        print_text(
            f"{_photos(done.shown)} of {done.tally.photos:,} show {' or '.join(done.only)}; "
            "the results of all are saved."
        )


def _print_json(done: Any, results: Any) -> None:
    """Print what scripts want to know, the results of the labels asked for last."""
    from fer_opt.stages.photos.tables import json_pieces

    head = {
        "files": [str(path) for path in done.files],
        "made_with": dataclasses.asdict(done.made_with),
        "only": done.only,
        "photos_total": done.tally.photos,
        "photos_shown": done.shown,
        "known_before": done.known_before,
        "labels": dict(done.tally.labels.most_common()),
        "stages": [dataclasses.asdict(stage) for stage in done.tally.stages()],
    }
    print_pieces(json_pieces(head, results))


def _tell_left_out(done: Any) -> None:
    """Say which photos could not be read, and what was not looked at."""
    if done.known_before:
        say(f"{_photos(done.known_before)} had been classified before.")
    unreadable = done.tally.labels["unreadable"]
    if unreadable:
        from fer_opt.stages.photos.naming import shown_name

        named = done.tally.unreadable
        say(f"WARNING: {_photos(unreadable)} could not be read:")
        for result in named:
            say(f"  {shown_name(result.reason)}")
        if unreadable > len(named):
            say(f"  and {unreadable - len(named):,} more; {done.files[-2]} names them all.")
    for sentence in done.found.closed:
        say(f"WARNING: {shown_name(sentence)}")
    if done.found.left_out:
        kinds = [
            f"{count:,} {suffix or 'without an ending'}"
            for suffix, count in done.found.left_out.items()
        ]
        say(f"Left out by their ending: {', '.join(kinds)}.")


def _photos(count: int) -> str:
    return f"{count:,} photo{'' if count == 1 else 's'}"
