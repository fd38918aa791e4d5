"""ADB over a USB cable: adb-shell's transport, with what it leaves out."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator
from typing import Any

from adb_shell.transport.base_transport import BaseTransport

from fer_opt.device.adb.errors import SilenceError, mapped
from fer_opt.errors import LinkLostError, PhoneError

__all__ = ["UsbTransport", "serial_of", "usb_phones"]

ENDPOINT_IN = 0x80
"""The bit of an endpoint's address that says it sends to the computer (USB 2.0, table 9-13)."""

HEADER_BYTES = 24


class UsbTransport(BaseTransport):  # type: ignore[misc]  # adb-shell has no types
    """A transport for adb-shell's interface over one phone's cable.

    Attributes:
        name: how errors call the phone.
    """

    def __init__(self, serial: str) -> None:
        self.name = serial
        self._serial = serial
        self._inner: Any = None
        self._packet_bytes = 0

    def connect(self, transport_timeout_s: float | None) -> None:
        """Find the phone by its serial number, anew because it may have been plugged in again.

        Raises:
            LinkLostError: it is not there.
            BusyError: another program holds it.
            PhoneError: this user may not use it.
        """
        self.close()
        with mapped(self.name):
            found = next((one for one in usb_phones() if serial_of(one) == self._serial), None)
            if found is None:
                raise LinkLostError(
                    f"{self.name} is not connected by USB; plug it in and switch USB debugging on."
                )
            self._inner = found
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # it warns of phones without a kernel driver
                    found.connect(transport_timeout_s)
            except BaseException:
                self.close()
                raise
            self._packet_bytes = _packet_bytes(found)

    def bulk_read(self, numbytes: int, transport_timeout_s: float | None) -> bytes:
        """Some of the next ``numbytes`` bytes, at least one.

        Raises:
            SilenceError: nothing arrived in time.
            LinkLostError: the cable is out, or the phone restarted.
        """
        inner = self._connected()
        end = None if transport_timeout_s is None else time.monotonic() + transport_timeout_s
        with mapped(self.name):
            while True:
                left_s = None if end is None else max(0.001, end - time.monotonic())
                got: bytes = inner.bulk_read(numbytes, left_s)
                if got:
                    return got
                # An empty packet ends a payload that fills its last packet; it says nothing.
                if end is not None and time.monotonic() >= end:
                    raise SilenceError(f"{self.name} did not answer over USB; check the cable.")

    def bulk_write(self, data: bytes, transport_timeout_s: float | None) -> int:
        """Send one packet of the protocol: its header and its payload are a transfer each.

        Raises:
            SilenceError: the phone took nothing in time.
            LinkLostError: the cable is out, or the phone restarted.
        """
        self._connected()
        self._transfer(data[:HEADER_BYTES], transport_timeout_s)
        if len(data) > HEADER_BYTES:
            self._transfer(data[HEADER_BYTES:], transport_timeout_s)
        return len(data)

    def close(self) -> None:
        """Hang up; never raises."""
        inner, self._inner = self._inner, None
        if inner is None:
            return
        handle = inner._transport
        with contextlib.suppress(Exception):
            inner.close()
        # Where the interface could not be claimed, adb-shell leaves the device open.
        with contextlib.suppress(Exception):
            handle.close()

    def _transfer(self, data: bytes, timeout_s: float | None) -> None:
        inner = self._connected()
        with mapped(self.name):
            sent = inner.bulk_write(data, timeout_s)
            if sent != len(data):
                raise LinkLostError(f"{self.name} took only part of a packet; connect again.")
            # Phones from Android 10 on wait for the end of a transfer, which only a packet that
            # is not full, or an empty one, shows; the genuine adb client sends it to all.
            if self._packet_bytes and len(data) % self._packet_bytes == 0:
                inner.bulk_write(b"", timeout_s)

    def _connected(self) -> Any:
        if self._inner is None:
            raise LinkLostError(f"the connection to {self.name} is closed; connect again.")
        return self._inner


def usb_phones() -> Iterator[Any]:
    """adb-shell's transports, not yet connected, for every USB device that offers debugging.

    Raises:
        PhoneError: libusb is missing or does not work here.
    """
    try:
        from adb_shell.transport.usb_transport import UsbTransport as Inner
    except (ImportError, OSError, AttributeError) as exc:
        raise PhoneError(
            f"USB cannot be used on this computer ({exc}); install libusb 1.0, or reach the phone "
            "by --via server or tcp:HOST:PORT."
        ) from exc
    with mapped("a USB device"):
        yield from Inner.find_all_adb_devices()


def serial_of(found: Any) -> str | None:
    """A USB device's serial number; None where it cannot be read."""
    try:
        with mapped("a USB device"):
            serial: str | None = found.serial_number
            return serial
    except PhoneError:
        return None


def _packet_bytes(found: Any) -> int:
    """Largest packet of the endpoint that takes our data."""
    for endpoint in found._setting.iterEndpoints():
        if not endpoint.getAddress() & ENDPOINT_IN:
            return int(endpoint.getMaxPacketSize())
    return 0
