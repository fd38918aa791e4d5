"""The link cut at every message of a whole bench: connecting, pushing, measuring, pulling.

By default one cut for each kind of exchange, at its first, middle or last message in turn. With
FER_OPT_ALL_CUTS set, every message of the bench, one bench for each; that takes most of an hour.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from phone_bench import ALL_CUTS, SHORT, processes_of_phones, stay_awake, write_runner
from virtual_phones import eventually, noted_services

from fer_opt.device.adb import Link, open_phone
from fer_opt.device.phone import opening
from fer_opt.device.phone.canary import CANARY
from fer_opt.device.phone.results import PhoneRun
from fer_opt.device.phone.session import bench_phone
from fer_opt.device.protocol import TimingJob
from fer_opt.device.virtual import NO_FAULTS, Faults, VirtualPhone, start_virtual_phone
from fer_opt.errors import FerOptError, LinkLostError
from fer_opt.files import sha256_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200 if ALL_CUTS else 600)]

SETTINGS = dataclasses.replace(SHORT, outputs=1)

AWAY_S = 1.0


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualPhone]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        # The phone's watchdog acts soon, so that it can be waited for.
        patch.setattr(opening, "QUIET_S", 4.0)
        patch.setattr(opening, "TICK_S", 0.5)
        with start_virtual_phone() as started:
            yield started


@dataclass(frozen=True, slots=True)
class Asked:
    """What every bench here is asked: a model other than the canary, and a runner in shell.

    What is timed does not matter here, and a runner that starts in no time allows many benches;
    it takes long enough for a heartbeat of the job to be cut.
    """

    jobs: list[TimingJob]
    runner: Path

    @property
    def files_bytes(self) -> list[int]:
        inputs = 48 * 48 * 3 * 4
        models = CANARY.path.stat().st_size + self.jobs[0].path.stat().st_size
        return [models, 2 * inputs, self.runner.stat().st_size, 10_000]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder = tmp_path_factory.mktemp("cuts")
    model = folder / "model.tflite"
    model.write_bytes(CANARY.path.read_bytes() + bytes(16))
    digest = sha256_of(model)
    slow = f"case $graph in *{digest[:12]}*) sleep 0.7;; esac"
    return Asked([TimingJob("model", model, digest)], write_runner(folder / "runner", slow))


def forget(phone: VirtualPhone) -> None:
    """Make the phone one that has never seen fer-opt."""
    phone.faults = NO_FAULTS
    shutil.rmtree(phone.folder / "fer-opt", ignore_errors=True)


@dataclass(slots=True)
class Exchange:
    """One call of a link, and the messages it took, counted from 1."""

    kind: str
    first: int
    last: int


@dataclass(slots=True)
class Listening:
    """A link that notes which messages belong to what."""

    link: Link
    phone: VirtualPhone
    exchanges: list[Exchange] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.link, name)
        if name not in ("shell", "script", "job", "push", "pull", "stat"):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            first = self.phone.counters.messages_since_faults + 1
            try:
                return value(*arguments, **named)
            finally:
                last = self.phone.counters.messages_since_faults
                self.exchanges.append(Exchange(kind_of(name, arguments), first, last))

        return call


def kind_of(name: str, arguments: Sequence[Any]) -> str:
    """What an exchange is about, the same for exchanges that do the same."""
    if name in ("push", "pull", "stat"):
        return name
    if name == "script":
        return f"script {arguments[0]}"
    # Neither scripts nor paths nor a session's token.
    telling = [word for word in arguments[0] if len(word) < 30 and not word.startswith("/data")]
    return f"{name} {' '.join(telling)}"


def listen(phone: VirtualPhone, asked: Asked) -> list[Exchange]:
    """The exchanges of a bench that nothing disturbs."""
    forget(phone)
    links: list[Listening] = []

    def open_link() -> Any:
        links.append(Listening(open_phone(phone.address), phone))
        return links[0]

    assert bench_phone(open_link, asked.jobs, SETTINGS, runner=asked.runner).complete
    exchanges = links[0].exchanges
    return [Exchange("connect", 1, exchanges[0].first - 1), *exchanges]


def cuts(exchanges: Sequence[Exchange]) -> list[int]:
    """The messages to cut at: all of them, or one of each kind of exchange."""
    if ALL_CUTS:
        return list(range(1, exchanges[-1].last + 1))
    kinds = {one.kind: one for one in reversed(exchanges)}
    places: list[Callable[[Exchange], int]] = [
        lambda one: one.first, lambda one: (one.first + one.last) // 2, lambda one: one.last
    ]  # fmt: skip
    chosen = [places[place % 3](one) for place, one in enumerate(reversed(kinds.values()))]
    return sorted({message for message in chosen if message > 0})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a bench ended: whole, or with one error; and what was saved last."""

    run: PhoneRun | None
    error: FerOptError | None
    saved: list[PhoneRun]


