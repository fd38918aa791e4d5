"""Writing files so that a kill never leaves half of one, and naming them by content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fer_opt.errors import OutputError

__all__ = ["make_folder", "sha256_of", "write_atomically", "writing_atomically"]


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path`` in one step: readers see the old file or the new, never half.

    Raises:
        OutputError: the folder is missing, not writable, or the disk is full.
    """
    with writing_atomically(path) as handle:
        handle.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextlib.contextmanager
def writing_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to fill piece by piece, which takes the place of ``path`` when the block ends well.

    Raises:
        OutputError: the folder is missing, not writable, or the disk is full.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise OutputError(
            f"{path} cannot be written ({exc.strerror or exc}); choose a folder you may write to."
        ) from exc


def make_folder(path: Path) -> Path:
    """Create ``path`` with its parents and return it.

    Raises:
        OutputError: it cannot be created, exists as a file, or is not writable.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as exc:
        raise OutputError(
            f"{path} cannot be used as an output folder ({exc.strerror or exc}); "
            "choose a folder you may write to."
        ) from exc
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
