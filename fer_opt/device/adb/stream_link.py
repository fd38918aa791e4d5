"""The one :class:`fer_opt.device.adb.link.Link` there is, over whatever carries its streams."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from fer_opt.device.adb import jobs, shell, sync
from fer_opt.device.adb.carrier import Carrier
from fer_opt.device.adb.errors import mapped
from fer_opt.device.adb.link import Finished, RemoteFile, Route
from fer_opt.device.adb.shell import Started
from fer_opt.errors import LinkLostError, PhoneError
from fer_opt.progress import Advance

__all__ = ["StreamLink"]

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0

FIRST_TRIES: dict[Route, int] = {"usb": 3, "tcp": 1, "server": 1}
"""A cable may still hold half a packet meant for whoever used it before."""


class StreamLink:
    """A connection to one phone. Made connected; see the protocol for its methods."""

    def __init__(self, carrier: Carrier) -> None:
        """Connect.

        Raises:
            LinkLostError: the phone does not answer.
            PhoneError: it refuses.
        """
        self._carrier = carrier
        self._left: list[Started] = []
        tries = FIRST_TRIES[carrier.route]
        try:
            while True:
                try:
                    with mapped(self.serial):
                        carrier.connect()
                        self._identity = self._read_identity()
                    return
                except LinkLostError:
                    tries -= 1
                    if not tries:
                        raise
        except BaseException:
            carrier.close()
            raise

    @property
    def serial(self) -> str:
        """The phone's serial number, or ``tcp:HOST:PORT``."""
        return self._carrier.name

    @property
    def route(self) -> Route:
        """How it is reached."""
        return self._carrier.route

    def shell(self, words: Sequence[str], *, timeout_s: float = 20.0) -> Finished:
        """Run a short command, its words quoted."""
        with self._watching() as started:
            return shell.run_command(
                self._carrier, words, timeout_s=timeout_s, on_start=started.append
            )

    def script(
        self, text: str, arguments: Sequence[str] = (), *, timeout_s: float = 20.0
    ) -> Finished:
        """Run a constant shell script with ``arguments`` as $1, $2 and so on."""
        with self._watching() as started:
            return shell.run_script(
                self._carrier, text, arguments, timeout_s=timeout_s, on_start=started.append
            )

    def job(self, words: Sequence[str], *, timeout_s: float) -> Finished:
        """Run a command that may be silent for long; killed whenever this raises."""
        with self._watching() as started:
            return jobs.run_job(self._carrier, words, timeout_s=timeout_s, on_start=started.append)

    def push(
        self,
        source: Path | bytes,
        target: str,
        *,
        mode: int = 0o644,
        advance: Advance | None = None,
    ) -> None:
        """Write a file on the phone."""
        with mapped(self.serial):
            sync.push_file(self._carrier, source, target, mode=mode, advance=advance)

    def pull(self, source: str, *, most_bytes: int = 1 << 28) -> bytes:
        """Read a file of the phone."""
        with mapped(self.serial):
            return sync.pull_file(self._carrier, source, most_bytes=most_bytes)

    def stat(self, path: str) -> RemoteFile | None:
        """What stands at ``path``; None where there is nothing."""
        with mapped(self.serial):
            return sync.stat_path(self._carrier, path)

    def reconnect(self, *, within_s: float = 60.0) -> None:
        """Connect again to the same phone, with back-off."""
        end = time.monotonic() + within_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                with mapped(self.serial):
                    self._carrier.connect()
                    found = self._read_identity()
                break
            except LinkLostError as exc:
                if time.monotonic() + pause_s > end:
                    raise LinkLostError(
                        f"{self.serial} did not come back within {within_s:g} s ({exc})"
                    ) from exc
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        if found != self._identity:
            self.close()
            raise PhoneError(
                f"{self.serial} is now another phone (serial number {found or 'none'} instead of "
                f"{self._identity or 'none'}); connect the first one again."
            )
        self._end_left()

    def close(self) -> None:
        """Hang up; never raises."""
        self._carrier.close()

    @contextlib.contextmanager
    def _watching(self) -> Iterator[list[Started]]:
        """Map foreign errors; a command that is given up is not left running on the phone.

        Yields:
            Where the process is to be put once it is known.
        """
        started: list[Started] = []
        try:
            with mapped(self.serial):
                yield started
        except LinkLostError:
            self._left += started  # its heart ends it, or we do once we are connected again
            raise
        except BaseException:
            for process in started:
                shell.end_process(self._carrier, process)
            raise

    def _end_left(self) -> None:
        """Kill what was running when the connection broke, if it still is."""
        while self._left:
            process = self._left.pop()
            if process.began:  # else it could be another one by now
                shell.end_process(self._carrier, process)

    def _read_identity(self) -> str:
        """The serial number the phone itself tells; empty where it does not."""
        answer = shell.run_command(self._carrier, ["getprop", "ro.serialno"], timeout_s=10.0)
        return "" if answer.status else answer.output.strip()
