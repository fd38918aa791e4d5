#!/usr/bin/env python3
"""Builds stage_bench for phones and for this computer: static programs, no SDK, no root.

    pip install ziglang
    python device/stage_bench/build.py --target all

Zig brings the C compiler, musl and the linker for all targets. What is made for armv7 and arm64
runs on any Android, as static programs need nothing of it but the kernel.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import libjpeg_turbo

HERE = Path(__file__).resolve().parent
OURS = ("stage_bench", "options", "photo", "orientation", "pixels", "json")


@dataclass(frozen=True)
class Target:
    """What is built.

    Attributes:
        abi: Android's name of the processor.
        triple: Zig's name of processor, system and C library.
        cpu: the least processor it runs on.
        neon: folder of libjpeg-turbo's SIMD for it; empty goes without.
    """

    abi: str
    triple: str
    cpu: str
    neon: str = ""


TARGETS = {
    # Every armeabi-v7a phone since Android 6 has NEON; musl passes floats in registers (eabihf),
    # which concerns no one else in a static program.
    "armv7": Target("armeabi-v7a", "arm-linux-musleabihf", "generic+v7a+neon", "aarch32"),
    "arm64": Target("arm64-v8a", "aarch64-linux-musl", "generic", "aarch64"),
    "x86_64": Target("x86_64", "x86_64-linux-musl", "x86_64"),
}

HOSTS = {
    "x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64", "armv7l": "armv7"
}  # fmt: skip
"""Target by what this computer calls its processor."""

# -ffp-contract=off: a * b + c rounds twice in Python, so it must here.
FLAGS = (
    "-std=gnu11", "-O3", "-DNDEBUG", "-ffp-contract=off", "-fno-sanitize=undefined",
    "-ffunction-sections", "-fdata-sections",
)  # fmt: skip
LINK = ("-static", "-s", "-Wl,--gc-sections")
OUR_WARNINGS = ("-Wall", "-Wextra", "-Werror")
"""Of our own files alone; libjpeg-turbo's are as they are."""

CORE = (
    "jaricom", "jcomapi", "jdapimin", "jdapistd", "jdarith", "jdatasrc", "jdcoefct", "jdcolor",
    "jddctmgr", "jdhuff", "jdinput", "jdmainct", "jdmarker", "jdmaster", "jdmerge", "jdphuff",
    "jdpostct", "jdsample", "jerror", "jidctflt", "jidctfst", "jidctint", "jidctred", "jmemmgr",
    "jmemnobs", "jquant1", "jquant2", "jutils",
)  # fmt: skip
"""Of CMakeLists.txt's JPEG_SOURCES those that decode."""

NEON = (
    "jccolor", "jcgray", "jcphuff", "jcsample", "jdcolor", "jdmerge", "jdsample", "jfdctfst",
    "jfdctint", "jidctfst", "jidctint", "jidctred", "jquanti",
)  # fmt: skip


