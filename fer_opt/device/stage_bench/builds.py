"""Builds of ``stage_bench`` on this computer, and which of them a phone gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fer_opt.device.runner.elf import abi_of_machine, read_elf
from fer_opt.device.runner.kept import Runner, cache_folder
from fer_opt.errors import RunnerError
from fer_opt.files import sha256_of

__all__ = ["StageBench", "builds_folder", "choose_stage_bench"]

StageBench = Runner
"""A build, ready to be pushed; its ``name`` is ``stage_bench``."""

PROGRAM = "stage_bench"

ADVICE = "build it from fer-opt's repository: python device/stage_bench/build.py"


def builds_folder() -> Path:
    """Where ``device/stage_bench/build.py`` puts its builds, in a folder for each ABI."""
    return cache_folder() / "stage_bench"


def choose_stage_bench(
    abilist: Sequence[str], *, named: Path | None = None, virtual_machine: str = ""
) -> StageBench:
    """The build for a phone.

    Args:
        abilist: ``ro.product.cpu.abilist`` of the phone, best first.
        named: a build, or a folder of builds like :func:`builds_folder`; None takes that one.
        virtual_machine: what ``uname -m`` calls the computer of a virtual phone, whose own
            programs it runs best; empty for a real phone.

    Raises:
        RunnerError: there is none, or the one named does not run on this phone.
    """
    native = abi_of_machine(virtual_machine) if virtual_machine else None
    abis = [abi for abi in (native, *abilist) if abi]
    if named is not None and not named.is_dir():
        return _checked(named, abis)
    folder = named or builds_folder()
    for abi in abis:
        program = folder / abi / PROGRAM
        if program.is_file():
            return _checked(program, abis)
    raise RunnerError(
        f"{folder} has no stage_bench for this phone ({', '.join(abis) or 'which tells no ABI'}); "
        f"{ADVICE}"
    )


def _checked(path: Path, abis: Sequence[str]) -> StageBench:
    elf = read_elf(path, program=PROGRAM)
    if elf is None:
        raise RunnerError(f"{path} is a script, and stage_bench is a program; {ADVICE}")
    if elf.abi not in abis:
        raise RunnerError(
            f"{path} is made for {elf.abi}, but the phone runs {', '.join(abis)}; {ADVICE}"
        )
    if elf.loader:
        raise RunnerError(f"{path} is no static program (it needs {elf.loader}); {ADVICE}")
    try:
        digest, size_bytes = sha256_of(path), path.stat().st_size
    except OSError as exc:
        raise RunnerError(f"{path} cannot be read ({exc.strerror or exc}); {ADVICE}") from exc
    return Runner(path, PROGRAM, str(path), "", digest, size_bytes, elf.abi, elf.loader)
