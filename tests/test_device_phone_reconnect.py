"""What is done when a lost phone has come back: a phone of which only the answers are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from fer_opt.device.adb.link import Finished, Link
from fer_opt.device.phone.reconnect import BOOT_LOOKS, Steady
from fer_opt.errors import LinkLostError

STARTING, STARTED = Finished("\n", 0), Finished("1\n", 0)
NO_SUCH_COMMAND = Finished("sh: getprop: not found\n", 127)


@dataclass
class Restarted:
    """A phone that has restarted meanwhile.

    Attributes:
        android: what it answers when asked whether Android has started, the last of it for good.
        looks: how often it was asked.
        waits: between the questions.
    """

    android: list[Finished] = field(default_factory=lambda: [STARTED])
    looks: int = 0
    waits: list[float] = field(default_factory=list)

    def steady(self) -> Steady:
        steady = Steady(cast(Link, self), wait=self.waits.append)
        steady.note_boot("before")
        return steady

    def shell(self, words: Sequence[str]) -> Finished:
        if words[0] == "cat":
            return Finished("after\n", 0)
        assert list(words) == ["getprop", "sys.boot_completed"]
        self.looks += 1
        return self.android.pop(0) if len(self.android) > 1 else self.android[0]

    def reconnect(self, *, within_s: float) -> None:
        pass


def cut(times: int) -> list[bool]:
    return [True] * times + [False]


def fail(left: list[bool]) -> None:
    if left.pop(0):
        raise LinkLostError("the cable was pulled; plug it in.")


def test_a_restart_that_is_cut_again_is_dealt_with_all_the_same() -> None:
    steady = Restarted().steady()
    steps, returns, told = cut(1), cut(2), []

    def on_return(restarted: bool) -> None:
        told.append(restarted)
        fail(returns)

    steady.on_return = on_return
    steady.run(lambda: fail(steps))
    assert told == [True, True, True]
    assert steady.restarts == 1
    steps[:] = cut(1)
    returns[:] = cut(0)
    steady.run(lambda: fail(steps))
    assert told[3:] == [False]


def test_after_a_restart_android_is_waited_for() -> None:
    phone = Restarted([STARTING, STARTING, STARTED])
    steady, steps, looks = phone.steady(), cut(1), []
    steady.on_return = lambda restarted: looks.append(phone.looks)
    steady.run(lambda: fail(steps))
    assert looks == [3]
    assert len(phone.waits) == 2


def test_android_is_not_waited_for_where_it_cannot_be_asked_nor_forever() -> None:
    dumb = Restarted([NO_SUCH_COMMAND])
    steps = cut(1)
    dumb.steady().run(lambda: fail(steps))
    assert (dumb.looks, dumb.waits) == (1, [])
    stuck = Restarted([STARTING])
    steps = cut(1)
    stuck.steady().run(lambda: fail(steps))
    assert stuck.looks == len(stuck.waits) == BOOT_LOOKS
