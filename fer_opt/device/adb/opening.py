"""Choosing exactly one phone, or saying why not, and connecting to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fer_opt.device.adb import server
from fer_opt.device.adb.address import TcpAddress, checked_serial, parse_tcp
from fer_opt.device.adb.carrier import Carrier
from fer_opt.device.adb.carriers import server_carrier, tcp_carrier, usb_carrier
from fer_opt.device.adb.errors import BusyError
from fer_opt.device.adb.link import Link
from fer_opt.device.adb.listing import ListedPhone, seen_phones
from fer_opt.device.adb.stream_link import StreamLink
from fer_opt.errors import PhoneError

__all__ = ["choose_phone", "open_phone"]

ACCEPT_WITHIN_S = 60.0

NONE = (
    "no phone is connected; on the phone open Settings, About phone, tap Build number seven times, "
    "then switch USB debugging on under Developer options, and plug in a cable that carries data "
    "(or name one on the network: --on tcp:HOST:PORT)."
)


def open_phone(
    on: str,
    *,
    serial: str | None = None,
    via: str = "auto",
    say: Callable[[str], None] = lambda sentence: None,
    accept_within_s: float = ACCEPT_WITHIN_S,
) -> Link:
    """Connect to one phone.

    Args:
        on: ``phone`` (the one there is), ``tcp:HOST:PORT``, or a serial number.
        serial: of the phone meant, where ``on`` is ``phone``.
        via: ``usb``, ``tcp``, ``server`` (a running adb server) or ``auto``: the server where one
            runs and owns the phone, else USB.
        say: told what somebody should do or know: accept on the phone's screen, the way taken.
        accept_within_s: how long to wait for somebody to accept; 0 asks nobody.

    Raises:
        LinkLostError: the phone does not answer.
        PhoneError: none, or several and no serial number; not ready; or it refuses.
    """
    if on.startswith("tcp:"):
        if serial is not None:
            raise PhoneError(f"--on {on} already names a phone; leave --serial {serial!r} out.")
        return StreamLink(_addressed(parse_tcp(on), via, say=say, accept_within_s=accept_within_s))
    wanted = _wanted(on, serial)
    if via == "tcp":
        raise PhoneError("--via tcp needs the phone's address; write --on tcp:HOST:PORT.")
    phone = choose_phone(seen_phones(via, say), wanted, say)
    if phone.route == "server" and via == "auto":
        say(f"A running adb server owns {phone.serial}; going through it.")
    try:
        return StreamLink(_carrier_of(phone, say=say, accept_within_s=accept_within_s))
    except BusyError as exc:
        raise _explained(exc) from exc


def choose_phone(
    phones: Sequence[ListedPhone], serial: str | None, say: Callable[[str], None]
) -> ListedPhone:
    """The phone to use of those seen.

    Raises:
        PhoneError: none fits, several do, or the one is not ready.
    """
    if not phones:
        raise PhoneError(NONE if serial is None else f"{serial} is not connected: {NONE}")
    if serial is not None:
        named = [phone for phone in phones if phone.serial == serial]
        if not named:
            raise PhoneError(f"{serial} is not connected; these are: {_listed(phones)}.")
        return _ready(named[0])
    ready = [phone for phone in phones if phone.state == "device"]
    if len(ready) > 1:
        raise PhoneError(
            f"{len(ready)} phones are connected: {_listed(ready)}; say which with --serial."
        )
    if not ready:
        if len(phones) == 1:
            _ready(phones[0])
        raise PhoneError(f"no phone is ready: {_listed(phones)}.")
    if len(phones) > 1:
        others = [phone for phone in phones if phone.state != "device"]
        say(f"Using {ready[0].serial}; not ready: {_listed(others)}.")
    checked_serial(ready[0].serial)
    return ready[0]


def _carrier_of(
    phone: ListedPhone, *, say: Callable[[str], None], accept_within_s: float
) -> Carrier:
    if phone.route == "server":
        return server_carrier(phone.serial)
    return usb_carrier(phone.serial, say=say, accept_within_s=accept_within_s)


def _addressed(
    address: TcpAddress, via: str, *, say: Callable[[str], None], accept_within_s: float
) -> Carrier:
    if via == "usb":
        raise PhoneError(f"--on {address} is on the network; leave --via usb out.")
    if via == "server":
        known = [phone.serial for phone in seen_phones("server", say)]
        if address.server_serial not in known:
            raise PhoneError(
                f"the adb server does not know {address.server_serial}; tell it with "
                f"`adb connect {address.server_serial}`, or leave --via server out."
            )
        return server_carrier(address.server_serial)
    if via not in ("auto", "tcp"):
        raise PhoneError(f"--via {via} is unknown; choose usb, tcp, server or auto.")
    return tcp_carrier(address, say=say, accept_within_s=accept_within_s)


def _wanted(on: str, serial: str | None) -> str | None:
    """The serial number asked for, if any."""
    if on == "phone":
        return None if serial is None else checked_serial(serial)
    if serial not in (None, on):
        raise PhoneError(f"--on {on} and --serial {serial} name two phones; leave one out.")
    return checked_serial(on)


def _ready(phone: ListedPhone) -> ListedPhone:
    if phone.state != "device":
        raise PhoneError(f"{phone.serial} is not ready ({phone.state}); {phone.advice}.")
    checked_serial(phone.serial)
    return phone


def _listed(phones: Sequence[ListedPhone]) -> str:
    return ", ".join(
        phone.serial
        + (f" {phone.model}" if phone.model else "")
        + ("" if phone.state == "device" else f" ({phone.state}: {phone.advice})")
        for phone in phones
    )


def _explained(exc: BusyError) -> PhoneError:
    """A busy phone, told by someone who knows whether a server runs and can be used."""
    if server.running_server() is not None and not server.has_adbutils():
        return PhoneError(
            f"{exc} For --via server, adbutils is missing: pip install 'fer-opt[adb-server]'."
        )
    return exc
