"""Downloading the published benchmark_model into the user's cache, checked before it is kept."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from fer_opt.device.runner.address import shown_url
from fer_opt.device.runner.elf import read_elf
from fer_opt.device.runner.kept import CACHE_VARIABLE, Download, Runner, download_paths, kept_runner
from fer_opt.device.runner.published import ABIS, PUBLISHED, published_url
from fer_opt.device.runner.transfer import Marks, cannot_write, transfer
from fer_opt.errors import OutputError, RunnerError
from fer_opt.files import make_folder, sha256_of, write_atomically
from fer_opt.progress import SILENT, Progress

__all__ = ["fetch_runner"]

_DOWNLOAD = TypeAdapter(Download)


def fetch_runner(
    abi: str,
    *,
    url: str | None = None,
    sha256: str | None = None,
    cache: Path | None = None,
    progress: Progress = SILENT,
) -> Runner:
    """Download benchmark_model for ``abi``, or go on with a download that broke off.

    What is already here and still what the server has is not fetched again. The address, the date,
    size and SHA-256 are written beside the file. Certificates are checked against those of certifi,
    or of REQUESTS_CA_BUNDLE.

    Args:
        abi: ``armeabi-v7a``, ``arm64-v8a`` or ``x86_64``.
        url: another https address than that of the nightly build.
        sha256: the file must have, in hexadecimal.
        cache: folder to keep it in; by default the user's, or the one FER_OPT_CACHE names.
        progress: told of every chunk's bytes.

    Raises:
        RunnerError: it cannot be had, is not what was wanted, or is made for something else; an
            earlier download is kept as it was.
    """
    address = url if url is not None and abi in ABIS else published_url(abi)
    wanted = _digest(sha256)
    program, _ = download_paths(abi, cache)
    try:
        make_folder(program.parent)
    except OutputError as exc:
        raise RunnerError(f"{str(exc)[:-1]}, or name one in {CACHE_VARIABLE}.") from exc
    with _alone(program.parent, progress):
        kept = kept_runner(abi, cache)
        if kept is not None and wanted == kept.sha256:
            progress.say(f"The wanted file is here since {kept.fetched_at}.")
            return kept
        return _fetch(abi, address, wanted, cache, kept, progress)


def _fetch(
    abi: str, url: str, wanted: str, cache: Path | None, kept: Runner | None, progress: Progress
) -> Runner:
    program, note = download_paths(abi, cache)
    part = program.with_name("benchmark_model.part")
    title = f"benchmark_model for {abi}"
    etag = "" if kept is None else _etag(note, url)
    marks = transfer(url, part, unless_etag=etag, title=title, progress=progress)
    if marks is None and kept is not None:
        _check_digest(url, kept.sha256, wanted)
        progress.say(f"The server still has the file of {kept.fetched_at}; nothing was fetched.")
        return kept
    if marks is None:
        raise RunnerError(f"{shown_url(url)} answered without a file; try again later.")
    digest = sha256_of(part)
    try:
        _check_digest(url, digest, wanted)
        _check_program(url, part, abi)
    except RunnerError:
        part.unlink(missing_ok=True)
        raise
    _keep(part, program, note, marks, digest)
    fetched = kept_runner(abi, cache)
    if fetched is None:
        raise RunnerError(f"{program} changed while it was being written; fetch it again.")
    return fetched


def _keep(part: Path, program: Path, note: Path, marks: Marks, digest: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    download = Download(marks.url, now, marks.etag, part.stat().st_size, digest)
    try:
        part.chmod(0o755)
        os.replace(part, program)  # with another note than its own it counts as absent
        write_atomically(note, _DOWNLOAD.dump_json(download, indent=1) + b"\n")
    except OutputError as exc:
        raise RunnerError(str(exc)) from exc
    except OSError as exc:
        raise cannot_write(part, exc) from exc


def _etag(note: Path, url: str) -> str:
    """The mark under which ``url`` was kept; empty for another address."""
    download = _DOWNLOAD.validate_json(note.read_bytes())
    return download.etag if download.url == url else ""


def _digest(sha256: str | None) -> str:
    if sha256 is None:
        return ""
    digest = sha256.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise RunnerError(f"{sha256!r} is no SHA-256; give its 64 hexadecimal digits.")
    return digest


def _check_digest(url: str, digest: str, wanted: str) -> None:
    if wanted and digest != wanted:
        raise RunnerError(
            f"{shown_url(url)} has the SHA-256 {digest}, not {wanted}; nightly builds change every "
            "night: fetch it without --sha256, or give the address of the build you mean with "
            "--url."
        )


def _check_program(url: str, part: Path, abi: str) -> None:
    try:
        elf = read_elf(part)
    except RunnerError as exc:
        what = str(exc).removeprefix(f"{part} ").partition(";")[0]
        raise RunnerError(
            f"What {shown_url(url)} sent {what}; check the address"
            + ("." if url in PUBLISHED.values() else " given with --url.")
        ) from exc
    if elf is None:
        raise RunnerError(
            f"What {shown_url(url)} sent is a script, not a program; check the address."
        )
    if elf.abi != abi:
        raise RunnerError(
            f"{shown_url(url)} is a program for {elf.abi}, not for {abi}; check the address, or "
            f"fetch it for {elf.abi}."
        )
    if not elf.for_android:
        raise RunnerError(
            f"{shown_url(url)} is a program for desktop Linux (it needs {elf.loader}), which a "
            "phone does not run; take the one whose name begins with android."
        )


class _alone:  # noqa: N801 - used as a context manager only
    """One download into a folder at a time; the others wait for it and then find it done."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._lock = FileLock(folder / "fetching.lock")
        self._progress = progress

    def __enter__(self) -> None:
        try:
            self._lock.acquire(timeout=0.5)
        except Timeout:
            self._progress.say("Another fer-opt is fetching this runner; waiting for it.")
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
