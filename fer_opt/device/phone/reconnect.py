"""Going on after the connection to a phone has broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from fer_opt.device.adb.link import Link
from fer_opt.device.blocks import RestartedError
from fer_opt.errors import LinkLostError, PhoneError

__all__ = ["MOST_LOSSES", "Steady"]

MOST_LOSSES = 3
"""Losses during one step after which it is given up: a loose cable, or a step that kills adbd."""

BOOT_LOOKS, BOOT_LOOK_S = 60, 2.0
"""How often it is asked whether Android has started, two minutes in all, and how long in between;
adbd answers long before."""

Result = TypeVar("Result")


class Steady:
    """Repeats steps that a lost connection has interrupted, and notices restarts of the phone.

    Attributes:
        link: the connection.
        within_s: for how long a lost phone is sought, in seconds.
        reconnections: how often it broke and came back.
        restarts: how often the phone has restarted meanwhile.
        on_return: called whenever the connection is back, with whether the phone has restarted.
    """

    def __init__(
        self,
        link: Link,
        *,
        say: Callable[[str], None] = lambda _: None,
        within_s: float = 60.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.link = link
        self.reconnections = 0
        self.restarts = 0
        self.on_return: Callable[[bool], None] = lambda restarted: None
        self._say = say
        self.within_s = within_s
        self._wait = wait
        self._boot_id = ""
        self._restarted = False  # and on_return has not been through since

    def run(self, step: Callable[[], Result], *, restart_voids: bool = False) -> Result:
        """Do ``step``, again from its beginning when the connection breaks.

        Args:
            step: may be interrupted anywhere and begun again.
            restart_voids: whether a restart of the phone is an error to the step.

        Raises:
            LinkLostError: the phone did not come back, or was lost too often.
            RestartedError: the phone has restarted, and ``restart_voids``.
            PhoneError: another phone came back, or whatever ``step`` raises.
        """
        restarts = self.restarts
        losses = 0
        while True:
            try:
                if losses:
                    self._look_around()
                if restart_voids and self.restarts != restarts:
                    raise RestartedError("the phone has restarted; its times before do not count.")
                return step()
            except LinkLostError as exc:
                losses += 1
                if losses > MOST_LOSSES:
                    raise LinkLostError(
                        f"the connection to the phone broke {losses} times at the same step "
                        f"({_clause(exc)}); try another cable or port, then run the same command "
                        "again."
                    ) from exc
                self._say(f"The connection to the phone broke ({_clause(exc)}); reconnecting.")
            self.link.reconnect(within_s=self.within_s)
            self.reconnections += 1

    def note_boot(self, boot_id: str) -> None:
        """Remember which start of the phone this is."""
        self._boot_id = boot_id

    def _look_around(self) -> None:
        """Find out what has happened while the phone was away."""
        answer = self.link.shell(["cat", "/proc/sys/kernel/random/boot_id"])
        boot_id = answer.output.strip() if answer.status == 0 else ""
        if self._boot_id and boot_id and boot_id != self._boot_id:
            self._boot_id = boot_id
            self.restarts += 1
            self._restarted = True
            self._say("The phone has restarted.")
        if self._restarted:
            self._await_android()
        self.on_return(self._restarted)
        self._restarted = False

    def _await_android(self) -> None:
        """Let its services start, without which settings cannot be held; in the end go on."""
        for _ in range(BOOT_LOOKS):
            answer = self.link.shell(["getprop", "sys.boot_completed"])
            if answer.status != 0 or answer.output.strip() == "1":
                return
            self._wait(BOOT_LOOK_S)


def _clause(exc: PhoneError) -> str:
    return str(exc).partition(";")[0].rstrip(".")
