"""Any folder of labelled images: ``root/angry/*.jpg`` or ``root/train/angry/*.jpg``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fer_opt.convention import AFFECTNET_LABELS, FER2013_LABELS, canonical_label
from fer_opt.data.dataset import (
    BadSampleError,
    Complaints,
    Dataset,
    Image,
    NoSuchSplitError,
    Sample,
)
from fer_opt.data.images import IMAGE_SUFFIXES, decode
from fer_opt.data.spec import SPLITS, DataSpec, canonical_split
from fer_opt.errors import DatasetError
from fer_opt.progress import Progress

__all__ = ["open_folder", "order_labels"]

_LITTER = frozenset(("thumbs.db", "desktop.ini", "__macosx"))
"""What operating systems leave behind; ignored like every name that begins with a dot."""


def open_folder(spec: DataSpec, complaints: Complaints, progress: Progress) -> Dataset:
    """List the images, label by label, at any depth below the label's folder.

    Hidden files and the litter of operating systems are ignored. Any other file that is no image
    by its suffix is left out and listed in ``skipped``, so that nothing disappears in silence.
    Images are opened when they are read, not here; an empty file is complained about at once.

    Args:
        spec: ``path`` is the folder, ``split`` chooses among ``train``, ``test`` and the like.
        complaints: what to do with a file that cannot be a sample.
        progress: shows how many labels have been listed.

    Raises:
        DatasetError: no folder, no such split, fewer than two labels, or a label without images.
    """
    root = spec.existing_path()
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; give the folder that holds the label folders.")
    split, folder = _choose_split(root, spec.split)
    labels = order_labels(tuple(entry.name for entry in _folders(folder)))
    _check_labels(folder, labels)
    samples: list[Sample] = []
    with progress.stage(f"Listing {folder.name}", len(labels)) as advance:
        for index, label in enumerate(labels):
            found = list(_list_images(root, folder / label, index, complaints))
            if not found:
                raise DatasetError(
                    f"{folder / label} holds no image; remove the folder or put its images in."
                )
            samples.extend(found)
            advance(1)
    return Dataset(
        name=f"{root.resolve().name} folder" + (f", {split}" if split else ""),
        source=str(spec.path),
        labels=labels,
        samples=tuple(samples),
        skipped=tuple(complaints.found),
        reader=_FileReader(root),
    )


def order_labels(names: tuple[str, ...]) -> tuple[str, ...]:
    """Kaggle's order for FER2013's seven labels, AffectNet's for its eight, else alphabetical.

    Numbers count as numbers (2 before 10). The spelling is kept as it is.
    """
    where = {canonical_label(name): name for name in names}
    for known in (FER2013_LABELS, AFFECTNET_LABELS):
        canonical = [canonical_label(label) for label in known]
        if len(where) == len(names) and set(where) == set(canonical):
            return tuple(where[label] for label in canonical)
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names, key=lambda name: (name.lower(), name)))


def _choose_split(root: Path, wanted: str | None) -> tuple[str, Path]:
    """The split's name ("" where there are none) and the folder of its label folders."""
    aliases = {alias: split for split, names in SPLITS.items() for alias in names}
    present: dict[str, Path] = {}
    for entry in _folders(root):
        if split := aliases.get(entry.name.lower()):
            if split in present:
                raise DatasetError(
                    f"{root} has two folders for the split {split} ({present[split].name} and "
                    f"{entry.name}); give the path of one of them."
                )
            present[split] = entry
    stated = canonical_split(wanted) if wanted else None
    if not present:
        if stated in (None, "all"):
            return "", root
        own = aliases.get(root.resolve().name.lower())
        if own is not None and own == stated:
            return own, root
        raise NoSuchSplitError(
            f"{root} has no folder {stated}; leave the split out to take all its images."
        )
    names = ", ".join(sorted(entry.name for entry in present.values()))
    if stated == "all":
        raise NoSuchSplitError(
            f"{root} keeps its splits apart ({names}); state one of them, "
            "or give a folder with the label folders directly in it."
        )
    if stated is None:
        if len(present) > 1:
            raise NoSuchSplitError(f"{root} holds the splits {names}; state which one.")
        return next(iter(present.items()))
    if stated not in present:
        raise NoSuchSplitError(f"{root} has no folder {stated}, only {names}; state one of these.")
    return stated, present[stated]


def _check_labels(folder: Path, labels: tuple[str, ...]) -> None:
    if len(labels) < 2:
        found = f"only the label folder {labels[0]}" if labels else "no label folders"
        raise DatasetError(
            f"{folder} has {found}; a dataset needs one folder of images for each of two or more "
            "labels, such as angry and happy."
        )
    seen: dict[str, str] = {}
    for label in labels:
        if (other := seen.setdefault(canonical_label(label), label)) != label:
            raise DatasetError(
                f"{folder} has the label folders {other} and {label}, which mean the same; "
                "merge them."
            )


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.is_dir()]


def _entries(folder: Path) -> list[Path]:
    """What is in ``folder``, sorted, without hidden files and litter."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as exc:
        raise DatasetError(f"{folder} cannot be listed ({exc.strerror or exc}).") from exc
    return [
        folder / name for name in names if not name.startswith(".") and name.lower() not in _LITTER
    ]


def _list_images(root: Path, folder: Path, label: int, complaints: Complaints) -> Iterator[Sample]:
    for entry in _entries(folder):
        if entry.is_dir():
            if not entry.is_symlink():  # a link may lead round in circles
                yield from _list_images(root, entry, label, complaints)
            continue
        name = _printable(entry)
        if entry.suffix.lower() not in IMAGE_SUFFIXES:
            complaints.note(name, f"is no image (suffix {entry.suffix or 'missing'})")
            continue
        try:
            if name != str(entry):
                raise BadSampleError(name, "has a name that is not valid Unicode")
            size = entry.stat().st_size
            if size == 0:
                raise BadSampleError(name, "is an empty file")
        except OSError as exc:
            complaints.add(BadSampleError(name, f"cannot be read ({exc.strerror or exc})"))
        except BadSampleError as error:
            complaints.add(error)
        else:
            yield Sample(entry.relative_to(root).as_posix(), label, length=size)


def _printable(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _FileReader:
    root: Path

    def __call__(self, sample: Sample) -> Image:
        path = self.root / sample.source
        return decode(path, str(path))
