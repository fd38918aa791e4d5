"""How fast fer-opt pushes a file, against the genuine adb client, to the same virtual phone.

    python benchmarks/push_throughput.py [--megabytes 50] [--rounds 7]

Starts a virtual phone and an adb server of its own, then pushes a file of random bytes in rounds:
by fer-opt's own connection, by fer-opt through the adb server, and by `adb push`, in a random order
within each round. The time of a push is from before it until it has returned; `adb push` is a
process that starts and ends. Exits with 1 when fer-opt takes more than twice as long as adb.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fer_opt.device.adb import open_phone
from fer_opt.device.virtual import VirtualPhone, start_virtual_phone

TARGET = 2.0
ON_PHONE = "/data/local/tmp/pushed"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Median seconds of a push, by way; and of the ratios fer-opt / adb of the same round."""

    seconds: dict[str, float]
    ratio: float
    megabytes: float
    rounds: int


def main() -> int:
    parser = argparse.ArgumentParser(description="fer-opt's pushing against the adb client's")
    parser.add_argument("--megabytes", type=float, default=50, help="of the file (default 50)")
    parser.add_argument("--rounds", type=int, default=7, help="of pushes (default 7)")
    chosen = parser.parse_args()
    if shutil.which("adb") is None:
        print("Nothing was compared: there is no adb here (Debian's package is named adb).")
        return 0
    found = compare(megabytes=chosen.megabytes, rounds=chosen.rounds)
    print(f"{found.megabytes:g} MB to a virtual phone, median of {found.rounds} pushes each")
    for way, seconds in found.seconds.items():
        print(f"{way:<30}{seconds:8.3f} s {found.megabytes / seconds:8.1f} MB/s")
    print(f"fer-opt / adb, median of rounds  {found.ratio:.2f}")
    return 1 if found.ratio > TARGET else 0


def compare(*, megabytes: float, rounds: int) -> Comparison:
    """Push a file of 10^6 · ``megabytes`` bytes each way, ``rounds`` times."""
    with tempfile.TemporaryDirectory() as folder, changed_home(Path(folder)):
        source = Path(folder) / "pushed"
        source.write_bytes(os.urandom(int(megabytes * 1_000_000)))
        with (
            start_virtual_phone() as phone,
            adb_server(phone) as adb,
            contextlib.ExitStack() as end,
        ):
            direct = end.enter_context(contextlib.closing(open_phone(phone.address)))
            through = end.enter_context(
                contextlib.closing(open_phone(f"127.0.0.1:{phone.port}", via="server"))
            )
            ways: dict[str, Callable[[], object]] = {
                "fer-opt": lambda: direct.push(source, ON_PHONE),
                "fer-opt through the adb server": lambda: through.push(source, ON_PHONE),
                "adb push": lambda: adb("push", str(source), ON_PHONE),
            }
            taken = timed(ways, rounds)
    return Comparison(
        seconds={way: statistics.median(times) for way, times in taken.items()},
        ratio=statistics.median(
            ours / theirs for ours, theirs in zip(taken["fer-opt"], taken["adb push"], strict=True)
        ),
        megabytes=megabytes,
        rounds=rounds,
    )


def timed(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round, after one round that does not count."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    order = random.Random(0)
    for turn in range(rounds + 1):
        for way in order.sample(list(ways), len(ways)):
            began = time.perf_counter()
            ways[way]()
            if turn:
                taken[way].append(time.perf_counter() - began)
    return taken


@contextlib.contextmanager
def adb_server(phone: VirtualPhone) -> Iterator[Callable[..., str]]:
    """An adb server of our own that knows the phone; a function that runs adb with it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["adb", "-P", str(port), "nodaemon", "server"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def adb(*words: str) -> str:
        command = ["adb", "-P", str(port), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    before = os.environ.get("ANDROID_ADB_SERVER_PORT")
    os.environ["ANDROID_ADB_SERVER_PORT"] = str(port)
    try:
        while not listens(port):
            time.sleep(0.05)
        adb("connect", f"127.0.0.1:{phone.port}")
        adb("wait-for-device")
        yield adb
    finally:
        restore("ANDROID_ADB_SERVER_PORT", before)
        server.kill()
        server.wait()


def listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


@contextlib.contextmanager
def changed_home(folder: Path) -> Iterator[None]:
    """A home of our own, so that nobody's keys are used."""
    before = os.environ.get("HOME")
    os.environ["HOME"] = str(folder)
    try:
        yield
    finally:
        restore("HOME", before)


def restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


if __name__ == "__main__":
    sys.exit(main())
