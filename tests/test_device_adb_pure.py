"""What of a connection needs no phone: listings, addresses, choosing, quoting, marks, packets."""

from __future__ import annotations

import shlex
import shutil
import string
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_opt.device.adb import ListedPhone, open_phone
from fer_opt.device.adb.address import TcpAddress, checked_serial, parse_tcp
from fer_opt.device.adb.listing import parse_listing
from fer_opt.device.adb.opening import choose_phone
from fer_opt.device.adb.packets import HEADER_BYTES, Header, pack, read_header, sum_of
from fer_opt.device.adb.shell import Marks, Started, command_line, new_token
from fer_opt.errors import LinkLostError, PhoneError

LISTING = """* daemon not running; starting now at tcp:5037\r
* daemon started successfully\r
List of devices attached\r
52003c1b9f3e91ad       device usb:1-4 product:j3y17ltexx model:SM_J330F transport_id:3\r
ce0217121c8e4d1f05     unauthorized usb:1-2 transport_id:5\r
192.168.0.17:5555      offline transport_id:7\r
????????????           no permissions (user in plugdev group; are your udev rules wrong?); \
see [http://developer.android.com/tools/device.html] usb:1-1 transport_id:8\r
0123456789ABCDEF       no permissions usb:3-1\r
R58M30ABCDE            recovery usb:1-6 product:x model:SM_A105 device:a10 transport_id:9\r
[fe80::1]:5555         device product:a model:Pixel_7 device:panther transport_id:10\r
\r
"""


def test_every_state_of_a_listing_is_read() -> None:
    found = {phone.serial: phone for phone in parse_listing(LISTING)}
    assert {serial: phone.state for serial, phone in found.items()} == {
        "52003c1b9f3e91ad": "device",
        "ce0217121c8e4d1f05": "unauthorized",
        "192.168.0.17:5555": "offline",
        "????????????": "no permissions",
        "0123456789ABCDEF": "no permissions",
        "R58M30ABCDE": "recovery",
        "[fe80::1]:5555": "device",
    }
    assert found["52003c1b9f3e91ad"].model == "SM_J330F"
    assert "accept this computer" in found["ce0217121c8e4d1f05"].advice
    assert "udev" in found["????????????"].advice
    assert "Android" in found["R58M30ABCDE"].advice
    assert all(bool(phone.advice) == (phone.state != "device") for phone in found.values())


def test_the_short_listing_is_read_too() -> None:
    text = "List of devices attached\nemulator-5554\tdevice\n52003c\tunauthorized\n\n"
    assert [(phone.serial, phone.state) for phone in parse_listing(text)] == [
        ("emulator-5554", "device"),
        ("52003c", "unauthorized"),
    ]


@given(st.text(max_size=300))
def test_no_text_makes_the_listing_fail(text: str) -> None:
    for phone in parse_listing(text):
        assert phone.serial in text


@given(
    st.lists(
        st.tuples(
            st.text(string.ascii_letters + string.digits + ".:-", min_size=1, max_size=20),
            st.sampled_from(["device", "offline", "unauthorized", "recovery"]),
        ),
        max_size=5,
        unique_by=lambda pair: pair[0],
    ),
    st.sampled_from(["\n", "\r\n"]),
)
def test_listings_are_read_back(pairs: list[tuple[str, str]], end: str) -> None:
    text = "".join(f"{serial:<22} {state} transport_id:1{end}" for serial, state in pairs)
    assert [(phone.serial, phone.state) for phone in parse_listing(text)] == pairs


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tcp:127.0.0.1:5600", TcpAddress("127.0.0.1", 5600)),
        ("tcp:phone.local:1", TcpAddress("phone.local", 1)),
        ("tcp:[::1]:65535", TcpAddress("::1", 65535)),
        ("tcp:[fe80::1%wlan0]:5555", TcpAddress("fe80::1%wlan0", 5555)),
    ],
)
def test_addresses_are_read_and_written(text: str, address: TcpAddress) -> None:
    assert parse_tcp(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["tcp:", "tcp:host", "tcp:host:", "tcp:host:0", "tcp:host:65536", "tcp::1:5555", "tcp:a b:1",
     "tcp:host:5555;x", "tcp:[::1:5", "tcp:host:5555\n", "tcp:host:٥٥"],
)  # fmt: skip
def test_no_address_is_refused(text: str) -> None:
    with pytest.raises(PhoneError, match="write tcp:HOST:PORT"):
        parse_tcp(text)


@pytest.mark.parametrize(
    "serial", ["a;b", "a b", "$(x)", "`x`", "", "-s", "a\n", "a'b", "a|b", "é"]
)
def test_a_serial_for_the_shell_is_refused(serial: str) -> None:
    with pytest.raises(PhoneError, match="no serial number"):
        checked_serial(serial)
    with pytest.raises(PhoneError, match="no serial number"):
        open_phone("phone", serial=serial)


def phone(serial: str, state: str = "device") -> ListedPhone:
    return ListedPhone(serial, state, "usb", advice="" if state == "device" else "do this")


def test_the_only_phone_is_used_and_several_are_refused() -> None:
    said: list[str] = []
    assert choose_phone([phone("a1")], None, said.append).serial == "a1"
    assert not said
    with pytest.raises(PhoneError, match=r"2 phones are connected: a1, b2; say which"):
        choose_phone([phone("a1"), phone("b2")], None, said.append)
    assert choose_phone([phone("a1"), phone("b2")], "b2", said.append).serial == "b2"
    with pytest.raises(PhoneError, match=r"c3 is not connected; these are: a1, b2"):
        choose_phone([phone("a1"), phone("b2")], "c3", said.append)


