"""Records as files: read whole and checked, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from fer_opt.errors import RecordError

__all__ = ["parse_record", "read_object"]

Record = TypeVar("Record")
_OBJECT = TypeAdapter(dict[str, Any])


def read_object(path: Path) -> tuple[bytes, dict[str, Any]]:
    """A record's text, and what it holds before anything is checked.

    Raises:
        RecordError: the file is missing, or no JSON object.
    """
    try:
        text = path.read_bytes()
    except OSError as exc:
        raise RecordError(
            f"{path} cannot be read ({exc.strerror}); give the record.json of a run folder."
        ) from exc
    try:
        return text, _OBJECT.validate_json(text)
    except ValidationError as exc:
        raise RecordError(
            f"{path} is not a record (no JSON object); give the record.json of a run folder."
        ) from exc


def parse_record(
    path: Path,
    text: bytes,
    version: object,
    adapter: TypeAdapter[Record],
    readable: tuple[int, ...],
) -> Record:
    """The record in ``text``, read from ``path``.

    Raises:
        RecordError: it is of a version this fer-opt does not know, or not valid.
    """
    if version not in readable:
        known = ", ".join(map(str, readable))
        raise RecordError(
            f"{path} has schema version {version!r}, this fer-opt reads {known}; "
            "use the fer-opt that wrote it, or measure again."
        )
    try:
        return adapter.validate_json(text)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(
            f"{path} is not a valid record: {where}: {first['msg']} "
            f"({exc.error_count()} in all); measure again."
        ) from exc
