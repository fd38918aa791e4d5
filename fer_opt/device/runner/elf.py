"""Which processor a program is made for, read from its first bytes.

Layout and numbers: System V ABI, chapter 4, "ELF Header" and "Program Header"; the names are
Android's (developer.android.com/ndk/guides/abis).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from fer_opt.errors import RunnerError

__all__ = ["ElfFacts", "abi_of_machine", "elf_abi", "is_androids", "read_elf"]

_ABIS = {
    (40, 32): "armeabi-v7a",
    (183, 64): "arm64-v8a",
    (62, 64): "x86_64",
    (3, 32): "x86",
    (243, 64): "riscv64",
}
"""Android ABI by e_machine and word size, all little-endian."""

_MACHINES = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "arm64-v8a",
    "arm64": "arm64-v8a",
    "armv7l": "armeabi-v7a",
    "armv8l": "armeabi-v7a",
    "i386": "x86",
    "i686": "x86",
    "riscv64": "riscv64",
}

_EXECUTABLE, _SHARED = 2, 3  # e_type; position-independent programs are of the latter
_INTERPRETER = 3  # p_type


@dataclass(frozen=True, slots=True)
class ElfFacts:
    """What an ELF program says of itself.

    Attributes:
        abi: Android's name of the processor it is made for.
        loader: path of the program that loads its shared libraries, which tells Android from other
            Linux; empty for a static program.
    """

    abi: str
    loader: str

    @property
    def for_android(self) -> bool:
        """Whether an Android phone can load it; a static program brings all it needs."""
        return not self.loader or is_androids(self.loader)


def is_androids(loader: str) -> bool:
    """Whether a loader of shared libraries is Android's, which no other Linux has."""
    return loader.startswith(("/system/", "/apex/"))


def elf_abi(path: Path) -> str | None:
    """The Android ABI a program is made for; None for a script.

    Raises:
        RunnerError: as :func:`read_elf`.
    """
    facts = read_elf(path)
    return None if facts is None else facts.abi


def read_elf(path: Path, *, program: str = "benchmark_model") -> ElfFacts | None:
    """What a program says of itself; None for a script, which begins with ``#!``.

    Args:
        path: of the file.
        program: what it should be, for errors.

    Raises:
        RunnerError: it cannot be read, is no program, or one for a processor phones do not have.
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(1 << 16)  # linkers place the program headers right at the beginning
    except OSError as exc:
        raise RunnerError(
            f"{path} cannot be read ({exc.strerror or exc}); name a {program}."
        ) from exc
    if head.startswith(b"#!"):
        return None
    if not head.startswith(b"\x7fELF"):
        raise RunnerError(
            f"{path} is neither an ELF program nor a script; name a {program} for Android."
        )
    try:
        return _parse(head)
    except (struct.error, OverflowError) as exc:
        raise RunnerError(
            f"{path} has an ELF header that points beyond its end; copy or download it again."
        ) from exc
    except ValueError as exc:
        raise RunnerError(f"{path} {exc}; name a {program} for Android.") from exc


def _parse(head: bytes) -> ElfFacts:
    """What the first bytes of an ELF file say.

    Raises:
        ValueError: with the rest of a sentence.
        struct.error, OverflowError: what the header points to is not there.
    """
    (bits_code, order_code) = struct.unpack_from("BB", head, 4)
    if bits_code not in (1, 2) or order_code not in (1, 2):
        raise ValueError("has a damaged ELF header")
    bits, order = 32 * bits_code, "<>"[order_code - 1]
    kind, machine = struct.unpack_from(order + "HH", head, 16)
    abi = _ABIS.get((machine, bits)) if order == "<" else None
    if abi is None:
        endian = "little" if order == "<" else "big"
        raise ValueError(
            f"is made for a processor no phone has (ELF machine {machine}, {bits} bits, "
            f"{endian}-endian)"
        )
    word = "I" if bits == 32 else "Q"
    entry, table = struct.unpack_from(order + word + word, head, 24)
    if kind not in (_EXECUTABLE, _SHARED) or not entry:
        raise ValueError("is an ELF file, but a library or part of a program, not a program")
    size_at = 42 if bits == 32 else 54
    row_bytes, rows = struct.unpack_from(order + "HH", head, size_at)
    places = range(table, table + row_bytes * rows, row_bytes or 1)
    return ElfFacts(abi, _loader(head, order, bits, places))


def _loader(head: bytes, order: str, bits: int, places: range) -> str:
    for place in places:
        (kind,) = struct.unpack_from(order + "I", head, place)
        if kind == _INTERPRETER:
            layout, skipped = (order + "IIII", 4) if bits == 32 else (order + "QQQQ", 8)
            offset, _, _, size = struct.unpack_from(layout, head, place + skipped)
            (text,) = struct.unpack_from(f"{size}s", head, offset)
            return str(text.rstrip(b"\0").decode("utf-8", "replace"))
    return ""


def abi_of_machine(machine: str) -> str | None:
    """Android's name for what ``uname -m`` calls a computer; None for an unknown one."""
    return _MACHINES.get(machine.lower())
