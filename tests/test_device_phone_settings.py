"""A phone's settings are given back whatever happens: every end of a session, for real."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from virtual_phones import eventually

from fer_opt.device.adb import Link, open_phone
from fer_opt.device.phone import settings
from fer_opt.device.phone.conditions import read_state
from fer_opt.device.phone.files import tracked
from fer_opt.device.phone.scripts import load_script
from fer_opt.device.phone.settings import hold_settings, restore_leftovers
from fer_opt.device.virtual import Faults, VirtualPhone, start_virtual_phone
from fer_opt.errors import LinkLostError, PhoneError

QUICK: Any = {"quiet_s": 3.0, "busy_s": 12.0, "tick_s": 0.2, "reconnect_s": 5.0}
PATIENT: Any = {**QUICK, "quiet_s": 60.0}


@pytest.fixture(scope="module")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def phone(_home: None) -> Iterator[VirtualPhone]:
    with start_virtual_phone(reboot_s=0.2) as made:
        yield made


@pytest.fixture
def pair(phone: VirtualPhone) -> Iterator[tuple[VirtualPhone, Link]]:
    """The phone as it is out of the box, and a connection to it."""
    phone.faults = Faults()
    with contextlib.closing(open_phone(phone.address)) as link:
        link.shell(["rm", "-rf", "/data/local/tmp/fer-opt"])
        link.shell(["settings", "put", "global", "stay_on_while_plugged_in", "0"])
        yield phone, link


def awake(phone: VirtualPhone) -> str | None:
    return phone.settings["global"].get("stay_on_while_plugged_in")


def guard_files(phone: VirtualPhone) -> set[str]:
    folder = phone.folder / "fer-opt" / "guard"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def watchdogs(link: Link) -> list[str]:
    """Numbers of the watchdogs that run on the phone."""
    listed = link.script(
        "for p in /proc/[0-9]*; do\n"
        '  tr "\\0" " " <$p/cmdline 2>/dev/null && echo " ${p#/proc/}"\n'
        "done"
    )
    return re.findall(r"^sh \S+guard\.sh watch .* (\d+)$", listed.output, re.MULTILINE)


def assert_as_found(phone: VirtualPhone, link: Link, value: str | None = "0") -> None:
    assert awake(phone) == value
    # The watchdog may be about to put its papers away.
    assert eventually(lambda: guard_files(phone) == set())
    assert eventually(lambda: not watchdogs(link))


@pytest.mark.parametrize("value", ["0", "3", None])
def test_what_was_before_is_given_back(pair: tuple[VirtualPhone, Link], value: str | None) -> None:
    phone, link = pair
    change = ["put", "global", "stay_on_while_plugged_in", value] if value else [
        "delete", "global", "stay_on_while_plugged_in"
    ]  # fmt: skip
    link.shell(["settings", *change])
    others = phone.settings
    with hold_settings(link, **PATIENT) as hold:
        assert awake(phone) == "7"
        assert len(watchdogs(link)) == 1
        assert read_state(link, (0,)).guard == hold.token
        before = (phone.folder / "fer-opt/guard/before").read_text()
        assert before == f"global stay_on_while_plugged_in {value or 'null'}\n"
        assert hold.changed == (
            f"stays awake while plugged in (was {value or 'null'}, is 7)",
        )  # fmt: skip
        assert hold.leftovers == ()
    assert hold.cautions == []
    assert_as_found(phone, link, value)
    assert phone.settings == others


def test_a_phone_that_stays_awake_anyway_is_not_changed(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    link.shell(["svc", "power", "stayon", "true"])
    with hold_settings(link, **PATIENT) as hold:
        assert hold.changed == ()
    assert_as_found(phone, link, "7")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, PhoneError])
def test_every_exception_gives_back(
    pair: tuple[VirtualPhone, Link], error: type[BaseException]
) -> None:
    phone, link = pair
    with pytest.raises(error, match="why"), hold_settings(link, **PATIENT):
        raise error("why")
    assert_as_found(phone, link)


def test_ctrl_c_in_the_middle_of_a_command_gives_back(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    interrupt = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
    said: list[str] = []

    def session() -> None:
        with hold_settings(link, say=said.append, **PATIENT):
            interrupt.start()
            link.job(tracked(["sleep", "60"]), timeout_s=90)

    with pytest.raises(KeyboardInterrupt):
        session()
    assert said == []
    link.reconnect(within_s=5)
    assert_as_found(phone, link)


CLIENT = """
import sys, time
from fer_opt.device.adb import open_phone
from fer_opt.device.phone.files import tracked
from fer_opt.device.phone.settings import hold_settings

link = open_phone(sys.argv[1])
with hold_settings(link, quiet_s=float(sys.argv[2]), busy_s=4, tick_s=0.2):
    print("held", flush=True)
    if sys.argv[3:]:
        link.job(tracked(sys.argv[3:]), timeout_s=600)
    time.sleep(600)
