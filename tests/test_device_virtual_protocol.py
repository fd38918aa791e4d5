"""The virtual phone's side of the ADB protocol, packet by packet."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from adb_shell.auth.keygen import keygen
from adb_shell.auth.sign_pythonrsa import PythonRSASigner
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_hosts import disappears, new_seconds

from fer_opt.device.virtual import Faults, VirtualPhone, start_virtual_phone
from fer_opt.device.virtual.keys import parse_public_key, signed_by
from fer_opt.device.virtual.packets import (
    HEADER_BYTES,
    VERSION_CHECKED,
    VERSION_UNCHECKED,
    BadPacketError,
    Command,
    Packet,
    check_payload,
    decode_header,
    encode,
)

WORD = st.integers(0, 0xFFFF_FFFF)


class Host:
    """The least that talks to a phone: one packet at a time, as raw as the test wants."""

    def __init__(self, phone: VirtualPhone, *, version: int = VERSION_UNCHECKED) -> None:
        self.socket = socket.create_connection(("127.0.0.1", phone.port), 5)
        self.version = version
        self.checked = True

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, command: Command, arg0: int, arg1: int, payload: bytes = b"") -> None:
        self.socket.sendall(encode(Packet(command, arg0, arg1, payload), checked=self.checked))

    def receive(self) -> Packet:
        header = decode_header(self.exactly(HEADER_BYTES))
        payload = self.exactly(header.payload_bytes)
        if self.checked:
            check_payload(header, payload)
        return Packet(header.command, header.arg0, header.arg1, payload)

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def hung_up(self) -> bool:
        """Whether the phone ends the connection, whatever it still says before."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    def enter(self, signer: PythonRSASigner, most_payload: int = 1 << 20) -> Packet:
        self.send(Command.CNXN, self.version, most_payload, b"host::\0")
        token = self.receive()
        assert (token.command, token.arg0, len(token.payload)) == (Command.AUTH, 1, 20)
        self.send(Command.AUTH, 3, 0, signer.GetPublicKey().encode() + b"\0")
        answer = self.receive()
        assert answer.command is Command.CNXN
        self.checked = min(answer.arg0, self.version) < VERSION_UNCHECKED
        return answer

    def open(self, name: str, own_id: int = 7) -> int:
        self.send(Command.OPEN, own_id, 0, name.encode() + b"\0")
        answer = self.receive()
        assert (answer.command, answer.arg1) == (Command.OKAY, own_id)
        return answer.arg0


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> PythonRSASigner:
    path = tmp_path_factory.mktemp("keys") / "adbkey"
    keygen(str(path))
    return PythonRSASigner.FromRSAKeyPath(str(path))


@pytest.fixture(scope="module")
def phone() -> Iterator[VirtualPhone]:
    with start_virtual_phone() as phone:
        yield phone


@given(st.sampled_from(Command), WORD, WORD, st.binary(max_size=300), st.booleans())
def test_packets_survive_the_wire(
    command: Command, arg0: int, arg1: int, payload: bytes, checked: bool
) -> None:
    data = encode(Packet(command, arg0, arg1, payload), checked=checked)
    header = decode_header(data[:HEADER_BYTES])
    assert (header.command, header.arg0, header.arg1) == (command, arg0, arg1)
    assert header.payload_bytes == len(payload)
    assert header.checksum == (sum(payload) if checked else 0)
    assert data[HEADER_BYTES:] == payload


@given(st.binary(max_size=40))
def test_other_bytes_are_no_packet(data: bytes) -> None:
    try:
        header = decode_header(data)
    except BadPacketError:
        return
    assert header.command ^ 0xFFFF_FFFF == struct.unpack("<I", data[20:24])[0]


def test_only_the_owner_of_a_key_signs(signer: PythonRSASigner, tmp_path: Path) -> None:
    key = parse_public_key(signer.GetPublicKey().encode())
    assert key is not None
    token = bytes(range(20))
    signature = signer.Sign(token)
    assert signed_by(key, token, signature)
    assert not signed_by(key, token[::-1], signature)
    keygen(str(tmp_path / "other"))
    other = PythonRSASigner.FromRSAKeyPath(str(tmp_path / "other"))
    assert not signed_by(key, token, other.Sign(token))
    assert not signed_by(key, token, key.modulus.to_bytes(256, "big"))
    assert not signed_by(key, token, signature[:-1])


@given(st.binary(max_size=900), st.binary(max_size=300))
def test_no_bytes_are_taken_for_a_key_or_a_signature(text: bytes, signature: bytes) -> None:
    key = parse_public_key(text)
    assert key is None or not signed_by(key, bytes(20), signature)


