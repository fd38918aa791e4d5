"""The folder a run or a bench is kept in: its record, and nobody else at work in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_opt.errors import ExperimentError

__all__ = ["RECORD_NAME", "locked"]

RECORD_NAME = "record.json"


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep two of us out of one folder.

    Raises:
        ExperimentError: another fer-opt is at work in it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise ExperimentError(
            f"{out} is in use by another fer-opt; wait for it or choose another --out."
        ) from exc
    try:
        yield
    finally:
        lock.release()
