"""``results.json`` and ``results.csv``: the results of one command, written photo by photo."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fer_opt.device.stage_timing import STAGES
from fer_opt.files import writing_atomically
from fer_opt.reports.csv_tables import inert
from fer_opt.stages.photos.made_with import MadeWith
from fer_opt.stages.photos.naming import shown_name
from fer_opt.stages.result import PhotoResult

__all__ = ["CSV_NAME", "FORMAT", "JSON_NAME", "json_pieces", "write_csv", "write_json"]

JSON_NAME, CSV_NAME = "results.json", "results.csv"

FORMAT = 1
"""Of ``results.json``; a change of it is logged here. 1: the first."""


def write_json(
    path: Path, made_with: MadeWith, summary: dict[str, Any], results: Iterable[PhotoResult]
) -> None:
    """One object: what the results were made with, ``summary``, and under ``photos`` the results.

    Raises:
        OutputError: it cannot be written.
    """
    head = {"format": FORMAT, "made_with": asdict(made_with), **summary}
    with writing_atomically(path) as target:
        for piece in json_pieces(head, results):
            target.write(piece.encode("ascii"))


def json_pieces(head: dict[str, Any], results: Iterable[PhotoResult]) -> Iterator[str]:
    """The text of an object with the keys of ``head`` and a list ``photos``, a line a photo."""
    yield json.dumps(head, indent=1)[:-2] + ',\n "photos": ['
    separator = "\n  "
    for result in results:
        yield separator + json.dumps(asdict(result))
        separator = ",\n  "
    yield "\n ]\n}\n"


def write_csv(path: Path, made_with: MadeWith, results: Iterable[PhotoResult]) -> None:
    """One line a photo; times in milliseconds, probabilities 0 to 1, boxes in pixels.

    A face is ``left top width height`` in the upright photo, several are divided by semicolons.
    What does not apply is empty.

    Raises:
        OutputError: it cannot be written.
    """
    columns = [
        "photo", "outcome", "label", "confidence", "faces", "boxes", "width", "height",
        *(f"{stage}_ms" for stage in STAGES), "total_ms",
        *(f"probability[{label}]" for label in made_with.labels), "reason",
    ]  # fmt: skip
    with writing_atomically(path) as target:
        text = codecs.getwriter("utf-8")(target)
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        for result in results:
            row = _row(result, made_with.labels)
            writer.writerow({name: inert(value) for name, value in row.items()})


def _row(result: PhotoResult, labels: tuple[str, ...]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "photo": shown_name(result.photo),
        "outcome": result.outcome,
        "total_ms": result.total_ms,
    }
    if result.outcome == "unreadable":
        return row | {"reason": shown_name(result.reason)}
    row |= {
        "label": result.label,
        "confidence": result.confidence,
        "faces": len(result.faces),
        "boxes": "; ".join(" ".join(map(str, box)) for box in result.faces),
        "width": result.width,
        "height": result.height,
    }
    row |= {f"{stage}_ms": ms for stage, ms in result.stages_ms.items()}
    if result.probabilities:
        pairs = zip(labels, result.probabilities, strict=True)
        row |= {f"probability[{label}]": share for label, share in pairs}
    return row