def main(words: list[str] | None = None) -> int:
    """Build what the command line asks for.

    Returns:
        The exit status: 2 where compiler or sources are missing, 1 where the compiler fails.
    """
    options = _options(words)
    known = sys.platform == "linux" and platform.machine().lower() in HOSTS
    if options.target == "host" and not known:
        print(
            f"stage_bench does not run on this computer ({platform.system()} on "
            f"{platform.machine()}); build it for phones with --target armv7 or arm64.",
            file=sys.stderr,
        )
        return 2
    if importlib.util.find_spec("ziglang") is None:
        print("There is no Zig to compile with; get it with: pip install ziglang", file=sys.stderr)
        return 2
    host = HOSTS.get(platform.machine().lower(), "x86_64")
    names = {"all": [host, *(name for name in ("armv7", "arm64") if name != host)], "host": [host]}
    digest = digest_of(options.libjpeg_turbo)
    try:
        with tempfile.TemporaryDirectory(prefix="stage_bench-") as folder:
            for name in names.get(options.target, [options.target]):
                _build(TARGETS[name], options, digest, Path(folder))
    except (libjpeg_turbo.SourceError, OSError) as exc:
        print(exc, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as exc:
        print(f"The compiler failed with status {exc.returncode}.", file=sys.stderr)
        return 1
    return 0


def _options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--target", choices=["host", *TARGETS, "all"], default="all")
    parser.add_argument(
        "--out",
        type=Path,
        default=libjpeg_turbo.cache_folder() / "stage_bench",
        help="gets ABI/stage_bench for each target (default: %(default)s, where fer-opt looks)",
    )
    parser.add_argument(
        "--libjpeg-turbo",
        type=Path,
        metavar="SOURCES",
        help=f"its sources, a folder or archive; by default version {libjpeg_turbo.VERSION} is "
        "fetched once, from its project or as Debian's source package",
    )
    return parser.parse_args(words)


def _build(target: Target, options: argparse.Namespace, digest: str, scratch: Path) -> None:
    out = options.out / target.abi
    program, note = out / "stage_bench", out / "build.json"
    if program.is_file() and _noted(note) == digest:
        print(f"{program} is up to date")
        return
    if not (scratch / "sources").is_dir():
        (scratch / "sources").mkdir()
    kept = scratch / "found"
    if not kept.exists():
        sources = libjpeg_turbo.unpacked(options.libjpeg_turbo, scratch / "sources")
        kept.write_text(str(sources.resolve()))
    sources = Path(kept.read_text())
    settings = scratch / target.abi
    _write_settings(settings, sources, target)
    out.mkdir(parents=True, exist_ok=True)
    part = out / f"stage_bench.{os.getpid()}"
    try:
        _compile(target, sources, settings, part)
        part.replace(program)
    finally:
        part.unlink(missing_ok=True)
    note.write_text(json.dumps({"sources": digest, "target": target.triple}) + "\n")
    print(f"{program} ({program.stat().st_size // 1024} KiB)")


def _compile(target: Target, sources: Path, settings: Path, program: Path) -> None:
    files = [sources / f"{name}.c" for name in CORE]
    includes = [settings, sources]
    if target.neon:
        arm = sources / "simd" / "arm"
        files += [arm / f"{name}-neon.c" for name in NEON]
        files += [arm / target.neon / "jchuff-neon.c", arm / target.neon / "jsimd.c"]
        includes += [arm, sources / "simd"]
    else:
        files.append(sources / "jsimd_none.c")
    compiler = [
        sys.executable, "-m", "ziglang", "cc", "-target", target.triple, f"-mcpu={target.cpu}",
        *FLAGS, *(["-DNEON_INTRINSICS"] if target.neon else []),
        f'-DSTAGE_BENCH_SIMD="{"NEON" if target.neon else "none"}"',
    ]  # fmt: skip
    headers = [word for folder in includes for word in ("-isystem", str(folder))]
    objects = [str(settings / f"{name}.o") for name in OURS]
    for name, made in zip(OURS, objects, strict=True):
        words = [*OUR_WARNINGS, *headers, "-c", str(HERE / f"{name}.c"), "-o", made]
        subprocess.run([*compiler, *words], check=True)
    words = [*headers, *map(str, files), *objects, "-lm", *LINK, "-o", str(program)]
    subprocess.run([*compiler, *words], check=True)


def _write_settings(folder: Path, sources: Path, target: Target) -> None:
    """What CMake would find out about the compiler, which here is always the same."""
    version = libjpeg_turbo.version_of(sources)
    number = "".join(f"{int(part):03}" for part in version.split(".")[:3]).lstrip("0")
    size = 4 if target.neon == "aarch32" else 8
    folder.mkdir(exist_ok=True)
    (folder / "jconfig.h").write_text(
        f"""#define JPEG_LIB_VERSION 62
#define LIBJPEG_TURBO_VERSION {version}
#define LIBJPEG_TURBO_VERSION_NUMBER {number}
#define C_ARITH_CODING_SUPPORTED 1
#define D_ARITH_CODING_SUPPORTED 1
#define MEM_SRCDST_SUPPORTED 1
{"#define WITH_SIMD 1" if target.neon else ""}
#define BITS_IN_JSAMPLE 8
"""
    )
    (folder / "jconfigint.h").write_text(
        f"""#define BUILD "stage_bench"
#undef inline
#define INLINE inline __attribute__((always_inline))
#define THREAD_LOCAL __thread
#define PACKAGE_NAME "libjpeg-turbo"
#define VERSION "{version}"
#define SIZEOF_SIZE_T {size}
#define HAVE_BUILTIN_CTZL
#define FALLTHROUGH __attribute__((fallthrough));
"""
    )
    copyright = (sources / "jversion.h.in").read_text("utf-8", "replace")
    (folder / "jversion.h").write_text(copyright.replace("@COPYRIGHT_YEAR@", "2023"))
    (folder / "neon-compat.h").write_text(
        """#define HAVE_VLD1_S16_X3
#define HAVE_VLD1_U16_X2
#define HAVE_VLD1Q_U8_X4
#define BUILTIN_CLZ(x) __builtin_clz(x)
#define BUILTIN_CLZLL(x) __builtin_clzll(x)
#define BUILTIN_BSWAP64(x) __builtin_bswap64(x)
"""
    )


def digest_of(named: Path | None) -> str:
    """Of all that decides what is built, so that nothing is built twice."""
    digest = hashlib.sha256(f"{libjpeg_turbo.SHA256} {named and named.resolve()}".encode())
    for file in sorted(HERE.iterdir()):
        if file.suffix in (".c", ".h", ".py"):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _noted(note: Path) -> str:
    try:
        return str(json.loads(note.read_text())["sources"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