@pytest.mark.parametrize("version", [VERSION_CHECKED, VERSION_UNCHECKED])
@pytest.mark.parametrize("checksums", [True, False])
def test_both_checksum_modes(signer: PythonRSASigner, version: int, checksums: bool) -> None:
    with (
        start_virtual_phone(checksums=checksums) as phone,
        Host(phone, version=version) as host,
    ):
        banner = host.enter(signer)
        assert banner.arg0 == (VERSION_CHECKED if checksums else VERSION_UNCHECKED)
        assert banner.payload.startswith(b"device::ro.product.name=j3y17ltexx;")
        assert banner.payload.endswith(b";features=cmd,shell_v2")
        own = host.open("shell:echo hello")
        assert host.receive() == Packet(Command.WRTE, own, 7, b"hello\n")
        host.send(Command.OKAY, 7, own)
        assert host.receive() == Packet(Command.CLSE, own, 7)


def test_a_wrong_checksum_ends_the_connection(signer: PythonRSASigner) -> None:
    with start_virtual_phone(checksums=True) as phone, Host(phone) as host:
        host.enter(signer)
        host.checked = False
        host.send(Command.OPEN, 7, 0, b"shell:echo\0")
        assert host.hung_up()


def test_small_packets_for_a_host_that_wants_them(
    phone: VirtualPhone, signer: PythonRSASigner
) -> None:
    with Host(phone) as host:
        host.enter(signer, most_payload=4096)
        own = host.open("shell:head -c 10000 /dev/zero")
        sizes = []
        while (packet := host.receive()).command is Command.WRTE:
            sizes.append(len(packet.payload))
            host.send(Command.OKAY, 7, own)
        assert sum(sizes) == 10000
        assert max(sizes) <= 4096


def test_a_phone_of_small_packets_says_so_and_hangs_up_on_bigger_ones(
    signer: PythonRSASigner,
) -> None:
    with start_virtual_phone(most_payload=4096) as phone, Host(phone) as host:
        assert host.enter(signer).arg1 == 4096
        host.send(Command.OPEN, 7, 0, b"shell:" + b"#" * 5000)
        assert host.hung_up()


def test_one_write_in_flight(phone: VirtualPhone, signer: PythonRSASigner) -> None:
    with Host(phone) as host:
        host.enter(signer, most_payload=4096)
        own = host.open("shell:head -c 9000 /dev/zero")
        first = host.receive()
        assert first.command is Command.WRTE
        host.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            host.receive()
        host.socket.settimeout(5)
        host.send(Command.OKAY, 7, own)
        assert host.receive().command is Command.WRTE


def test_a_write_is_confirmed_when_it_is_consumed(
    phone: VirtualPhone, signer: PythonRSASigner
) -> None:
    with Host(phone) as host:
        host.enter(signer)
        begin = time.monotonic()
        own = host.open("shell,v2,raw:sleep 1; wc -c")
        # More than a pipe holds: it cannot be consumed before the command reads it.
        host.send(Command.WRTE, 7, own, struct.pack("<BI", 0, 200_000) + bytes(200_000))
        assert host.receive() == Packet(Command.OKAY, own, 7)
        assert time.monotonic() - begin > 0.8
        host.send(Command.WRTE, 7, own, struct.pack("<BI", 4, 0))
        assert host.receive() == Packet(Command.OKAY, own, 7)
        assert host.receive().payload == struct.pack("<BI", 1, 7) + b"200000\n"


def test_close_is_answered_and_strange_packets_are_passed_over(
    phone: VirtualPhone, signer: PythonRSASigner
) -> None:
    with Host(phone) as host:
        host.enter(signer)
        host.send(Command.OKAY, 3, 999)
        host.send(Command.WRTE, 3, 999, b"nobody")
        host.send(Command.CLSE, 3, 999)
        host.send(Command.OPEN, 7, 0, b"no such service:\0")
        assert host.receive() == Packet(Command.CLSE, 0, 7)
        own = host.open("shell:cat")
        host.send(Command.CLSE, 7, own)
        assert host.receive() == Packet(Command.CLSE, own, 7)


def test_nothing_is_served_before_the_host_is_known(phone: VirtualPhone) -> None:
    with Host(phone) as host:
        host.send(Command.OPEN, 7, 0, b"shell:echo hello\0")
        host.send(Command.CNXN, VERSION_UNCHECKED, 4096, b"host::\0")
        assert host.receive().command is Command.AUTH
        host.send(Command.OPEN, 7, 0, b"shell:echo hello\0")
        host.send(Command.AUTH, 2, 0, bytes(256))
        again = host.receive()
        assert (again.command, again.arg0) == (Command.AUTH, 1)
        host.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            host.receive()


def test_a_host_that_never_waits_is_hung_up_on(
    phone: VirtualPhone, signer: PythonRSASigner
) -> None:
    with Host(phone) as host:
        host.enter(signer)
        own = host.open("shell:sleep 20")
        sent = 0
        try:
            while sent < 20_000:
                host.send(Command.WRTE, 7, own, bytes(4096))
                sent += 1
        except ConnectionError:
            pass
        assert host.hung_up()
        assert sent < 20_000


