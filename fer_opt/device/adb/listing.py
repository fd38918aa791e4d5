"""Which phones there are, by USB, through an adb server, and at addresses one names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fer_opt.device.adb import server
from fer_opt.device.adb.address import SERIAL, parse_tcp
from fer_opt.device.adb.carrier import Carrier
from fer_opt.device.adb.carriers import server_carrier, tcp_carrier, usb_carrier
from fer_opt.device.adb.errors import BusyError, UnauthorizedError
from fer_opt.device.adb.link import Route
from fer_opt.device.adb.stream_link import StreamLink
from fer_opt.errors import LinkLostError, PhoneError

__all__ = ["ListedPhone", "list_phones", "parse_listing"]

ADVICE = {
    "unauthorized": "unlock it and accept this computer on its screen (if nothing shows, switch "
    "USB debugging off and on)",
    "offline": "unplug it and plug it in again, or restart it",
    "no permissions": "install Android's udev rules (package android-sdk-platform-tools-common, "
    "group plugdev) and plug it in again",
    "in use": "another fer-opt is using it; let that one end",
    "busy": "an adb server or another program holds it; use --via server",
    "recovery": "restart it into Android",
    "sideload": "restart it into Android",
    "rescue": "restart it into Android",
    "bootloader": "restart it into Android",
    "authorizing": "wait a moment and try again",
    "connecting": "wait a moment and try again",
}
"""What to do about a phone in each state but ``device``, which means ready."""

LINE = re.compile(
    r"(?P<serial>\S.*?)[ \t]+"
    r"(?P<state>no permissions(?:[ \t]*\(.*\)(?:; see \[\S*\])?)?|[a-z-]+)"
    r"(?P<tags>(?:[ \t]+[A-Za-z_]+:\S*)*)[ \t]*"
)

OWN_SERIAL = "getprop ro.serialno\ngetprop ro.boot.serialno\nexit 0"

DETAILS = """
for name in ro.product.model ro.build.version.release ro.product.cpu.abi; do
  getprop $name 2>/dev/null || echo
done
dumpsys battery 2>/dev/null | while read -r key value rest; do
  [ "$key" = level: ] && echo "$value"
