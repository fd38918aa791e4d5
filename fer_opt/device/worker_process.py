"""A fresh Python process that is asked one question, answers it and is gone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from fer_opt.errors import MeasurementError

__all__ = ["EndedWorker", "run_worker"]


@dataclass(frozen=True, slots=True)
class EndedWorker:
    """What a worker left behind.

    Attributes:
        status: its exit status; minus a signal's number where one ended it.
        answer: what it wrote to stdout.
        log: what it wrote to stderr.
        timed_out: whether it was stopped because it took too long.
    """

    status: int
    answer: str
    log: str
    timed_out: bool

    @property
    def answered(self) -> bool:
        """Whether its answer is whole: workers end it with a newline."""
        return self.answer.endswith("\n")

    def how(self, way_out: str) -> str:
        """How it ended without an answer, to be read after "was not timed:"."""
        if self.status < 0 and -self.status == getattr(signal, "SIGKILL", None):
            return (
                "its process was killed from outside, most likely because memory ran out; close "
                "other programs or time a smaller model."
            )
        lines = (line.strip() for line in reversed(self.log.splitlines()))
        last = next((line for line in lines if line), "")
        heard = f", its last words: {last[:300].rstrip('.')}" if last else ""
        if self.status < 0:
            return (
                f"its process crashed ({signal.strsignal(-self.status) or -self.status}{heard}); "
                f"the file may be damaged, {way_out}."
            )
        return (
            f"its process ended with status {self.status}{heard}; {way_out}, or report this "
            "if it still happens."
        )


def run_worker(
    words: Sequence[str],
    request: Mapping[str, Any],
    timeout_s: float,
    subject: str,
    environment: Mapping[str, str] | None = None,
) -> EndedWorker:
    """Start this Python with ``words``, send ``request`` as a line of JSON, wait for its end.

    Args:
        words: of the command, after the interpreter.
        request: is JSON.
        timeout_s: after which it is stopped.
        subject: what an error calls that which was to be timed.
        environment: added to this process's.

    Raises:
        MeasurementError: no process could be started.
    """
    # Files, not pipes: the worker never waits for a reader, and this process sleeps meanwhile.
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as log:
        timed_out = threading.Event()
        # NumPy's own thread pool would only take memory.
        own = {"OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", **(environment or {})}
        try:
            worker = subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.PIPE,
                stdout=answer,
                stderr=log,
                env={**os.environ, **own},
            )
        except OSError as exc:
            raise MeasurementError(
                f"{subject} was not timed: no process could be started "
                f"({exc.strerror or exc}); close other programs and try again."
            ) from exc

        def stop() -> None:
            timed_out.set()
            worker.kill()

        timer = threading.Timer(timeout_s, stop)
        timer.daemon = True
        try:
            timer.start()
            _send(worker, request)
            status = worker.wait()
        finally:
            timer.cancel()
            # Whatever happened, Ctrl-C included, no worker outlives this call.
            worker.kill()
            worker.wait()
            _hang_up(worker)
        return EndedWorker(status, _text(answer), _text(log), timed_out.is_set())


def _send(worker: subprocess.Popen[bytes], request: Mapping[str, Any]) -> None:
    assert worker.stdin is not None
    with contextlib.suppress(OSError):  # it died before it listened; its exit status says how
        worker.stdin.write(json.dumps(request).encode("ascii") + b"\n")
        worker.stdin.flush()  # left open: when it closes, the worker ends


def _hang_up(worker: subprocess.Popen[bytes]) -> None:
    assert worker.stdin is not None
    with contextlib.suppress(OSError):  # a dead worker never read it
        worker.stdin.close()


def _text(handle: IO[bytes]) -> str:
    handle.seek(0)
    return handle.read().decode("utf-8", "replace")
