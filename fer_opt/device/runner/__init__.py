"""The program that times a model on a phone: ours, the published one, or the user's."""

from fer_opt.device.runner.choose import choose_runner
from fer_opt.device.runner.elf import elf_abi
from fer_opt.device.runner.fetch import fetch_runner
from fer_opt.device.runner.kept import (
    OWN_NAME,
    Runner,
    is_emulated,
    kept_runner,
    own_runner,
    own_runner_path,
)
from fer_opt.device.runner.published import ABIS, PUBLISHED

__all__ = [
    "ABIS",
    "OWN_NAME",
    "PUBLISHED",
    "Runner",
    "choose_runner",
    "elf_abi",
    "fetch_runner",
    "is_emulated",
    "kept_runner",
    "own_runner",
    "own_runner_path",
]
