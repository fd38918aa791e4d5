"""Reading ELF headers, and which runner a phone gets before anything is pushed."""

from __future__ import annotations

import platform
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.device.runner import (
    OWN_NAME,
    Runner,
    choose_runner,
    elf_abi,
    is_emulated,
    own_runner,
    own_runner_path,
)
from fer_opt.device.runner.elf import abi_of_machine, read_elf
from fer_opt.errors import RunnerError

MACHINES = {"armeabi-v7a": 40, "arm64-v8a": 183, "x86_64": 62, "x86": 3, "riscv64": 243}
NARROW = ("armeabi-v7a", "x86")
J3 = ("armeabi-v7a", "armeabi")
NEW = ("arm64-v8a",)


def elf(
    abi: str = "arm64-v8a",
    *,
    loader: str = "/system/bin/linker64",
    kind: int = 3,
    entry: int = 0x1000,
    machine: int | None = None,
    big: bool = False,
) -> bytes:
    """The beginning of a program: header, one PT_LOAD row, one PT_INTERP row, the loader's path."""
    order, bits = "><"[not big], 32 if abi in NARROW else 64
    word = "I" if bits == 32 else "Q"
    header_bytes, row_bytes = (52, 32) if bits == 32 else (64, 56)
    head = struct.pack("4sBBB9x", b"\x7fELF", bits // 32, 2 if big else 1, 1)
    head += struct.pack(order + "HHI", kind, machine or MACHINES[abi], 1)
    head += struct.pack(order + word * 3, entry, header_bytes, 0)
    head += struct.pack(order + "IHHHHHH", 0, header_bytes, row_bytes, 2 if loader else 1, 0, 0, 0)
    at, text = header_bytes + 2 * row_bytes, loader.encode() + b"\0"
    rows = [(1, 0, 0x2000), (3, at, len(text))]
    for kind_of_row, offset, size in rows:
        if bits == 32:
            head += struct.pack(order + "IIIIIIII", kind_of_row, offset, 0, 0, size, size, 4, 1)
        else:
            head += struct.pack(order + "IIQQQQQQ", kind_of_row, 4, offset, 0, 0, size, size, 1)
    return head + text


def write(folder: Path, content: bytes, name: str = "benchmark_model") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("abi", MACHINES)
@pytest.mark.parametrize("loader", ["/system/bin/linker", "/lib/ld-linux-armhf.so.3", ""])
def test_a_program_tells_its_processor_and_its_loader(
    tmp_path: Path, abi: str, loader: str
) -> None:
    path = write(tmp_path, elf(abi, loader=loader))
    assert elf_abi(path) == abi
    facts = read_elf(path)
    assert facts is not None
    assert (facts.loader, facts.for_android) == (loader, not loader.startswith("/lib"))


@pytest.mark.skipif(sys.platform != "linux", reason="its programs are ELF")
def test_a_real_program_is_of_this_computer() -> None:
    facts = read_elf(Path(sys.executable).resolve())
    assert facts is not None
    assert facts.abi == abi_of_machine(platform.machine())
    assert not facts.loader or (Path(facts.loader).exists() and not facts.for_android)


def test_a_script_has_no_abi(tmp_path: Path) -> None:
    assert elf_abi(write(tmp_path, b"#!/bin/sh\n")) is None
    assert elf_abi(own_runner_path()) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is neither an ELF program nor a script; name a benchmark_model for Android."),
        (b"<html>404</html>", "is neither an ELF program nor a script"),
        (b"MZ\x90\0", "is neither an ELF program nor a script"),
        (b"\x7fELF", "has an ELF header that points beyond its end; copy or download it again."),
        (elf()[:100], "has an ELF header that points beyond its end"),
        (b"\x7fELF" + bytes(100), "has a damaged ELF header; name a benchmark_model"),
        (elf(machine=8), "is made for a processor no phone has (ELF machine 8, 64 bits, "
         "little-endian)"),
        (elf("armeabi-v7a", big=True), "(ELF machine 40, 32 bits, big-endian)"),
        (elf("x86", machine=62), "(ELF machine 62, 32 bits, little-endian)"),
        (elf(kind=1), "is an ELF file, but a library or part of a program, not a program"),
        (elf(kind=4), "a library or part of a program"),
        (elf(entry=0), "a library or part of a program"),
    ],
)  # fmt: skip
def test_what_is_no_program_for_a_phone_is_refused(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(RunnerError) as caught:
        elf_abi(path)
    assert str(caught.value).startswith(f"{path} ")
    assert words in str(caught.value)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=r"gone cannot be read \(No such file or directory\)"):
        elf_abi(tmp_path / "gone")
    with pytest.raises(RunnerError, match="cannot be read"):
        choose_runner(J3, runner=tmp_path)


@given(
    st.one_of(
        st.binary(max_size=300).map(lambda rest: b"\x7fELF" + rest),
        st.builds(
            lambda base, place, new: base[: place % len(base)] + new + base[place % len(base) :],
            st.sampled_from([elf(abi) for abi in MACHINES]),
            st.integers(0, 200),
            st.binary(min_size=1, max_size=8),
        ),
        st.builds(
            lambda base, place, new: bytes([*base[:place], new, *base[place + 1 :]]),
            st.sampled_from([elf(abi) for abi in MACHINES]),
            st.integers(0, 150),
            st.integers(0, 255),
        ),
    )
)
def test_fuzzed_headers_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(content)
    try:
        facts = read_elf(path)
    except RunnerError:
        return
    assert facts is None or facts.abi in MACHINES