def test_a_phone_that_is_not_ready_is_told_what_to_do() -> None:
    said: list[str] = []
    with pytest.raises(PhoneError, match=r"a1 is not ready \(unauthorized\); do this"):
        choose_phone([phone("a1", "unauthorized")], None, said.append)
    with pytest.raises(PhoneError, match=r"no phone is ready: a1 \(offline: do this\), b2"):
        choose_phone([phone("a1", "offline"), phone("b2", "unauthorized")], None, said.append)
    with pytest.raises(PhoneError, match="not ready"):
        choose_phone([phone("a1", "offline"), phone("b2")], "a1", said.append)
    assert choose_phone([phone("a1", "offline"), phone("b2")], None, said.append).serial == "b2"
    assert "not ready: a1" in said[0]


def test_no_phone_at_all_is_told_how_to_connect_one() -> None:
    with pytest.raises(PhoneError, match="USB debugging"):
        choose_phone([], None, lambda sentence: None)


def test_ways_and_phones_that_contradict_each_other_are_refused() -> None:
    for on, serial, via, words in [
        ("tcp:127.0.0.1:5600", "a1", "auto", "leave --serial"),
        ("tcp:127.0.0.1:5600", None, "usb", "leave --via usb out"),
        ("tcp:127.0.0.1:5600", None, "pigeon", "choose usb, tcp, server or auto"),
        ("phone", None, "tcp", "needs the phone's address"),
        ("phone", None, "pigeon", "choose usb, tcp, server or auto"),
        ("a1", "b2", "auto", "name two phones"),
    ]:
        with pytest.raises(PhoneError, match=words):
            open_phone(on, serial=serial, via=via)


@given(
    st.binary(min_size=4, max_size=4), *[st.integers(0, 0xFFFFFFFF)] * 2, st.binary(max_size=3000)
)
def test_packets_are_read_back(command: bytes, arg0: int, arg1: int, payload: bytes) -> None:
    raw = pack(command, arg0, arg1, payload, checked=True)
    if command in (b"AUTH", b"CLSE", b"CNXN", b"OKAY", b"OPEN", b"STLS", b"SYNC", b"WRTE"):
        expected = Header(command, arg0, arg1, len(payload), sum(payload))
        assert read_header(raw[:HEADER_BYTES]) == expected
    else:
        with pytest.raises(LinkLostError):
            read_header(raw[:HEADER_BYTES])


@given(st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES))
def test_no_header_crashes(raw: bytes) -> None:
    try:
        header = read_header(raw)
    except LinkLostError:
        return
    assert header.length_bytes <= 1 << 20


def test_long_payloads_sum_like_short_ones() -> None:
    payload = bytes(range(256)) * 4096
    assert sum_of(payload) == sum(payload)


def test_packets_are_those_adb_shell_makes() -> None:
    from adb_shell.adb_message import AdbMessage

    made = AdbMessage(b"WRTE", 3, 7, b"hello")
    assert pack(b"WRTE", 3, 7, b"hello", checked=True) == made.pack() + b"hello"


@given(
    st.lists(st.sampled_from([b"b.", b"p12,345.", b"text\r\n", b"\r", b"\n", b"half a ", b"\xff"])),
    st.integers(0, 255),
    st.integers(1, 40),
)
def test_marks_are_taken_out_and_nothing_else(parts: list[bytes], status: int, step: int) -> None:
    token = b"0123456789abcdef01234567"
    raw = b"".join(token + part if part.endswith(b".") else part for part in parts)
    raw += token + b"s%d." % status + b"left over"
    marks = Marks(token)
    for start in range(0, len(raw), step):
        marks.feed(raw[start : start + step])
    plain = b"".join(part for part in parts if not part.endswith(b"."))
    assert marks.output == plain.replace(b"\r\n", b"\n").decode("utf-8", "replace")
    assert marks.status == status
    assert marks.started == (Started(12, "345") if b"p12,345." in parts else None)


@given(st.binary(max_size=400), st.integers(1, 50))
def test_no_output_forges_a_status(raw: bytes, step: int) -> None:
    marks = Marks(new_token().encode("ascii"))
    for start in range(0, len(raw), step):
        marks.feed(raw[start : start + step])
    assert marks.status is None
    assert marks.output == raw.replace(b"\r\n", b"\n").decode("utf-8", "replace")


SHELLS = [
    pytest.param(
        shell, marks=pytest.mark.skipif(shutil.which(shell) is None, reason=f"no {shell} here")
    )
    for shell in ("sh", "mksh", "bash")
]


@pytest.mark.skipif(sys.platform == "win32", reason="runs POSIX shells")
@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=25, deadline=None)
@given(
    words=st.lists(
        st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20), max_size=4
    )
)
def test_words_reach_a_program_as_they_are(shell: str, words: list[str]) -> None:
    program = "import sys; sys.stdout.buffer.write('\\x01'.join(sys.argv[1:]).encode())"
    line = command_line(
        '\nshift 2; "$@"', new_token(), [sys.executable, "-S", "-c", program, *words]
    )
    done = subprocess.run([shell, "-c", line], capture_output=True, check=True)
    assert done.stdout == "\x01".join(words).encode()


def test_what_no_command_line_holds_is_refused() -> None:
    for words, reason in [([], "empty"), ([""], "empty"), (["a", "b\0c"], "zero byte")]:
        with pytest.raises(PhoneError, match=reason):
            command_line("", new_token(), words)


def test_no_list_of_processes_shows_the_token() -> None:
    token = new_token()
    assert token not in shlex.join(command_line("x", token, ["ls"]).decode().split())
