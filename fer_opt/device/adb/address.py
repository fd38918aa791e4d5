"""How a phone is named: ``tcp:HOST:PORT``, or a serial number."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fer_opt.errors import PhoneError

__all__ = ["TcpAddress", "checked_serial", "parse_tcp"]

SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@%\[\]-]{0,127}", re.ASCII)
"""Letters, digits and what addresses are made of; nothing a shell gives a meaning to."""

TCP = re.compile(
    r"tcp:(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})"
)


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and port of it."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp:{host}:{self.port}"

    @property
    def server_serial(self) -> str:
        """How an adb server calls a phone it was told to connect to."""
        return str(self).removeprefix("tcp:")


def parse_tcp(text: str) -> TcpAddress:
    """Read ``tcp:HOST:PORT``; an IPv6 address stands in brackets.

    Raises:
        PhoneError: it is not one.
    """
    found = TCP.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise PhoneError(
            f"{text!r} is no address of a phone; write tcp:HOST:PORT, e.g. tcp:192.168.0.7:5555 or "
            "tcp:[fe80::1%eth0]:5555."
        )
    return TcpAddress(found["six"] or found["host"], int(found["port"]))


def checked_serial(serial: str) -> str:
    """``serial``, where it is one.

    Raises:
        PhoneError: it holds what no serial number does, such as spaces or ``;``.
    """
    if SERIAL.fullmatch(serial) is None:
        raise PhoneError(
            f"{serial!r} is no serial number (letters, digits and . _ : - only); "
            "`fer-opt phone list` shows those of the phones connected."
        )
    return serial