"""


def killed_client(phone: VirtualPhone, quiet_s: float, *words: str) -> None:
    """A session that holds the settings, perhaps starts a program, and is killed."""
    command = [sys.executable, "-c", CLIENT, phone.address, str(quiet_s), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "held\n"
        assert awake(phone) == "7"
        if words:
            assert eventually(lambda: "jobs" in guard_files(phone))
        client.kill()


def test_a_killed_session_is_cleared_up_by_the_watchdog(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    killed_client(phone, 3)
    assert eventually(lambda: awake(phone) == "0", 30)
    assert eventually(lambda: guard_files(phone) == set())
    assert_as_found(phone, link)


def test_the_next_session_clears_up_first(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    # Its program survives it: a session of its own, deaf to hanging up.
    killed_client(phone, 60, "setsid", "sh", "-c", 'trap "" HUP; sleep 333 & wait')
    old = watchdogs(link)
    with hold_settings(link, **PATIENT) as hold:
        assert "was given back as an earlier session found it (0)" in " ".join(hold.leftovers)
        assert awake(phone) == "7"
        assert len(watchdogs(link)) == 1
        assert watchdogs(link) != old
    assert_as_found(phone, link)


def test_clearing_up_alone(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    assert restore_leftovers(link) == ()
    killed_client(phone, 60)
    assert len(restore_leftovers(link)) == 1
    assert_as_found(phone, link)
    assert restore_leftovers(link) == ()


def test_a_leftover_program_is_ended_and_nothing_else(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    other = link.script("setsid sleep 77 >/dev/null 2>&1 & sleep 0.5; echo $!").output.strip()
    with hold_settings(link, **PATIENT) as hold:
        # A program that nobody waits for, as after a lost connection.
        words = tracked(["sleep", "99"])
        started = 'setsid "$@" >/dev/null 2>&1 & until [ -s "$5/jobs" ]; do sleep 0.1; done'
        link.script(started, words)
        jobs = phone.folder / "fer-opt/guard/jobs"
        mine, when = jobs.read_text().split()
        # A number that went to another process since is left alone.
        with jobs.open("a") as handle:
            handle.write(f"{other} {int(when) + 5000}\n")
        hold.renew()
        assert any(mine in sentence for sentence in hold.leftovers)
        assert link.shell(["kill", "-0", mine]).status != 0
        assert link.shell(["kill", "-0", other]).status == 0


def test_a_cut_connection_is_left_to_the_watchdog_and_said(
    pair: tuple[VirtualPhone, Link],
) -> None:
    phone, link = pair
    said: list[str] = []
    options = {**QUICK, "reconnect_s": 0.5}
    with hold_settings(link, say=said.append, **options):
        phone.faults = Faults(frozen=True)
    assert "does so itself within 3 s" in " ".join(said)
    assert eventually(lambda: awake(phone) == "0" and guard_files(phone) == set(), 30)
    phone.faults = Faults()
    link.reconnect(within_s=10)
    assert_as_found(phone, link)


def test_a_lost_connection_is_not_waited_for_again(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    said: list[str] = []

    def session() -> None:
        with hold_settings(link, say=said.append, **QUICK):
            link.close()
            raise LinkLostError("gone")

    with pytest.raises(LinkLostError, match="gone"):
        session()
    assert "does so itself" in " ".join(said)
    assert eventually(lambda: awake(phone) == "0" and guard_files(phone) == set(), 30)


def test_a_connection_that_comes_back_gives_back_itself(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    said: list[str] = []
    with hold_settings(link, say=said.append, **PATIENT):
        phone.faults = Faults(drop_at_message=3, away_s=0.3)
    assert said == []
    assert_as_found(phone, link)


def test_an_error_on_the_way_out_hides_no_other(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair

    def session() -> None:
        with hold_settings(link, **{**QUICK, "reconnect_s": 0.5}):
            phone.faults = Faults(frozen=True)
            raise RuntimeError("first")

    with pytest.raises(RuntimeError, match="first"):
        session()
    assert eventually(lambda: awake(phone) == "0", 30)


def test_a_restart_of_the_phone(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    with hold_settings(link, **PATIENT) as hold:
        phone.reboot()
        link.reconnect(within_s=20)
        assert watchdogs(link) == []
        assert awake(phone) == "7"  # a setting outlives a restart, and so does its record
        hold.renew()
        assert len(watchdogs(link)) == 1
    assert_as_found(phone, link)


def test_a_restart_that_ends_the_session(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    killed_client(phone, 60)
    phone.reboot()
    link.reconnect(within_s=20)
    assert awake(phone) == "7"
    with hold_settings(link, **PATIENT) as hold:
        assert "found it (0)" in " ".join(hold.leftovers)
    assert_as_found(phone, link)


def test_silence_is_taken_for_the_end_and_signs_for_life(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    with hold_settings(link, **QUICK) as hold:
        for _ in range(3):
            assert not eventually(lambda: awake(phone) != "7", within_s=1.2)
            read_state(link, ())
        for _ in range(3):
            assert not eventually(lambda: awake(phone) != "7", within_s=1.2)
            hold.sign_of_life()
        assert hold.cautions == []
        assert eventually(lambda: awake(phone) == "0", 30)
        assert eventually(lambda: guard_files(phone) == set())
        hold.sign_of_life()
        assert awake(phone) == "7"
        assert "in between" in " ".join(hold.cautions)
    assert_as_found(phone, link)


def test_a_session_that_ends_too_late_says_so(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    said: list[str] = []
    with hold_settings(link, say=said.append, **QUICK):
        assert eventually(lambda: awake(phone) == "0", 30)
    assert "before the end" in " ".join(said)
    assert eventually(lambda: guard_files(phone) == set())
    assert_as_found(phone, link)


def test_a_long_measurement_is_no_silence(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    with hold_settings(link, **QUICK):
        link.job(tracked(["sleep", "5"]), timeout_s=60)
        assert awake(phone) == "7"
    assert_as_found(phone, link)


def test_a_program_that_hangs_is_ended_with_its_session(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    options = {**QUICK, "busy_s": 4.0}
    with hold_settings(link, **options):
        finished = link.job(tracked(["sleep", "60"]), timeout_s=90)
        assert finished.status == 137
        assert eventually(lambda: awake(phone) == "0", 30)
    assert_as_found(phone, link)


def test_tracking_changes_nothing_about_a_program(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    words = ["sh", "-c", 'echo "$0|$1|$2"; exit 7', "a b", "$(id)", "'\""]
    plain = link.job(words, timeout_s=10)
    assert link.job(tracked(words), timeout_s=10) == plain
    assert plain.output == "a b|$(id)|'\"\n"
    assert not (phone.folder / "fer-opt").exists()
    with hold_settings(link, **PATIENT):
        assert link.job(tracked(words), timeout_s=10) == plain


def test_two_sessions_do_not_undo_each_other(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    other = open_phone(phone.address)
    with hold_settings(link, **PATIENT) as first:
        with hold_settings(other, **PATIENT):
            with pytest.raises(PhoneError, match="now used by another session"):
                first.sign_of_life()
            assert len(watchdogs(link)) == 1
            first.release()
            assert awake(phone) == "7"
        assert_as_found(phone, other)
        other.close()
    assert_as_found(phone, link)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_cut_at_every_message_gives_back(pair: tuple[VirtualPhone, Link]) -> None:
    phone, link = pair
    # Nobody has to be in time here, and each loss waits for the watchdog.
    options = {**QUICK, "quiet_s": 0.8}
    for message in range(1, 200):
        drops = phone.counters.drops
        phone.faults = Faults(drop_at_message=message)
        lost = False
        try:
            with hold_settings(link, **options) as hold:
                hold.sign_of_life()
        except LinkLostError:
            lost = True
        phone.faults = Faults()
        cut = phone.counters.drops > drops
        if lost or cut:
            link.reconnect(within_s=10)
        assert eventually(
            lambda: awake(phone) == "0" and not {"before", "owner"} & guard_files(phone)
        ), message
        if not cut:
            break
    else:
        pytest.fail("there is no end of messages")
    assert message > 20
    assert_as_found(phone, link)


# ---- The script itself, under shells that phones have, with the settings command gone wrong. ----

STUB = """#!/bin/sh
echo "$0 $*" >>"$HOME/log"
case "$1 $MODE" in
  "power slow")
    while [ -e "$HOME/guard/owner" ]; do
      sleep 0.1
    done
    echo 7 >"$HOME/value"
    ;;
  "get dumb") echo "Security exception: no" ;;
  get*) cat "$HOME/value" ;;
  "put refusing") ;;
  put*) echo "$4" >"$HOME/value" ;;
  delete*) echo null >"$HOME/value" ;;
  power*) echo 7 >"$HOME/value" ;;
