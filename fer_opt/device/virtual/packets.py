"""ADB's packets as bytes: a header of six little-endian words, then the payload.

Source: AOSP, packages/modules/adb, protocol.txt and ``adb.h``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "HEADER_BYTES",
    "MAX_PAYLOAD",
    "MAX_PAYLOAD_LEGACY",
    "VERSION_CHECKED",
    "VERSION_UNCHECKED",
    "BadPacketError",
    "Command",
    "Header",
    "Packet",
    "check_payload",
    "checksum",
    "decode_header",
    "encode",
]

VERSION_CHECKED = 0x0100_0000  # payloads carry a checksum
VERSION_UNCHECKED = 0x0100_0001  # the checksum is left 0 and not looked at
MAX_PAYLOAD_LEGACY = 4096
MAX_PAYLOAD = 1024 * 1024
HEADER_BYTES = 24

HEADER = struct.Struct("<6I")


class Command(IntEnum):
    """What a packet is for; the number is its name in ASCII."""

    SYNC = 0x434E5953
    CNXN = 0x4E584E43
    AUTH = 0x48545541
    OPEN = 0x4E45504F
    OKAY = 0x59414B4F
    CLSE = 0x45534C43
    WRTE = 0x45545257
    STLS = 0x534C5453


class BadPacketError(ValueError):
    """Bytes that are no ADB packet; adbd hangs up on them, and so do we."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One message: a command, its two arguments, its payload."""

    command: Command
    arg0: int
    arg1: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Header:
    """The first 24 bytes of a packet, read."""

    command: Command
    arg0: int
    arg1: int
    payload_bytes: int
    checksum: int


def checksum(payload: bytes) -> int:
    """The sum of the payload's bytes; ADB calls it a CRC, which it is not."""
    return sum(payload) & 0xFFFF_FFFF


def encode(packet: Packet, *, checked: bool) -> bytes:
    """The packet as it goes over the wire.

    Args:
        packet: to send.
        checked: whether it carries a checksum, as version 0x01000000 wants it.
    """
    return (
        HEADER.pack(
            packet.command,
            packet.arg0,
            packet.arg1,
            len(packet.payload),
            checksum(packet.payload) if checked else 0,
            packet.command ^ 0xFFFF_FFFF,
        )
        + packet.payload
    )


def decode_header(data: bytes, *, most_payload: int = MAX_PAYLOAD) -> Header:
    """Read the 24 bytes that begin a packet.

    Raises:
        BadPacketError: the magic does not fit the command, the command is unknown, or the payload
            is longer than ``most_payload``.
    """
    if len(data) != HEADER_BYTES:
        raise BadPacketError(f"a header of {len(data)} bytes instead of {HEADER_BYTES}")
    command, arg0, arg1, payload_bytes, check, magic = HEADER.unpack(data)
    if command ^ 0xFFFF_FFFF != magic:
        raise BadPacketError(f"magic {magic:08x} does not fit command {command:08x}")
    if payload_bytes > most_payload:
        raise BadPacketError(f"a payload of {payload_bytes} bytes; {most_payload} are allowed")
    try:
        return Header(Command(command), arg0, arg1, payload_bytes, check)
    except ValueError as exc:
        raise BadPacketError(f"unknown command {command:08x}") from exc


def check_payload(header: Header, payload: bytes) -> None:
    """Compare the payload with the header's checksum, as version 0x01000000 asks.

    Raises:
        BadPacketError: they differ.
    """
    found = checksum(payload)
    if found != header.checksum:
        raise BadPacketError(f"checksum {found:08x} instead of {header.checksum:08x}")
