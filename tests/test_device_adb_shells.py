"""The lines that run commands on a phone, under the shells and tools that phones have."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from virtual_hosts import new_seconds, sleepers

from fer_opt.device.adb.jobs import JOB
from fer_opt.device.adb.shell import END, SCRIPT, WORDS, Marks, command_line, new_token

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs POSIX shells over /proc")

USERLANDS = [("sh", ""), ("bash", ""), ("mksh", "toybox")]
"""Android has mksh and toybox; others are near enough to be worth a try."""


class Phone:
    """A shell with a set of tools, run as adbd runs it: one pipe for both outputs."""

    def __init__(self, shell: str, tools: Path | None) -> None:
        self.shell = shutil.which(shell) or shell
        self.path = str(tools) if tools else os.environ["PATH"]

    def start(self, script: str, words: list[str]) -> tuple[subprocess.Popen[bytes], Marks]:
        token = new_token()
        process = subprocess.Popen(
            [self.shell, "-c", command_line(script, token, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": self.path},
        )
        return process, Marks(token.encode())

    def run(self, script: str, words: list[str]) -> Marks:
        process, marks = self.start(script, words)
        assert process.stdout is not None
        while marks.status is None:
            data = os.read(process.stdout.fileno(), 65536)
            assert data, marks.output
            marks.feed(data)
        process.stdout.close()
        process.wait()
        return marks


@pytest.fixture(params=USERLANDS, ids=lambda pair: "-".join(filter(None, pair)))
def phone(request: pytest.FixtureRequest, tmp_path: Path) -> Phone:
    shell, box = request.param
    if shutil.which(shell) is None or (box and shutil.which(box) is None):
        pytest.skip(f"no {shell} or no {box} here")
    if not box:
        return Phone(shell, None)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("setsid", "sleep", "sh", "seq", "true", "echo"):
        source = shutil.which(shell if name == "sh" else box)
        assert source is not None
        (tools / name).symlink_to(source)
    return Phone(shell, tools)


@pytest.fixture
def seconds() -> Iterator[str]:
    """What a test lets sleep; nobody may be left who does."""
    mine = new_seconds()
    yield mine
    left = sleepers(mine)
    for process in left:
        process.kill()
    assert not left


def started(marks: Marks, process: subprocess.Popen[bytes]) -> int:
    """The number of the process that runs the command."""
    assert process.stdout is not None
    while marks.started is None:
        marks.feed(os.read(process.stdout.fileno(), 4096))
    return marks.started.pid


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_for(true: Callable[[], object]) -> None:
    end = time.monotonic() + 15
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("script", [WORDS, JOB], ids=["words", "job"])
def test_output_and_status_come_back(phone: Phone, script: str) -> None:
    found = phone.run(script, ["sh", "-c", 'echo "$1"; echo err >&2; exit 7', "-", "a b"])
    assert (found.output, found.status) == ("a b\nerr\n", 7)
    assert phone.run(script, ["sh", "-c", "kill -9 $$"]).status == 137
    assert phone.run(script, ["sh", "-c", "kill -11 $$"]).status == 139
    assert phone.run(script, ["no-such-program"]).status == 127
    assert phone.run(script, ["sh", "-c", "read line || echo no input"]).output == "no input\n"


def test_scripts_have_arguments_and_a_status(phone: Phone) -> None:
    found = phone.run(SCRIPT, ['echo "<$1><$2>"; case x in x) exit 3;; esac', "a'b", ""])
    assert (found.output, found.status) == ("<a'b><>\n", 3)
    assert phone.run(SCRIPT, ["echo ("]).status not in (0, None)


def test_a_job_tells_when_it_began_and_beats_meanwhile(phone: Phone) -> None:
    begin = time.monotonic()
    process, marks = phone.start(JOB, ["sleep", "1.7"])
    pid = started(marks, process)
    assert marks.started is not None
    assert marks.started.began == Path(f"/proc/{pid}/stat").read_text().rsplit(") ")[1].split()[19]
    wait_for(lambda: os.getpgid(pid) == pid)
    assert process.stdout is not None
    raw = bytearray()
    while marks.status is None:
        data = os.read(process.stdout.fileno(), 4096)
        raw += data
        marks.feed(data)
    # One each half second at most; the first may have come together with the beginning.
    assert 1 <= raw.count(marks.token + b"b.") <= (time.monotonic() - begin) / 0.5
    assert (marks.output, marks.status) == ("", 0)
    process.stdout.close()
    process.wait()


def test_a_job_ends_when_nobody_listens(phone: Phone, seconds: str) -> None:
    process, marks = phone.start(JOB, ["sh", "-c", f"sleep {seconds} & sleep {seconds}"])
    pid = started(marks, process)
    wait_for(lambda: len(sleepers(seconds)) == 2)
    assert process.stdout is not None
    process.stdout.close()
    wait_for(lambda: gone(pid) and not sleepers(seconds))
    process.wait()


def test_a_job_ends_when_its_shell_is_killed(phone: Phone, seconds: str) -> None:
    process, marks = phone.start(JOB, ["sleep", seconds])
    pid = started(marks, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: gone(pid))
    assert process.stdout is not None
    process.stdout.close()


def test_a_terminal_as_of_android_6_changes_nothing(phone: Phone) -> None:
    ours, theirs = pty.openpty()
    token = new_token()
    words = ["sh", "-c", "echo one; sleep 0.7; echo two; exit 5"]
    process = subprocess.Popen(
        [phone.shell, "-c", command_line(JOB, token, words)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={"PATH": phone.path},
    )
    os.close(theirs)
    marks = Marks(token.encode())
    raw = bytearray()
    while marks.status is None:
        raw += os.read(ours, 4096)
        marks = Marks(token.encode())
        marks.feed(bytes(raw))
    assert b"one\r\n" in raw
    assert (marks.output, marks.status) == ("one\ntwo\n", 5)
    os.close(ours)
    process.wait()


@pytest.mark.parametrize("script", [WORDS, SCRIPT, JOB], ids=["words", "script", "job"])
def test_what_runs_can_be_ended_with_its_descendants(
    phone: Phone, seconds: str, script: str
) -> None:
    words = ["sh", "-c", f"(sleep {seconds}; true) & sleep {seconds}; true"]
    process, marks = phone.start(script, words if script != SCRIPT else words[2:])
    pid = started(marks, process)
    wait_for(lambda: len(psutil.Process(pid).children(recursive=True)) >= 3)
    family = [child.pid for child in psutil.Process(pid).children(recursive=True)]
    assert marks.started is not None
    began = marks.started.began
    assert phone.run(SCRIPT, [END, str(pid), "1" if began else ""]).status == 0
    assert gone(pid) == (not began)  # a process that began at another time is not the one meant
    assert phone.run(SCRIPT, [END, str(pid), began]).status == 0
    wait_for(lambda: all(map(gone, [pid, *family])))
    assert process.stdout is not None
    process.stdout.close()
    process.wait()
