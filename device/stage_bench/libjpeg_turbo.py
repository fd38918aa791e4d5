"""Where the sources of libjpeg-turbo come from: a folder, the cache, its project, or Debian."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

VERSION = "2.1.5"
ARCHIVE = f"https://github.com/libjpeg-turbo/libjpeg-turbo/archive/refs/tags/{VERSION}.tar.gz"
SHA256 = "254f3642b04e309fee775123133c6464181addc150499561020312ec61c1bf7c"
"""Of the archive; Debian 12 and 13 and Ubuntu 24.04 carry the very same file as their source."""

LARGEST_BYTES = 16 << 20


class SourceError(Exception):
    """No sources; ``str()`` is one sentence."""


def cache_folder() -> Path:
    """fer-opt's cache, by the rules of platformdirs, which a plain Python lacks."""
    if named := os.environ.get("FER_OPT_CACHE"):
        return Path(named)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(local) / "fer-opt" / "fer-opt" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fer-opt"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fer-opt"


def unpacked(named: Path | None, into: Path) -> Path:
    """A folder with the sources of libjpeg-turbo.

    Args:
        named: a folder or archive of the user's; None takes the pinned archive, from the cache or
            from the network.
        into: folder to unpack in.

    Raises:
        SourceError: there are none, or not the pinned ones.
    """
    if named is not None and named.is_dir():
        return _checked(named)
    archive = named or _archive()
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(into, filter="data")
    except (OSError, tarfile.TarError) as exc:
        raise SourceError(
            f"{archive} cannot be unpacked ({exc}); name an archive or folder of libjpeg-turbo."
        ) from exc
    folders = [folder for folder in into.iterdir() if folder.is_dir()]
    return _checked(folders[0] if len(folders) == 1 else into)


def version_of(sources: Path) -> str:
    """What the sources say they are."""
    text = (sources / "CMakeLists.txt").read_text("utf-8", "replace")
    found = re.search(r"^set\(VERSION ([\w.]+)\)", text, re.MULTILINE)
    return found[1] if found else "unknown"


def _checked(folder: Path) -> Path:
    for name in ("jdapistd.c", "simd/arm/aarch64/jsimd.c", "CMakeLists.txt"):
        if not (folder / name).is_file():
            raise SourceError(
                f"{folder} has no {name}; name a folder or archive of libjpeg-turbo {VERSION}."
            )
    if not version_of(folder).startswith("2.1."):
        raise SourceError(
            f"{folder} is libjpeg-turbo {version_of(folder)}, which is laid out otherwise; name "
            f"version {VERSION}."
        )
    return folder


def _archive() -> Path:
    kept = cache_folder() / "sources" / f"libjpeg-turbo-{VERSION}.tar.gz"
    if kept.is_file() and _is_pinned(kept.read_bytes()):
        return kept
    reasons = []
    for place, fetch in (("its project", _from_project), ("Debian", _from_debian)):
        try:
            content = fetch()
        except (OSError, SourceError, subprocess.SubprocessError) as exc:
            reasons.append(f"{place}: {exc}")
            continue
        if not _is_pinned(content):
            reasons.append(f"{place}: what came is another file than the pinned archive")
            continue
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_bytes(content)
        part.replace(kept)
        return kept
    raise SourceError(
        f"The sources of libjpeg-turbo {VERSION} cannot be had ({'; '.join(reasons)}); download "
        f"{ARCHIVE} and name it with --libjpeg-turbo."
    )


def _is_pinned(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == SHA256


def _from_project() -> bytes:
    with urllib.request.urlopen(ARCHIVE, timeout=30) as answer:
        return answer.read(LARGEST_BYTES)


def _from_debian() -> bytes:
    if shutil.which("apt-get") is None:
        raise SourceError("there is no apt-get")
    with tempfile.TemporaryDirectory(prefix="libjpeg-turbo-") as folder:
        scratch = Path(folder)
        (scratch / "lists" / "partial").mkdir(parents=True)
        (scratch / "sources.list").write_text(source_lists(Path("/etc/apt")))
        apt = [
            "apt-get", "-q",
            "-o", f"Dir::Etc::sourcelist={scratch / 'sources.list'}",
            "-o", "Dir::Etc::sourceparts=/dev/null",
            "-o", f"Dir::State::lists={scratch / 'lists'}",
        ]  # fmt: skip
        subprocess.run([*apt, "update"], capture_output=True, timeout=300, check=False)
        words = [*apt, "source", "--download-only", "--tar-only", "libjpeg-turbo"]
        done = subprocess.run(
            words, cwd=scratch, capture_output=True, text=True, timeout=300, check=False
        )
        archives = sorted(scratch.glob("libjpeg-turbo_*.orig.tar.gz"))
        if not archives:
            last = (done.stderr.strip().splitlines() or ["apt-get says nothing"])[-1]
            raise SourceError(last)
        return archives[0].read_bytes()


def source_lists(folder: Path) -> str:
    """The machine's repositories of Debian or Ubuntu, for source packages, one a line.

    Nothing of the machine is changed: the list is apt's for one command.
    """
    lines: list[str] = []
    for file in [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]:
        if file.is_file():
            lines += re.findall(r"^deb(\s+.*)$", file.read_text(), re.MULTILINE)
    for file in sorted(folder.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", file.read_text()):
            field = dict(re.findall(r"^([\w-]+):[ \t]*(.+)$", stanza, re.MULTILINE))
            signed = f" [signed-by={field['Signed-By']}]" if "Signed-By" in field else ""
            lines += [
                f"{signed} {address} {suite} {field.get('Components', 'main')}"
                for address in field.get("URIs", "").split()
                for suite in field.get("Suites", "").split()
            ]
    ours = (line for line in lines if re.search(r"//\S*/(debian|ubuntu)/?\s", line))
    return "".join(f"deb-src{line}\n" for line in ours)
