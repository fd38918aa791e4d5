"""ADB over TCP. adb-shell's own transport loses data (it ignores what ``send`` returns)."""

from __future__ import annotations

import contextlib
import socket
import sys

from adb_shell.transport.base_transport import BaseTransport

from fer_opt.device.adb.errors import SilenceError, mapped
from fer_opt.errors import LinkLostError

__all__ = ["TcpTransport"]

MOST_AT_ONCE_BYTES = 1 << 20
"""Of one read, so that no announced length makes us allocate more."""

SIOCOUTQ = 0x5411
"""Linux's question for the bytes that the other side has not acknowledged (tcp(7))."""


class TcpTransport(BaseTransport):  # type: ignore[misc]  # adb-shell has no types
    """A transport for adb-shell's interface over one TCP connection.

    Attributes:
        name: how errors call the phone, ``tcp:HOST:PORT``.
    """

    def __init__(self, host: str, port: int, name: str) -> None:
        self.name = name
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def connect(self, transport_timeout_s: float | None) -> None:
        """Connect.

        Raises:
            LinkLostError: nothing answers there.
        """
        self.close()
        try:
            made = socket.create_connection(self._address, timeout=transport_timeout_s)
        except OSError as exc:
            raise LinkLostError(
                f"{self.name} does not answer ({exc.strerror or exc}); check its address, Wi-Fi, "
                "and that the phone takes debugging over the network (`adb tcpip 5555`)."
            ) from exc
        self._socket = made
        with mapped(self.name):
            # Small packets that wait for each other must not wait for Nagle's algorithm as well.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def bulk_read(self, numbytes: int, transport_timeout_s: float | None) -> bytes:
        """Some of the next ``numbytes`` bytes, at least one.

        Raises:
            SilenceError: nothing arrived in time.
            LinkLostError: the connection is closed or broken.
        """
        connected = self._connected()
        with mapped(self.name):
            connected.settimeout(transport_timeout_s)
            try:
                got = connected.recv(min(numbytes, MOST_AT_ONCE_BYTES))
            except TimeoutError as exc:
                raise SilenceError(
                    f"{self.name} was silent for {transport_timeout_s:g} s; check the connection."
                ) from exc
        if not got:
            raise LinkLostError(f"{self.name} closed the connection; connect again.")
        return got

    def bulk_write(self, data: bytes, transport_timeout_s: float | None) -> int:
        """Send all of ``data``; each part of it that leaves starts the time-out anew.

        Raises:
            SilenceError: the other side took nothing for that long.
            LinkLostError: the connection is closed or broken.
        """
        connected = self._connected()
        view = memoryview(data)
        with mapped(self.name):
            connected.settimeout(transport_timeout_s)
            while view:
                held_bytes = _unacknowledged_bytes(connected)
                try:
                    view = view[connected.send(view) :]
                except TimeoutError as exc:
                    # The system takes more only once a third of its buffer is empty; on a slow
                    # link that it empties at all is life enough.
                    if _unacknowledged_bytes(connected) < held_bytes:
                        continue
                    raise SilenceError(
                        f"{self.name} took no data for {transport_timeout_s:g} s; check the "
                        "connection."
                    ) from exc
        return len(data)

    def close(self) -> None:
        """Hang up; never raises."""
        if self._socket is None:
            return
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.close()
        self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise LinkLostError(f"the connection to {self.name} is closed; connect again.")
        return self._socket


def _unacknowledged_bytes(connected: socket.socket) -> int:
    """Sent, but not yet acknowledged; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    import fcntl

    return int.from_bytes(fcntl.ioctl(connected, SIOCOUTQ, bytes(4)), sys.byteorder)
