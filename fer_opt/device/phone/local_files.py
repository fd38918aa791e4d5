"""What is to be pushed, as it is on this computer: size and hash."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from fer_opt.errors import MeasurementError

__all__ = ["LocalFile", "local_file"]

HASH_OF = {"sha256sum": "sha256", "md5sum": "md5"}
"""What phones hash with (sha256sum from Android 8 on), and the name of the same thing here."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to be pushed.

    Attributes:
        name: on the phone, under our folder.
        source: its path here, or its content.
        size_bytes: of it.
        mode: its permissions on the phone.
    """

    name: str
    source: Path | bytes
    size_bytes: int
    mode: int

    def digest(self, tool: str) -> str:
        """Its hash as the phone's ``tool`` would print it, in hexadecimal.

        Raises:
            MeasurementError: the file cannot be read.
        """
        if isinstance(self.source, bytes):
            return hashlib.new(HASH_OF[tool], self.source, usedforsecurity=False).hexdigest()
        try:
            status = self.source.stat()
            return _file_digest(self.source, status.st_size, status.st_mtime_ns, HASH_OF[tool])
        except OSError as exc:
            raise _unreadable(self.source, exc) from exc


def local_file(name: str, source: Path | bytes, mode: int) -> LocalFile:
    """A file to be pushed, with its size.

    Raises:
        MeasurementError: it is missing or no file.
    """
    if isinstance(source, bytes):
        return LocalFile(name, source, len(source), mode)
    try:
        if source.is_dir():
            raise IsADirectoryError("it is a folder")
        return LocalFile(name, source, source.stat().st_size, mode)
    except OSError as exc:
        raise _unreadable(source, exc) from exc


def _unreadable(path: Path, exc: OSError) -> MeasurementError:
    return MeasurementError(
        f"{path} cannot be read ({exc.strerror or exc}); give an existing file."
    )


@functools.lru_cache(maxsize=256)
def _file_digest(path: Path, size: int, changed_ns: int, algorithm: str) -> str:
    """The hash of a file as long as neither its size nor its time of change differ."""
    with path.open("rb") as handle:
        return hashlib.file_digest(
            handle, lambda: hashlib.new(algorithm, usedforsecurity=False)
        ).hexdigest()