esac
"""


@pytest.fixture(params=["dash", "mksh", "bash"])
def shell(request: pytest.FixtureRequest) -> str:
    found = shutil.which(request.param)
    if found is None:
        pytest.skip(f"{request.param} is not installed")
    return found


class Bench:
    """guard.sh on this computer, between stand-ins of Android's two commands."""

    def __init__(
        self, shell: str, folder: Path, value: str, mode: str = "", *, setsid: bool = True
    ):
        self.folder = folder
        tools = folder / "tools"
        tools.mkdir()
        for name in ("settings", "svc"):
            (tools / name).write_text(STUB)
            (tools / name).chmod(0o755)
        commands = ["sleep", "mkdir", "mv", "rm", "sync", "cat", *["setsid"] * setsid]
        for name in commands:
            found = shutil.which(name)
            assert found is not None
            (tools / name).symlink_to(found)
        (tools / "sh").symlink_to(shell)
        self.guard = folder / "guard"
        self.script = folder / "guard.sh"
        self.script.write_text(load_script("guard"))
        (folder / "value").write_text(f"{value}\n")
        self.environment = {"PATH": str(tools), "HOME": str(folder), "MODE": mode}

    @property
    def value(self) -> str:
        return (self.folder / "value").read_text().strip()

    def run(self, verb: str, *arguments: str) -> list[str]:
        done = subprocess.run(
            [str(self.folder / "tools/sh"), str(self.script), verb, str(self.guard), *arguments],
            env=self.environment, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        *lines, end = done.stdout.splitlines()
        assert end == f"{verb} ends"
        return lines

    def hold(self, token: str = "t0", quiet: str = "30") -> list[str]:
        return self.run("hold", token, str(self.script), "0.1", quiet, "60")


@pytest.mark.parametrize("setsid", [True, False])
def test_the_script_in_every_shell(shell: str, tmp_path: Path, setsid: bool) -> None:
    bench = Bench(shell, tmp_path, "2", setsid=setsid)
    assert bench.hold(quiet="100") == ["held 2 7"]
    assert bench.run("sign", "t0", "new") == ["owner t0"]
    assert (bench.guard / "alive").read_text() == "new\n"
    pid = int((bench.guard / "watchdog").read_text().split()[0])
    assert bench.run("release", "t0") == [
        "restored global stay_on_while_plugged_in 2", "released"
    ]  # fmt: skip
    assert bench.value == "2"
    assert list(bench.guard.iterdir()) == []
    assert eventually(lambda: not running(pid))
    assert bench.run("release", "t0") == ["lapsed "]


@pytest.mark.parametrize("setsid", [True, False])
def test_the_watchdog_in_every_shell(shell: str, tmp_path: Path, setsid: bool) -> None:
    bench = Bench(shell, tmp_path, "null", setsid=setsid)
    bench.hold()
    pid = int((bench.guard / "watchdog").read_text().split()[0])
    assert eventually(lambda: bench.value == "null", 30)
    assert eventually(lambda: list(bench.guard.iterdir()) == [])
    assert eventually(lambda: not running(pid))


def test_settings_that_do_not_answer_are_left_alone(shell: str, tmp_path: Path) -> None:
    bench = Bench(shell, tmp_path, "0", "dumb")
    assert bench.hold() == ["unreadable Security exception: no"]
    assert list(bench.guard.iterdir()) == []
    assert " power " not in (tmp_path / "log").read_text()


def test_a_setting_that_is_not_taken_back_stays_on_record(shell: str, tmp_path: Path) -> None:
    bench = Bench(shell, tmp_path, "2", "refusing")
    bench.hold(quiet="100")
    said = ["unrestored global stay_on_while_plugged_in 2 7"]
    assert bench.run("release", "t0") == [*said, "released"]
    assert (bench.guard / "before").read_text() == "global stay_on_while_plugged_in 2\n"
    # The next session keeps the true value, not the one it finds.
    assert bench.hold("t1", quiet="100") == [*said, "held 7 7"]
    bench.environment["MODE"] = ""
    assert bench.run("release", "t1")[0] == "restored global stay_on_while_plugged_in 2"
    assert bench.value == "2"


def test_a_watchdog_that_does_not_come_up_changes_nothing(tmp_path: Path) -> None:
    bench = Bench("/bin/sh", tmp_path, "2")
    lines = bench.run("hold", "t0", str(tmp_path / "missing.sh"), "0.1", "4", "20")
    assert lines[-1] == "unwatched"
    assert bench.value == "2"
    assert list(bench.guard.iterdir()) == []


def running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return False
    return status != "Z"


def test_a_setting_that_is_changed_after_the_watchdog_let_go_is_given_back(
    shell: str, tmp_path: Path
) -> None:
    bench = Bench(shell, tmp_path, "2", "slow")
    assert bench.hold(quiet="1") == ["late"]
    assert eventually(lambda: list(bench.guard.iterdir()) == [])
    assert bench.value == "2"


def test_settings_that_are_not_held_have_not_lapsed(
    pair: tuple[VirtualPhone, Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, link = pair
    script = load_script("guard").replace("settings get", "absent get")
    monkeypatch.setattr(settings, "load_script", lambda name: script)
    with hold_settings(link, **PATIENT) as hold:
        messages = phone.counters.messages
        hold.sign_of_life()
        assert phone.counters.messages == messages
        hold.renew()
    assert len(set(hold.cautions)) == 1
    assert "The phone is not kept awake" in hold.cautions[0]
