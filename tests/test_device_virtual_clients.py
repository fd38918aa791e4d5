"""The genuine adb client and adbutils against a virtual phone."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import adbutils
import pytest
from virtual_hosts import appears, disappears, new_seconds, private_key, public_key, within

from fer_opt.device.virtual import Faults, VirtualPhone, start_virtual_phone

pytestmark = pytest.mark.skipif(shutil.which("adb") is None, reason="adb is not installed")

TMP = "/data/local/tmp"
Adb = Callable[..., subprocess.CompletedProcess[bytes]]


def free_port() -> int:
    """A port nobody listens on, away from those that adb scans for emulators."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    return port if not 5555 <= port <= 5585 else free_port()


@pytest.fixture(scope="module")
def server_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An adb server of our own, with a key of our own; the user's is left alone."""
    home = tmp_path_factory.mktemp("home")
    (home / ".android").mkdir()
    (home / ".android/adbkey").write_text(private_key())
    (home / ".android/adbkey").chmod(0o600)
    (home / ".android/adbkey.pub").write_text(public_key())
    port = free_port()
    environment = {
        **os.environ,
        "HOME": str(home),
        "ANDROID_SDK_HOME": str(home),
        "ADB_MDNS": "0",
        "ADB_MDNS_AUTO_CONNECT": "0",
    }
    environment.pop("ADB_VENDOR_KEYS", None)
    start = ["adb", "-P", str(port), "start-server"]
    subprocess.run(start, env=environment, check=True, capture_output=True, timeout=60)
    yield port
    stop = ["adb", "-P", str(port), "kill-server"]
    subprocess.run(stop, env=environment, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module", params=["galaxy-j3", "computer"])
def phone(request: pytest.FixtureRequest) -> Iterator[VirtualPhone]:
    with start_virtual_phone(request.param, known_keys=[public_key()]) as phone:
        yield phone


@pytest.fixture
def adb(phone: VirtualPhone, server_port: int) -> Iterator[Adb]:
    address = phone.address.removeprefix("tcp:")

    def adb(*words: str, given: bytes = b"", check: bool = True) -> subprocess.CompletedProcess:
        command = ["adb", "-P", str(server_port), "-s", address, *words]
        return subprocess.run(command, input=given, capture_output=True, timeout=60, check=check)

    said = adb("connect", address).stdout
    assert b"connected to" in said
    yield adb
    adb("disconnect", address, check=False)


def test_the_genuine_client_sees_a_phone(phone: VirtualPhone, adb: Adb) -> None:
    assert adb("get-state").stdout == b"device\n"
    rows = adb("devices", "-l").stdout.decode().splitlines()
    row = next(row for row in rows if row.startswith(phone.address.removeprefix("tcp:")))
    model = "SM_J330F" if phone.profile == "galaxy-j3" else "Virtual_phone"
    assert f"model:{model}" in row
    features = adb("features").stdout.decode().split()
    assert "shell_v2" in features
    assert ("stat_v2" in features) == (phone.profile == "computer")


def test_it_runs_commands_with_streams_apart_and_exit_codes(adb: Adb) -> None:
    done = adb("shell", "echo out; echo error >&2; exit 7", check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"error\n", 7)
    assert adb("shell", "kill -9 $$", check=False).returncode == 128 + 9
    assert adb("shell", "no-such-command", check=False).returncode == 127
    assert adb("shell", "wc -c; echo done", given=bytes(300_000)).stdout == b"300000\ndone\n"
    old = adb("shell", "-x", "echo out; echo error >&2; false")  # version 1 tells no status
    assert old.stdout == b"out\nerror\n"


def test_a_terminal_behaves_like_one(adb: Adb) -> None:
    assert b"not a tty" in adb("shell", "tty; true").stdout
    told = adb("shell", "-tt", "test -t 0 && echo terminal").stdout
    assert told == b"terminal\r\n"
    interactive = adb("shell", given=b"echo $((6 * 7))\nexit 3\n", check=False)
    assert b"42" in interactive.stdout
    assert interactive.returncode == 3


def test_it_pushes_and_pulls_whole_files(adb: Adb, tmp_path: Path) -> None:
    data = os.urandom(20_000_000)
    (tmp_path / "big").write_bytes(data)
    (tmp_path / "big").chmod(0o755)
    os.utime(tmp_path / "big", (1_500_000_000, 1_500_000_000))
    adb("push", str(tmp_path / "big"), f"{TMP}/new/big")
    told = adb("shell", f"md5sum <{TMP}/new/big; stat -c '%s %Y' {TMP}/new/big").stdout.decode()
    assert told.split() == [hashlib.md5(data).hexdigest(), "-", "20000000", "1500000000"]
    adb("pull", f"{TMP}/new/big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data
    assert adb("exec-out", f"cat {TMP}/new/big").stdout == data
    failed = adb("pull", f"{TMP}/nothing", str(tmp_path / "nothing"), check=False)
    assert failed.returncode == 1
    assert b"nothing" in failed.stderr + failed.stdout


def test_it_pushes_and_pulls_folders(adb: Adb, tmp_path: Path) -> None:
    for name in ("a/one", "a/b/two", "a/ü space/three"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "a/link").symlink_to("one")
    adb("push", str(tmp_path / "a"), f"{TMP}/folder")
    adb("pull", f"{TMP}/folder", str(tmp_path / "back"))
    for name in ("one", "b/two", "ü space/three"):
        assert (tmp_path / "back" / name).read_text() == f"a/{name}"


def test_no_space_is_told(phone: VirtualPhone, adb: Adb, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(5_000_000))
    phone.faults = Faults(full_after_bytes=1_000_000)
    done = adb("push", str(tmp_path / "big"), f"{TMP}/big", check=False)
    phone.faults = Faults()
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr + done.stdout
    assert adb("shell", f"ls {TMP}/big", check=False).returncode != 0


def test_many_streams_at_once(adb: Adb) -> None:
    def ask(number: int) -> bytes:
        return adb("shell", f"sleep 0.1; echo {number}; head -c 100000 /dev/zero | wc -c").stdout

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        told = list(pool.map(ask, range(24)))
    assert told == [b"%d\n100000\n" % number for number in range(24)]


def test_a_killed_client_takes_its_command_along(
    phone: VirtualPhone, server_port: int, adb: Adb
) -> None:
    address = phone.address.removeprefix("tcp:")
    for way in (["shell"], ["shell", "-x"], ["exec-out"]):
        seconds = new_seconds()
        client = subprocess.Popen(
            ["adb", "-P", str(server_port), "-s", address, *way, f"exec sleep {seconds}"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        assert appears(seconds)
        with client:
            client.kill()
        assert disappears(seconds), way


def test_adbutils_does_the_same(phone: VirtualPhone, server_port: int, adb: Adb) -> None:
    client = adbutils.AdbClient("127.0.0.1", server_port)
    device = client.device(phone.address.removeprefix("tcp:"))
    assert device.prop.model in ("SM-J330F", "Virtual phone")
    done = device.shell2("echo out; (exit 5)")
    assert (done.output, done.returncode) == ("out\n", 5)
    data = os.urandom(1_000_000)
    assert device.sync.push(data, f"{TMP}/from adbutils") == len(data)
    assert device.sync.read_bytes(f"{TMP}/from adbutils") == data
    assert device.sync.stat(f"{TMP}/from adbutils").size == len(data)
    assert "from adbutils" in {entry.path for entry in device.sync.list(TMP)}


def test_an_unknown_key_waits_to_be_accepted(server_port: int) -> None:
    with start_virtual_phone(authorise="known") as phone:
        address = phone.address.removeprefix("tcp:")
        adb = ["adb", "-P", str(server_port)]
        subprocess.run([*adb, "connect", address], capture_output=True, timeout=60, check=False)

        def listing() -> bytes:
            command = [*adb, "devices"]
            return subprocess.run(command, capture_output=True, timeout=60, check=True).stdout

        # For a moment the server takes it for one that does not answer.
        assert within(15, lambda: f"{address}\tunauthorized".encode() in listing()), listing()
        subprocess.run([*adb, "disconnect", address], capture_output=True, timeout=60, check=True)
