"""Keys, USB, TCP sockets, and foreign errors: what stands under a link."""

from __future__ import annotations

import base64
import contextlib
import errno
import inspect
import os
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import adb_shell.exceptions
import adbutils.errors
import pytest
import usb1
from adb_shell.auth.keygen import encode_pubkey
from adb_shell.transport.usb_transport import UsbTransport as Inner

from fer_opt.device.adb import list_phones, open_phone
from fer_opt.device.adb.errors import BusyError, SilenceError, foreign_error, mapped
from fer_opt.device.adb.keys import default_key_path, load_signers, make_key
from fer_opt.device.adb.packets import pack
from fer_opt.device.adb.tcp import TcpTransport
from fer_opt.device.adb.usb import UsbTransport
from fer_opt.device.virtual import Faults, start_virtual_phone
from fer_opt.errors import FerOptError, LinkLostError, PhoneError

POSIX = pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("ADB_VENDOR_KEYS", raising=False)
    return tmp_path


class TestKeys:
    def test_a_missing_key_is_made_once_for_its_owner_only(self, home: Path) -> None:
        said: list[str] = []
        [signer] = load_signers(said.append)
        path = default_key_path()
        assert path == home / ".android" / "adbkey"
        assert "was made" in said[0]
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        public = path.with_name("adbkey.pub").read_bytes()
        assert public == signer.public_key + b"\n"
        assert base64.b64decode(public.split(b" ")[0]) == encode_pubkey(str(path))
        assert sorted(entry.name for entry in path.parent.iterdir()) == ["adbkey", "adbkey.pub"]
        [again] = load_signers(said.append)
        assert again.public_key == signer.public_key
        assert len(said) == 1

    def test_a_signature_is_what_adb_shell_makes(self, home: Path) -> None:
        from adb_shell.auth.sign_pythonrsa import PythonRSASigner

        [signer] = load_signers(lambda sentence: None)
        token = bytes(range(20))
        assert signer.sign(token) == PythonRSASigner.FromRSAKeyPath(str(default_key_path())).Sign(
            token
        )

    def test_a_key_made_meanwhile_is_kept(self, home: Path) -> None:
        path = default_key_path()
        make_key(path)
        before = path.read_bytes()
        make_key(path)
        assert path.read_bytes() == before

    @POSIX
    def test_a_key_others_can_read_is_told(self, home: Path) -> None:
        make_key(default_key_path())
        default_key_path().chmod(0o644)
        said: list[str] = []
        load_signers(said.append)
        assert "chmod 600" in said[0]

    def test_a_damaged_key_is_one_sentence(self, home: Path) -> None:
        path = default_key_path()
        path.parent.mkdir()
        path.touch(0o600)
        for content in (b"", b"-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n"):
            path.write_bytes(content)
            with pytest.raises(PhoneError, match="no private key that can be used"):
                load_signers(lambda sentence: None)

    def test_a_place_that_cannot_hold_a_key_is_one_sentence(self, home: Path) -> None:
        (home / ".android").write_text("a file")
        with pytest.raises(PhoneError, match="cannot be made"):
            load_signers(lambda sentence: None)

    def test_vendor_keys_follow(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = home / "vendor"
        make_key(folder / "a.adb_key")
        make_key(home / "single")
        (folder / "note.txt").write_text("no key")
        parts = [str(folder), str(home / "single"), str(home / "none"), ""]
        monkeypatch.setenv("ADB_VENDOR_KEYS", os.pathsep.join(parts))
        signers = load_signers(lambda sentence: None)
        assert len({signer.public_key for signer in signers}) == 3


def foreign_exceptions() -> list[Exception]:
    """One of everything that what we stand on can throw."""
    found: list[Exception] = []
    for module in (adb_shell.exceptions, adbutils.errors):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, Exception) and kind.__module__ == module.__name__:
                takes_two = kind.__name__ == "UsbReadFailedError"
                found.append(kind("words", usb1.USBErrorIO()) if takes_two else kind("words"))
    usb_kinds = [kind for _, kind in inspect.getmembers(usb1, inspect.isclass)]
    usb_errors = [kind for kind in usb_kinds if issubclass(kind, usb1.USBError)]
    assert len(usb_errors) > 10
    found += [kind() for kind in usb_errors]
    found += [adb_shell.exceptions.UsbWriteFailedError("words", kind()) for kind in usb_errors]
    found += [OSError(number, os.strerror(number)) for number in errno.errorcode]
    found += [
        TimeoutError("timed out"), OSError("odd"), ConnectionError(), EOFError(), socket.gaierror(),
        socket.gaierror(-2, "Name or service not known"), struct.error("short"), ValueError("odd"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"), KeyError(3), AssertionError(),
        AttributeError("x"), TypeError("x"), MemoryError(), OverflowError(), RuntimeError("%s"),
    ]  # fmt: skip
    return found


@pytest.mark.parametrize("exc", foreign_exceptions(), ids=repr)
def test_nothing_foreign_escapes(exc: Exception) -> None:
    with pytest.raises(PhoneError) as caught, mapped("the phone"):
        raise exc
    assert caught.value.__cause__ is exc
    told = str(caught.value)
    assert told.endswith(".")
    assert "\n" not in told
    assert len(told) > 40


def test_what_may_mend_and_what_will_not_are_told_apart() -> None:
    lost = [
        ConnectionResetError(errno.ECONNRESET, "reset"), TimeoutError(), usb1.USBErrorNoDevice(),
        usb1.USBErrorPipe(), usb1.USBErrorTimeout(), struct.error(),
        adb_shell.exceptions.TcpTimeoutException("x"), adbutils.errors.AdbTimeout("x"),
        adbutils.errors.AdbError("device 'x' not found"),
        adbutils.errors.AdbError("device offline"),
        adb_shell.exceptions.UsbReadFailedError("x", usb1.USBErrorNoDevice()),
        adb_shell.exceptions.UsbWriteFailedError("x", usb1.USBErrorIO()),
    ]  # fmt: skip
    final = [
        usb1.USBErrorAccess(), usb1.USBErrorBusy(), usb1.USBErrorNotSupported(),
        adbutils.errors.AdbError("device unauthorized.\nThis adb server's ..."),
        PermissionError(errno.EACCES, "no"), RuntimeError(),
    ]  # fmt: skip
    assert all(isinstance(foreign_error("p", exc), LinkLostError) for exc in lost)
    assert not any(isinstance(foreign_error("p", exc), LinkLostError) for exc in final)
    assert "udev" in str(foreign_error("p", usb1.USBErrorAccess()))
    assert "--via server" in str(foreign_error("p", usb1.USBErrorBusy()))


def test_our_own_errors_and_ctrl_c_pass_unchanged() -> None:
    for exc in (PhoneError("ours"), FerOptError("ours"), KeyboardInterrupt()):
        with pytest.raises(type(exc)) as caught, mapped("the phone"):
            raise exc
        assert caught.value is exc


class TestTcp:
    @contextlib.contextmanager
    def connected(self) -> Iterator[tuple[TcpTransport, socket.socket]]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            transport = TcpTransport("127.0.0.1", server.getsockname()[1], "tcp:x:1")
            transport.connect(2)
            peer, _ = server.accept()
            with peer:
                yield transport, peer
                transport.close()

    def test_all_of_a_large_write_arrives_at_a_slow_reader(self) -> None:
        content = os.urandom(5 << 20)
        got = bytearray()
        with self.connected() as (transport, peer):
            transport._connected().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)

            def read() -> None:
                while len(got) < len(content):
                    got.extend(peer.recv(1 << 17))
                    time.sleep(0.1)

            reader = threading.Thread(target=read)
            reader.start()
            assert transport.bulk_write(content, 1) == len(content)
            reader.join()
        assert got == content

    def test_silence_and_the_end_are_told_apart(self) -> None:
        with self.connected() as (transport, peer):
            with pytest.raises(SilenceError):
                transport.bulk_read(10, 0.05)
            peer.sendall(b"abc")
            assert transport.bulk_read(10, 1) == b"abc"
            peer.close()
            with pytest.raises(LinkLostError, match="closed the connection") as caught:
                transport.bulk_read(10, 1)
            assert not isinstance(caught.value, SilenceError)

    def test_a_reader_who_stops_reading_is_silence(self) -> None:
        with self.connected() as (transport, _), pytest.raises(SilenceError, match="took no data"):
            transport.bulk_write(bytes(64 << 20), 0.2)

    def test_it_neither_delays_nor_forgets(self) -> None:
        with self.connected() as (transport, _):
            made = transport._connected()
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    def test_closed_it_says_so(self) -> None:
        transport = TcpTransport("127.0.0.1", 1, "tcp:x:1")
        transport.close()
        for use in (lambda: transport.bulk_read(1, 1), lambda: transport.bulk_write(b"x", 1)):
            with pytest.raises(LinkLostError, match="connect again"):
                use()
        with pytest.raises(LinkLostError, match="does not answer"):
            transport.connect(1)

    def test_a_name_nobody_has_is_one_sentence(self) -> None:
        with pytest.raises(LinkLostError, match="does not answer"):
            open_phone("tcp:no-such-host.invalid:5555")

    @pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
    def test_ipv6_is_an_address_too(self) -> None:
        try:
            server = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError:
            pytest.skip("no IPv6 loopback here")
        with server:
            port = server.getsockname()[1]
            thread = threading.Thread(target=lambda: server.accept()[0].close())
            thread.start()
            with pytest.raises(LinkLostError, match=rf"tcp:\[::1\]:{port}"):
                open_phone(f"tcp:[::1]:{port}")
            thread.join()


