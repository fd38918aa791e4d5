"""Results of compression steps, kept under the hash of everything they depend on.

Recipes that begin alike share what they have in common, in one run and between runs; a killed run
goes on after the last finished step.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import TypeAdapter, ValidationError

import fer_opt
from fer_opt.errors import OutputError
from fer_opt.files import make_folder

__all__ = ["Entry", "StepStore", "default_store", "key_of", "made_by"]

ENTRY_NAME, NETWORK_NAME = "step.json", "network.keras"

CACHE_VARIABLE = "FER_OPT_CACHE"
"""Environment variable that names another folder."""

STEP_PACKAGES = ("keras", "numpy", "tensorflow", "tensorflow-model-optimization", "tf-keras")
STEP_CODE = ("compress", "keras_io")
"""Packages of fer-opt in which a change may change what a step makes, at the same version."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one stored result besides its network.

    Attributes:
        key: the hash it is stored under.
        model: name of the trained model the recipe began with.
        recipe: the steps so far.
        created_at: ISO 8601, UTC.
        took_s: seconds the last step took.
        notes: what the last step had to say.
    """

    key: str
    model: str
    recipe: str
    created_at: str
    took_s: float
    notes: tuple[str, ...]


_ENTRY = TypeAdapter(Entry)


def default_store() -> StepStore:
    """The user's: a folder of the system's cache, or the one that FER_OPT_CACHE names."""
    named = os.environ.get(CACHE_VARIABLE)
    return StepStore(Path(named) if named else Path(platformdirs.user_cache_dir("fer-opt")))


def key_of(facts: Mapping[str, object]) -> str:
    """A hash over everything a result depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


@functools.cache
def made_by() -> Mapping[str, str]:
    """Which code carries out steps: versions of the libraries, and a hash of fer-opt's source."""
    digest = hashlib.sha256()
    package = Path(fer_opt.__file__).parent
    for name in STEP_CODE:
        for path in sorted((package / name).rglob("*.py")):
            digest.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes())
    versions = {name: importlib.metadata.version(name) for name in STEP_PACKAGES}
    return versions | {"fer-opt": fer_opt.__version__, "source": digest.hexdigest()}


@dataclass(frozen=True, slots=True)
class StepStore:
    """A folder with one folder for each result; entries appear whole or not at all."""

    folder: Path

    def find(self, key: str) -> Entry | None:
        """The entry under ``key``; None where there is none, or a damaged one."""
        return _read(self.folder / "steps" / key)

    def network_path(self, key: str) -> Path:
        """Where the network of an entry lies."""
        return self.folder / "steps" / key / NETWORK_NAME

    def add(self, entry: Entry, save_network: Callable[[Path], Any]) -> None:
        """Store a result; ``save_network`` writes the network to the path it is given.

        Raises:
            OutputError: the folder cannot be written.
        """
        steps = make_folder(self.folder / "steps")
        target = steps / entry.key
        try:
            with tempfile.TemporaryDirectory(dir=steps, prefix=".new-") as name:
                new = Path(name) / "entry"
                new.mkdir()
                save_network(new / NETWORK_NAME)
                (new / ENTRY_NAME).write_text(json.dumps(asdict(entry), indent=1) + "\n", "utf-8")
                shutil.rmtree(target, ignore_errors=True)
                new.rename(target)
        except OSError as exc:
            if target.is_dir():  # another process stored the same result just now
                return
            raise OutputError(
                f"{steps} cannot be written ({exc.strerror or exc}); make room, or name another "
                f"folder in {CACHE_VARIABLE}."
            ) from exc

    def entries(self) -> tuple[Entry, ...]:
        """Every entry, oldest first."""
        folder = self.folder / "steps"
        found = [_read(path) for path in folder.iterdir()] if folder.is_dir() else []
        return tuple(sorted((e for e in found if e is not None), key=lambda e: e.created_at))

    def size_bytes(self, key: str | None = None) -> int:
        """Of one entry, or of all."""
        folder = self.folder / "steps" / (key or "")
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    def clear(self) -> int:
        """Remove every entry and return how many there were.

        Raises:
            OutputError: one cannot be removed.
        """
        count = len(self.entries())
        try:
            if (self.folder / "steps").is_dir():
                shutil.rmtree(self.folder / "steps")
        except OSError as exc:
            raise OutputError(
                f"{self.folder / 'steps'} cannot be removed ({exc.strerror}); check who owns it."
            ) from exc
        return count


def _read(folder: Path) -> Entry | None:
    try:
        entry = _ENTRY.validate_json((folder / ENTRY_NAME).read_bytes())
    except (OSError, ValidationError):
        return None
    return entry if (folder / NETWORK_NAME).is_file() else None
