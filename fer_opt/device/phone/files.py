"""Files on a phone: pushed only where they differ, and whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fer_opt.device.adb.link import Link
from fer_opt.device.phone.android_dumps import parse_df
from fer_opt.device.phone.folder import FOLDER, checked_name, path_on_phone, tracked
from fer_opt.device.phone.local_files import HASH_OF, LocalFile, local_file
from fer_opt.device.phone.scripts import load_script
from fer_opt.device.phone.sections import MISSING, split_sections
from fer_opt.errors import PhoneError
from fer_opt.progress import SILENT, Advance, Progress

__all__ = [
    "FOLDER",
    "Pushed",
    "checked_name",
    "model_name",
    "path_on_phone",
    "push_changed",
    "runner_name",
    "tracked",
]

RESERVE_BYTES = 8 << 20
"""Left free on the phone, for outputs and for the phone itself."""

HASHING_BYTES_PER_S = 5e6
"""Slower than any phone hashes (a Cortex-A53's toybox: tens of MB/s)."""

MOST_IN_ONE_COMMAND = 16
"""Files named at once: old phones take no command longer than 4 KiB."""

File = TypeVar("File")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What :func:`push_changed` did.

    Attributes:
        pushed_bytes: of the files that were sent.
        kept_bytes: of those the phone already had.
        names: of the files that were sent, in order.
    """

    pushed_bytes: int
    kept_bytes: int
    names: tuple[str, ...]


def model_name(sha256: str) -> str:
    """Under which name a model lies on the phone: by content, so that it is pushed once."""
    return checked_name(f"models/{sha256[:12]}.tflite")


def runner_name(sha256: str) -> str:
    """Under which name a runner lies on the phone."""
    return checked_name(f"bin/benchmark_model-{sha256[:12]}")


def push_changed(
    link: Link,
    files: Mapping[str, Path | bytes],
    progress: Progress = SILENT,
    *,
    executable: Collection[str] = (),
) -> Pushed:
    """Bring files into :data:`FOLDER`; those the phone has already, by size and hash, stay.

    A file is sent under another name, hashed there, and renamed only when it is whole, so that a
    lost connection never leaves half a file. Files of earlier calls stay as a cache, and are
    removed, oldest first, where space is needed.

    Args:
        link: to the phone.
        files: by name on the phone (``models/0123456789ab.tflite``), their path or content.
        progress: told of the bytes sent.
        executable: names of those to be run.

    Raises:
        MeasurementError: a file cannot be read here.
        PhoneError: a name does not fit, the phone is full, or a file arrived damaged twice.
        LinkLostError: the connection broke; calling again sends only what is missing.
    """
    wanted = [
        local_file(checked_name(name), source, 0o755 if name in executable else 0o644)
        for name, source in files.items()
    ]
    missing: list[LocalFile] = []
    tool, free_bytes = "", None
    for part in _in_parts(wanted):
        tool, present, free_bytes = _compare(link, part)
        missing += [file for file in part if present.get(file.name) != file.digest(tool)]
    size_bytes = sum(file.size_bytes for file in missing)
    if missing and free_bytes is not None and free_bytes < size_bytes + RESERVE_BYTES:
        _make_room(link, size_bytes + RESERVE_BYTES, free_bytes, wanted)
    if missing:
        with progress.stage("Pushing to the phone", size_bytes) as advance:
            for file in missing:
                _send(link, file, tool, advance)
    return Pushed(
        pushed_bytes=size_bytes,
        kept_bytes=sum(file.size_bytes for file in wanted) - size_bytes,
        names=tuple(file.name for file in missing),
    )


def _in_parts(files: Sequence[File]) -> Iterable[Sequence[File]]:
    for first in range(0, len(files), MOST_IN_ONE_COMMAND):
        yield files[first : first + MOST_IN_ONE_COMMAND]


def _compare(link: Link, files: Sequence[LocalFile]) -> tuple[str, dict[str, str], int | None]:
    """The phone's hashing tool, the hash of each file that is there in its size, free bytes."""
    words = [
        word
        for file in files
        for word in (file.name, str(file.size_bytes), f"{file.mode:o}")
    ]  # fmt: skip
    size_bytes = sum(file.size_bytes for file in files)
    finished = link.script(
        load_script("compare"), [FOLDER, *words], timeout_s=20 + size_bytes / HASHING_BYTES_PER_S
    )
    tool = re.search(r"^tool (\w+)$", finished.output, re.MULTILINE)
    if tool is None or tool[1] not in HASH_OF:
        last = finished.output.strip().splitlines()[-1:] or ["no answer"]
        raise PhoneError(
            f"{FOLDER} cannot be used on {link.serial} ({last[0]}); free some space or restart the "
            "phone."
        )
    hashes = re.findall(r"^has ([0-9a-f]{32,64}) (\S+)$", finished.output, re.MULTILINE)
    free = parse_df(split_sections(finished.output).get("df", MISSING).text)
    return tool[1], {name: digest for digest, name in hashes}, free


def _make_room(link: Link, needed_bytes: int, free_bytes: int, keep: Sequence[LocalFile]) -> None:
    """Remove files of earlier sessions, oldest first, until there is room.

    Raises:
        PhoneError: there is not enough even then.
    """
    listed = link.script('stat -c "%Y %s %n" "$1"/models/* "$1"/inputs/* "$1"/bin/*', [FOLDER])
    rows = re.findall(rf"^(\d+) (\d+) ({re.escape(FOLDER)}/\S+)$", listed.output, re.MULTILINE)
    mine = {path_on_phone(file.name) for file in keep}
    old = sorted((int(time), int(size), path) for time, size, path in rows if path not in mine)
    doomed = []
    for _, size, path in old:
        if free_bytes >= needed_bytes:
            break
        doomed.append(path)
        free_bytes += size
    if free_bytes < needed_bytes:
        raise PhoneError(
            f"{link.serial} has {free_bytes / 1e6:.0f} MB free and needs {needed_bytes / 1e6:.0f} "
            "MB for the files to be pushed; delete something on the phone."
        )
    for part in _in_parts(doomed):
        link.shell(["rm", "-f", *part])


def _send(link: Link, file: LocalFile, tool: str, advance: Advance) -> None:
    """Send one file, twice where the first arrives damaged.

    Raises:
        PhoneError: it did not arrive whole.
    """
    path = path_on_phone(file.name)
    words = [path, tool, file.digest(tool), f"{file.mode:o}"]
    answer = ""
    for attempt in range(2):
        link.push(
            file.source,
            f"{path}.part",
            mode=file.mode,
            advance=advance if attempt == 0 else None,
        )
        timeout_s = 20 + file.size_bytes / HASHING_BYTES_PER_S
        answer = link.script(load_script("land"), words, timeout_s=timeout_s).output.strip()
        if answer == "landed":
            return
    arrived = re.search(r"^differs (\d+)$", answer, re.MULTILINE)
    if arrived and int(arrived[1]) < file.size_bytes:
        raise PhoneError(
            f"only {arrived[1]} of {file.size_bytes} bytes of {file.name} arrived on "
            f"{link.serial}; the phone is probably full, delete something on it."
        )
    reason = f"the phone says: {answer.splitlines()[-1]}" if answer else "the phone says nothing"
    if arrived:
        reason = "its hash there is another"
    raise PhoneError(
        f"{file.name} did not arrive whole on {link.serial} ({reason}); make sure that the file is "
        "not being written, and try another cable."
    )
