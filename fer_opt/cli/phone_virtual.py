"""``fer-opt phone virtual``: a phone that is none, for trying things out and for users' CI."""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_opt.cli.console import print_json, print_text, say
from fer_opt.cli.options import AsJson

__all__ = ["virtual"]

FAULTS = "Faults"


def virtual(
    profile: Annotated[
        str, typer.Option(help="Which phone it plays: galaxy-j3, or computer (what this one is).")
    ] = "galaxy-j3",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")
    ] = 0,
    folder: Annotated[
        Path | None,
        typer.Option(help="To be its /data/local/tmp and kept; by default a temporary one."),
    ] = None,
    serial: Annotated[
        str | None, typer.Option(help="Its serial number; by default made up.")
    ] = None,
    sandbox: Annotated[
        str, typer.Option(help="bubblewrap, plain (path mapping) or auto.")
    ] = "auto",
    drop_at_message: Annotated[
        int | None,
        typer.Option(min=1, help="Break the link at this ADB message.", rich_help_panel=FAULTS),
    ] = None,
    drop_at_byte: Annotated[
        int | None,
        typer.Option(min=0, help="Break the link after this many bytes.", rich_help_panel=FAULTS),
    ] = None,
    away_s: Annotated[
        float,
        typer.Option(min=0, help="Seconds it stays away after that.", rich_help_panel=FAULTS),
    ] = 0.0,
    freeze_at_message: Annotated[
        int | None,
        typer.Option(
            min=1, help="Stop answering from this ADB message on.", rich_help_panel=FAULTS
        ),
    ] = None,
    reboot_at_message: Annotated[
        int | None,
        typer.Option(min=1, help="Reboot at this ADB message.", rich_help_panel=FAULTS),
    ] = None,
    free_bytes: Annotated[
        int | None,
        typer.Option(min=0, help="Space left for files.", rich_help_panel=FAULTS),
    ] = None,
    full_after_bytes: Annotated[
        int | None,
        typer.Option(
            min=0, help="Pushes fail for want of space after that.", rich_help_panel=FAULTS
        ),
    ] = None,
    unauthorized: Annotated[
        bool,
        typer.Option("--unauthorized", help="Accept no computer.", rich_help_panel=FAULTS),
    ] = False,
    bytes_per_s: Annotated[
        float | None,
        typer.Option(min=1, help="The link is this slow.", rich_help_panel=FAULTS),
    ] = None,
    speed: Annotated[
        float,
        typer.Option(
            min=0.01, max=1, help="Below 1 it is hot and throttled to that.", rich_help_panel=FAULTS
        ),
    ] = 1.0,
    battery_percent: Annotated[
        int | None,
        typer.Option(min=0, max=100, help="Charge of its battery.", rich_help_panel=FAULTS),
    ] = None,
    battery_c: Annotated[
        float | None,
        typer.Option(help="Temperature of its battery.", rich_help_panel=FAULTS),
    ] = None,
    json: AsJson = False,
) -> None:
    """Start a virtual phone on 127.0.0.1: a real ADB daemon that runs what is pushed to it.

    Its times are this computer's, and every report says so. Faults make it fail as phones do.
    """
    from fer_opt.device.virtual import Faults, serve

    faults = Faults(
        drop_at_message=drop_at_message,
        drop_at_byte=drop_at_byte,
        away_s=away_s,
        freeze_at_message=freeze_at_message,
        reboot_at_message=reboot_at_message,
        free_bytes=free_bytes,
        full_after_bytes=full_after_bytes,
        unauthorized=unauthorized,
        bytes_per_s=bytes_per_s,
        speed=speed,
        battery_percent=battery_percent,
        battery_c=battery_c,
    )
    kind: Any = _one_of("--sandbox", sandbox, ("auto", "bubblewrap", "plain"))

    def started(phone: Any) -> None:
        for sentence in phone.said:
            say(sentence)
        if json:
            print_json({"address": phone.address, "port": phone.port, "serial": phone.serial,
                        "sandbox": phone.sandbox, "emulates": list(phone.foreign)})  # fmt: skip
        else:
            print_text(
                f"A virtual phone ({phone.profile}) answers at {phone.address}. In another "
                f"terminal:\n\n    fer-opt bench MODEL.tflite --on {phone.address}\n\n"
                "Its times are this computer's, not a phone's. Ctrl-C ends it."
            )
        sys.stdout.flush()

    # An end by SIGTERM, or of the terminal, cleans up as Ctrl-C does.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        serve(
            profile, port=port, folder=folder, faults=faults, serial=serial, sandbox=kind,
            started=started,
        )  # fmt: skip


def _one_of(option: str, value: str, choices: tuple[str, ...]) -> str:
    from fer_opt.errors import PhoneError

    if value not in choices:
        raise PhoneError(f"{option} {value} is unknown; choose {', '.join(choices)}.")
    return value
