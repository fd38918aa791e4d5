"""What everything above a connection stands on: byte streams to services of the phone.

Two things carry them: our own packets over USB or TCP (:mod:`fer_opt.device.adb.connection`), and
the sockets of an adb server (:mod:`fer_opt.device.adb.server`).
"""

from __future__ import annotations

from typing import Protocol

from fer_opt.device.adb.link import Route

__all__ = ["PROBE_AFTER_S", "SILENCE_S", "STALL_S", "Carrier", "Stream"]

PROBE_AFTER_S = 1.2
"""Silence after which the phone is asked whether it is still there."""

SILENCE_S = 2.5
"""Silence, the unanswered question included, that means the connection is lost."""

STALL_S = 60.0
"""How long a phone that is there may take no data: a slow flash memory writes its cache out."""


class Stream(Protocol):
    """A two-way stream of bytes to one service of the phone, e.g. ``shell:ls``."""

    def send(self, data: bytes) -> None:
        """Send ``data``; returns when the phone has taken it.

        Raises:
            LinkLostError: the connection is lost.
            PhoneError: the phone is there but ended the stream, or took nothing for STALL_S.
        """
        ...

    def receive(self, within_s: float) -> bytes | None:
        """The next bytes; empty at the end; None where none came in time from a phone that lives.

        Raises:
            LinkLostError: the connection is lost.
        """
        ...

    def has_answer(self) -> bool:
        """Whether something to receive has come already."""
        ...

    def close(self) -> None:
        """End the stream; never raises."""
        ...


class Carrier(Protocol):
    """Opens streams to one phone."""

    @property
    def name(self) -> str:
        """How errors call the phone."""
        ...

    @property
    def route(self) -> Route:
        """How it is reached."""
        ...

    @property
    def most_service_bytes(self) -> int:
        """Longest name of a service, and so longest command, that can be opened."""
        ...

    def connect(self) -> None:
        """Connect, again where it was connected.

        Raises:
            LinkLostError: the phone does not answer.
            PhoneError: it refuses.
        """
        ...

    def open(self, service: bytes) -> Stream:
        """Open a stream.

        Raises:
            LinkLostError: the connection is lost.
            PhoneError: the phone has no such service.
        """
        ...

    def close(self) -> None:
        """Hang up; never raises."""
        ...
