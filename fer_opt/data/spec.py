"""Which dataset is meant, as data: what an experiment file or the command line states."""

from __future__ import annotations

import csv
import difflib
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fer_opt.errors import DatasetError

__all__ = ["SPLITS", "DataKind", "DataSpec", "canonical_split", "guess_kind", "read_header"]

DataKind = Literal["fer2013", "folder", "affectnet", "synthetic"]

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "publictest"),
    "test": ("test", "testing", "privatetest"),
}
"""The names people give to splits; Kaggle's Usage column among them."""


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class DataSpec:
    """A dataset and how to take it.

    Attributes:
        kind: which reader.
        path: the CSV file (fer2013), the folder of images (folder, affectnet); none for synthetic.
        split: ``train``, ``validation``, ``test`` or ``all``; None where there is only one.
        annotations: AffectNet's CSV file; None looks for ``training.csv`` or ``validation.csv``
            (by ``split``) in the folder, in ``Manually_Annotated_file_lists`` and beside it.
        cache: folder that keeps AffectNet's faces once they are cropped and resized.
        image_size: side in pixels of AffectNet's faces (224) and of synthetic ones (48).
        size: number of synthetic faces, spread evenly over the eight labels.
        counts: synthetic faces of each label in AffectNet's order, in place of ``size``.
        seed: of the synthetic faces.
    """

    kind: DataKind
    path: str | None = None
    split: str | None = None
    annotations: str | None = None
    cache: str | None = None
    image_size: int | None = None
    size: int = 4000
    counts: tuple[int, ...] | None = None
    seed: int = 0

    def existing_path(self) -> Path:
        """The path, which every kind but ``synthetic`` needs.

        Raises:
            DatasetError: none is given, or nothing is there.
        """
        if not self.path:
            raise DatasetError(f"data of kind {self.kind} needs a path; state where it is.")
        path = Path(self.path).expanduser()
        try:
            found = path.exists()
        except (OSError, ValueError):  # too long a name, a null byte
            found = False
        if not found:
            raise DatasetError(f"{self.path} does not exist; state where the data is.")
        return path


def canonical_split(name: str) -> str:
    """``train``, ``validation``, ``test`` or ``all`` for any of their usual names.

    Raises:
        DatasetError: not the name of a split.
    """
    wanted = name.strip().lower()
    if wanted == "all":
        return wanted
    for split, names in SPLITS.items():
        if wanted in names:
            return split
    known = ["all", *(alias for names in SPLITS.values() for alias in names)]
    near = difflib.get_close_matches(wanted, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "use train, validation, test or all."
    raise DatasetError(f"{name!r} is not the name of a split; {hint}")


def guess_kind(path: Path) -> DataKind:
    """The kind of dataset at ``path``, judged by a CSV file's header or a folder's content.

    Raises:
        DatasetError: nothing is there, or it is neither a folder nor a CSV file of a known kind.
    """
    if path.is_dir():
        if (path / "fer2013.csv").is_file():
            return "fer2013"
        lists = [*path.glob("*.csv"), *path.glob("Manually_Annotated_file_lists/*.csv")]
        if any("subdirectory_filepath" in read_header(file) for file in lists):
            return "affectnet"
        return "folder"
    if not path.is_file():
        raise DatasetError(f"{path} does not exist; give a CSV file or a folder of images.")
    header = read_header(path)
    if {"emotion", "pixels"} <= set(header):
        return "fer2013"
    if "subdirectory_filepath" in header:
        return "affectnet"
    raise DatasetError(
        f"{path} is no dataset fer-opt knows: its first line has neither FER2013's columns "
        "(emotion, pixels, Usage) nor AffectNet's (subDirectory_filePath, ...); "
        "give such a CSV file or a folder of images."
    )


def read_header(path: Path) -> tuple[str, ...]:
    """Column names in a CSV file's first line, lower case, without blanks around them.

    Raises:
        DatasetError: the file cannot be opened.
    """
    try:
        with path.open("rb") as handle:
            line = handle.readline(4096).decode("utf-8-sig", "replace")
    except OSError as exc:
        raise DatasetError(f"{path} cannot be read ({exc.strerror or exc}).") from exc
    try:
        row = next(csv.reader([line.replace("\0", "")]), [])
    except csv.Error:
        return ()
    return tuple(cell.strip().lower() for cell in row)
