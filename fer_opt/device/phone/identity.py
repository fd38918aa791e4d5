"""By what a phone is known however it is reached: a digest of the serial number it tells."""

from __future__ import annotations

import hashlib

from fer_opt.device.adb.link import Link
from fer_opt.device.adb.listing import OWN_SERIAL
from fer_opt.device.phone.locks import is_held

__all__ = ["in_use", "lock_name", "phone_id", "read_phone_id"]


def phone_id(own_serial: str) -> str:
    """The first 12 digits of the serial number's SHA-256, which do not tell the number."""
    return hashlib.sha256(own_serial.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def read_phone_id(link: Link) -> str:
    """Which phone this is: by its own serial number, or where it tells none by how it was reached.

    Raises:
        PhoneError: it does not answer.
    """
    lines = link.script(OWN_SERIAL, timeout_s=10.0).output.splitlines()
    told = [line.strip() for line in lines if line.strip()]
    return phone_id(told[0] if told else link.serial)


def lock_name(phone: str) -> str:
    """Under which name the phone of this id is locked; no connection is called so."""
    return f"phone {phone}"


def in_use(serial: str) -> bool:
    """Whether another fer-opt has the phone that is reached by this name, or calls itself so."""
    return is_held(serial) or is_held(lock_name(phone_id(serial)))