class Handle:
    """What libusb gives for an open device, as far as adb-shell uses it: a phone's two pipes.

    They lead to a virtual phone where the device has its port.
    """

    def __init__(self, phone: Device) -> None:
        self.phone = phone
        self.closed = False
        self.cable: socket.socket | None = None

    def kernelDriverActive(self, number: int) -> bool:  # noqa: N802  # libusb's names
        return False

    def claimInterface(self, number: int) -> None:  # noqa: N802
        if self.phone.claim_error is not None:
            raise self.phone.claim_error
        if self.phone.port:
            self.cable = socket.create_connection(("127.0.0.1", self.phone.port))

    def releaseInterface(self, number: int) -> None:  # noqa: N802
        if self.phone.claim_error is not None:
            raise usb1.USBErrorNotFound

    def close(self) -> None:
        self.phone.opened -= not self.closed
        self.closed = True
        if self.cable is not None:
            self.cable.close()

    def bulkRead(self, endpoint: int, length: int, timeout: int) -> bytes:  # noqa: N802
        assert endpoint == 0x81
        if not self.phone.says:
            return self.from_cable(length, timeout / 1000)
        transfer = self.phone.says.pop(0)
        if isinstance(transfer, Exception):
            raise transfer
        if len(transfer) > length:
            raise usb1.USBErrorOverflow
        return transfer

    def bulkWrite(self, endpoint: int, data: bytes, timeout: int) -> int:  # noqa: N802
        assert endpoint == 0x02
        self.phone.heard.append(bytes(data))
        if self.cable is not None:
            try:
                self.cable.sendall(data)
            except OSError as exc:
                raise usb1.USBErrorNoDevice from exc
        return len(data)

    def from_cable(self, length: int, timeout_s: float) -> bytes:
        """What the phone at the other end says."""
        if self.cable is None:
            raise usb1.USBErrorTimeout
        try:
            self.cable.settimeout(timeout_s)
            got = self.cable.recv(length)
        except TimeoutError as exc:
            raise usb1.USBErrorTimeout from exc
        except OSError as exc:
            raise usb1.USBErrorNoDevice from exc
        if not got:
            raise usb1.USBErrorNoDevice
        return got


