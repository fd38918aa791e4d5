"""Commands on the phone, their words quoted in this one place, their exit status brought back.

The oldest shell protocol has one stream for both outputs and none for the status, so a command is
run by a few lines of shell that tell it themselves, in marks around a random token. A phone's shell
is mksh, other userlands have dash or bash; nothing here is beyond POSIX but ``echo -n``, which all
three have built in (a forked printf would cost milliseconds on a slow phone).
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fer_opt.device.adb.carrier import Carrier
from fer_opt.device.adb.link import Finished
from fer_opt.errors import LinkLostError, PhoneError

__all__ = [
    "BORN",
    "Marks",
    "Started",
    "command_line",
    "end_process",
    "new_token",
    "run_command",
    "run_marked",
    "run_script",
]

BORN = """
born() { read -r l </proc/$1/stat || l=; set -- ${l##*) }; [ $# -lt 20 ] || shift 19; t=$1; }
a=$1$2; x=$1; y=$2; shift 2; t=
"""
"""The token put together, and a function that sets t to when process $1 began (proc(5))."""

TELL = """
c=$!
born $c 2>/dev/null
echo -n "${a}p$c,$t."
wait $c 2>/dev/null
echo -n "${a}s$?."
"""

WORDS = f"""{BORN}"$@" </dev/null &{TELL}"""
SCRIPT = f"""{BORN}(t=$1; shift; eval "$t") </dev/null &{TELL}"""

END = """
read -r l </proc/$1/stat || exit 0
set -- $1 "$2" ${l##*) }
[ -z "$2" ] || [ "$2" = "${22}" ] || exit 0
end() {
  for d in /proc/[0-9]*; do
    read -r l <$d/stat || continue
    p=${l##*) }; p=${p#* }; p=${p%% *}
    [ "$p" != $1 ] || (end ${d#/proc/})
  done
  kill -9 $1
}
kill -9 -$1
end $1
exit 0
"""
"""Kill process $1, if it is still the one that began at $2, its group and its descendants."""

END_WITHIN_S = 5.0

MARK = rb"(?:b|p(?P<pid>\d{1,10}),(?P<began>\d{0,20})|s(?P<status>\d{1,3}))\."
"""After the token: a heartbeat, the process and when it began, the status."""

MOST_OUTPUT_BYTES = 1 << 26
"""More than any command of ours prints, less than would hurt this computer."""

LONGEST_MARK_BYTES = 96


@dataclass(frozen=True, slots=True)
class Started:
    """A process on the phone: its number, and when it began in the kernel's ticks (or empty)."""

    pid: int
    began: str


@dataclass
class Marks:
    """What a command prints, sorted into its own output and our marks.

    Attributes:
        token: in all marks; random, so that no output contains it by chance. It is told to the
            phone in two halves, so that not even a list of processes prints it.
        started: the process, once it is known.
        status: of the command, once it has ended.
    """

    token: bytes
    started: Started | None = None
    status: int | None = None
    _output: bytearray = field(default_factory=bytearray)
    _rest: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        """Take in what arrived; what follows the status is nobody's and is dropped."""
        self._rest += data
        done = 0
        for mark in re.finditer(re.escape(self.token) + MARK, self._rest):
            if self.status is None:
                self._output += self._rest[done : mark.start()]
            done = mark.end()
            if mark["pid"] is not None:
                self.started = Started(int(mark["pid"]), mark["began"].decode("ascii"))
            elif mark["status"] is not None and self.status is None:
                self.status = int(mark["status"])
        # A mark may have arrived in part: only what is too far back to belong to one is output.
        keep = max(done, len(self._rest) - LONGEST_MARK_BYTES)
        if self.status is None:
            self._output += self._rest[done:keep]
        del self._rest[:keep]

    @property
    def size_bytes(self) -> int:
        """How much there is of it."""
        return len(self._output)

    @property
    def output(self) -> str:
        """What the command printed so far, its lines ending in a line feed as of Android 7 on."""
        whole = bytes(self._output) + (b"" if self.status is not None else bytes(self._rest))
        return whole.replace(b"\r\n", b"\n").decode("utf-8", "replace")


def new_token() -> str:
    """A token nobody guesses."""
    return secrets.token_hex(12)


def command_line(script: str, token: str, words: Sequence[str]) -> bytes:
    """The line a phone's shell is given: ``words`` quoted as arguments of a constant ``script``.

    Raises:
        PhoneError: there is no command, or a word that no command line can hold.
    """
    half = len(token) // 2
    if not words or not words[0]:
        raise PhoneError("an empty command cannot be run on a phone; name a program.")
    if bad := next((word for word in words if "\0" in word), None):
        raise PhoneError(f"{bad!r} holds a zero byte and cannot be part of a command; rename it.")
    quoted = shlex.join([token[:half], token[half:], *words])
    return f"set -- {quoted}{script}".encode("utf-8", "surrogateescape")


def run_command(
    carrier: Carrier,
    words: Sequence[str],
    *,
    timeout_s: float,
    on_start: Callable[[Started], None] = lambda started: None,
) -> Finished:
    """Run a short command; see :meth:`fer_opt.device.adb.link.Link.shell`."""
    return run_marked(carrier, WORDS, words, timeout_s=timeout_s, on_start=on_start)


def run_script(
    carrier: Carrier,
    text: str,
    arguments: Sequence[str],
    *,
    timeout_s: float,
    on_start: Callable[[Started], None] = lambda started: None,
) -> Finished:
    """Run a constant script; see :meth:`fer_opt.device.adb.link.Link.script`."""
    return run_marked(carrier, SCRIPT, [text, *arguments], timeout_s=timeout_s, on_start=on_start)


def end_process(carrier: Carrier, process: Started) -> None:
    """Kill a process that may still run, with what it started, as far as the phone is there."""
    with contextlib.suppress(PhoneError):
        run_script(carrier, END, [str(process.pid), process.began], timeout_s=END_WITHIN_S)


def run_marked(
    carrier: Carrier,
    script: str,
    words: Sequence[str],
    *,
    timeout_s: float,
    on_start: Callable[[Started], None] = lambda started: None,
) -> Finished:
    """Run ``words`` by one of the scripts that mark status and process.

    Args:
        carrier: to the phone.
        script: the lines that run them.
        words: the command.
        timeout_s: after which it is killed.
        on_start: told of the process as soon as it is known.

    Raises:
        LinkLostError: the connection broke, or the shell ended without a status.
        PhoneError: it did not end in time, or cannot be run at all.
    """
    token = new_token()
    line = command_line(script, token, words)
    shown = shlex.join(words)[:80]
    if len(line) + len(b"shell:") > carrier.most_service_bytes:
        raise PhoneError(
            f"{shown}... is too long for {carrier.name}, which takes commands of up to "
            f"{carrier.most_service_bytes} bytes; use shorter names."
        )
    marks = Marks(token.encode("ascii"))
    end = time.monotonic() + timeout_s
    stream = carrier.open(b"shell:" + line)
    try:
        while marks.status is None:
            known = marks.started
            data = stream.receive(max(0.0, end - time.monotonic()))
            if data:
                marks.feed(data)
            if marks.size_bytes > MOST_OUTPUT_BYTES:
                raise PhoneError(
                    f"{shown} printed over {MOST_OUTPUT_BYTES} bytes on {carrier.name} and was "
                    "stopped; ask it for less."
                )
            if marks.started is not known and marks.started is not None:
                on_start(marks.started)
            if data == b"" and marks.status is None:
                raise LinkLostError(
                    f"the shell of {carrier.name} that ran {shown} was ended from outside, as in a "
                    f"restart; its last words: {_last_words(marks.output)}. Connect again."
                )
            if marks.status is None and time.monotonic() >= end:
                raise PhoneError(
                    f"{shown} had not ended on {carrier.name} after {timeout_s:g} s and was "
                    f"stopped; its last words: {_last_words(marks.output)}."
                )
    except BaseException:
        stream.close()
        raise
    stream.close()
    return Finished(marks.output, marks.status)


def _last_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return repr(lines[-1][-200:]) if lines else "none"
