"""Programs of other processors: told to the kernel, which hands them to an emulator.

Linux 6.7 and later lets a user namespace have its own list (binfmt_misc). Only the namespace's
root may write it, so that the phone begins as root of one and goes on as uid 2000 of another
within.
"""

from __future__ import annotations

import ctypes
import os

CLONE_NEWUSER = 0x1000_0000
SHELL = 2000  # uid and gid of Android's shell user
PLACE = "/proc/sys/fs/binfmt_misc"
# Name of the emulator -> ELF class (1 is 32 bits), ELF machine number; both little-endian.
ELF_OF = {"arm": (1, 40), "aarch64": (2, 183), "i386": (1, 3), "x86_64": (2, 62)}


def register_foreign(emulators: dict[str, str]) -> list[str]:
    """Register emulators (name -> path); the names of those the kernel took."""
    kind = b"binfmt_misc"
    if ctypes.CDLL(None).mount(kind, PLACE.encode(), kind, 0, None) != 0:
        return []
    return [name for name, path in emulators.items() if register(name, path)]


def become_shell_user() -> None:
    """Go from root of a user namespace to uid 2000 of one within; programs have no rights then.

    Raises:
        OSError: the kernel allows no second one.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    write("setgroups", "deny")
    write("uid_map", f"{SHELL} 0 1")
    write("gid_map", f"{SHELL} 0 1")


def write(name: str, text: str) -> None:
    """Write a file of this process in /proc."""
    with open(f"/proc/self/{name}", "w", encoding="ascii") as handle:
        handle.write(text)


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

    return b":qemu-%s:M::%s:%s:%s:F" % (
        name.encode(), escaped(begin), escaped(mask), os.fsencode(path)
    )  # fmt: skip
