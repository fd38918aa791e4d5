"""Which runner a phone gets, decided before anything is pushed."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from fer_opt.device.runner.elf import abi_of_machine, is_androids
from fer_opt.device.runner.kept import Runner, kept_runner, named_runner, own_runner
from fer_opt.device.runner.published import PUBLISHED, build_advice
from fer_opt.errors import RunnerError

__all__ = ["choose_runner"]


def choose_runner(
    abilist: Sequence[str],
    *,
    runner: Path | None = None,
    virtual: bool = False,
    machine: str | None = None,
    cache: Path | None = None,
) -> Runner:
    """The runner for a phone: the one named, else our own on a virtual phone, else the downloaded.

    Args:
        abilist: ``ro.product.cpu.abilist`` of the phone, best first. Nothing else tells what it
            runs: a kernel of 64 bits may carry a userland of 32.
        runner: file the user named; wins over everything.
        virtual: whether the phone is a virtual one.
        machine: what ``uname -m`` calls a virtual phone's computer; by default this one.
        cache: folder of downloads; by default the user's, or the one FER_OPT_CACHE names.

    Raises:
        RunnerError: there is none, or the one named does not run on this phone.
    """
    if not abilist:
        raise RunnerError(
            "The phone does not say which programs it runs (ro.product.cpu.abilist is empty); "
            "restart it and try again."
        )
    if runner is not None:
        chosen = named_runner(runner)
        if virtual:
            _check_virtual(chosen, abilist, machine or platform.machine())
        else:
            _check_real(chosen, abilist)
        return chosen
    if virtual:
        return own_runner()
    return _downloaded(abilist[0], cache)


def _check_virtual(runner: Runner, abilist: Sequence[str], machine: str) -> None:
    # Real processes of that computer, so its own programs run as well as the profile's.
    if runner.is_script:
        return
    native = abi_of_machine(machine)
    if runner.abi not in (*abilist, native):
        raise RunnerError(
            f"{runner.path} is made for {runner.abi}, but this virtual phone runs "
            f"{', '.join(abilist)} and its computer {native or machine}; leave out --runner to use "
            "fer-opt's own."
        )
    if is_androids(runner.loader):
        raise RunnerError(
            f"{runner.path} needs Android's {runner.loader}, which a virtual phone does not have; "
            "leave out --runner to use fer-opt's own, or build a static one."
        )


def _check_real(runner: Runner, abilist: Sequence[str]) -> None:
    if runner.is_script:
        raise RunnerError(
            f"{runner.path} is a script, and only virtual phones have an interpreter for it; "
            f"{_advice(abilist[0])}."
        )
    if runner.abi not in abilist:
        raise RunnerError(
            f"{runner.path} is made for {runner.abi}, but the phone runs {', '.join(abilist)}; "
            f"{_advice(abilist[0])}."
        )
    if runner.loader and not is_androids(runner.loader):
        raise RunnerError(
            f"{runner.path} is made for desktop Linux (it needs {runner.loader}), not for Android; "
            f"{_advice(abilist[0])}."
        )


def _downloaded(abi: str, cache: Path | None) -> Runner:
    kept = kept_runner(abi, cache)
    if kept is None:
        raise RunnerError(
            f"There is no benchmark_model for this phone ({abi}) on this computer; {_advice(abi)}."
        )
    return kept


def _advice(abi: str) -> str:
    """How to come by the right one, a clause."""
    if abi in PUBLISHED:
        return f"get the right one with: fer-opt phone fetch-runner --abi {abi}"
    return f"none is published for {abi}: {build_advice(abi)}"
