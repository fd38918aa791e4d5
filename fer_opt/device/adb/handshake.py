"""How a connection begins: versions, then proof that the phone's owner trusts this computer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fer_opt.device.adb.errors import SilenceError, UnauthorizedError
from fer_opt.device.adb.keys import Signer
from fer_opt.device.adb.packets import AUTH, CNXN, MOST_BYTES, OUR_VERSION, STLS
from fer_opt.errors import LinkLostError, PhoneError

if TYPE_CHECKING:
    from fer_opt.device.adb.connection import Packet

__all__ = ["Agreed", "Handshake", "shake_hands"]

TOKEN, SIGNATURE, PUBLIC_KEY = 1, 2, 3
"""Kinds of AUTH packets."""

TOKEN_BYTES = 20
ANSWER_S = 5.0
LEAST_BYTES = 4096
"""Payload that even the oldest phones take."""


class Send(Protocol):
    """Sends one packet."""

    def __call__(self, command: bytes, arg0: int, arg1: int, payload: bytes = b"") -> None:
        """Send."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a handshake needs.

    Attributes:
        name: how errors call the phone.
        send: sends a packet.
        receive: the next packet within so many seconds; SilenceError where there is none, or
            where no time is left.
        signers: the computer's keys, read only when the phone asks.
        say: told when the phone's owner must do something.
        accept_within_s: how long they have; 0 asks them for nothing.
    """

    name: str
    send: Send
    receive: Callable[[float], Packet]
    signers: Callable[[], Sequence[Signer]]
    say: Callable[[str], None]
    accept_within_s: float


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides can: the lower version, the phone's largest payload; the phone's banner."""

    version: int
    most_bytes: int
    banner: bytes


def shake_hands(shake: Handshake) -> Agreed:
    """Connect by the protocol, proving who we are where the phone asks.

    Raises:
        LinkLostError: it does not answer, or hangs up.
        UnauthorizedError: it does not know our key, and nobody accepted it.
        PhoneError: it wants what we cannot do.
    """
    shake.send(CNXN, OUR_VERSION, MOST_BYTES, b"host::fer-opt\0")
    packet = _answer(shake, ANSWER_S)
    if _asks(packet):
        packet = _authenticate(shake, packet)
    header = packet.header
    if header.arg1 < LEAST_BYTES:
        raise LinkLostError(
            f"{shake.name} says it takes packets of {header.arg1} bytes, which no phone does; is "
            "that port really adbd's?"
        )
    return Agreed(
        version=min(header.arg0, OUR_VERSION),
        most_bytes=min(header.arg1, MOST_BYTES),
        banner=packet.payload.rstrip(b"\0"),
    )


def _authenticate(shake: Handshake, packet: Packet) -> Packet:
    signers = shake.signers()
    for signer in signers:
        shake.send(AUTH, SIGNATURE, 0, signer.sign(_token(shake, packet)))
        packet = _answer(shake, ANSWER_S)
        if not _asks(packet):
            return packet
    if not shake.accept_within_s:
        raise UnauthorizedError(
            f"{shake.name} has not accepted this computer's key; unlock it, connect again and "
            "accept on its screen."
        )
    shake.say(
        f"{shake.name} asks whether to allow USB debugging from this computer: unlock its screen "
        f"and accept. Waiting up to {shake.accept_within_s:g} s."
    )
    shake.send(AUTH, PUBLIC_KEY, 0, signers[0].public_key + b"\0")
    return _accepted(shake)


def _accepted(shake: Handshake) -> Packet:
    """Wait for somebody to touch the phone's screen."""
    end = time.monotonic() + shake.accept_within_s
    try:
        while True:
            packet = _answer(shake, end - time.monotonic())
            if not _asks(packet):
                return packet
    except SilenceError as exc:
        raise UnauthorizedError(
            f"{shake.name} did not accept this computer's key within {shake.accept_within_s:g} s; "
            "unlock it, connect again and accept on its screen (if nothing shows there, switch USB "
            "debugging off and on)."
        ) from exc
    except LinkLostError as exc:
        raise UnauthorizedError(
            f"{shake.name} hung up instead of accepting this computer's key; connect again and "
            "accept on its screen."
        ) from exc


def _answer(shake: Handshake, within_s: float) -> Packet:
    """The next packet that belongs to a handshake."""
    end = time.monotonic() + within_s
    while True:
        packet = shake.receive(end - time.monotonic())
        if packet.header.command == STLS:
            raise PhoneError(
                f"{shake.name} wants Android 11's encrypted wireless debugging, which fer-opt does "
                "not speak; pair it with `adb pair` and use --via server, or use the cable."
            )
        if packet.header.command in (AUTH, CNXN):
            return packet


def _asks(packet: Packet) -> bool:
    return packet.header.command == AUTH


def _token(shake: Handshake, packet: Packet) -> bytes:
    if packet.header.arg0 != TOKEN or len(packet.payload) != TOKEN_BYTES:
        raise LinkLostError(
            f"{shake.name} asks for a proof in a way unknown to us; is that port really adbd's?"
        )
    return packet.payload
