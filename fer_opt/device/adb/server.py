"""Through a running adb server, which owns the phones it knows; by adbutils, an optional extra.

A server is looked for by connecting to its port. None is ever started, none ended.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import time
from typing import Any

from fer_opt.device.adb.carrier import PROBE_AFTER_S, SILENCE_S, STALL_S
from fer_opt.device.adb.errors import SilenceError, mapped
from fer_opt.device.adb.link import Route
from fer_opt.errors import LinkLostError, PhoneError

__all__ = ["ServerCarrier", "has_adbutils", "running_server", "server_listing"]

LONGEST_SERVICE_BYTES = 60_000
"""A server takes four hexadecimal digits of length."""

READ_BYTES = 1 << 16

NETWORK_SERIAL = re.compile(r"\S+:[0-9]{1,5}", re.ASCII)
"""How a server calls a phone that it was told to connect to."""

PROBE_SERVICE = b"fer-opt-are-you-there:"


class ServerCarrier:
    """A :class:`fer_opt.device.adb.carrier.Carrier` through an adb server.

    Attributes:
        name: the phone's serial number as the server knows it.
    """

    route: Route = "server"
    most_service_bytes = LONGEST_SERVICE_BYTES

    def __init__(self, serial: str, address: tuple[str, int]) -> None:
        self.name = serial
        self._address = address
        self._connected = False
        self._streams: list[ServerStream] = []

    def connect(self) -> None:
        """Make sure that the server has the phone."""
        self.close()
        with mapped(self.name):
            try:
                self._transport(SILENCE_S).close()
            except _adbutils().AdbError:
                if NETWORK_SERIAL.fullmatch(self.name) is None:
                    raise
                # A server may keep a phone on the network as offline for ever.
                _tell(self._address, b"host:disconnect:" + self.name.encode("ascii"))
                _tell(self._address, b"host:connect:" + self.name.encode("ascii"))
                self._transport(SILENCE_S).close()
        self._connected = True

    def open(self, service: bytes) -> ServerStream:
        """Open a stream; each is a connection of its own to the server."""
        if not self._connected:
            raise LinkLostError(f"the connection to {self.name} is closed; connect again.")
        with mapped(self.name):
            connection = self._transport(SILENCE_S)
            try:
                _ask(connection, service)
            except BaseException:
                connection.close()
                raise
        stream = ServerStream(self, connection)
        self._streams.append(stream)
        return stream

    def forget(self, stream: ServerStream) -> None:
        """A stream that ended."""
        if stream in self._streams:
            self._streams.remove(stream)

    def probe(self) -> None:
        """Make sure that the phone is there.

        Raises:
            LinkLostError: it is not.
        """
        left_s = SILENCE_S - PROBE_AFTER_S
        adbutils = _adbutils()
        try:
            with mapped(self.name):
                connection = self._transport(left_s)
                try:
                    _ask(connection, PROBE_SERVICE)
                except adbutils.AdbTimeout:
                    raise
                except adbutils.AdbError:
                    pass  # refused by the phone, which so shows that it lives
                finally:
                    connection.close()
        except SilenceError as exc:
            raise LinkLostError(
                f"{self.name} has been silent for {SILENCE_S:g} s; check cable, Wi-Fi and that it "
                "is switched on."
            ) from exc

    def close(self) -> None:
        """Hang up; the server keeps the phone. Never raises."""
        self._connected = False
        for stream in list(self._streams):
            stream.close()

    def _transport(self, timeout_s: float) -> Any:
        """A connection to the server that it has tied to the phone."""
        connection = _connect(self._address, timeout_s)
        try:
            _ask(connection, b"host:transport:" + self.name.encode("ascii", "replace"))
        except BaseException:
            connection.close()
            raise
        return connection


class ServerStream:
    """One stream of a :class:`ServerCarrier`: a socket."""

    def __init__(self, carrier: ServerCarrier, connection: Any) -> None:
        self._carrier = carrier
        self._socket: socket.socket = connection.conn
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ended = False

    def send(self, data: bytes) -> None:
        """Send ``data``; returns when the server has taken it."""
        view = memoryview(data)
        end = time.monotonic() + STALL_S
        with mapped(self._carrier.name):
            while view:
                try:
                    self._socket.settimeout(PROBE_AFTER_S)
                    view = view[self._socket.send(view) :]
                    end = time.monotonic() + STALL_S
                except TimeoutError as exc:
                    self._carrier.probe()
                    if time.monotonic() > end:
                        raise PhoneError(
                            f"{self._carrier.name} is there but took no data for {STALL_S:g} s; "
                            "restart it."
                        ) from exc
                except (BrokenPipeError, ConnectionResetError) as exc:
                    self._ended = True
                    self._carrier.probe()
                    raise PhoneError(
                        f"{self._carrier.name} ended the transfer before it was complete."
                    ) from exc

    def receive(self, within_s: float) -> bytes | None:
        """The next bytes; empty at the end, None where none came in time."""
        end = time.monotonic() + within_s
        with mapped(self._carrier.name):
            while True:
                left_s = end - time.monotonic()
                try:
                    self._socket.settimeout(max(0.001, min(left_s, PROBE_AFTER_S)))
                    return self._socket.recv(READ_BYTES)
                except TimeoutError:
                    if time.monotonic() >= end:
                        return None
                    self._carrier.probe()

    def has_answer(self) -> bool:
        """Whether something to receive, or the end, has come already."""
        with mapped(self._carrier.name):
            return bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        """End the stream; never raises."""
        self._carrier.forget(self)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.close()


def running_server() -> tuple[str, int] | None:
    """Host and port of the running adb server; None where there is none.

    Raises:
        PhoneError: ANDROID_ADB_SERVER_PORT is no port.
    """
    text = os.environ.get("ANDROID_ADB_SERVER_PORT", "") or "5037"
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise PhoneError(f"ANDROID_ADB_SERVER_PORT={text!r} is no port; unset it or correct it.")
    address = (os.environ.get("ANDROID_ADB_SERVER_ADDRESS", "") or "127.0.0.1", int(text))
    try:
        socket.create_connection(address, timeout=1.0).close()
    except OSError:
        return None
    return address


def has_adbutils() -> bool:
    """Whether the optional extra is installed."""
    try:
        _adbutils()
    except PhoneError:
        return False
    return True


def server_listing(address: tuple[str, int]) -> str:
    """What `adb devices -l` would print of its phones.

    Raises:
        PhoneError: the server does not answer, or adbutils is missing.
    """
    with mapped("the adb server"):
        connection = _connect(address, SILENCE_S)
        try:
            _ask(connection, b"host:devices-l")
            listing: str = connection.read_string_block()
            return listing
        finally:
            connection.close()


def _adbutils() -> Any:
    try:
        import adbutils
    except ImportError as exc:
        raise PhoneError(
            "the way through an adb server needs adbutils, which is not installed; "
            "pip install 'fer-opt[adb-server]'."
        ) from exc
    return adbutils


def _connect(address: tuple[str, int], timeout_s: float) -> Any:
    """A connection of adbutils to a server, without its habit of starting one."""
    adbutils = _adbutils()

    class Connection(adbutils.AdbConnection):  # type: ignore[misc, name-defined]
        def _safe_connect(self) -> socket.socket:
            return socket.create_connection(address, timeout_s)

    try:
        return Connection(*address)
    except OSError as exc:
        raise LinkLostError(
            f"the adb server at port {address[1]} does not answer ({exc.strerror or exc}); start "
            "it with `adb start-server`, or use --via usb."
        ) from exc


def _tell(address: tuple[str, int], service: bytes) -> None:
    """Tell a server something; what it answers shows in what comes next."""
    connection = _connect(address, SILENCE_S)
    with contextlib.closing(connection), contextlib.suppress(_adbutils().AdbError):
        _ask(connection, service)
        connection.read_string_block()


def _ask(connection: Any, service: bytes) -> None:
    """Ask a server, or the phone behind it, for a service."""
    connection.conn.sendall(b"%04x" % len(service) + service)
    connection.check_okay()
