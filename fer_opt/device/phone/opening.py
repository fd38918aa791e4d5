"""What every session with a phone begins with: connected, nobody else's, and kept awake."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from fer_opt.device.adb.link import Link
from fer_opt.device.phone.facts import PhoneFacts, read_facts
from fer_opt.device.phone.locks import hold_phone
from fer_opt.device.phone.reconnect import Steady
from fer_opt.device.phone.settings import hold_settings
from fer_opt.progress import Progress

__all__ = ["held", "locked", "opened"]

QUIET_S, TICK_S = 60.0, 5.0
"""Silence after which the phone's watchdog gives its settings back, and how often it looks."""


@contextlib.contextmanager
def opened(
    open_link: Callable[[], Link], progress: Progress, reconnect_s: float
) -> Iterator[Steady]:
    """A connection that comes back, closed at the end."""
    with contextlib.closing(open_link()) as link:
        yield Steady(link, say=progress.say, within_s=reconnect_s)


@contextlib.contextmanager
def locked(steady: Steady) -> Iterator[PhoneFacts]:
    """The phone's facts, and nobody else on it."""
    serial = steady.link.serial
    # By the name of the connection first: even reading facts would disturb what runs there.
    with hold_phone(serial, serial), contextlib.ExitStack() as stack:
        phone = steady.run(lambda: read_facts(steady.link))
        # Then by its own name: it may be reached by cable and over the network at the same time.
        stack.enter_context(hold_phone(f"phone {phone.phone}", phone.label))
        steady.note_boot(phone.boot_id)
        yield phone


@contextlib.contextmanager
def held(
    steady: Steady,
    *,
    busy_s: float,
    note: Callable[[Sequence[str]], None],
    changed: Callable[[tuple[str, ...]], None],
    owed: list[str],
    progress: Progress,
) -> Iterator[Callable[[], None]]:
    """The phone's settings as timing needs them, and afterwards as they were.

    What it gives tells the phone's watchdog that we live.

    Args:
        steady: the connection.
        busy_s: for how long a program on the phone may be silent, in seconds.
        note: told of what could not be held, all of it each time.
        changed: told of what was changed.
        owed: gets what could not be given back.
        progress: told of what an earlier session had left.

    Raises:
        PhoneError: the phone cannot be used.
        LinkLostError: it is gone and did not come back.
    """
    with contextlib.ExitStack() as ends, contextlib.ExitStack() as stack:
        hold = steady.run(
            lambda: stack.enter_context(
                hold_settings(
                    steady.link,
                    say=progress.say,
                    quiet_s=QUIET_S,
                    busy_s=busy_s,
                    tick_s=TICK_S,
                    reconnect_s=min(10.0, steady.within_s),
                )
            )
        )
        ends.callback(lambda: owed.extend(hold.owed))
        ends.callback(lambda: note(hold.cautions))

        def sign(restarted: bool = False) -> None:
            if restarted:
                hold.renew()
            else:
                hold.sign_of_life()
            note(hold.cautions)

        note(hold.cautions)
        steady.on_return = sign
        for sentence in hold.leftovers:
            progress.say(sentence)
        changed(hold.changed)
        try:
            yield sign
        finally:
            steady.on_return = lambda restarted: None