# ---- choosing ----


def test_the_runner_named_wins_where_it_fits(tmp_path: Path) -> None:
    path = write(tmp_path, elf("armeabi-v7a", loader="/system/bin/linker"))
    chosen = choose_runner(J3, runner=path)
    assert (chosen.path, chosen.source) == (path, str(path))
    assert (chosen.name, chosen.abi, chosen.fetched_at) == ("benchmark_model", J3[0], "")
    assert chosen.size_bytes == path.stat().st_size
    # 64-bit phones run 32-bit programs where their abilist says so.
    assert choose_runner(("arm64-v8a", *J3), runner=path).abi == "armeabi-v7a"


@pytest.mark.parametrize(
    ("abilist", "content", "words"),
    [
        # A kernel of 64 bits with a userland of 32: only the list counts.
        (J3, elf("arm64-v8a"), "is made for arm64-v8a, but the phone runs armeabi-v7a, armeabi; "
         "get the right one with: fer-opt phone fetch-runner --abi armeabi-v7a."),
        (NEW, elf("armeabi-v7a"), "is made for armeabi-v7a, but the phone runs arm64-v8a; get the "
         "right one with: fer-opt phone fetch-runner --abi arm64-v8a."),
        (("x86_64",), elf("arm64-v8a"), "is made for arm64-v8a, but the phone runs x86_64; none is "
         "published for x86_64: build one"),
        (NEW, elf(loader="/lib/ld-linux-aarch64.so.1"), "is made for desktop Linux (it needs "
         "/lib/ld-linux-aarch64.so.1), not for Android; get the right one"),
        (NEW, b"#!/bin/sh\n", "is a script, and only virtual phones have an interpreter for it; "
         "get the right one"),
    ],
)  # fmt: skip
def test_a_runner_that_does_not_fit_a_real_phone_is_refused(
    tmp_path: Path, abilist: tuple[str, ...], content: bytes, words: str
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(RunnerError) as caught:
        choose_runner(abilist, runner=path)
    assert str(caught.value).startswith(f"{path} {words}")


def test_a_virtual_phone_gets_our_own_runner(tmp_path: Path) -> None:
    chosen = choose_runner(J3, virtual=True, cache=tmp_path)
    assert chosen == own_runner() == choose_runner(J3, virtual=True, runner=own_runner_path())
    assert str(own_runner_path().parent) not in chosen.source
    assert (chosen.path, chosen.name, chosen.abi) == (own_runner_path(), OWN_NAME, "any")
    assert chosen.is_script


def test_a_changed_script_is_not_called_ours(tmp_path: Path) -> None:
    path = write(tmp_path, own_runner_path().read_bytes() + b"\n")
    assert choose_runner(J3, virtual=True, runner=path).name == "benchmark_model"


def test_a_virtual_phone_runs_its_computers_programs_and_its_profiles(tmp_path: Path) -> None:
    native = write(tmp_path, elf("x86_64", loader="/lib64/ld-linux-x86-64.so.2"), "native")
    arm = write(tmp_path, elf("armeabi-v7a", loader=""), "arm")
    assert choose_runner(J3, virtual=True, runner=native, machine="x86_64").abi == "x86_64"
    assert choose_runner(J3, virtual=True, runner=arm, machine="x86_64").abi == "armeabi-v7a"
    with pytest.raises(RunnerError, match="made for x86_64, but this virtual phone runs armeabi-v"):
        choose_runner(J3, virtual=True, runner=native, machine="aarch64")
    android = write(tmp_path, elf("armeabi-v7a", loader="/system/bin/linker"), "android")
    with pytest.raises(RunnerError, match="needs Android's /system/bin/linker, which a virtual"):
        choose_runner(J3, virtual=True, runner=android, machine="x86_64")


def test_without_a_download_a_real_phone_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        choose_runner(J3, cache=tmp_path)
    assert str(caught.value) == (
        "There is no benchmark_model for this phone (armeabi-v7a) on this computer; get the right "
        "one with: fer-opt phone fetch-runner --abi armeabi-v7a."
    )
    with pytest.raises(RunnerError, match="none is published for x86_64: build one"):
        choose_runner(("x86_64", "arm64-v8a"), cache=tmp_path)
    with pytest.raises(RunnerError, match=r"ro\.product\.cpu\.abilist is empty"):
        choose_runner((), cache=tmp_path)


@pytest.mark.parametrize(
    ("abi", "machine", "emulated"),
    [
        ("any", "x86_64", False),
        ("any", "", False),
        ("x86_64", "x86_64", False),
        ("x86", "x86_64", False),
        ("armeabi-v7a", "x86_64", True),
        ("arm64-v8a", "aarch64", False),
        ("armeabi-v7a", "aarch64", True),
        ("x86_64", "", True),
        ("x86_64", "s390x", True),
    ],
)
def test_programs_for_another_processor_are_emulated(
    abi: str, machine: str, emulated: bool
) -> None:
    runner = Runner(Path("x"), "benchmark_model", "x", "", "0" * 64, 1, abi, "")
    assert is_emulated(runner, machine) is emulated
