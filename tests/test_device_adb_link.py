"""The link to a phone, on a virtual phone: by our own packets, and through a genuine adb server."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from virtual_hosts import new_seconds, sleepers, within

from fer_opt.device.adb import Link, connection, list_phones, open_phone
from fer_opt.device.adb import server as server_module
from fer_opt.device.adb.errors import UnauthorizedError
from fer_opt.device.adb.tcp import TcpTransport
from fer_opt.device.virtual import NO_FAULTS, Faults, VirtualPhone, start_virtual_phone
from fer_opt.errors import LinkLostError, PhoneError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="virtual phones need POSIX")
ADB = shutil.which("adb")
FOLDER = "/data/local/tmp/link"


@dataclass(frozen=True)
class Server:
    """A genuine adb server, and how to talk to it."""

    port: int

    def start(self) -> subprocess.Popen[bytes] | None:
        """Its process once it answers; None where it ended, as when it cannot have the port."""
        assert ADB is not None
        process = subprocess.Popen(
            [ADB, "-P", str(self.port), "nodaemon", "server"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: answers(self.port) or process.poll() is not None, 30)
        return process if process.poll() is None else None

    def adb(self, *words: str) -> str:
        assert ADB is not None
        return subprocess.run(
            [ADB, "-P", str(self.port), *words], capture_output=True, text=True, timeout=30
        ).stdout

    def own(self, phone: VirtualPhone) -> str:
        """Tell it of a phone, anew where it lost it; the serial it gives it."""
        serial = f"127.0.0.1:{phone.port}"

        def ready() -> bool:
            if self.adb("-s", serial, "get-state").strip() == "device":
                return True
            self.adb("disconnect", serial)
            self.adb("connect", serial)
            return False

        wait_for(ready, 60)
        return serial


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of our own, so that keys are made there."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.delenv("ADB_VENDOR_KEYS", raising=False)
        with silent_port() as port:
            patch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
            yield folder


@pytest.fixture(scope="module")
def phone(home: Path) -> Iterator[VirtualPhone]:
    with start_virtual_phone() as running:
        yield running


@pytest.fixture(autouse=True)
def whole_again(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "phone" in request.fixturenames:
        request.getfixturevalue("phone").faults = NO_FAULTS


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything about silence twice as fast."""
    for module in (connection, server_module):
        monkeypatch.setattr(module, "PROBE_AFTER_S", 0.6)
        monkeypatch.setattr(module, "SILENCE_S", 1.25)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy computer is not taken for silence."""
    for module in (connection, server_module):
        monkeypatch.setattr(module, "PROBE_AFTER_S", 10.0)
        monkeypatch.setattr(module, "SILENCE_S", 20.0)


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    if ADB is None:
        pytest.skip("no adb here")
    for _ in range(5):  # somebody else may take a free port first
        running = Server(free_port())
        if (process := running.start()) is not None:
            break
    assert process is not None
    try:
        yield running
    finally:
        process.kill()
        process.wait()


@pytest.fixture(params=["tcp", "server"])
def link(request: pytest.FixtureRequest, phone: VirtualPhone) -> Iterator[Link]:
    """The virtual phone by either route."""
    if request.param == "tcp":
        made = open_phone(phone.address)
    else:
        made = through(request.getfixturevalue("server"), phone)
    with contextlib.closing(made):
        yield made


@pytest.fixture
def direct(phone: VirtualPhone) -> Iterator[Link]:
    with contextlib.closing(open_phone(phone.address)) as made:
        yield made


def through(server: Server, phone: VirtualPhone) -> Link:
    """The virtual phone through an adb server that was told of it."""
    server.own(phone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        return open_phone(f"127.0.0.1:{phone.port}", via="server")


def free_port() -> int:
    """A port of this computer outside those an adb server scans."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as made:
            port: int = made.getsockname()[1]
        if not 5500 < port < 5700:
            return port


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port of this computer where nobody listens, kept from others who look for a free one."""
    with contextlib.closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def wait_for(true: Callable[[], object], within_s: float) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def gone(seconds: str) -> bool:
    """Whether nobody sleeps for so long any more."""
    return not sleepers(seconds)


def once_it_sleeps(seconds: str, do: Callable[[], object]) -> None:
    """Do something while a job sleeps that is still to begin, its first words long told."""

    def wait_and_do() -> None:
        if within(30, lambda: bool(sleepers(seconds))):
            time.sleep(0.2)
            do()

    threading.Thread(target=wait_and_do, daemon=True).start()


class TestCommands:
    def test_status_and_both_outputs_come_back(self, link: Link) -> None:
        found = link.shell(["sh", "-c", "echo out; echo err >&2; exit 7"])
        assert (found.output, found.status) == ("out\nerr\n", 7)
        assert link.shell(["sh", "-c", "kill -9 $$"]).status == 128 + 9
        assert link.shell(["no-such-program"]).status == 127
        assert link.shell(["true"]).output == ""

    @settings(
        max_examples=20, deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )  # fmt: skip
    @given(
        words=st.lists(
            st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=15),
            min_size=1,
            max_size=3,
        )
    )
    def test_no_word_means_anything_to_the_shell(self, direct: Link, words: list[str]) -> None:
        found = direct.shell(["sh", "-c", 'for a in "$@"; do echo "$a"; done', "-", *words])
        assert found.output == "".join(f"{word}\n" for word in words)

    def test_a_script_has_its_arguments(self, link: Link) -> None:
        found = link.script('echo "<$1><$2><$#>"; false; exit 3', ["a b;c", "$HOME"])
        assert (found.output, found.status) == ("<a b;c><$HOME><2>\n", 3)
        assert link.script("echo (").status != 0

    def test_a_command_that_takes_too_long_is_stopped(self, link: Link) -> None:
        seconds = new_seconds()
        began = time.monotonic()
        with pytest.raises(PhoneError, match=rf"sleep {seconds}.*after 0.5 s") as caught:
            link.shell(["sleep", seconds], timeout_s=0.5)
        assert not isinstance(caught.value, LinkLostError)
        assert time.monotonic() - began < 10
        with pytest.raises(PhoneError, match=r"after 0.5 s"):
            link.script(f"sleep {seconds}; true", timeout_s=0.5)
        wait_for(lambda: gone(seconds), 15)
        assert link.shell(["echo", "on"]).output == "on\n"

    @pytest.mark.usefixtures("impatient")
    def test_a_silent_command_is_waited_for(self, link: Link) -> None:
        began = time.monotonic()
        assert link.shell(["sleep", "3"]).status == 0
        assert time.monotonic() - began > 2.9

    def test_a_lost_status_is_no_status(self, direct: Link) -> None:
        with pytest.raises(LinkLostError, match="ended from outside"):
            direct.script("kill -9 $PPID; kill -9 $$; sleep 5")

    def test_a_command_too_long_for_an_old_phone_is_refused(self, home: Path) -> None:
        with (
            start_virtual_phone(checksums=True, most_payload=4096) as old,
            contextlib.closing(open_phone(old.address)) as link,
        ):
            assert link.shell(["echo", "a" * 3000]).output == "a" * 3000 + "\n"
            with pytest.raises(PhoneError, match="too long"):
                link.shell(["echo", "a" * 4096])
            content = os.urandom(300_000)
            link.push(content, f"{FOLDER}/old")
            assert link.pull(f"{FOLDER}/old") == content


class TestJobs:
    @pytest.mark.usefixtures("impatient")
    def test_a_silent_job_ends_with_its_status(self, link: Link) -> None:
        found = link.job(["sh", "-c", "echo begun; sleep 3; echo done; exit 5"], timeout_s=20)
        assert (found.output, found.status) == ("begun\ndone\n", 5)

    def test_megabytes_of_output_are_whole(self, link: Link) -> None:
        found = link.job(["seq", "1", "600000"], timeout_s=60)
        assert found.output == "".join(f"{number}\n" for number in range(1, 600001))

    def test_heartbeats_never_reach_the_output(self, link: Link) -> None:
        dots = "for i in 1 2 3 4 5 6 7 8 9; do printf .; sleep 0.2; done"
        assert link.job(["sh", "-c", dots], timeout_s=20).output == "." * 9

    def test_a_job_that_takes_too_long_is_killed_with_its_children(self, link: Link) -> None:
        seconds = new_seconds()
        command = ["sh", "-c", f"sleep {seconds} & sleep {seconds}"]
        with pytest.raises(PhoneError, match=r"after 1 s and was stopped"):
            link.job(command, timeout_s=1)
        wait_for(lambda: gone(seconds), 15)

    @pytest.mark.usefixtures("patient")
    def test_ctrl_c_kills_the_job_and_leaves_the_link(self, link: Link) -> None:
        def left_by_ctrl_c() -> bool:
            seconds = new_seconds()
            once_it_sleeps(seconds, lambda: os.kill(os.getpid(), signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                link.job(["sleep", seconds], timeout_s=60)
            wait_for(lambda: gone(seconds), 15)
            try:
                assert link.shell(["echo", "on"]).output == "on\n"
            except LinkLostError:
                link.reconnect(within_s=20)
                assert link.shell(["echo", "on"]).output == "on\n"
                return False
            return True

        # A packet it cuts in half, or takes away as it arrives, is the end of a link.
        assert any(left_by_ctrl_c() for _ in range(10))

    def test_a_cut_link_kills_the_job(self, direct: Link, phone: VirtualPhone) -> None:
        seconds = new_seconds()
        once_it_sleeps(seconds, lambda: setattr(phone, "faults", Faults(drop_at_message=1)))
        with pytest.raises(LinkLostError):
            direct.job(["sleep", seconds], timeout_s=60)
        wait_for(lambda: gone(seconds), 15)

    @pytest.mark.alone
    def test_a_frozen_link_is_noticed_and_the_job_killed_after_it(
        self, link: Link, phone: VirtualPhone
    ) -> None:
        frozen: list[float] = []

        def freeze() -> None:
            phone.faults = Faults(frozen=True)
            frozen.append(time.monotonic())

        seconds = new_seconds()
        once_it_sleeps(seconds, freeze)
        with pytest.raises(LinkLostError):
            link.job(["sleep", seconds], timeout_s=60)
        assert time.monotonic() - frozen[0] < 3
        with pytest.raises(LinkLostError):
            link.shell(["true"])  # changes nothing about what is to be ended
        assert sleepers(seconds)
        phone.faults = NO_FAULTS
        link.reconnect(within_s=20)
        wait_for(lambda: gone(seconds), 15)


class TestFiles:
    def test_a_file_goes_there_and_comes_back(self, link: Link, tmp_path: Path) -> None:
        content = os.urandom(3_000_001)
        source = tmp_path / "model.tflite"
        source.write_bytes(content)
        told: list[int] = []
        link.push(source, f"{FOLDER}/a b;'c", mode=0o755, advance=told.append)
        found = link.stat(f"{FOLDER}/a b;'c")
        assert found is not None
        assert found.size_bytes == len(content) == sum(told)
        assert len(told) > 1
        assert found.mode & 0o100700 == 0o100700
        assert abs(found.modified_s - source.stat().st_mtime) <= 1
        assert link.pull(f"{FOLDER}/a b;'c") == content

    def test_no_bytes_and_few_are_files_too(self, link: Link) -> None:
        for content in (b"", b"x", bytes(65536), bytes(65537)):
            link.push(content, f"{FOLDER}/few")
            assert link.pull(f"{FOLDER}/few") == content

    def test_what_is_not_there_is_none(self, link: Link) -> None:
        assert link.stat(f"{FOLDER}/none") is None
        folder = link.stat("/data/local/tmp")
        assert folder is not None
        assert folder.mode & 0o040000
        with pytest.raises(PhoneError, match="No such file"):
            link.pull(f"{FOLDER}/none")

    def test_too_large_a_file_is_not_read(self, link: Link) -> None:
        link.push(bytes(5000), f"{FOLDER}/large")
        assert len(link.pull(f"{FOLDER}/large", most_bytes=5000)) == 5000
        with pytest.raises(PhoneError, match="larger than 4999 bytes"):
            link.pull(f"{FOLDER}/large", most_bytes=4999)
        assert link.shell(["echo", "on"]).output == "on\n"

    def test_no_space_is_told_in_the_phones_words(self, link: Link, phone: VirtualPhone) -> None:
        phone.faults = Faults(full_after_bytes=1_000_000)
        with pytest.raises(PhoneError, match="No space left on device") as caught:
            link.push(bytes(20_000_000), f"{FOLDER}/full")
        assert not isinstance(caught.value, LinkLostError)
        phone.faults = NO_FAULTS
        assert link.shell(["echo", "on"]).output == "on\n"

    def test_a_place_that_cannot_be_written_is_told(self, link: Link) -> None:
        with pytest.raises(PhoneError, match="cannot be written"):
            link.push(b"x", "/proc/no/such")
        with pytest.raises(PhoneError, match="no path"):
            link.push(b"x", "/" + "a" * 1100)

    def test_a_source_that_cannot_be_read_is_told(self, link: Link, tmp_path: Path) -> None:
        with pytest.raises(PhoneError, match="cannot be read"):
            link.push(tmp_path / "none", f"{FOLDER}/x")

    def test_a_slow_link_is_no_lost_link(self, direct: Link, phone: VirtualPhone) -> None:
        content = os.urandom(60_000)
        phone.faults = Faults(bytes_per_s=20_000)
        direct.push(content, f"{FOLDER}/slow")
        phone.faults = NO_FAULTS
        assert direct.pull(f"{FOLDER}/slow") == content


class TestLosing:
    @pytest.mark.parametrize("doing", ["shell", "push", "pull", "stat"])
    @pytest.mark.usefixtures("impatient")
    def test_silence_is_noticed_whatever_is_done(
        self, link: Link, phone: VirtualPhone, doing: str
    ) -> None:
        link.push(bytes(100_000), f"{FOLDER}/there")
        phone.faults = Faults(frozen=True)
        began = time.monotonic()
        with pytest.raises(LinkLostError):
            {
                "shell": lambda: link.shell(["echo"]),
                "push": lambda: link.push(bytes(100_000), f"{FOLDER}/there"),
                "pull": lambda: link.pull(f"{FOLDER}/there"),
                "stat": lambda: link.stat(FOLDER),
            }[doing]()
        assert time.monotonic() - began < 10
        phone.faults = NO_FAULTS
        link.reconnect(within_s=20)
        assert link.shell(["echo", "on"]).output == "on\n"

    def test_a_cut_at_every_message_ends_in_our_error_and_mends(
        self, direct: Link, phone: VirtualPhone
    ) -> None:
        content = os.urandom(60_000)

        def work() -> None:
            direct.push(content, f"{FOLDER}/cut")
            assert direct.job(["echo", "done"], timeout_s=10).output == "done\n"
            assert direct.pull(f"{FOLDER}/cut") == content

        before = phone.counters.messages
        work()
        messages = phone.counters.messages - before
        assert messages > 20
        lost = reached = 0
        for number in range(1, messages + 1):
            phone.faults = Faults(drop_at_message=number)
            drops = phone.counters.drops
            began = time.monotonic()
            try:
                work()
            except LinkLostError:
                lost += 1
            assert time.monotonic() - began < 10
            phone.faults = NO_FAULTS
            # Whether a phone that is slow to answer is asked for life differs from time to time.
            reached += phone.counters.drops - drops
            direct.reconnect(within_s=10)
        assert reached > 20
        # The last messages only say goodbye: their loss need not be noticed.
        assert lost >= reached - 2
        work()

    def test_after_a_loss_nothing_works_until_reconnecting(
        self, direct: Link, phone: VirtualPhone
    ) -> None:
        phone.faults = Faults(drop_at_message=1)
        for _ in range(2):
            with pytest.raises(LinkLostError):
                direct.shell(["echo"])
        direct.reconnect(within_s=10)
        assert direct.shell(["echo", "on"]).output == "on\n"

    def test_a_reboot_is_sat_out(self, link: Link, phone: VirtualPhone) -> None:
        phone.reboot()
        with pytest.raises(LinkLostError):
            link.shell(["sleep", "5"])
        link.reconnect(within_s=30)
        assert link.shell(["getprop", "ro.serialno"]).output.strip() == phone.serial

    def test_waiting_for_a_phone_ends(self, home: Path) -> None:
        with start_virtual_phone() as gone:
            link = open_phone(gone.address)
        began = time.monotonic()
        with pytest.raises(LinkLostError, match="did not come back within 1 s"):
            link.reconnect(within_s=1)
        assert time.monotonic() - began < 15

    def test_another_phone_is_not_taken_for_the_first(self, home: Path) -> None:
        for attempt in range(5):  # somebody else may take the port meanwhile
            with start_virtual_phone(serial="first") as one:
                link = open_phone(one.address)
            try:
                second = start_virtual_phone(serial="second", port=one.port)
                break
            except PhoneError:
                assert attempt < 4
        with second:
            with pytest.raises(PhoneError, match=r"another phone .*second instead of first"):
                link.reconnect(within_s=5)
            with pytest.raises(LinkLostError):
                link.shell(["true"])

    def test_closing_never_raises(self, link: Link, phone: VirtualPhone) -> None:
        phone.faults = Faults(frozen=True)
        link.close()
        link.close()
        with pytest.raises(LinkLostError, match="connect again"):
            link.shell(["true"])


class TestLettingIn:
    def test_a_known_key_is_let_in_without_a_word(self, home: Path) -> None:
        said: list[str] = []
        with start_virtual_phone() as phone:
            open_phone(phone.address).close()
            open_phone(phone.address, say=said.append).close()
        assert not said

    def test_the_owner_is_asked_and_waited_for(self, home: Path) -> None:
        said: list[str] = []
        with start_virtual_phone(authorise_after_s=0.5) as phone:
            link = open_phone(phone.address, say=said.append)
            assert link.shell(["echo", "in"]).output == "in\n"
            link.close()
        assert "unlock its screen and accept" in said[0]

    def test_an_owner_who_does_not_accept_is_not_waited_for_forever(self, home: Path) -> None:
        with start_virtual_phone(authorise="never") as phone:
            with pytest.raises(UnauthorizedError, match=r"did not accept .* within 0\.5 s"):
                open_phone(phone.address, accept_within_s=0.5)
            [listed] = list_phones("tcp", addresses=[phone.address])
        assert listed.state == "unauthorized"
        assert "accept" in listed.advice

    def test_adb_shell_itself_works_over_our_transport(self, phone: VirtualPhone) -> None:
        from adb_shell.adb_device import AdbDevice
        from adb_shell.auth.sign_pythonrsa import PythonRSASigner

        open_phone(phone.address).close()  # so that the phone knows the key
        device = AdbDevice(TcpTransport("127.0.0.1", phone.port, "phone"))
        key = PythonRSASigner.FromRSAKeyPath(str(Path.home() / ".android" / "adbkey"))
        assert device.connect(rsa_keys=[key], read_timeout_s=5)
        assert device.shell("echo hello") == "hello\n"
        device.close()


class TestListing:
    def test_what_a_phone_tells_is_listed(self, phone: VirtualPhone) -> None:
        open_phone(phone.address).close()
        with silent_port() as port:
            nowhere = f"tcp:127.0.0.1:{port}"
            found, gone = list_phones("tcp", addresses=[phone.address, nowhere])
        assert (found.serial, found.state, found.route) == (phone.address, "device", "tcp")
        assert (found.model, found.abi) == ("SM-J330F", "armeabi-v7a")
        assert found.android[0].isdigit()
        assert found.battery_percent is not None
        assert not found.advice
        assert (gone.serial, gone.state) == (nowhere, "offline")
        assert gone.advice

    def test_phones_of_a_server_are_listed_and_taken(
        self, server: Server, phone: VirtualPhone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        serial = server.own(phone)
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        [found] = list_phones("server")
        assert (found.serial, found.state, found.route) == (serial, "device", "server")
        assert found.model == "SM-J330F"
        said: list[str] = []
        with contextlib.closing(open_phone("phone", say=said.append)) as link:
            assert (link.serial, link.route) == (serial, "server")
        assert f"owns {serial}; going through it" in said[0]
        with contextlib.closing(open_phone(phone.address, via="server")) as link:
            assert link.route == "server"
        with pytest.raises(PhoneError, match=r"adb connect 127\.0\.0\.1:9"):
            open_phone("tcp:127.0.0.1:9", via="server")
        with pytest.raises(PhoneError, match="these are"):
            open_phone("abc", via="server")

    def test_two_phones_and_no_serial_are_refused(
        self, server: Server, phone: VirtualPhone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        with start_virtual_phone() as second:
            server.own(phone)
            wanted = server.own(second)
            with pytest.raises(PhoneError, match=r"2 phones are connected: .*--serial"):
                open_phone("phone", via="server")
            with contextlib.closing(open_phone("phone", serial=wanted, via="server")) as link:
                assert link.shell(["getprop", "ro.serialno"]).output.strip() == second.serial
            server.adb("disconnect", wanted)

    def test_no_server_is_ever_started(self, monkeypatch: pytest.MonkeyPatch) -> None:
        port = free_port()
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        with pytest.raises(PhoneError, match="no adb server is running"):
            list_phones("server")
        list_phones("auto")
        from fer_opt.device.adb.server import ServerCarrier

        with pytest.raises(LinkLostError):
            ServerCarrier("abc", ("127.0.0.1", port)).connect()
        assert not answers(port)

    def test_a_missing_adbutils_is_told(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        monkeypatch.setitem(sys.modules, "adbutils", None)
        with pytest.raises(PhoneError, match=r"pip install 'fer-opt\[adb-server\]'"):
            list_phones("server")
        said: list[str] = []
        list_phones("auto", say=said.append)
        assert any("adb-server" in sentence for sentence in said)

    @pytest.mark.parametrize("port", ["x", "0", "65536", "٥"])
    def test_a_port_that_is_none_is_refused(
        self, port: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", port)
        with pytest.raises(PhoneError, match="ANDROID_ADB_SERVER_PORT"):
            list_phones("server")


@pytest.mark.alone
@pytest.mark.skipif(ADB is None, reason="no adb here")
def test_pushing_keeps_up_with_the_genuine_adb(home: Path) -> None:
    specification = importlib.util.spec_from_file_location(
        "push_throughput", Path(__file__).parents[1] / "benchmarks" / "push_throughput.py"
    )
    assert specification is not None
    assert specification.loader is not None
    benchmark = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = benchmark  # dataclasses look their module up
    specification.loader.exec_module(benchmark)
    found = benchmark.compare(megabytes=10, rounds=5)
    assert found.ratio <= benchmark.TARGET
