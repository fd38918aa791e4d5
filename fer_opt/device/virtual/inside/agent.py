"""The first process inside a virtual phone: starts what it is asked to, and ends with its daemon.

Requests come as lines of JSON over the socket that is its only argument, file descriptors with
them; answers go back the same way. When the daemon hangs up, everything inside ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import sys
import termios
import time
from typing import Any

from .foreign import become_shell_user, register_foreign
from .paths import Paths
from .sync import serve

PR_SET_CHILD_SUBREAPER = 36
PR_SET_TIMERSLACK = 29
SLICE_S = 0.0003  # of throttling: shorter than most inferences, so that each of them feels it
LONGEST_S = 0.1  # a turn that is made up for
MOST_FDS = 8
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Agent:
    """The state of the first process: whom it started, and how fast they may run."""

    def __init__(self, control: socket.socket, paths: Paths, *, alone: bool) -> None:
        self.control = control
        self.paths = paths
        self.alone = alone  # process 1 of a namespace of its own: every other process is ours
        self.speed = 1.0
        self.stopped = False
        self.turned_at = self.turn_ends = time.monotonic()
        self.owed_s = 0.0  # for which everybody is still to be stopped
        self.id_of: dict[int, int] = {}
        self.text = b""
        self.fds: list[int] = []

    def run(self, child_ended: int) -> None:
        """Serve until the daemon hangs up."""
        listening = self.control.fileno()
        while True:
            ready, _, _ = select.select([listening, child_ended], [], [], self.turn())
            if child_ended in ready:
                os.read(child_ended, 4096)
            self.reap()
            if listening in ready and not self.listen():
                return

    def turn(self) -> float | None:
        """Stop or continue everybody when throttled; how long until the next time, in seconds.

        What counts is how long a turn really took: a busy computer lets this process come late.
        """
        if self.speed >= 1 and not self.stopped:
            return None
        now = time.monotonic()
        if self.speed < 1 and now < self.turn_ends:
            return self.turn_ends - now  # something else woke us, if only that a child stopped
        took_s, self.turned_at = now - self.turned_at, now
        running_per_stop = self.speed / (1 - self.speed) if self.speed < 1 else 1.0
        self.owed_s += -took_s if self.stopped else min(took_s, LONGEST_S) / running_per_stop
        self.stopped = self.speed < 1 and not self.stopped
        self.signal_everybody(signal.SIGSTOP if self.stopped else signal.SIGCONT)
        if self.speed >= 1:
            return None
        slice_s = SLICE_S * max(1.0, running_per_stop)
        overslept_s = max(0.0, -self.owed_s) * running_per_stop
        next_s = max(0.0, self.owed_s) if self.stopped else slice_s + overslept_s
        self.turn_ends = now + next_s
        return next_s

    def signal_everybody(self, number: int) -> None:
        """To all processes of the phone; without a namespace, to those started and their groups."""
        if self.alone:
            send(os.kill, -1, number)
        else:
            for pid in list(self.id_of):
                send(os.killpg, pid, number)

    def listen(self) -> bool:
        """Read requests; False when the daemon has gone."""
        try:
            data, fds, _, _ = socket.recv_fds(self.control, 1 << 16, MOST_FDS)
        except OSError:
            return False
        self.fds += fds
        *lines, self.text = (self.text + data).split(b"\n")
        for line in lines:
            self.obey(json.loads(line))
        return bool(data)

    def obey(self, request: dict[str, Any]) -> None:
        """Carry out one request."""
        if request["do"] == "speed":
            self.speed, self.owed_s = request["speed"], 0.0
            self.turned_at = self.turn_ends = time.monotonic()
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
        elif request["do"] == "signal":
            for pid, number in self.id_of.items():
                if number == request["id"]:
                    send(os.kill, pid, request["signal"])
        else:
            count = request["fds"]
            fds, self.fds = self.fds[:count], self.fds[count:]
            self.start(request, fds)
            for fd in fds:
                os.close(fd)

    def start(self, request: dict[str, Any], fds: list[int]) -> None:
        """Fork; the child becomes a program, or serves files."""
        # A signal for a child that is just beginning waits until it can be felt.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        pid = os.fork()
        if pid == 0:
            status = 127
            try:
                settle_signals()
                os.setsid()
                self.control.close()
                if request["do"] == "sync":
                    serve(socket.socket(fileno=fds[0]), self.paths)
                    status = 0
                else:
                    become(request, fds)
            except OSError as exc:
                os.write(2, f"{request.get('argv', ['sync'])[0]}: {exc.strerror}\n".encode())
                status = 126 if isinstance(exc, PermissionError) else 127
            finally:
                os._exit(status)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        self.id_of[pid] = request["id"]
        self.tell({"id": request["id"], "pid": pid})

    def reap(self) -> None:
        """Tell the daemon of every child that ended; orphans end here too, and are nobody's."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.id_of:
                code = os.waitstatus_to_exitcode(status)
                self.tell({"id": self.id_of.pop(pid), "status": code if code >= 0 else 128 - code})

    def tell(self, answer: dict[str, Any]) -> None:
        """Send one answer; a daemon that has gone is noticed when listening."""
        with contextlib.suppress(OSError):
            self.control.sendall(json.dumps(answer).encode("ascii") + b"\n")

    def end(self) -> None:
        """Kill whatever is left."""
        self.signal_everybody(signal.SIGKILL)
        if not self.alone:
            # Orphans have come to this process, so new rounds find the children of the killed.
            deadline = time.monotonic() + 2
            while (rest := descendants(os.getpid())) and time.monotonic() < deadline:
                for pid in rest:
                    send(os.kill, pid, signal.SIGKILL)
                self.reap()
                time.sleep(0.01)


def become(request: dict[str, Any], fds: list[int]) -> None:
    """Turn this process into the program asked for."""
    for target, source in enumerate(fds[:3]):
        os.dup2(source, target)
    os.closerange(3, 256)
    if request["tty"]:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(request["cwd"])
    os.umask(0o022)
    os.execve(request["argv"][0], request["argv"], request["env"])


def settle_signals() -> None:
    """Give a child the signals of a fresh process."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGPIPE, signal.SIGCHLD, *ENDING):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def send(function: Any, target: int, number: int) -> None:
    """Signal; a target that has gone is fine."""
    with contextlib.suppress(OSError):
        function(target, number)


def descendants(root: int) -> list[int]:
    """All processes below ``root``, where there is a /proc; zombies count not."""
    parent_of = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as handle:
                    fields = handle.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if fields[0] != b"Z":
                parent_of[int(name)] = int(fields[1])
    found = [root]
    for above in found:
        found += [pid for pid, parent in parent_of.items() if parent == above]
    return found[1:]


def main() -> None:
    """Begin: ``agent FD JSON``, the JSON telling where things are."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.setblocking(True)
    setup = json.loads(sys.argv[2])
    alone = setup["alone"] and os.getpid() == 1
    if not alone and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    foreign = register_foreign(setup["emulators"]) if setup["root"] else []
    if setup["root"]:
        with contextlib.suppress(OSError):  # then the phone's user is root of its namespace
            become_shell_user()
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    child_ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    agent = Agent(control, Paths(**setup["paths"]), alone=alone)
    agent.tell({"ready": os.getpid(), "foreign": foreign})
    try:
        agent.run(child_ended)
    finally:
        agent.end()