class Device:
    """A USB device with a debugging interface, as usb1 shows it."""

    def __init__(self, serial: str | Exception) -> None:
        self.serial = serial
        self.says: list[bytes | Exception] = []
        self.heard: list[bytes] = []
        self.claim_error: Exception | None = None
        self.opened = 0
        self.port = 0

    def open(self) -> Handle:
        if isinstance(self.serial, usb1.USBErrorAccess):
            raise self.serial
        self.opened += 1
        return Handle(self)

    def getSerialNumber(self) -> str:  # noqa: N802
        if isinstance(self.serial, Exception):
            raise self.serial
        return self.serial

    def getBusNumber(self) -> int:  # noqa: N802
        return 1

    def getPortNumberList(self) -> list[int]:  # noqa: N802
        return [4]

    def iterSettings(self) -> list[Any]:  # noqa: N802
        return [Setting()]


class Setting:
    def getClass(self) -> int:  # noqa: N802
        return 0xFF

    def getSubClass(self) -> int:  # noqa: N802
        return 0x42

    def getProtocol(self) -> int:  # noqa: N802
        return 0x01

    def getNumber(self) -> int:  # noqa: N802
        return 3

    def iterEndpoints(self) -> list[Any]:  # noqa: N802
        return [Endpoint(0x81), Endpoint(0x02)]


class Endpoint:
    def __init__(self, address: int) -> None:
        self.address = address

    def getAddress(self) -> int:  # noqa: N802
        return self.address

    def getMaxPacketSize(self) -> int:  # noqa: N802
        return 512


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """USB devices that are plugged in, in place of this computer's."""
    devices: list[Device] = []

    class Context:
        def getDeviceIterator(self, skip_on_error: bool) -> Iterator[Device]:  # noqa: N802
            return iter(devices)

    monkeypatch.setattr(Inner, "USB1_CTX", Context())
    with socket.create_server(("127.0.0.1", 0)) as unused:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(unused.getsockname()[1]))
    return devices


