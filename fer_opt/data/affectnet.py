"""AffectNet: a folder of photos and the manually annotated CSV file that says what is in them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from fer_opt.convention import AFFECTNET_LABELS
from fer_opt.data.dataset import (
    BadSampleError,
    Complaints,
    Dataset,
    Image,
    NoSuchSplitError,
    Sample,
)
from fer_opt.data.face_cache import keep, place_of, recall
from fer_opt.data.images import crop, decode
from fer_opt.data.percent import percent_stage
from fer_opt.data.spec import DataSpec, canonical_split, read_header
from fer_opt.errors import DatasetError
from fer_opt.files import make_folder
from fer_opt.progress import Progress

__all__ = ["COLUMNS", "SIDE", "open_affectnet"]

SIDE = 224
"""Side in pixels faces are resized to once, as in the thesis (section 3.3.1)."""

COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height",
    "facial_landmarks", "expression", "valence", "arousal",
)  # fmt: skip
"""The annotation file's columns; ``validation.csv`` is handed out without this first line."""

_PRUNED = frozenset((8, 9, 10))
"""None, Uncertain and Non-Face (thesis Table 2), which are no expressions."""

_FILES = {"train": "training.csv", "validation": "validation.csv", "test": "validation.csv"}


def open_affectnet(spec: DataSpec, complaints: Complaints, progress: Progress) -> Dataset:
    """List the faces of an annotation file, without the labels None, Uncertain and Non-Face.

    Every photo must be there; it is opened when it is read, cropped to its face's box and resized
    to ``spec.image_size`` (224) with area averaging when shrinking and bilinearly when enlarging.
    With ``spec.cache`` that is done once and kept as PNG.

    Args:
        spec: ``path`` is the folder of photos; see :class:`DataSpec` for the rest.
        complaints: what to do with a line that is not what it claims to be.
        progress: shows how far the annotation file has been read.

    Raises:
        DatasetError: a file or folder is missing, or a line is bad.
        OutputError: the cache folder cannot be used.
    """
    root = spec.existing_path()
    annotations = _find_annotations(root, spec)
    split = _split_of(annotations, spec.split)
    root = root.parent if root.is_file() else root
    for name in ("Manually_Annotated_Images", "Manually_Annotated"):
        if (root / name).is_dir():
            root = root / name
    side = _side(spec)
    if spec.cache is not None:
        make_folder(Path(spec.cache).expanduser())
    samples: list[Sample] = []
    total_bytes = annotations.stat().st_size
    with percent_stage(progress, f"Indexing {annotations.name}", total_bytes) as reached:
        for sample, position in _lines(annotations, root, complaints):
            if sample is not None:
                samples.append(sample)
            reached(position)
    return Dataset(
        name=f"AffectNet, {split}" if split else "AffectNet",
        source=str(spec.path),
        labels=AFFECTNET_LABELS,
        samples=tuple(samples),
        skipped=tuple(complaints.found),
        reader=_FaceReader(
            root, annotations, side, Path(spec.cache).expanduser() if spec.cache else None
        ),
    )


def _side(spec: DataSpec) -> int:
    side = SIDE if spec.image_size is None else spec.image_size
    if side < 1:
        raise DatasetError(f"faces of {side} pixels cannot be made; state a size of 1 or more.")
    return side


def _split_of(annotations: Path, stated: str | None) -> str | None:
    """The split an annotation file holds, told from its name; it must be the one stated.

    AffectNet's test set was never published, so ``test`` means its validation set, as in the
    literature.
    """
    holds = next((split for split, name in _FILES.items() if name == annotations.name), None)
    wanted = canonical_split(stated) if stated else None
    if wanted in (None, "all") or _FILES[wanted] == annotations.name:
        return holds
    raise NoSuchSplitError(
        f"{annotations} is not called {_FILES[wanted]}, so it is not known to hold the split "
        f"{wanted}; leave the split out to take the whole file."
    )


def _find_annotations(root: Path, spec: DataSpec) -> Path:
    if root.is_file():
        return root
    if spec.annotations is not None:
        path = Path(spec.annotations).expanduser()
        if not path.is_file():
            raise DatasetError(f"{path} does not exist; state where AffectNet's CSV file is.")
        return path
    split = canonical_split(spec.split) if spec.split else None
    names = [_FILES[split]] if split in _FILES else sorted(set(_FILES.values()))
    places = [root, root / "Manually_Annotated_file_lists", root.parent,
              root.parent / "Manually_Annotated_file_lists"]  # fmt: skip
    found = [place / name for place in places for name in names if (place / name).is_file()]
    if len({path.name for path in found}) > 1:
        raise NoSuchSplitError(
            f"{root} has {' and '.join(names)}; state the split train or validation."
        )
    if not found:
        raise NoSuchSplitError(
            f"{' or '.join(names)} is neither in {root} nor beside it; "
            "state where AffectNet's annotation file is."
        )
    return found[0]


