"""Runners at hand: our own, files the user names, and downloads that were kept."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as strict_dataclass

from fer_opt.device.runner.address import shown_url
from fer_opt.device.runner.elf import abi_of_machine, read_elf
from fer_opt.errors import RunnerError
from fer_opt.files import sha256_of

__all__ = [
    "ANY",
    "OWN_NAME",
    "Download",
    "Runner",
    "cache_folder",
    "download_paths",
    "is_emulated",
    "kept_runner",
    "named_runner",
    "own_runner",
    "own_runner_path",
]

ANY = "any"
"""The ABI of a script, which runs wherever its interpreter does."""

OWN_NAME = "fer-opt's own runner"

CACHE_VARIABLE = "FER_OPT_CACHE"
"""Environment variable that names another folder than the user's cache."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A program that times models, on this computer, ready to be pushed.

    Attributes:
        path: of the file.
        name: ``benchmark_model``, or ``fer-opt's own runner``.
        source: the address it was downloaded from (without user and query, which may be secret),
            or the path it was given by.
        fetched_at: when it was downloaded, ISO 8601, UTC; empty for a local file.
        sha256: of the file.
        size_bytes: of the file.
        abi: Android's name of the processor it is made for; ``any`` for a script.
        loader: of its shared libraries; empty for a script or a static program.
    """

    path: Path
    name: str
    source: str
    fetched_at: str
    sha256: str
    size_bytes: int
    abi: str
    loader: str

    @property
    def is_script(self) -> bool:
        """Whether it needs an interpreter on the phone, which only virtual phones have."""
        return self.abi == ANY


@strict_dataclass(frozen=True, slots=True)
class Download:
    """What is written beside a downloaded runner.

    Attributes:
        url: it came from.
        fetched_at: ISO 8601, UTC.
        etag: the server's mark of this version; empty where it gives none.
        size_bytes: of the file.
        sha256: of the file.
    """

    url: str
    fetched_at: str
    etag: str
    size_bytes: int
    sha256: str


_DOWNLOAD = TypeAdapter(Download)


def own_runner_path() -> Path:
    """Our runner over LiteRT, a script of one file."""
    return Path(__file__).with_name("own_runner.py")


def own_runner() -> Runner:
    """Our runner over LiteRT; only virtual phones can run it."""
    return named_runner(own_runner_path())


def named_runner(path: Path) -> Runner:
    """The runner in a file.

    Raises:
        RunnerError: it cannot be read, or is neither a script nor a program for a phone.
    """
    elf = read_elf(path)
    try:
        digest, size_bytes = sha256_of(path), path.stat().st_size
        own = elf is None and digest == sha256_of(own_runner_path())
    except OSError as exc:
        raise RunnerError(
            f"{path} cannot be read ({exc.strerror or exc}); name a benchmark_model."
        ) from exc
    return Runner(
        path=path,
        name=OWN_NAME if own else "benchmark_model",
        source="shipped with fer-opt" if own else str(path),
        fetched_at="",
        sha256=digest,
        size_bytes=size_bytes,
        abi=ANY if elf is None else elf.abi,
        loader="" if elf is None else elf.loader,
    )


def cache_folder() -> Path:
    """The user's cache of fer-opt, or the folder that FER_OPT_CACHE names."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_cache_dir("fer-opt"))


def download_paths(abi: str, cache: Path | None = None) -> tuple[Path, Path]:
    """Where a downloaded runner lies, and what is known of it."""
    folder = (cache or cache_folder()) / "runners" / abi
    return folder / "benchmark_model", folder / "benchmark_model.json"


def kept_runner(abi: str, cache: Path | None = None) -> Runner | None:
    """The downloaded runner for ``abi``; None where there is none, or not what was downloaded."""
    program, note = download_paths(abi, cache)
    try:
        download = _DOWNLOAD.validate_json(note.read_bytes())
        if sha256_of(program) != download.sha256:
            return None
        elf = read_elf(program)
    except (OSError, ValidationError, RunnerError):
        return None
    if elf is None or elf.abi != abi:
        return None
    return Runner(
        path=program,
        name="benchmark_model",
        source=shown_url(download.url),
        fetched_at=download.fetched_at,
        sha256=download.sha256,
        size_bytes=download.size_bytes,
        abi=abi,
        loader=elf.loader,
    )


def is_emulated(runner: Runner, virtual_machine: str) -> bool:
    """Whether a virtual phone runs this only under an emulator, so that its times mean nothing.

    Args:
        runner: the program.
        virtual_machine: what ``uname -m`` calls the computer the virtual phone is on.
    """
    native = abi_of_machine(virtual_machine)
    # 64-bit x86 runs 32-bit programs itself; not every 64-bit ARM does, and no one can tell here.
    return not runner.is_script and runner.abi not in {native, "x86" if native == "x86_64" else ""}