class TestUsb:
    """The wrapper around adb-shell's USB transport; libusb's side is played, from its manual."""

    def transport(self, bus: list[Device]) -> tuple[UsbTransport, Device]:
        bus.append(Device("R1"))
        transport = UsbTransport("R1")
        transport.connect(1)
        return transport, bus[0]

    def test_header_and_payload_are_a_transfer_each_and_full_packets_are_ended(
        self, bus: list[Device]
    ) -> None:
        transport, device = self.transport(bus)
        for size, transfers in [(0, [24]), (100, [24, 100]), (512, [24, 512, 0])]:
            device.heard.clear()
            transport.bulk_write(pack(b"WRTE", 1, 2, bytes(size), checked=True), 1)
            assert [len(data) for data in device.heard] == transfers

    def test_empty_transfers_are_passed_over(self, bus: list[Device]) -> None:
        transport, device = self.transport(bus)
        device.says = [b"", b"", b"abc"]
        assert transport.bulk_read(24, 1) == b"abc"
        with pytest.raises(SilenceError):
            transport.bulk_read(24, 0.1)

    def test_a_cable_that_comes_out_is_a_lost_link(self, bus: list[Device]) -> None:
        transport, device = self.transport(bus)
        device.says = [usb1.USBErrorNoDevice()]
        with pytest.raises(LinkLostError, match="cable"):
            transport.bulk_read(24, 1)
        bus.clear()
        with pytest.raises(LinkLostError, match="not connected by USB"):
            transport.connect(1)

    def test_a_busy_phone_is_left_closed(self, bus: list[Device]) -> None:
        bus.append(Device("R1"))
        bus[0].claim_error = usb1.USBErrorBusy()
        with pytest.raises(BusyError, match="--via server"):
            open_phone("phone", via="usb")
        assert bus[0].opened == 0
        [listed] = list_phones("usb")
        assert (listed.serial, listed.state) == ("R1", "busy")

    def test_a_phone_this_user_may_not_open_is_listed_with_advice(self, bus: list[Device]) -> None:
        bus.append(Device(usb1.USBErrorAccess()))
        [listed] = list_phones("usb")
        assert (listed.serial, listed.state) == ("usb:1-4", "no permissions")
        with pytest.raises(PhoneError, match="udev"):
            open_phone("phone", via="usb")

    def test_two_phones_are_not_chosen_between(self, bus: list[Device]) -> None:
        bus += [Device("R1"), Device("R2")]
        with pytest.raises(PhoneError, match=r"2 phones are connected: R1, R2"):
            open_phone("phone")

    def test_a_serial_no_shell_should_see_is_not_used(self, bus: list[Device]) -> None:
        bus.append(Device("$(reboot)"))
        with pytest.raises(PhoneError, match="no serial number"):
            open_phone("phone")
        [listed] = list_phones("usb")
        assert listed.state == "unusable"

    def test_everything_works_over_a_cable(self, bus: list[Device], home: Path) -> None:
        with start_virtual_phone() as phone:
            bus.append(Device("R1"))
            bus[0].port = phone.port
            bus[0].says = [b"x" * 24]  # half a packet meant for somebody before us
            with contextlib.closing(open_phone("phone", via="usb")) as link:
                assert (link.serial, link.route) == ("R1", "usb")
                assert link.shell(["echo", "a b"]).output == "a b\n"
                assert link.job(["sh", "-c", "sleep 0.7; exit 3"], timeout_s=10).status == 3
                content = os.urandom(300_000)
                link.push(content, "/data/local/tmp/over-usb")
                assert link.pull("/data/local/tmp/over-usb") == content
                phone.faults = Faults(drop_at_message=1)
                with pytest.raises(LinkLostError, match="cable"):
                    link.shell(["true"])
                link.reconnect(within_s=10)
                assert link.shell(["echo", "on"]).output == "on\n"
                [listed] = list_phones("usb")
                assert (listed.serial, listed.state, listed.model) == ("R1", "device", "SM-J330F")
        assert bus[0].opened == 0

    def test_without_libusb_it_says_so(
        self, bus: list[Device], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "adb_shell.transport.usb_transport", None)
        with pytest.raises(PhoneError, match=r"install libusb"):
            list_phones("usb")
        said: list[str] = []
        assert list_phones("auto", say=said.append) == ()
        assert "libusb" in said[0]
