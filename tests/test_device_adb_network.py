"""The link across a network of its own, MTU 1500, and to a genuine adbd where one is named.

Each test runs this file again inside a private network namespace, which needs root or a kernel
that gives namespaces to everybody.

FER_OPT_ADBD names a program that starts a genuine adbd in the foreground, on the port that
ADBD_PORT holds: Debian 13's package adbd installs /usr/sbin/adbd, which does. It lets everybody in
and runs as root, so name a script that shuts it up in a file system of its own:

    exec bwrap --die-with-parent --unshare-pid --bind ROOT / \\
        --proc /proc --dev /dev --tmpfs /tmp /usr/sbin/adbd

where ROOT is what `debootstrap --variant=minbase --include=adbd trixie ROOT` makes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fer_opt.device.adb import Link, open_phone
from fer_opt.errors import LinkLostError, PhoneError

HOST, PHONE, PORT = "10.117.0.1", "10.117.0.2", 5601
ADBD = os.environ.get("FER_OPT_ADBD", "")
ALONE = ["unshare", "--net"] + ([] if getattr(os, "geteuid", lambda: 1)() == 0 else ["-r"])


def has_namespaces() -> bool:
    if any(shutil.which(name) is None for name in ("unshare", "nsenter", "ip")):
        return False
    return subprocess.run([*ALONE, "true"], capture_output=True).returncode == 0


NAMESPACES = pytest.mark.skipif(
    not has_namespaces(), reason="needs unshare, nsenter, ip, and the right to make namespaces"
)


def run_alone(role: str, home: Path) -> dict[str, float]:
    """Run a role of this file in a network namespace of its own; what it found."""
    done = subprocess.run(
        [*ALONE, sys.executable, __file__, role],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@NAMESPACES
def test_twenty_megabytes_arrive_whole_over_mtu_1500(tmp_path: Path) -> None:
    found = run_alone("mtu", tmp_path)
    assert found["packets"] > 20e6 / 1500
    assert found["push_mb_s"] > 1


@NAMESPACES
@pytest.mark.skipif(not ADBD, reason="FER_OPT_ADBD names no genuine adbd")
def test_a_genuine_adbd_accepts_our_transport(tmp_path: Path) -> None:
    found = run_alone("adbd", tmp_path)
    sys.stdout.write(f"{found}\n")
    assert found["push_mb_s"] > 10
    assert found["shell_ms"] < 100


def between_namespaces() -> None:
    """Push to a virtual phone across a pair of virtual cables with the Internet's usual MTU."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    far = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    try:
        end = time.monotonic() + 30
        while os.readlink(f"/proc/{far.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            assert time.monotonic() < end, "unshare makes no namespace"
            time.sleep(0.02)
        inside = ["nsenter", "-t", str(far.pid), "-n"]
        for command in (
            f"ip link add near mtu 1500 type veth peer name far netns {far.pid}",
            f"ip addr add {HOST}/24 dev near",
            "ip link set near gso_max_segs 1",  # so that packets on the cable are no longer than it
            "ip link set near up",
        ):
            subprocess.run(command.split(), check=True)
        for command in (
            "ip link set lo up",
            f"ip addr add {PHONE}/24 dev far",
            "ip link set far mtu 1500 gso_max_segs 1",
            "ip link set far up",
        ):
            subprocess.run([*inside, *command.split()], check=True)
        phone = subprocess.Popen([*inside, sys.executable, __file__, "phone"])
        try:
            link = wait_for_phone(f"tcp:{PHONE}:{PORT}")
            found = push_and_pull(link, "/data/local/tmp/twenty")
            report(found | {"packets": sent_packets("near")})
        finally:
            phone.terminate()
            phone.wait()
    finally:
        far.kill()
        far.wait()


def report(found: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")


def sent_packets(interface: str) -> int:
    command = ["ip", "-json", "-stats", "link", "show", interface]
    told = subprocess.run(command, capture_output=True, check=True).stdout
    packets: int = json.loads(told)[0]["stats64"]["tx"]["packets"]
    return packets


def virtual_phone() -> None:
    """A virtual phone, which answers on 127.0.0.1 only, and a door to it for the other side."""
    from fer_opt.device.virtual import start_virtual_phone

    with start_virtual_phone() as phone, socket.create_server((PHONE, PORT)) as door:
        while True:
            outer, _ = door.accept()
            inner = socket.create_connection(("127.0.0.1", phone.port))
            for one, other in ((outer, inner), (inner, outer)):
                threading.Thread(target=copy, args=(one, other), daemon=True).start()


def copy(one: socket.socket, other: socket.socket) -> None:
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError):  # one side has gone
        while data := one.recv(1 << 16):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


def genuine() -> None:
    """Everything a link does, on a genuine adbd."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    adbd = subprocess.Popen([ADBD], env={**os.environ, "ADBD_PORT": str(PORT)})
    try:
        link = wait_for_phone(f"tcp:127.0.0.1:{PORT}")
        commands(link)
        found = push_and_pull(link, "/tmp/fer-opt-adbd-test")
        link.shell(["rm", "/tmp/fer-opt-adbd-test"])
        found |= delays(link)
        report(found)
    finally:
        adbd.terminate()
        adbd.wait()


def commands(link: Link) -> None:
    assert link.shell(["echo", "a b", "$HOME"]).output == "a b $HOME\n"
    assert link.shell(["sh", "-c", "echo x >&2; exit 7"]).status == 7
    assert link.shell(["sh", "-c", "kill -9 $$"]).status == 137
    assert link.script('echo "$1"; exit 3', ["x y"]).output == "x y\n"
    job = link.job(["sh", "-c", "sleep 3; echo done; exit 5"], timeout_s=20)
    assert (job.output, job.status) == ("done\n", 5)
    assert link.shell(["sleep", "3"]).status == 0  # silent: the phone is asked whether it lives
    with pytest.raises(PhoneError, match="was stopped"):
        link.job(["sleep", "4711"], timeout_s=1)
    numbers = "".join(f"{number}\n" for number in range(1, 600001))
    assert link.job(["seq", "1", "600000"], timeout_s=60).output == numbers
    assert link.stat("/no/such") is None
    with pytest.raises(PhoneError, match="No such file"):
        link.pull("/no/such")
    with pytest.raises(PhoneError, match="No space left on device"):
        link.push(bytes(20_000_000), "/dev/full")
    link.reconnect(within_s=5)
    assert link.shell(["echo", "again"]).output == "again\n"


def push_and_pull(link: Link, target: str) -> dict[str, float]:
    """20 MB there and back, compared; how fast, in MB (10^6 bytes) per second."""
    content = os.urandom(20_000_000)
    began = time.monotonic()
    link.push(content, target)
    pushed = time.monotonic()
    assert link.pull(target) == content
    return {
        "push_mb_s": round(20 / (pushed - began), 1),
        "pull_mb_s": round(20 / (time.monotonic() - pushed), 1),
    }


def delays(link: Link) -> dict[str, float]:
    """Median time of a command that does nothing, in ms."""
    taken = []
    for _ in range(50):
        began = time.monotonic()
        link.shell(["true"])
        taken.append(time.monotonic() - began)
    return {"shell_ms": round(sorted(taken)[25] * 1000, 1)}


def wait_for_phone(address: str) -> Link:
    end = time.monotonic() + 20
    while True:
        try:
            return open_phone(address)
        except LinkLostError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    {"mtu": between_namespaces, "phone": virtual_phone, "adbd": genuine}[sys.argv[1]]()
