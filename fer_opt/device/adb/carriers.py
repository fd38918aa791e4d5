"""What connects to a phone, by the way it is reached."""

from __future__ import annotations

from collections.abc import Callable

from fer_opt.device.adb import server
from fer_opt.device.adb.address import TcpAddress
from fer_opt.device.adb.carrier import Carrier
from fer_opt.device.adb.connection import Connection
from fer_opt.device.adb.keys import load_signers
from fer_opt.device.adb.tcp import TcpTransport
from fer_opt.errors import PhoneError

__all__ = ["server_carrier", "tcp_carrier", "usb_carrier"]

Say = Callable[[str], None]


def usb_carrier(serial: str, *, say: Say, accept_within_s: float) -> Carrier:
    """Over its cable."""
    from fer_opt.device.adb.usb import UsbTransport

    return Connection(
        UsbTransport(serial),
        serial,
        "usb",
        lambda: load_signers(say),
        say=say,
        accept_within_s=accept_within_s,
    )


def tcp_carrier(address: TcpAddress, *, say: Say, accept_within_s: float) -> Carrier:
    """Over the network."""
    name = str(address)
    return Connection(
        TcpTransport(address.host, address.port, name),
        name,
        "tcp",
        lambda: load_signers(say),
        say=say,
        accept_within_s=accept_within_s,
    )


def server_carrier(serial: str) -> Carrier:
    """Through the running adb server.

    Raises:
        PhoneError: none is running.
    """
    address = server.running_server()
    if address is None:
        raise PhoneError(
            "no adb server is running; start it with `adb start-server`, or use --via usb."
        )
    return server.ServerCarrier(serial, address)