def bench(
    phone: VirtualPhone, asked: Asked, already: Sequence[PhoneRun], within_s: float
) -> Ending:
    saved: list[PhoneRun] = []
    try:
        run = bench_phone(
            lambda: open_phone(phone.address),
            asked.jobs,
            SETTINGS,
            runner=asked.runner,
            already=already,
            save=saved.append,
            reconnect_s=within_s,
        )
    except FerOptError as exc:
        return Ending(None, exc, saved[-1:])
    return Ending(run, None, saved[-1:])


def check_whole(run: PhoneRun | None) -> None:
    assert run is not None
    assert run.complete
    assert run.error == ""
    assert [(one.model, one.round_index) for one in run.measurements] == [("model", 0)]
    assert [one.model for one in run.outputs] == ["model"]
    assert not run.failures
    assert not run.warnings


def check_rest(phone: VirtualPhone, asked: Asked, first: Ending, pushed_before: int) -> None:
    """A rerun does only what was missing, and afterwards the phone is as it was."""
    before = first.saved[-1] if first.saved else None
    with noted_services() as services:
        second = bench(phone, asked, first.saved, 10.0)
    assert second.error is None
    check_whole(second.run)
    assert second.run is not None
    if before is not None and before.complete:
        assert second.run == before
        # Connecting, and asking for the facts.
        assert [service.split(b":")[0] for service in services] == [b"shell"] * 2
    elif before is not None:
        assert second.run.measurements[: len(before.measurements)] == before.measurements
        assert second.run.outputs[: len(before.outputs)] == before.outputs
    # A file that was cut is sent once more, the others are not.
    pushed = phone.counters.pushed_bytes - pushed_before
    assert pushed <= sum(asked.files_bytes) + max(asked.files_bytes)
    assert stay_awake(phone) == "0"
    assert eventually(lambda: not processes_of_phones())


def test_a_cut_anywhere_is_survived(phone: VirtualPhone, asked: Asked) -> None:
    for message in cuts(listen(phone, asked)):
        forget(phone)
        drops, pushed = phone.counters.drops, phone.counters.pushed_bytes
        phone.faults = Faults(drop_at_message=message)
        first = bench(phone, asked, (), 10.0)
        was_cut = phone.counters.drops > drops
        if first.error is None:
            check_whole(first.run)
            assert stay_awake(phone) == "0"
        else:  # before there was a connection to come back to
            assert isinstance(first.error, LinkLostError)
            assert not first.saved
        assert was_cut or message > phone.counters.messages_since_faults
        phone.faults = NO_FAULTS  # a bench of fewer messages has not met its cut
        check_rest(phone, asked, first, pushed)


def test_a_phone_lost_anywhere_is_one_error_and_gets_its_settings_back(
    phone: VirtualPhone, asked: Asked
) -> None:
    chosen = cuts(listen(phone, asked))
    for message in chosen if ALL_CUTS else chosen[::3]:
        forget(phone)
        drops, pushed = phone.counters.drops, phone.counters.pushed_bytes
        phone.faults = Faults(drop_at_message=message, away_s=AWAY_S)
        first = bench(phone, asked, (), 0.2)
        if phone.counters.drops == drops:  # it was over by then
            check_whole(first.run)
            continue
        if first.error is None:  # lost when there was nothing left to do but to say so
            check_whole(first.run)
        else:
            assert isinstance(first.error, LinkLostError)
            assert "\n" not in str(first.error)
            assert not first.saved or first.saved[-1].error == str(first.error)
        # Nobody tells the phone: its own watchdog does it.
        assert eventually(lambda: stay_awake(phone) == "0", 30)
        phone.faults = NO_FAULTS
        time.sleep(AWAY_S)
        check_rest(phone, asked, first, pushed)
