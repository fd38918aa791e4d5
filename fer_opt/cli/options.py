"""Options that several commands share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fer_opt.errors import ConventionError

__all__ = [
    "AllowCode",
    "Annotations",
    "AsJson",
    "Channels",
    "Data",
    "Kind",
    "Labels",
    "Preprocessing",
    "Range",
    "Size",
    "SkipBad",
    "Split",
    "Weights",
    "data_section",
    "input_section",
    "parse_range",
    "parse_size",
    "short_names",
]

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="FER2013's CSV, AffectNet's folder, or a folder of labelled images."
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        help="fer2013, folder, affectnet or synthetic (built-in faces); told from --data if unset."
    ),
]
Split = Annotated[str | None, typer.Option(help="Which part of the data: train, validation, test.")]
Annotations = Annotated[Path | None, typer.Option(help="AffectNet's CSV of annotations.")]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out images that cannot be read, and count them.")
]
Size = Annotated[
    str | None, typer.Option(help="Input size the model expects: 64, or 64x48 (width x height).")
]
Channels = Annotated[int | None, typer.Option(help="1 (grey) or 3 (RGB).")]
Range = Annotated[
    str | None,
    typer.Option("--range", help="What black and white become, e.g. 0,1 or -1,1 or 0,255."),
]
Labels = Annotated[
    str | None, typer.Option(help="The model's labels in the order of its outputs: angry,happy,…")
]
Preprocessing = Annotated[
    list[str] | None, typer.Option(help="A step of Table 4: equalize, dog(1, 2), gamma(0.75).")
]
Weights = Annotated[
    Path | None, typer.Option(help="HDF5 weights of a JSON model; by default those beside it.")
]
AllowCode = Annotated[
    bool,
    typer.Option("--allow-code", help="Load a model that carries code of its own, which runs it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of tables.")]


def data_section(
    data: Path | None,
    kind: str | None,
    split: str | None,
    annotations: Path | None = None,
    *,
    skip_bad: bool = False,
    **more: Any,
) -> Any:
    """A :class:`fer_opt.experiment.specification.DataSection` from the command line's words."""
    from fer_opt.errors import DatasetError
    from fer_opt.experiment.specification import section

    if data is None and kind != "synthetic":
        raise DatasetError(
            "no labelled images are named; "
            "give --data PATH, or --kind synthetic for the built-in faces."
        )
    return section(
        "data",
        kind=kind,
        path=None if data is None else str(data),
        split=split,
        annotations=None if annotations is None else str(annotations),
        skip_bad=skip_bad,
        **more,
    )


def input_section(
    size: str | None,
    channels: int | None,
    range_: str | None,
    labels: str | None,
    preprocessing: list[str] | None,
) -> Any:
    """A :class:`fer_opt.experiment.specification.InputSection` from the command line's words."""
    from fer_opt.experiment.specification import section

    return section(
        "input",
        size=parse_size(size),
        channels=channels,
        range=parse_range(range_),
        labels=[name.strip() for name in labels.split(",")] if labels else None,
        preprocessing=preprocessing or [],
    )


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Height and width from ``64`` or ``64x48`` (width x height).

    Raises:
        ConventionError: it is neither.
    """
    if text is None:
        return None
    try:
        sides = [int(side) for side in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise ConventionError(
            f"--size {text} is no image size; write 64, or 64x48 (width x height)."
        )
    return sides[-1], sides[0]


def parse_range(text: str | None) -> tuple[float, float] | None:
    """Two numbers from ``-1,1``.

    Raises:
        ConventionError: it is not two numbers.
    """
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ConventionError(
            f"--range {text} is no range; write two numbers such as 0,1 or -1,1 (as --range=-1,1)."
        ) from None
    return low, high


def short_names(files: list[Path]) -> list[str]:
    """What tables call the files: their stems or names where those differ, else their paths."""
    for names in ([file.stem for file in files], [file.name for file in files]):
        if len(set(names)) == len(files):
            return names
    return [str(file) for file in files]