def _lines(path: Path, root: Path, complaints: Complaints) -> Iterator[tuple[Sample | None, int]]:
    """Each line's sample (None if pruned or bad) and how far into the file it is."""
    header = read_header(path)
    known = tuple(column.lower() for column in COLUMNS)
    titled = "subdirectory_filepath" in header
    columns = header if titled else known
    needed = ("subdirectory_filepath", *known[1:5], "expression")
    if any(column not in columns for column in needed) or len(header) != len(columns):
        raise DatasetError(
            f"{path} is not AffectNet's annotation file: its columns are not {', '.join(COLUMNS)}; "
            "give training.csv or validation.csv."
        )
    where = {column: columns.index(column) for column in needed}
    try:
        with path.open("r", encoding="utf-8-sig", errors="replace", newline="") as handle:
            rows = csv.reader(line.replace("\0", "") for line in handle)
            if titled:
                next(rows)
            size = 0
            for row in rows:
                size += sum(map(len, row)) + len(row)
                if not row:
                    continue
                try:
                    if len(row) != len(columns):
                        raise BadSampleError(
                            f"{path}:{rows.line_num}",
                            f"has {len(row)} cells where {len(columns)} belong",
                        )
                    cells = {column: row[index].strip() for column, index in where.items()}
                    yield _parse(cells, path, rows.line_num, root), size
                except BadSampleError as error:
                    complaints.add(error)
                    yield None, size
    except OSError as exc:
        raise DatasetError(f"{path} cannot be read ({exc.strerror or exc}).") from exc
    except csv.Error as exc:
        raise DatasetError(f"{path} is not a CSV file ({exc}); give AffectNet's.") from exc


def _parse(cells: dict[str, str], path: Path, number: int, root: Path) -> Sample | None:
    where = f"{path}:{number}"
    code = cells["expression"]
    if not re.fullmatch("[0-9]{1,3}", code) or int(code) > max(_PRUNED):
        raise BadSampleError(where, f"has the unknown expression {code[:20]!r}, none of 0 to 10")
    if int(code) in _PRUNED:
        return None
    try:
        left, top, width, height = (
            round(float(cells[name])) for name in ("face_x", "face_y", "face_width", "face_height")
        )
    except (ValueError, OverflowError) as exc:
        raise BadSampleError(where, "has a face box that is not four numbers") from exc
    if width < 1 or height < 1:
        raise BadSampleError(where, f"has an empty face box of {width}x{height} pixels")
    name = cells["subdirectory_filepath"].replace("\\", "/")
    photo = root / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise BadSampleError(where, f"names the image {name[:80]!r} outside {root}")
    try:
        size = photo.stat().st_size if photo.is_file() else -1
    except (OSError, ValueError):  # too long a name
        size = -1
    if size < 0:
        raise BadSampleError(where, f"names the image {name[:80]!r}, which is missing in {root}")
    return Sample(
        source=f"{path.name}:{number}:{name}",
        label=int(code),
        length=size,
        box=(left, top, width, height),
    )


@dataclass(frozen=True, slots=True)
class _FaceReader:
    root: Path
    annotations: Path
    side: int
    cache: Path | None

    def __call__(self, sample: Sample) -> Image:
        _, number, name = sample.source.split(":", 2)
        where = f"{self.annotations}:{number}: {name}"
        if self.cache is None:
            return self._cut(sample, self.root / name, where)
        kept = place_of(self.cache, self.root, name, sample, self.side)
        face = recall(kept, self.side)
        if face is None:
            face = self._cut(sample, self.root / name, where)
            keep(kept, face)
        return face

    def _cut(self, sample: Sample, photo: Path, where: str) -> Image:
        assert sample.box is not None
        pixels = crop(decode(photo, where), sample.box)
        if pixels.size == 0:
            raise BadSampleError(where, f"has its face box {sample.box} outside the image")
        shrinks = max(pixels.shape[:2]) > self.side
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(pixels, (self.side, self.side), interpolation=method)  # type: ignore[return-value]
