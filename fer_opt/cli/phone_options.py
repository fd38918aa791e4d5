"""Options that say which phone is meant and how it is reached, spelled once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fer_opt.cli.console import say

__all__ = ["On", "OneOn", "Serial", "Via", "opened"]

On = Annotated[
    list[str] | None,
    typer.Option(
        "--on",
        help="host (this computer), phone (the one there is), all, tcp:HOST:PORT, a serial "
        "number, or virtual; several times for several phones.",
        show_default=False,
    ),
]
OneOn = Annotated[
    str, typer.Option("--on", help="phone (the one there is), tcp:HOST:PORT or a serial number.")
]
Serial = Annotated[
    str | None, typer.Option(help="Which phone, where several are connected.", show_default=False)
]
Via = Annotated[str, typer.Option(help="usb, tcp, server (a running adb server) or auto.")]


def opened(on: str, serial: str | None, via: str) -> Any:
    """A connection to one phone, as a context; nobody else of us uses that phone meanwhile.

    Raises:
        PhoneError: none, several, or one that refuses.
    """
    import contextlib

    from fer_opt.device.adb import open_phone
    from fer_opt.device.phone.identity import lock_name, read_phone_id
    from fer_opt.device.phone.locks import hold_phone

    @contextlib.contextmanager
    def link() -> Any:
        with (
            contextlib.closing(open_phone(on, serial=serial, via=via, say=say)) as found,
            hold_phone(found.serial, found.serial),
            # It may be in use by another name: by cable, or at another address.
            hold_phone(lock_name(read_phone_id(found)), found.serial),
        ):
            yield found

    return link()
