"""``fer-opt phone``: find a phone, look at it, get its runner, leave nothing behind on it."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from fer_opt.cli.console import Terminal, print_json, print_table, print_text, say
from fer_opt.cli.options import AsJson
from fer_opt.cli.phone_options import OneOn, Serial, Via, opened
from fer_opt.cli.phone_virtual import virtual

__all__ = ["register"]

LIST_EXAMPLES = """
Examples:

fer-opt phone list

fer-opt phone list --on tcp:192.168.1.20:5555
"""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    phone = typer.Typer(
        help="Find a phone, look at it, get its runner; or start a virtual one.",
        no_args_is_help=True,
    )
    phone.command("list", epilog=LIST_EXAMPLES)(list_)
    phone.command("info", epilog="Example: fer-opt phone info")(info)
    phone.command("fetch-runner", epilog="Example: fer-opt phone fetch-runner")(fetch_runner)
    phone.command("clean", epilog="Example: fer-opt phone clean")(clean)
    phone.command("virtual", epilog=VIRTUAL_EXAMPLES)(virtual)
    app.add_typer(phone, name="phone")


VIRTUAL_EXAMPLES = """
Examples:

fer-opt phone virtual --port 6100

fer-opt phone virtual --port 6100 --drop-at-message 300

fer-opt phone virtual --port 6100 --speed 0.5
"""


def list_(
    via: Via = "auto",
    on: Annotated[
        list[str] | None,
        typer.Option("--on", help="Look there too: tcp:HOST:PORT.", show_default=False),
    ] = None,
    json: AsJson = False,
) -> None:
    """List the phones that can be seen, with what to do about those that are not ready."""
    from fer_opt.device.adb import list_phones
    from fer_opt.device.adb.opening import NONE
    from fer_opt.device.phone.identity import in_use

    found = list_phones(via, addresses=tuple(on or ()), say=say, in_use=in_use)
    if json:
        print_json([dataclasses.asdict(phone) for phone in found])
        return
    if not found:
        print_text(f"{NONE[0].upper()}{NONE[1:]}")
        return
    print_table(
        "Phones",
        ["serial", "model", "Android", "ABI", "battery", "state", "by"],
        [
            [
                phone.serial,
                phone.model or "?",
                phone.android or "?",
                phone.abi or "?",
                "?" if phone.battery_percent is None else f"{phone.battery_percent} %",
                "ready" if phone.state == "device" else phone.state,
                phone.route,
            ]
            for phone in found
        ],
        left=range(7),
    )
    for phone in found:
        if phone.advice:
            print_text(f"{phone.serial} is not ready ({phone.state}): {phone.advice}.")


def info(
    on: OneOn = "phone", serial: Serial = None, via: Via = "auto", json: AsJson = False
) -> None:
    """Tell what a phone is and in what state, and what it would not tell."""
    from fer_opt.device.phone.facts import device_facts, fact_rows, read_facts
    from fer_opt.device.phone.profiles import match_profile, profile_warnings
    from fer_opt.device.phone.readiness import readiness
    from fer_opt.device.phone.results import PhoneSettings

    with opened(on, serial, via) as link:
        facts = read_facts(link)
    profile = match_profile(facts)
    warnings = profile_warnings(facts, profile) if profile else ()
    cautions = readiness(facts, PhoneSettings(least_battery_percent=0))
    if json:
        print_json(
            {
                **dataclasses.asdict(device_facts(facts)),
                "profile": profile.name if profile else "",
                "warnings": [*warnings, *cautions],
            }
        )
        return
    print_table(
        facts.label,
        ["what", "value"],
        [[row.name, row.value] for row in fact_rows(facts)],
        left=range(2),
    )
    if profile:
        print_text(f"Known as {profile.title} (profile {profile.name}).")
    for sentence in (*warnings, *cautions):
        say(f"WARNING: {sentence}")


def fetch_runner(
    abi: Annotated[
        str | None,
        typer.Option(help="armeabi-v7a, arm64-v8a or x86_64; by default what the phone runs."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Another https address.", show_default=False)
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="The file must have this SHA-256.", show_default=False)
    ] = None,
    on: OneOn = "phone",
    serial: Serial = None,
    via: Via = "auto",
    json: AsJson = False,
) -> None:
    """Download TensorFlow Lite's benchmark_model for a phone into the cache.

    Where it came from, when, its size and SHA-256 are kept, and stand in every record.
    """
    from fer_opt.device.runner import fetch_runner as fetch

    wanted = abi if abi is not None else _abi_of(on, serial, via)
    runner = fetch(wanted, url=url, sha256=sha256, progress=Terminal())
    if json:
        print_json({**dataclasses.asdict(runner), "path": str(runner.path)})
        return
    print_text(
        f"{runner.path}\nfor {runner.abi}, {runner.size_bytes / 1e6:.1f} MB, SHA-256 "
        f"{runner.sha256}, from {runner.source} at {runner.fetched_at}."
    )


def _abi_of(on: str, serial: str | None, via: str) -> str:
    """The first ABI of the phone that a runner can be fetched for."""
    from fer_opt.device.phone.facts import read_facts
    from fer_opt.device.runner import ABIS
    from fer_opt.errors import RunnerError

    with opened(on, serial, via) as link:
        facts = read_facts(link)
    if found := next((abi for abi in facts.abis if abi in ABIS), None):
        say(f"{facts.label} runs programs for {found}.")
        return found
    raise RunnerError(
        f"{facts.label} runs programs for {', '.join(facts.abis) or 'no known processor'}, and "
        f"runners are for {', '.join(ABIS)}; give a build of your own to bench with --runner PATH."
    )


def clean(on: OneOn = "phone", serial: Serial = None, via: Via = "auto") -> None:
    """Remove everything fer-opt has put on a phone, and give back settings it still holds."""
    from fer_opt.device.phone.cleaning import clean as clean_phone
    from fer_opt.device.phone.folder import FOLDER

    with opened(on, serial, via) as link:
        freed = clean_phone(link)
    print_text(
        f"Removed {FOLDER} from {link.serial}; {freed / 1e6:.1f} MB are free again."
        if freed
        else f"Nothing of fer-opt is on {link.serial}."
    )
