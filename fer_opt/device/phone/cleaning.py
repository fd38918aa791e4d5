"""Leaving nothing behind: fer-opt's folder is removed from a phone, and nothing else."""

from __future__ import annotations

import re

from fer_opt.device.adb.link import Link
from fer_opt.device.phone.folder import FOLDER
from fer_opt.device.phone.scripts import load_script
from fer_opt.device.phone.settings import restore_leftovers
from fer_opt.errors import PhoneError

__all__ = ["clean"]


def clean(link: Link) -> int:
    """Give back the phone's settings, end what is left running, and remove :data:`FOLDER`.

    Returns:
        Freed bytes, as the phone's file system counts them (blocks); 0 where there is no folder.

    Raises:
        PhoneError: the folder is a link to somewhere else, or could not be removed; or settings
            could not be given back, in which case their record stays.
        LinkLostError: the connection broke; call again.
    """
    restore_leftovers(link)
    answer = link.script(load_script("clean"), [FOLDER], timeout_s=60.0).output.strip()
    if freed := re.search(r"^freed (\d+)$", answer, re.MULTILINE):
        return int(freed[1]) * 1024
    if target := re.search(r"^link (.*)$", answer, re.MULTILINE):
        raise PhoneError(
            f"{FOLDER} on {link.serial} is a link to {target[1]} and was not touched; remove the "
            "link yourself."
        )
    if answer == "file":
        raise PhoneError(
            f"{FOLDER} on {link.serial} is no folder and was not touched; remove it yourself."
        )
    reason = next(iter(answer.splitlines()), "no answer")
    raise PhoneError(
        f"{FOLDER} on {link.serial} could not be removed ({reason}); restart the phone and try "
        "again."
    )
