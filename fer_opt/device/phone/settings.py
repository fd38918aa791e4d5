"""A phone's settings, changed for the time of a bench and given back whatever happens.

What was before is written down on the phone before anything is changed. A watchdog there, which
does not depend on us, gives it back when we are silent for too long: after a crash, a kill or a
pulled cable. Where even that one was lost (the phone was restarted), the next session gives back
first of all. ``scripts/guard.sh`` is all three.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from fer_opt.device.adb.link import Link
from fer_opt.device.phone.files import push_changed
from fer_opt.device.phone.folder import GUARD, path_on_phone
from fer_opt.device.phone.scripts import load_script
from fer_opt.errors import LinkLostError, PhoneError

__all__ = ["Hold", "hold_settings", "restore_leftovers"]

SCRIPT_NAME = "guard.sh"

TIMEOUT_S = 60.0
"""Android 7 starts a Java program, a second or more on a slow phone, for each setting."""


@dataclass(slots=True)
class Hold:
    """Settings that are held on a phone; made by :func:`hold_settings`.

    Attributes:
        link: to the phone.
        token: of this session, also what :attr:`PhoneState.guard` says while the watchdog is ours.
        tick_s: how often the watchdog looks.
        quiet_s: silence after which it gives the settings back.
        busy_s: the same while a program started with :func:`~fer_opt.device.phone.files.tracked`
            runs.
        changed: what is changed on the phone, a sentence each; empty where nothing had to be.
        cautions: what could not be held, a sentence each.
        owed: what could not be given back, a sentence each.
        leftovers: what an earlier session had left and this one put right, a sentence each.
        watched: whether a watchdog on the phone is ours, so that it may also let go.
    """

    link: Link
    token: str
    tick_s: float
    quiet_s: float
    busy_s: float
    changed: tuple[str, ...] = ()
    cautions: list[str] = field(default_factory=list)
    owed: list[str] = field(default_factory=list)
    leftovers: tuple[str, ...] = ()
    watched: bool = False

    def sign_of_life(self) -> None:
        """Tell the watchdog, where there is one, that we live; hold anew where it has let go.

        Needed at least every ``quiet_s`` while nothing else is asked of the phone;
        :func:`~fer_opt.device.phone.conditions.read_state` is a sign of life too.

        Raises:
            PhoneError: another session uses this phone now.
            LinkLostError: the connection broke.
        """
        if not self.watched:
            return
        answer = _guard(self.link, "sign", self.token, uuid.uuid4().hex)
        owner = re.search(r"^owner (\S+)$", answer, re.MULTILINE)
        if owner is None:
            self.cautions.append(
                "The phone heard nothing of us for too long and gave its settings back in between."
            )
            self.renew()
        elif owner[1] != self.token:
            raise PhoneError(
                f"{self.link.serial} is now used by another session of fer-opt; let one finish "
                "before the other starts."
            )

    def renew(self) -> None:
        """Hold again, after a reconnection or a restart of the phone; ends programs left running.

        Raises:
            PhoneError: the phone cannot be used.
            LinkLostError: the connection broke.
        """
        push_changed(self.link, {SCRIPT_NAME: load_script("guard").encode("ascii")})
        ticks = [f"{self.tick_s:g}"]
        ticks += [str(max(1, round(limit / self.tick_s))) for limit in (self.quiet_s, self.busy_s)]
        answer = _guard(self.link, "hold", self.token, path_on_phone(SCRIPT_NAME), *ticks)
        self.leftovers += _left(answer)
        self.owed += _unrestored(answer)
        held = re.search(r"^held (\S+) (\S+)$", answer, re.MULTILINE)
        self.watched = held is not None
        if held is None:
            self.cautions.append(f"The phone is not kept awake ({_why(answer)}).")
        elif held[2] in ("0", "null"):
            self.cautions.append("The phone is not kept awake (it did not take the setting).")
        elif held[1] != held[2] and not self.changed:
            self.changed = (f"stays awake while plugged in (was {held[1]}, is {held[2]})",)

    def release(self) -> None:
        """Give the settings back and end the watchdog.

        Raises:
            PhoneError: the phone cannot be used.
            LinkLostError: the connection broke; the watchdog gives them back.
        """
        answer = _guard(self.link, "release", self.token)
        self.owed += _unrestored(answer)
        if self.watched and re.search(r"^lapsed ?$", answer, re.MULTILINE):
            self.cautions.append(
                "The phone heard nothing of us for too long and gave its settings back before the "
                "end."
            )


@contextlib.contextmanager
def hold_settings(
    link: Link,
    *,
    say: Callable[[str], None] = lambda _: None,
    quiet_s: float = 60.0,
    busy_s: float = 900.0,
    tick_s: float = 5.0,
    reconnect_s: float = 10.0,
) -> Iterator[Hold]:
    """Keep the phone awake while it is plugged in (``svc power stayon``), and give that back.

    Given back at the end, on any exception, and on Ctrl-C; by the watchdog on the phone where we
    or the connection are gone. What an earlier session left is put right first.

    Args:
        link: to the phone.
        say: told a sentence where the end is left to the watchdog.
        quiet_s: silence after which the watchdog acts; give a :meth:`Hold.sign_of_life` in time.
        busy_s: the same while a program started with
            :func:`~fer_opt.device.phone.files.tracked` runs, which may be silent for long.
        tick_s: how often the watchdog looks.
        reconnect_s: how long to try to reach the phone again to give its settings back.

    Raises:
        PhoneError: the phone cannot be used.
        LinkLostError: the connection broke while the settings were being changed.
    """
    hold = Hold(link, uuid.uuid4().hex, tick_s, quiet_s, busy_s)
    try:
        hold.renew()
    except LinkLostError:
        # The caller may connect and hold again; until then the watchdog is in charge.
        raise
    except BaseException:
        _end(hold, say, reconnect_s)
        raise
    try:
        yield hold
    except LinkLostError:
        # Whoever lost the connection has tried to get it back already.
        _end(hold, say, 0.0)
        raise
    except BaseException:
        _end(hold, say, reconnect_s)
        raise
    _end(hold, say, reconnect_s)


def restore_leftovers(link: Link) -> tuple[str, ...]:
    """Put right what an earlier session left: settings, watchdog, running programs.

    Returns:
        What was put right, a sentence each; empty where there was nothing.

    Raises:
        PhoneError: the phone cannot be used.
        LinkLostError: the connection broke.
    """
    if link.stat(GUARD) is None:
        return ()
    push_changed(link, {SCRIPT_NAME: load_script("guard").encode("ascii")})
    answer = _guard(link, "clear_up")
    if complaints := _unrestored(answer):
        raise PhoneError(f"{link.serial}: {' '.join(complaints)}")
    return _left(answer)


def _end(hold: Hold, say: Callable[[str], None], reconnect_s: float) -> None:
    """Give back as well as possible; an error on the way out never hides the first one."""
    try:
        try:
            hold.release()
        except LinkLostError:
            # Ctrl-C in the middle of a packet costs the connection, too.
            if not reconnect_s:
                raise
            hold.link.reconnect(within_s=reconnect_s)
            hold.release()
    except PhoneError as exc:
        hold.owed.append(
            f"The phone could not be told to give its settings back ({exc}); it does so itself "
            f"within {hold.quiet_s + hold.tick_s:.0f} s, or when fer-opt next uses it."
        )
    for sentence in (*hold.cautions, *hold.owed):
        say(sentence)


def _guard(link: Link, verb: str, *arguments: str) -> str:
    """Run the script on the phone; its answer, which must be whole.

    Raises:
        PhoneError: the answer is cut short.
    """
    finished = link.shell(
        ["sh", path_on_phone(SCRIPT_NAME), verb, GUARD, *arguments], timeout_s=TIMEOUT_S
    )
    if not finished.output.rstrip().endswith(f"{verb} ends"):
        raise PhoneError(
            f"{link.serial} did not finish looking after its settings ({_why(finished.output)}); "
            "free some space on it or restart it, then try again."
        )
    return finished.output


def _left(answer: str) -> tuple[str, ...]:
    ended = re.findall(r"^ended (\d+)$", answer, re.MULTILINE)
    restored = re.findall(r"^restored (\S+) (\S+) (.*)$", answer, re.MULTILINE)
    return (
        *(f"A program that an earlier session left running was ended ({pid})." for pid in ended),
        *(
            f"The setting {space} {key} was given back as an earlier session found it ({value})."
            for space, key, value in restored
        ),
    )


def _unrestored(answer: str) -> list[str]:
    rows = re.findall(r"^unrestored (\S+) (\S+) (\S+) ?(.*)$", answer, re.MULTILINE)
    return [
        f"The setting {space} {key} could not be given back: it is {now or 'unknown'} and was "
        f"{value}; set it with: adb shell settings "
        + (f"delete {space} {key}." if value == "null" else f"put {space} {key} {value}.")
        for space, key, value, now in rows
    ]


def _why(answer: str) -> str:
    lines: Sequence[str] = [
        line.removeprefix("unreadable ")
        for line in answer.splitlines()
        if line.strip() and not line.endswith(" ends")
    ]
    if "unwatched" in lines:
        return "the watchdog that would give the setting back did not start"
    if "late" in lines:
        return "changing the setting took longer than the watchdog waits"
    return lines[-1][:200] if lines else "no answer"
