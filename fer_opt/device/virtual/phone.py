"""A virtual phone as Python sees it: started, looked into, made to fail, ended."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from fer_opt.device.virtual.daemon import Daemon
from fer_opt.device.virtual.faults import Faults

__all__ = ["Counters", "VirtualPhone"]

START_S = 60.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Counters:
    """What a virtual phone has seen so far.

    Attributes:
        messages: ADB packets carried, both directions.
        carried_bytes: of those packets.
        messages_since_faults: likewise since the faults were set; what ``drop_at_message`` counts.
        bytes_since_faults: likewise; what ``drop_at_byte`` counts.
        pushed_bytes: of files written by pushes.
        drops: how often a fault broke the link.
        reboots: how often it rebooted.
    """

    messages: int
    carried_bytes: int
    messages_since_faults: int
    bytes_since_faults: int
    pushed_bytes: int
    drops: int
    reboots: int


class VirtualPhone:
    """A virtual phone that runs; made by :func:`start_virtual_phone`, ended by :meth:`close`.

    Attributes:
        port: on 127.0.0.1 at which it answers.
        serial: its serial number.
        folder: what is its ``/data/local/tmp``, on this computer.
        profile: name of the phone it plays.
        sandbox: ``bubblewrap`` or ``plain``.
        foreign: processors whose programs run through an emulator, as qemu names them.
        said: what the user should know about it, a sentence each.
    """

    def __init__(self, daemon: Daemon, profile: str) -> None:
        self._daemon = daemon
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"virtual phone {daemon.state.serial}", daemon=True
        )
        self._closed = False
        self.serial = daemon.state.serial
        self.folder = daemon.layout.temporary
        self.profile = profile
        self.sandbox = daemon.kind.name
        self.said = (daemon.kind.said,) if daemon.kind.said else ()
        self.port = 0
        self.foreign: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """How fer-opt is told to reach it."""
        return f"tcp:127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, dict[str, str]]:
        """Android's settings now: namespace -> key -> value; a copy."""
        return {name: dict(values) for name, values in self._daemon.state.settings.items()}

    @property
    def counters(self) -> Counters:
        """What it has seen so far."""
        state, line = self._daemon.state, self._daemon.state.line
        return Counters(
            line.messages, line.carried_bytes, line.since_messages, line.since_bytes,
            state.pushed_bytes, line.drops, state.reboots,
        )  # fmt: skip

    @property
    def faults(self) -> Faults:
        """What goes wrong now; setting it takes effect at once and counts from 0 again."""
        return self._daemon.state.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._do(self._daemon.set_faults(faults))

    def reboot(self) -> None:
        """Reboot; returns when the new boot has begun, the link may be away a little longer."""
        self._do(self._daemon.reboot())

    def close(self) -> None:
        """End everything that runs in it, and remove its folders; calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._do(self._daemon.stop())
        finally:
            self._end_thread()
            shutil.rmtree(self._daemon.layout.base, ignore_errors=True)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def start(self, port: int) -> None:
        """Switch it on; :func:`start_virtual_phone` does.

        Raises:
            OSError: the port cannot be had.
            PhoneError: its sandbox does not start.
        """
        self._thread.start()
        try:
            self._do(self._daemon.start(port))
        except BaseException:
            with contextlib.suppress(Exception):
                self.close()
            raise
        self.port = self._daemon.port
        self.foreign = self._daemon.sandbox.foreign

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
