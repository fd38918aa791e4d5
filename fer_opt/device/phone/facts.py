"""Asking a phone what it is, in one round trip."""

from __future__ import annotations

from fer_opt.device.adb.link import Link
from fer_opt.device.phone.fact_parsing import parse_facts
from fer_opt.device.phone.fact_rows import FactRow, device_facts, fact_rows
from fer_opt.device.phone.phone_facts import Battery, Core, PhoneFacts
from fer_opt.device.phone.scripts import load_script
from fer_opt.errors import PhoneError

__all__ = [
    "Battery",
    "Core",
    "FactRow",
    "PhoneFacts",
    "device_facts",
    "fact_rows",
    "parse_facts",
    "read_facts",
]

STORAGE = "/data/local/tmp"
"""Where fer-opt's folder lies, whose free space counts."""


def read_facts(link: Link) -> PhoneFacts:
    """The phone's facts; what it does not tell is in ``unread`` with the reason.

    Raises:
        PhoneError: it answered nothing of what was asked.
        LinkLostError: the connection broke.
    """
    # Android 7 starts a Java program for each of the two settings: a second or more.
    finished = link.script(load_script("facts"), [STORAGE], timeout_s=60.0)
    facts = parse_facts(finished.output, link.serial)
    if not facts.model and not facts.abis and not facts.cores:
        last = finished.output.strip().splitlines()[-1:]
        raise PhoneError(
            f"{link.serial} does not tell what it is ({last[0] if last else 'no answer'}); check "
            "that it is an Android phone and that its shell works."
        )
    return facts
