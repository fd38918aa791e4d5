"""``results.jsonl``: one line a photo, written as it is done, from which a stopped run goes on.

The first line says what the results were made with. Memory holds a place in the file for each
photo, not its result.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import TypeAdapter

from fer_opt.errors import ExperimentError, OutputError
from fer_opt.stages.photos.made_with import MadeWith
from fer_opt.stages.result import PhotoResult

__all__ = ["STORE_NAME", "Looks", "ResultStore", "looks_of", "open_store"]

STORE_NAME = "results.jsonl"
FORMAT = 1
"""Of the file; a change of it is logged here. 1: the first."""

BEGINNING = b'{"format": '
"""Of the file; anything else is not ours to cut."""

LOOKS = ("size_bytes", "modified_ns")
Looks = tuple[int, int]
"""Of a photo's file: size in bytes and time of the last change in nanoseconds."""

_RESULT = TypeAdapter(PhotoResult)
_MADE_WITH = TypeAdapter(MadeWith)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the last line of a photo stands, and how the photo's file looked then."""

    offset: int
    looks: Looks
    readable: bool


@contextlib.contextmanager
def open_store(folder: Path, made_with: MadeWith, *, fresh: bool) -> Iterator[ResultStore]:
    """The results kept in ``folder``, to be read and added to.

    Args:
        folder: that holds ``results.jsonl``, or will.
        made_with: what the results to come are made with.
        fresh: forget what the folder holds.

    Raises:
        ExperimentError: it holds results made with something else, or a file of another kind.
        OutputError: it cannot be written.
    """
    path = folder / STORE_NAME
    with contextlib.ExitStack() as stack:
        try:
            # Nothing is buffered on the way out: what is written is there, and nothing is left over
            # that a full disk would refuse when the file is closed.
            target = stack.enter_context(path.open("wb" if fresh else "ab", buffering=0))
            source = stack.enter_context(path.open("rb"))
            places = _read_places(path, source, made_with)
            if places is None:
                target.truncate(0)
                _write(target, {"format": FORMAT, **asdict(made_with)})
        except OSError as exc:
            raise OutputError(
                f"{path} cannot be written ({exc.strerror or exc}); choose another --out."
            ) from exc
        yield ResultStore(path, source, target, places or {})


class ResultStore:
    """What is known of each photo so far."""

    def __init__(
        self, path: Path, source: BinaryIO, target: FileIO, places: dict[str, _Place]
    ) -> None:
        self._path, self._source, self._target, self._places = path, source, target, places

    def is_done(self, photo: Path) -> bool:
        """Whether the photo is known and its file the same: size and time of change.

        One that could not be read is tried again: what was wrong need not have been the file.
        """
        place = self._places.get(str(photo))
        return place is not None and place.readable and place.looks == looks_of(photo)

    def add(self, result: PhotoResult, looks: Looks) -> None:
        """Keep a result; it is in the file when this returns.

        A photo that is still unreadable for the same reason is not told of twice.

        Args:
            result: of one photo.
            looks: of its file before it was read.

        Raises:
            OutputError: the disk is full, or the folder gone.
        """
        readable = result.outcome != "unreadable"
        if not readable and result.photo in self:
            known = self.find(result.photo)
            if (known.outcome, known.reason) == (result.outcome, result.reason):
                return
        try:
            offset = self._target.seek(0, os.SEEK_END)
            _write(self._target, asdict(result) | dict(zip(LOOKS, looks, strict=True)))
        except OSError as exc:
            raise OutputError(
                f"{self._path} cannot be written ({exc.strerror or exc}); make room and run the "
                "same command again: it goes on from here."
            ) from exc
        self._places[result.photo] = _Place(offset, looks, readable)

    def find(self, photo: Path | str) -> PhotoResult:
        """The last result of a photo that is known."""
        self._source.seek(self._places[str(photo)].offset)
        return _parse(json.loads(self._source.readline()))[0]

    def __contains__(self, photo: Path | str) -> bool:
        return str(photo) in self._places


def looks_of(photo: Path) -> Looks:
    """How a photo's file looks now; -1 each where there is none."""
    try:
        found = photo.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _read_places(path: Path, source: BinaryIO, made_with: MadeWith) -> dict[str, _Place] | None:
    """Places by photo, the torn last line of a killed run cut off; None where nothing is there."""
    places: dict[str, _Place] = {}
    offset = 0
    for number, line in enumerate(source, start=1):
        torn = not line.endswith(b"\n")
        if torn and (number > 1 or line.startswith(BEGINNING) or BEGINNING.startswith(line)):
            os.truncate(path, offset)
            break
        try:
            fields = json.loads(line)
            if number == 1:
                _check_same(path.parent, fields, made_with)
            else:
                result, looks = _parse(fields)
                places[result.photo] = _Place(offset, looks, result.outcome != "unreadable")
        except (ValueError, TypeError, KeyError) as exc:  # ValidationError is a ValueError
            raise ExperimentError(
                f"{path} is damaged at line {number}, or was not written by this fer-opt; start "
                "over with --fresh, or choose another --out."
            ) from exc
        offset += len(line)
    return places if offset else None


def _check_same(folder: Path, fields: dict[str, Any], made_with: MadeWith) -> None:
    if fields.pop("format") != FORMAT:
        raise ValueError("another format")
    there = _MADE_WITH.validate_python(fields)
    if other := there.differences_from(made_with):
        raise ExperimentError(
            f"{folder} holds results made with {other}; unlike results are not mixed: choose "
            "another --out, or start over with --fresh."
        )


def _parse(fields: dict[str, Any]) -> tuple[PhotoResult, Looks]:
    size_bytes, modified_ns = (int(fields.pop(name)) for name in LOOKS)
    return _RESULT.validate_python(fields), (size_bytes, modified_ns)


def _write(target: FileIO, fields: dict[str, Any]) -> None:
    # ASCII: names of files that are no Unicode survive as escapes.
    line = memoryview(json.dumps(fields, allow_nan=False).encode("ascii") + b"\n")
    while line:
        line = line[target.write(line) :]
