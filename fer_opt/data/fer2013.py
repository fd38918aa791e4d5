"""FER2013 as Kaggle's CSV file: ``emotion,pixels,Usage``, a 48x48 face in each line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_opt.convention import FER2013_LABELS
from fer_opt.data.dataset import (
    BadSampleError,
    Complaints,
    Dataset,
    Image,
    NoSuchSplitError,
    Sample,
)
from fer_opt.data.percent import percent_stage
from fer_opt.data.spec import SPLITS, DataSpec, canonical_split, read_header
from fer_opt.errors import DatasetError
from fer_opt.progress import Progress

__all__ = ["SIDE", "open_fer2013", "parse_pixels"]

SIDE = 48
"""Width and height of every FER2013 face in pixels."""

_USAGES = {name: split for split, names in SPLITS.items() for name in names}


def open_fer2013(spec: DataSpec, complaints: Complaints, progress: Progress) -> Dataset:
    """Index the file by byte offset, checking every line of the wanted split; keep no pixels.

    Columns are found by name, so the order ``emotion, Usage, pixels`` of Kaggle's second file is
    read too, and the Usage column may be missing, as in the thesis's file.

    Args:
        spec: ``path`` is the CSV file or the folder around ``fer2013.csv``.
        complaints: what to do with a line that is not what it claims to be.
        progress: shows how far the file has been read.

    Raises:
        DatasetError: no FER2013 file, a split it lacks, or a bad line.
    """
    path = spec.existing_path()
    if path.is_dir():
        path = path / "fer2013.csv"
        if not path.is_file():
            raise DatasetError(f"{path} does not exist; give the path of FER2013's CSV file.")
    columns = _columns(path)
    wanted = canonical_split(spec.split) if spec.split else None
    if wanted not in (None, "all") and columns.usage is None:
        raise NoSuchSplitError(
            f"{path} has no Usage column, so there is no split {wanted}; "
            "leave the split out and divide the data yourself."
        )
    by_split = _index(path, columns, wanted, complaints, progress)
    if wanted is None and len(by_split) > 1:
        raise NoSuchSplitError(
            f"{path} holds the splits {', '.join(sorted(by_split))}; state which one, "
            "or all if training and test faces may be mixed."
        )
    if not by_split and not complaints.found and wanted not in (None, "all"):
        raise NoSuchSplitError(f"{path} has no line of the split {wanted}; state another one.")
    samples = [sample for found in by_split.values() for sample in found]
    split = wanted or "".join(by_split)
    return Dataset(
        name=f"FER2013, {split}" if split else "FER2013",
        source=str(spec.path),
        labels=FER2013_LABELS,
        samples=tuple(sorted(samples, key=lambda sample: sample.offset)),
        skipped=tuple(complaints.found),
        reader=_LineReader(path, columns),
    )


def _index(
    path: Path, columns: _Columns, wanted: str | None, complaints: Complaints, progress: Progress
) -> dict[str, list[Sample]]:
    """The samples of each split found, or of the wanted one."""
    by_split: dict[str, list[Sample]] = {}
    try:
        with (
            path.open("rb") as handle,
            percent_stage(progress, f"Indexing {path.name}", path.stat().st_size) as reached,
        ):
            offset = len(handle.readline())
            for number, line in enumerate(handle, start=2):
                where = f"{path}:{number}"
                try:
                    split = columns.split_of(line, where) if line.strip() else "none"
                    if split == wanted or (wanted in (None, "all") and split != "none"):
                        label = columns.label_of(line, where)
                        columns.pixels_of(line, where)
                        by_split.setdefault(split, []).append(
                            Sample(f"{path.name}:{number}", label, offset, len(line))
                        )
                except BadSampleError as error:
                    complaints.add(error)
                offset += len(line)
                reached(offset)
    except OSError as exc:
        raise DatasetError(f"{path} cannot be read ({exc.strerror or exc}).") from exc
    return by_split


def parse_pixels(text: bytes, where: str) -> Image:
    """The (48, 48) face in a ``pixels`` cell: 2304 numbers from 0 to 255 with blanks between.

    Raises:
        BadSampleError: fewer or more numbers, one out of range, or something else among them.
    """
    try:
        numbers = np.fromstring(text, dtype=np.int64, sep=" ")
    except ValueError as exc:
        raise BadSampleError(where, f"has the pixel {_first_bad(text)!r}, no whole number") from exc
    if numbers.size != SIDE * SIDE:
        raise BadSampleError(
            where, f"has {numbers.size} pixels where {SIDE * SIDE} ({SIDE}x{SIDE}) belong"
        )
    wrong = numbers[(numbers < 0) | (numbers > 255)]
    if wrong.size:
        raise BadSampleError(where, f"has the pixel {wrong[0]}, which is not from 0 to 255")
    return numbers.astype(np.uint8).reshape(SIDE, SIDE)


def _first_bad(text: bytes) -> str:
    bad = next((cell for cell in text.split() if not cell.isdigit()), b"")
    return bad[:20].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the cells stand in a line; cells hold no commas, so a plain split will do."""

    count: int
    emotion: int
    pixels: int
    usage: int | None

    def _cell(self, line: bytes, index: int, where: str) -> bytes:
        cells = line.split(b",")
        if len(cells) != self.count:
            raise BadSampleError(where, f"has {len(cells)} cells where {self.count} belong")
        return cells[index].strip().strip(b'"')

    def label_of(self, line: bytes, where: str) -> int:
        cell = self._cell(line, self.emotion, where).strip()
        label = int(cell) if cell.isdigit() and len(cell) < 4 else -1
        if not 0 <= label < len(FER2013_LABELS):
            shown = cell[:20].decode("utf-8", "replace")
            raise BadSampleError(where, f"has the unknown emotion {shown!r}, none of 0 to 6")
        return label

    def split_of(self, line: bytes, where: str) -> str:
        if self.usage is None:
            return ""
        cell = self._cell(line, self.usage, where).decode("utf-8", "replace").strip()
        try:
            return _USAGES[cell.lower()]
        except KeyError as exc:
            raise BadSampleError(
                where, f"has the unknown Usage {cell[:40]!r}, not Training, PublicTest, PrivateTest"
            ) from exc

    def pixels_of(self, line: bytes, where: str) -> Image:
        return parse_pixels(self._cell(line, self.pixels, where), where)


def _columns(path: Path) -> _Columns:
    header = read_header(path)
    if "emotion" not in header or "pixels" not in header:
        raise DatasetError(
            f"{path} is not FER2013: its first line lacks the columns emotion and pixels; "
            "give the CSV file of Kaggle's challenge."
        )
    usage = header.index("usage") if "usage" in header else None
    return _Columns(len(header), header.index("emotion"), header.index("pixels"), usage)


@dataclass(frozen=True, slots=True)
class _LineReader:
    path: Path
    columns: _Columns

    def __call__(self, sample: Sample) -> Image:
        where = f"{self.path}:{sample.source.rpartition(':')[2]}"
        try:
            with self.path.open("rb") as handle:
                handle.seek(sample.offset)
                line = handle.read(sample.length)
        except OSError as exc:
            raise DatasetError(f"{self.path} cannot be read ({exc.strerror or exc}).") from exc
        return self.columns.pixels_of(line, where)