NAMES = [b"shell:echo hi\0", b"shell,v2:cat\0", b"exec:\0", b"sync:\0", b"\xff:\0"]
SMALL = st.integers(0, 3)
PACKET = st.builds(
    Packet,
    st.sampled_from(Command),
    SMALL | WORD,
    SMALL | WORD,
    st.binary(max_size=200) | st.sampled_from(NAMES),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(PACKET | st.binary(min_size=1, max_size=60), max_size=12), st.booleans())
def test_nonsense_neither_stops_nor_hangs_the_phone(
    phone: VirtualPhone, signer: PythonRSASigner, messages: list[Packet | bytes], known: bool
) -> None:
    with Host(phone) as host:
        if known:
            host.enter(signer)
        try:
            for message in messages:
                data = message if isinstance(message, bytes) else encode(message, checked=True)
                host.socket.sendall(data)
        except ConnectionError:
            pass  # it has had enough
    with Host(phone) as host:
        host.enter(signer)
        own = host.open("shell:echo alive")
        assert host.receive() == Packet(Command.WRTE, own, 7, b"alive\n")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=80) | st.sampled_from(
    [b"STAT\x05\0\0\0/data", b"LIST\x01\0\0\0/", b"SEND\x03\0\0\0a,b", b"QUIT\0\0\0\0"]
), min_size=1, max_size=6))  # fmt: skip
def test_nonsense_in_the_file_service_ends_only_that(
    phone: VirtualPhone, signer: PythonRSASigner, pieces: list[bytes]
) -> None:
    with Host(phone) as host:
        host.enter(signer)
        own = host.open("sync:")
        host.send(Command.WRTE, 7, own, b"".join(pieces) + b"QUIT\0\0\0\0")
        other = host_open_while(host, "shell:echo alive", busy=(own, 7))
        assert other


def host_open_while(host: Host, name: str, *, busy: tuple[int, int]) -> bool:
    """Open another stream while the ``busy`` one may still talk; whether it says ``alive``."""
    host.send(Command.OPEN, 8, 0, name.encode() + b"\0")
    while True:
        packet = host.receive()
        if packet.arg1 == busy[1]:
            if packet.command is Command.WRTE:
                host.send(Command.OKAY, busy[1], busy[0])
        elif packet.command is Command.WRTE:
            return packet.payload == b"alive\n"


@pytest.mark.parametrize("name", ["shell:", "shell,v2,raw:", "exec:"])
def test_a_stream_closed_at_once_leaves_no_command(
    phone: VirtualPhone, signer: PythonRSASigner, name: str
) -> None:
    seconds = new_seconds()
    with Host(phone) as host:
        host.enter(signer)
        for _ in range(20):
            own = host.open(f"{name}exec sleep {seconds}")
            host.send(Command.CLSE, 7, own)
            while host.receive().command is not Command.CLSE:
                pass
        assert disappears(seconds)


def exchange(phone: VirtualPhone, signer: PythonRSASigner) -> bool:
    """A command from greeting to its end; whether it came through whole."""
    try:
        with Host(phone) as host:
            host.enter(signer)
            own = host.open("shell:echo whole")
            assert host.receive() == Packet(Command.WRTE, own, 7, b"whole\n")
            host.send(Command.OKAY, 7, own)
            assert host.receive() == Packet(Command.CLSE, own, 7)
            host.send(Command.CLSE, 7, own)
            host.socket.shutdown(socket.SHUT_WR)
            return host.socket.recv(1) == b""
    except (EOFError, ConnectionError):
        return False


def test_the_link_breaks_at_every_message_boundary(
    phone: VirtualPhone, signer: PythonRSASigner
) -> None:
    phone.faults = Faults()
    assert exchange(phone, signer)
    most = phone.counters.messages_since_faults
    # CNXN, token, key, CNXN, OPEN, OKAY, WRTE, OKAY, CLSE, CLSE
    assert most == 10
    for number in range(1, most + 2):
        phone.faults = Faults(drop_at_message=number)
        before = phone.counters
        whole = exchange(phone, signer)
        after = phone.counters
        assert after.drops - before.drops == (number <= most), number
        assert whole or number <= most
        assert after.messages - before.messages == min(number - 1, most)
        if number <= most:
            assert exchange(phone, signer)  # it breaks only once
    phone.faults = Faults()


def test_the_link_breaks_within_messages(phone: VirtualPhone, signer: PythonRSASigner) -> None:
    phone.faults = Faults()
    assert exchange(phone, signer)
    most = phone.counters.bytes_since_faults
    for limit in (1, 23, 24, 25, 31, 32, 56, 100, 400, most - 25, most - 1):
        phone.faults = Faults(drop_at_byte=limit)
        before = phone.counters
        exchange(phone, signer)  # the last bytes are nobody's answer
        after = phone.counters
        assert after.drops - before.drops == 1, limit
        assert after.carried_bytes - before.carried_bytes == limit
        assert exchange(phone, signer)
    phone.faults = Faults()
