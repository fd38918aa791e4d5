"""Anything at all on the wire ends in our own errors, soon, and never in an answer nobody gave."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from adb_shell.transport.base_transport import BaseTransport
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_opt.device.adb.connection import Connection
from fer_opt.device.adb.errors import UnauthorizedError
from fer_opt.device.adb.jobs import run_job
from fer_opt.device.adb.packets import MOST_BYTES, pack
from fer_opt.device.adb.stream_link import StreamLink
from fer_opt.device.adb.sync import pull_file, push_file, stat_path
from fer_opt.device.adb.tcp import TcpTransport
from fer_opt.errors import LinkLostError, PhoneError

COMMANDS = st.sampled_from([b"AUTH", b"CLSE", b"CNXN", b"OKAY", b"OPEN", b"STLS", b"SYNC", b"WRTE"])
IDS = st.sampled_from([0, 1, 2, 3, 7, 0xFFFFFFFF]) | st.integers(0, 0xFFFFFFFF)
GREETING = pack(b"CNXN", 0x01000001, 1 << 20, b"device::\0", checked=True)


def packets(payloads: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda command, a, b, payload, checked: pack(command, a, b, payload, checked=checked),
        COMMANDS,
        IDS,
        IDS,
        payloads,
        st.booleans(),
    )


HEADERS = st.builds(
    lambda command, a, b, length, checksum: struct.pack(
        "<4s5I", command, a, b, length, checksum, int.from_bytes(command, "little") ^ 0xFFFFFFFF
    ),
    COMMANDS,
    IDS,
    IDS,
    st.sampled_from([MOST_BYTES, MOST_BYTES + 1, 0x7FFFFFFF, 0xFFFFFFFF]),
    IDS,
)
SYNC_ANSWERS = st.builds(
    lambda kind, number, rest: kind + struct.pack("<I", number) + rest,
    st.sampled_from([b"OKAY", b"FAIL", b"DATA", b"DONE", b"STAT", b"DENT", b"ODD?"]),
    st.integers(0, 12) | st.sampled_from([65536, 65537, 0xFFFFFFFF]),
    st.binary(max_size=20),
)
ANYTHING = st.binary(max_size=60) | HEADERS | packets(st.binary(max_size=40) | SYNC_ANSWERS)


class Said(BaseTransport):  # type: ignore[misc]
    """A phone that says what it is told to, whatever it hears, and then hangs up."""

    def __init__(self, says: bytes) -> None:
        self.says = says
        self.heard = bytearray()

    def connect(self, transport_timeout_s: float | None) -> None:
        pass

    def bulk_read(self, numbytes: int, transport_timeout_s: float | None) -> bytes:
        if not self.says:
            raise LinkLostError("it hung up")
        got, self.says = self.says[:numbytes], self.says[numbytes:]
        return got

    def bulk_write(self, data: bytes, transport_timeout_s: float | None) -> int:
        self.heard += data
        return len(data)

    def close(self) -> None:
        pass


class Endless(Said):
    """A phone that says the same for ever."""

    def __init__(self, greets: bytes, repeats: bytes) -> None:
        super().__init__(greets)
        self.repeats = repeats

    def bulk_read(self, numbytes: int, transport_timeout_s: float | None) -> bytes:
        if not self.says:
            self.says = self.repeats
        return super().bulk_read(numbytes, transport_timeout_s)


class NoKeys:
    public_key = b"none"

    def sign(self, token: bytes) -> bytes:
        assert len(token) == 20
        return b"signed"


def connection(transport: BaseTransport) -> Connection:
    return Connection(
        transport,
        "the phone",
        "tcp",
        lambda: [NoKeys()],  # type: ignore[list-item]
        say=lambda sentence: None,
        accept_within_s=1.0,
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(ANYTHING, max_size=8))
def test_any_greeting_ends_in_a_connection_or_our_error(parts: list[bytes]) -> None:
    made = connection(Said(b"".join(parts)))
    with contextlib.suppress(PhoneError):
        made.connect()
        assert 4096 <= made._most_bytes <= MOST_BYTES


@settings(max_examples=150, deadline=None)
@given(st.lists(ANYTHING, max_size=12), st.sampled_from(["stat", "pull", "push"]))
def test_any_answer_to_a_file_transfer_ends_in_our_error_or_is_what_came(
    parts: list[bytes], asked: str
) -> None:
    said = b"".join(parts)
    carrier = connection(Said(GREETING + pack(b"OKAY", 9, 1, checked=False) + said))
    carrier.connect()
    with contextlib.suppress(PhoneError):
        if asked == "stat":
            found = stat_path(carrier, "/x")
            if found is not None:
                numbers = struct.pack("<III", found.mode, found.size_bytes, found.modified_s)
                assert is_part(b"STAT" + numbers, said)
        elif asked == "pull":
            assert is_part(pull_file(carrier, "/x", most_bytes=1000), said)
        else:
            push_file(carrier, b"content", "/x", mode=0o644, advance=None)
            assert is_part(b"OKAY", said)


@settings(max_examples=150, deadline=None)
@given(st.lists(ANYTHING, max_size=12))
def test_no_answer_to_a_command_makes_up_that_it_ended(parts: list[bytes]) -> None:
    carrier = connection(Said(GREETING + pack(b"OKAY", 9, 1, checked=False) + b"".join(parts)))
    carrier.connect()
    with pytest.raises(PhoneError):
        run_job(carrier, ["true"], timeout_s=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANYTHING, max_size=6), st.booleans())
def test_any_bytes_on_a_real_connection_end_in_our_error(parts: list[bytes], greets: bool) -> None:
    said = (GREETING if greets else b"") + b"".join(parts)
    with listening(said) as port:
        began = time.monotonic()
        with pytest.raises(PhoneError):
            StreamLink(connection(TcpTransport("127.0.0.1", port, "the phone")))
        assert time.monotonic() - began < 20


ASKED = pack(b"AUTH", 1, 0, bytes(20), checked=True)


@pytest.mark.parametrize(
    ("greets", "repeats", "error"),
    [
        (b"", ASKED, UnauthorizedError),
        (ASKED * 3, pack(b"OKAY", 1, 1, checked=True), UnauthorizedError),
        (GREETING + pack(b"OKAY", 9, 1, checked=False), pack(b"OKAY", 7, 7, checked=False),
         PhoneError),
        (GREETING + pack(b"OKAY", 9, 1, checked=False), pack(b"WRTE", 9, 1, b"x", checked=False),
         PhoneError),
    ],
)  # fmt: skip
def test_a_phone_that_never_stops_talking_does_not_keep_us(
    greets: bytes, repeats: bytes, error: type[Exception]
) -> None:
    began = time.monotonic()
    with pytest.raises(error):  # noqa: PT012  # either step may be the one that ends it
        carrier = connection(Endless(greets, repeats))
        carrier.connect()
        run_job(carrier, ["true"], timeout_s=0.5)
    assert time.monotonic() - began < 20


def test_a_huge_announced_packet_is_refused_before_it_is_read() -> None:
    header = struct.pack("<4s5I", b"CNXN", 0, 0, 0xFFFFFFFF, 0, 0xB1A7B1BC)
    transport = Said(header + bytes(1000))
    with pytest.raises(LinkLostError, match="4294967295 bytes"):
        connection(transport).connect()
    assert len(transport.says) == 1000


def test_encrypted_wireless_debugging_is_told_apart() -> None:
    transport = Said(pack(b"STLS", 0x01000000, 0, checked=True))
    with pytest.raises(PhoneError, match="adb pair"):
        connection(transport).connect()


def test_a_phone_that_is_not_in_android_is_told() -> None:
    transport = Said(pack(b"CNXN", 0x01000001, 1 << 20, b"recovery::ro.x=y", checked=True))
    with pytest.raises(PhoneError, match="not in Android but in 'recovery'; restart it"):
        connection(transport).connect()


def test_what_is_opened_for_nobody_is_closed() -> None:
    late = pack(b"OKAY", 9, 77, checked=False)  # the answer to an OPEN that Ctrl-C cut short
    transport = Said(GREETING + late + pack(b"OKAY", 10, 1, checked=False))
    carrier = connection(transport)
    carrier.connect()
    carrier.open(b"shell:x")
    assert transport.heard.endswith(pack(b"CLSE", 77, 9, checked=False))


def test_a_damaged_packet_is_not_believed() -> None:
    greeting = pack(b"CNXN", 0x01000000, 4096, b"device::\0", checked=True)
    damaged = bytearray(pack(b"WRTE", 9, 1, b"hello", checked=True))
    damaged[-1] ^= 1
    carrier = connection(Said(greeting + pack(b"OKAY", 9, 1, checked=True) + bytes(damaged)))
    carrier.connect()
    with pytest.raises(LinkLostError, match="damaged"):
        run_job(carrier, ["true"], timeout_s=5)


def is_part(found: bytes, said: bytes) -> bool:
    """Whether ``found`` was said, in this order, with other things in between at most."""
    rest = iter(said)
    return all(byte in rest for byte in found)


@contextlib.contextmanager
def listening(says: bytes) -> Iterator[int]:
    """A port of 127.0.0.1 that says something to whoever connects, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer, contextlib.suppress(OSError):
                peer.sendall(says)
                peer.shutdown(socket.SHUT_WR)
                peer.settimeout(2)
                while peer.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()
