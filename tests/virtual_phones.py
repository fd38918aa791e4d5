"""Virtual phones for tests, and connections to them with keys that are no user's."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fer_opt.device.adb import Link, open_phone
from fer_opt.device.adb.connection import Connection, PacketStream
from fer_opt.device.virtual import VirtualPhone, start_virtual_phone


@contextlib.contextmanager
def phone_and_link(
    profile: str = "galaxy-j3", **options: Any
) -> Iterator[tuple[VirtualPhone, Link]]:
    """A phone of its own and a connection to it."""
    with start_virtual_phone(profile, **options) as phone:
        link = open_phone(phone.address)
        try:
            yield phone, link
        finally:
            link.close()


@contextlib.contextmanager
def noted_services() -> Iterator[list[bytes]]:
    """The services that are opened meanwhile: a command or a file is one, a look for life none."""
    noted: list[bytes] = []
    really_open = Connection.open

    def note_and_open(self: Connection, service: bytes) -> PacketStream:
        noted.append(service)
        return really_open(self, service)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "open", note_and_open)
        yield noted


def eventually(holds: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return holds()
