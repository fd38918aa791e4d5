"""One fer-opt at a time on a phone: a second one would only slow the first one's models."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from fer_opt.device.runner.kept import cache_folder
from fer_opt.errors import PhoneError

__all__ = ["hold_phone", "is_held"]


@contextlib.contextmanager
def hold_phone(serial: str, label: str, folder: Path | None = None) -> Iterator[None]:
    """Keep other fer-opts of this user off a phone; the lock goes with the process.

    Args:
        serial: of the phone, or another name by which it is always known.
        label: what a person would call it.
        folder: of the lock files; None means one in the user's cache.

    Raises:
        PhoneError: another fer-opt uses the phone, or the lock cannot be made.
    """
    path = _path(serial, folder)
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise PhoneError(
            f"{label} is in use by another fer-opt; let that one end, or choose another phone."
        ) from exc
    except (OSError, NotImplementedError) as exc:  # file systems without locks exist
        raise PhoneError(
            f"{path} cannot be locked ({exc}); set FER_OPT_CACHE to a folder you may write to."
        ) from exc
    try:
        yield
    finally:
        lock.release()


def is_held(serial: str, folder: Path | None = None) -> bool:
    """Whether another fer-opt of this user has the phone; False where that cannot be told."""
    lock = FileLock(_path(serial, folder))
    try:
        if Path(lock.lock_file).exists():
            lock.acquire(timeout=0)
            lock.release()
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        pass
    return False


def _path(serial: str, folder: Path | None) -> Path:
    """Of its lock; a serial may hold any character, and is nobody else's business."""
    name = hashlib.sha256(serial.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return (folder or cache_folder() / "locks") / f"{name}.lock"
