"""Which photos are meant by the files and folders that were named."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_opt.data.images import IMAGE_SUFFIXES
from fer_opt.errors import DatasetError

__all__ = ["FoundPhotos", "find_photos"]


@dataclass(frozen=True, slots=True)
class FoundPhotos:
    """What was found.

    Attributes:
        photos: in the order named, those of a folder sorted; each once.
        left_out: how many files of the folders are no photos by their ending, by that ending.
        closed: folders within the named ones that cannot be listed, a sentence each.
    """

    photos: tuple[Path, ...]
    left_out: dict[str, int]
    closed: tuple[str, ...]


def find_photos(named: Sequence[Path]) -> FoundPhotos:
    """The photos among ``named`` files, and in ``named`` folders and the folders inside.

    A file that is named is taken whatever its ending. In folders those are taken whose ending is
    an image's; hidden files and folders, and links to folders, are left out.

    Raises:
        DatasetError: a name stands for nothing, or there is no photo at all.
    """
    left_out: Counter[str] = Counter()
    closed: list[str] = []
    photos: dict[str, Path] = {}
    for name in named:
        for photo in _photos_of(name, left_out, closed):
            photos.setdefault(os.path.abspath(photo), photo)
    if not photos:
        raise DatasetError(
            f"{', '.join(map(str, named))} {'hold' if len(named) > 1 else 'holds'} no photo"
            f"{_only(left_out)}; name photos, or a folder with some (.jpg, .png, .webp and others)."
        )
    return FoundPhotos(tuple(photos.values()), dict(sorted(left_out.items())), tuple(closed))


def _photos_of(name: Path, left_out: Counter[str], closed: list[str]) -> Iterator[Path]:
    try:
        mode = name.stat().st_mode
        if stat.S_ISDIR(mode):
            entries = _listed(name)
    except OSError as exc:
        gone = isinstance(exc, FileNotFoundError | NotADirectoryError)
        cause = "does not exist" if gone else f"cannot be read ({exc.strerror})"
        raise DatasetError(f"{name} {cause}; name photos, or folders that hold them.") from exc
    if stat.S_ISDIR(mode):
        yield from _in_folder(name, entries, left_out, closed)
    elif stat.S_ISREG(mode):
        yield name
    else:
        raise DatasetError(
            f"{name} is neither a file nor a folder; name photos, or folders that hold them."
        )


def _in_folder(
    folder: Path, entries: list[os.DirEntry[str]], left_out: Counter[str], closed: list[str]
) -> Iterator[Path]:
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if os.path.isdir(path):  # unlike the entry's own it never raises
            if path.is_symlink():  # it may lead back up
                continue
            try:
                inside = _listed(path)
            except OSError as exc:
                closed.append(f"{path} cannot be listed ({exc.strerror}).")
                continue
            yield from _in_folder(path, inside, left_out, closed)
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            left_out[path.suffix.lower()] += 1
        elif os.path.isfile(path) or not os.path.exists(
            path
        ):  # a link to nothing is named as unreadable
            yield path


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _only(left_out: Counter[str]) -> str:
    if not left_out:
        return ""
    endings = ", ".join(suffix or "no ending" for suffix, _ in left_out.most_common(3))
    return f", only {sum(left_out.values())} other files ({endings})"
