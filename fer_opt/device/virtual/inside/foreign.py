"""Programs of other processors: told to the kernel, which hands them to an emulator.

Linux 6.7 and later lets a user namespace have its own list (binfmt_misc).
"""

from __future__ import annotations

import ctypes
import os

PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
PLACE = "/proc/sys/fs/binfmt_misc"
# Name of the emulator -> ELF class (1 is 32 bits), ELF machine number; both little-endian.
ELF_OF = {"arm": (1, 40), "aarch64": (2, 183), "i386": (1, 3), "x86_64": (2, 62)}


def register_foreign(emulators: dict[str, str]) -> list[str]:
    """Register emulators (name -> path); the names of those the kernel took.

    The right to do so is given up afterwards, so that nothing started later has it.
    """
    taken = []
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"binfmt_misc", PLACE.encode(), b"binfmt_misc", 0, None) == 0:
            taken = [name for name, path in emulators.items() if register(name, path)]
    finally:
        ctypes.CDLL(None).prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    return taken


def register(name: str, path: str) -> bool:
    """Register one emulator; the kernel opens it now (F), so that its path need not exist later."""
    try:
        with open(f"{PLACE}/register", "wb", buffering=0) as handle:
            handle.write(rule(name, path))
    except OSError:
        return False
    return os.path.exists(f"{PLACE}/qemu-{name}")


def rule(name: str, path: str) -> bytes:
    """The line that the kernel wants: how such an ELF file begins, and who runs it.

    Source: Linux, Documentation/admin-guide/binfmt-misc.rst, and QEMU's qemu-binfmt-conf.sh.
    """
    elf_class, machine = ELF_OF[name]
    begin = b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9) + b"\x02\x00" + bytes([machine, 0])
    # The ABI byte and its padding may be anything; the type executable or shared (PIE).
    mask = b"\xff" * 7 + b"\x00" + b"\xff" * 8 + b"\xfe\xff\xff\xff"

    def escaped(data: bytes) -> bytes:
        return b"".join(b"\\x%02x" % byte for byte in data)

    line = b":qemu-%s:M::%s:%s:%s:F" % (
        name.encode(), escaped(begin), escaped(mask), os.fsencode(path)
    )  # fmt: skip
    return line