done
exit 0
"""


@dataclass(frozen=True, slots=True)
class ListedPhone:
    """A phone that is there, ready or not.

    Attributes:
        serial: its serial number, ``HOST:PORT`` as a server calls it, or ``tcp:HOST:PORT``.
        state: ``device`` when ready; otherwise e.g. ``unauthorized``, ``offline``, ``busy``,
            ``in use``.
        route: how it would be reached.
        model: e.g. ``SM-J330F``; empty where it does not tell.
        android: version, e.g. ``9``; empty likewise.
        abi: first it runs, e.g. ``armeabi-v7a``; empty likewise.
        battery_percent: charge of its battery; None likewise.
        advice: what to do before it can be used; empty when ready.
    """

    serial: str
    state: str
    route: Route
    model: str = ""
    android: str = ""
    abi: str = ""
    battery_percent: int | None = None
    advice: str = ""


def parse_listing(text: str) -> tuple[ListedPhone, ...]:
    """Read what ``adb devices`` or ``adb devices -l`` prints; what is no phone is left out."""
    phones = []
    for line in text.splitlines():
        found = LINE.fullmatch(line.strip("\r\n"))
        if found is None or line.startswith(("List of devices", "* ")):
            continue
        tags = dict(tag.split(":", 1) for tag in found["tags"].split())
        state = "no permissions" if found["state"].startswith("no perm") else found["state"]
        phones.append(
            in_state(
                ListedPhone(found["serial"], state, "server", model=tags.get("model", "")), state
            )
        )
    return tuple(phones)


def in_state(phone: ListedPhone, state: str) -> ListedPhone:
    """``phone`` in ``state``, with the advice for it."""
    if state == "device":
        return replace(phone, state=state, advice="")
    return replace(phone, state=state, advice=ADVICE.get(state, "restart it"))


def list_phones(
    via: str = "auto",
    *,
    addresses: Sequence[str] = (),
    say: Callable[[str], None] = lambda sentence: None,
    in_use: Callable[[str], bool] = lambda serial: False,
) -> tuple[ListedPhone, ...]:
    """Every phone that can be seen, with what it tells of itself.

    No phone is asked to accept this computer, and no adb server is started.

    Args:
        via: ``usb``, ``server``, ``tcp`` (only ``addresses``) or ``auto`` (all of them).
        addresses: phones to look for by Wi-Fi, ``tcp:HOST:PORT`` each.
        say: told of what could not be looked at.
        in_use: whether the phone of this name or serial number is being timed; such a one is
            asked nothing.

    Raises:
        PhoneError: the one way asked for does not exist here, or an address is none.
    """
    phones = [_asked(phone, say, in_use) for phone in seen_phones(via, say)]
    for address in map(parse_tcp, addresses):
        carrier = tcp_carrier(address, say=say, accept_within_s=0)
        phones.append(detailed(ListedPhone(str(address), "device", "tcp"), carrier, in_use))
    return tuple(phones)


def seen_phones(via: str, say: Callable[[str], None]) -> tuple[ListedPhone, ...]:
    """Phones that an adb server or USB shows, unasked; each once, the server's first.

    Raises:
        PhoneError: ``via`` is unknown, or the one way asked for does not exist here.
    """
    if via not in ("auto", "usb", "server", "tcp"):
        raise PhoneError(f"--via {via} is unknown; choose usb, tcp, server or auto.")
    phones: dict[str, ListedPhone] = {}
    if via in ("auto", "server"):
        phones |= {phone.serial: phone for phone in _server_phones(via, say)}
    if via in ("auto", "usb"):
        try:
            for phone in _usb_phones():
                phones.setdefault(phone.serial, phone)
        except PhoneError as exc:
            if via == "usb":
                raise
            say(f"Phones on USB were not looked for: {exc}")
    return tuple(phones.values())


def detailed(phone: ListedPhone, carrier: Carrier, in_use: Callable[[str], bool]) -> ListedPhone:
    """``phone`` with what it tells of itself, or in the state that keeps it from telling."""
    if in_use(phone.serial):
        return in_state(phone, "in use")
    try:
        link = StreamLink(carrier)
    except UnauthorizedError:
        return in_state(phone, "unauthorized")
    except BusyError:
        return in_state(phone, "busy")
    except LinkLostError as exc:
        return replace(phone, state="offline", advice=str(exc).split("; ", 1)[-1].rstrip("."))
    except PhoneError as exc:
        return replace(phone, state="unusable", advice=str(exc))
    try:
        # It may be in use by another name: by cable, or at another address.
        if any(map(in_use, link.script(OWN_SERIAL, timeout_s=10.0).output.split())):
            return in_state(phone, "in use")
        lines = [line.strip() for line in link.script(DETAILS, timeout_s=10.0).output.split("\n")]
    except PhoneError:
        return in_state(phone, "offline")
    finally:
        link.close()
    model, android, abi, battery = (lines + [""] * 4)[:4]
    return replace(
        phone,
        model=model or phone.model,
        android=android,
        abi=abi,
        battery_percent=int(battery) if battery.isdecimal() and int(battery) <= 100 else None,
    )


def _asked(
    phone: ListedPhone, say: Callable[[str], None], in_use: Callable[[str], bool]
) -> ListedPhone:
    if phone.state != "device":
        return phone
    if SERIAL.fullmatch(phone.serial) is None:
        return replace(phone, state="unusable", advice="its serial number has unusual characters")
    if phone.route == "server":
        return detailed(phone, server_carrier(phone.serial), in_use)
    return detailed(phone, usb_carrier(phone.serial, say=say, accept_within_s=0), in_use)


def _server_phones(via: str, say: Callable[[str], None]) -> tuple[ListedPhone, ...]:
    address = server.running_server()
    if address is None:
        if via == "server":
            raise PhoneError(
                "no adb server is running; start it with `adb start-server`, or use --via usb."
            )
        return ()
    try:
        return parse_listing(server.server_listing(address))
    except PhoneError as exc:
        if via == "server":
            raise
        say(f"Phones of the running adb server were not looked for: {exc}")
        return ()


def _usb_phones() -> list[ListedPhone]:
    from fer_opt.device.adb.usb import serial_of, usb_phones

    phones = []
    for found in usb_phones():
        serial = serial_of(found)
        if serial is None:
            place = "-".join(str(number) for number in found.port_path)
            phones.append(in_state(ListedPhone(f"usb:{place}", "", "usb"), "no permissions"))
        else:
            phones.append(ListedPhone(serial, "device", "usb"))
    return phones
