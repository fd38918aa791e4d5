"""ADB packets over a transport: authentication, streams, and noticing that nobody is there.

adb-shell's AdbDevice is not used: it waits in vain where a phone refuses a service or gives up a
push, sums every byte in Python, and takes silence for loss. Its transports' interface is.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from adb_shell.transport.base_transport import BaseTransport

from fer_opt.device.adb import packets
from fer_opt.device.adb.carrier import PROBE_AFTER_S, SILENCE_S, STALL_S
from fer_opt.device.adb.errors import SilenceError, mapped
from fer_opt.device.adb.handshake import Handshake, shake_hands
from fer_opt.device.adb.keys import Signer
from fer_opt.device.adb.link import Route
from fer_opt.device.adb.packets import CLSE, CNXN, HEADER_BYTES, OKAY, OPEN, WRTE, Header
from fer_opt.errors import LinkLostError, PhoneError

__all__ = ["Connection", "PacketStream"]

CONNECT_S = 5.0
LONGEST_COMMAND_BYTES = 120_000
"""Linux takes no single argument of 128 KB or more, and adbd hands the command on as one."""

PROBE_SERVICE = b"fer-opt-are-you-there:\0"
"""No phone has it, so a living adbd refuses it at once; nothing is started on the phone."""


class Packet(NamedTuple):
    """A header and its payload."""

    header: Header
    payload: bytes


class Connection:
    """A :class:`fer_opt.device.adb.carrier.Carrier` of our own packets, over USB or TCP.

    Attributes:
        name: how errors call the phone.
        route: how it is reached.
        banner: what the phone said of itself when it was connected.
    """

    def __init__(
        self,
        transport: BaseTransport,
        name: str,
        route: Route,
        signers: Callable[[], Sequence[Signer]],
        *,
        say: Callable[[str], None],
        accept_within_s: float,
    ) -> None:
        self.name = name
        self.route = route
        self.banner = b""
        self._transport = transport
        self._signers = functools.cache(signers)  # reading and checking a key takes its time
        self._say = say
        self._accept_within_s = accept_within_s
        self._version = packets.OUR_VERSION
        self._most_bytes = 4096
        self._settled = False
        self._received = bytearray()
        self._streams: dict[int, PacketStream] = {}
        self._last_id = 0

    @property
    def most_service_bytes(self) -> int:
        """Longest service the phone takes in one packet."""
        return min(self._most_bytes - 1, LONGEST_COMMAND_BYTES)

    def connect(self) -> None:
        """Connect and authenticate."""
        self.close()
        with mapped(self.name):
            try:
                self._transport.connect(CONNECT_S)
                agreed = shake_hands(
                    Handshake(
                        name=self.name,
                        send=self.write,
                        receive=self._greeting,
                        signers=self._signers,
                        say=self._say,
                        accept_within_s=self._accept_within_s,
                    )
                )
            except BaseException:
                self.close()
                raise
        self._version = agreed.version
        self._most_bytes = agreed.most_bytes
        self.banner = agreed.banner
        self._settled = True
        state = agreed.banner.split(b"::")[0].decode("ascii", "replace")
        if state != "device":
            self.close()
            raise PhoneError(f"{self.name} is not in Android but in {state[:20]!r}; restart it.")

    def open(self, service: bytes) -> PacketStream:
        """Open a stream to ``service``."""
        self._last_id += 1
        stream = PacketStream(self, self._last_id)
        self._streams[stream.local] = stream
        try:
            self.write(OPEN, stream.local, 0, service + b"\0")
            self.wait(lambda: stream.ready or stream.ended, "answer")
        except BaseException:
            self.forget(stream)
            raise
        if not stream.ready:
            self.forget(stream)
            kind = service.split(b":")[0].decode("ascii", "replace")
            raise PhoneError(
                f"{self.name} refuses the service {kind!r}; restart it, and report this if it "
                "still happens."
            )
        return stream

    def close(self) -> None:
        """Hang up; never raises."""
        self._settled = False
        self._received.clear()
        for stream in self._streams.values():
            stream.ended = True
        self._streams.clear()
        self._transport.close()

    def forget(self, stream: PacketStream) -> None:
        """Drop what still comes for ``stream``."""
        self._streams.pop(stream.local, None)

    def write(self, command: bytes, arg0: int, arg1: int, payload: bytes = b"") -> None:
        """Send one packet; half a packet leaves no usable connection behind."""
        # Until both versions are known every payload carries its checksum.
        checked = not self._settled or self._version < packets.VERSION_WITHOUT_CHECKSUMS
        raw = packets.pack(command, arg0, arg1, payload, checked=checked)
        try:
            with mapped(self.name):
                self._transport.bulk_write(raw, SILENCE_S)
        except BaseException:
            self.close()
            raise

    def wait(self, done: Callable[[], bool], doing: str) -> None:
        """Take in packets until ``done``.

        Raises:
            LinkLostError: the connection is lost.
            PhoneError: the phone lives, but it is not done after STALL_S.
        """
        end = time.monotonic() + STALL_S
        while not done():
            if not self.take_one(end):
                raise PhoneError(
                    f"{self.name} is there but did not {doing} for {STALL_S:g} s; restart it."
                )

    def take_one(self, end: float) -> bool:
        """Take in one packet; False where ``end`` (of the monotonic clock) came first.

        Raises:
            LinkLostError: nothing came for SILENCE_S, not even an answer to being asked.
        """
        try:
            with mapped(self.name):
                packet = self._listen(end)
                if packet is not None:
                    self._dispatch(packet)
                return packet is not None
        except LinkLostError:
            self.close()
            raise

    def _listen(self, end: float) -> Packet | None:
        asked = False
        quiet_until = time.monotonic() + PROBE_AFTER_S
        while True:
            now = time.monotonic()
            if now >= end:
                return None
            try:
                packet = self._read(max(0.001, min(end, quiet_until) - now))
                if packet is not None:
                    return packet
                asked, quiet_until = False, time.monotonic() + PROBE_AFTER_S
            except SilenceError as exc:
                if time.monotonic() >= end:
                    return None
                if asked:
                    raise LinkLostError(
                        f"{self.name} has been silent for {SILENCE_S:g} s; check cable, Wi-Fi and "
                        "that it is switched on."
                    ) from exc
                asked, quiet_until = True, time.monotonic() + SILENCE_S - PROBE_AFTER_S
                self._last_id += 1
                self.write(OPEN, self._last_id, 0, PROBE_SERVICE)

    def _greeting(self, within_s: float) -> Packet:
        """The next packet, before there is a connection whose life could be asked for."""
        end = time.monotonic() + within_s
        while (left_s := end - time.monotonic()) > 0:
            packet = self._read(left_s)
            if packet is not None:
                return packet
        raise SilenceError(f"{self.name} did not answer in time; check the connection.")

    def _read(self, within_s: float) -> Packet | None:
        """Read on; a packet once it is whole.

        What has arrived stays in ``_received``, so that Ctrl-C in between loses nothing.
        """
        held = self._received
        if len(held) < HEADER_BYTES:
            held += self._transport.bulk_read(HEADER_BYTES - len(held), within_s)
            if len(held) < HEADER_BYTES:
                return None
        header = packets.read_header(bytes(held[:HEADER_BYTES]))
        whole = HEADER_BYTES + header.length_bytes
        if len(held) < whole:
            held += self._transport.bulk_read(whole - len(held), within_s)
            if len(held) < whole:
                return None
        payload = bytes(held[HEADER_BYTES:whole])
        held.clear()
        self._check(header, payload)
        return Packet(header, payload)

    def _check(self, header: Header, payload: bytes) -> None:
        if self._settled and self._version >= packets.VERSION_WITHOUT_CHECKSUMS:
            return
        # Before versions are settled a new phone may already leave its checksum out.
        if (header.checksum or self._settled) and packets.sum_of(payload) != header.checksum:
            raise LinkLostError(
                f"a packet from {self.name} was damaged on its way; connect again, by another "
                "cable if it happens often."
            )

    def _dispatch(self, packet: Packet) -> None:
        header = packet.header
        if header.command == CNXN:
            raise LinkLostError(f"{self.name} began a new connection (did it restart?).")
        if header.command == OPEN:  # we offer nothing
            self.write(CLSE, 0, header.arg0)
            return
        stream = self._streams.get(header.arg1)
        if stream is not None:
            stream.take(header, packet.payload)
        elif header.command == OKAY:  # opened for someone who has given up waiting
            self.write(CLSE, header.arg1, header.arg0)


@dataclass(eq=False)
class PacketStream:
    """One stream of a :class:`Connection`."""

    connection: Connection
    local: int
    remote: int = 0
    ready: bool = False
    ended: bool = False
    inbox: deque[bytes] = field(default_factory=deque)

    def send(self, data: bytes) -> None:
        """Send ``data``, one packet after the other as the protocol has it."""
        most = self.connection._most_bytes
        for start in range(0, len(data), most):
            if self.ended:
                break
            self.ready = False
            self.connection.write(WRTE, self.local, self.remote, data[start : start + most])
            self.connection.wait(lambda: self.ready or self.ended, "take the data it was sent")
        if self.ended:
            raise PhoneError(f"{self.connection.name} ended the transfer before it was complete.")

    def receive(self, within_s: float) -> bytes | None:
        """The next bytes; empty at the end, None where none came in time."""
        end = time.monotonic() + within_s
        while not self.inbox:
            if self.ended:
                return b""
            if not self.connection.take_one(end):
                return None
        return self.inbox.popleft()

    def has_answer(self) -> bool:
        """Whether something to receive has come already."""
        return bool(self.inbox)

    def close(self) -> None:
        """End the stream; never raises."""
        self.connection.forget(self)
        if self.ended:
            return
        self.ended = True
        with contextlib.suppress(PhoneError):  # a lost connection has no streams to end
            self.connection.write(CLSE, self.local, self.remote)

    def take(self, header: Header, payload: bytes) -> None:
        """A packet for this stream."""
        if header.command == OKAY:
            if not self.remote:
                self.remote = header.arg0
            self.ready = True
        elif header.command == WRTE and self.remote:
            self.inbox.append(payload)
            self.connection.write(OKAY, self.local, self.remote)
        elif header.command == CLSE:
            self.ended = True
            self.connection.forget(self)
