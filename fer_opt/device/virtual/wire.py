"""Packets over a connection, counted, and with what was asked to go wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fer_opt.device.virtual.faults import NO_FAULTS, Faults
from fer_opt.device.virtual.packets import (
    HEADER_BYTES,
    BadPacketError,
    Packet,
    check_payload,
    decode_header,
    encode,
)

__all__ = ["Line", "LinkBrokenError", "Wire"]

SLICE_BYTES = 4096  # of a slow link
FROZEN_S = 0.02  # between looks whether a frozen phone moves again
MOST_QUEUED = 4  # packets to the host; streams wait for its answers anyway
NEVER = float("inf")


class LinkBrokenError(Exception):
    """The connection ended: the host hung up, sent nonsense, or a fault broke it."""


@dataclass(slots=True)
class Line:
    """What all connections to one phone share: counts, faults, and the line's time.

    Attributes:
        faults: in force now; set them with :meth:`set_faults`.
        messages: carried since the phone started, both directions.
        carried_bytes: likewise.
        since_messages: carried since the faults were set.
        since_bytes: likewise.
        broke: whether a fault has broken the link since the faults were set.
        drops: how often a fault has broken the link.
        away_until: no connection is answered before this time (monotonic seconds).
        busy_until: when a slow line can carry more.
        moving: is set unless the phone is frozen.
        reboot: is called where a fault makes the phone reboot.
    """

    faults: Faults = NO_FAULTS
    messages: int = 0
    carried_bytes: int = 0
    since_messages: int = 0
    since_bytes: int = 0
    broke: bool = False
    drops: int = 0
    away_until: float = 0.0
    busy_until: float = 0.0
    moving: asyncio.Event = field(default_factory=asyncio.Event)
    reboot: Callable[[], None] = lambda: None

    def set_faults(self, faults: Faults) -> None:
        """Take new faults and count from 0 again."""
        self.faults = faults
        self.since_messages = self.since_bytes = 0
        self.broke = False
        if faults.frozen:
            self.moving.clear()
        else:
            self.moving.set()

    def begin_message(self) -> bool:
        """Count a message; False when the link breaks instead of carrying it."""
        self.since_messages += 1
        if self.since_messages == self.faults.drop_at_message and not self.broke:
            self.drop()
            return False
        if self.since_messages == self.faults.reboot_at_message:
            self.reboot()
            return False
        self.messages += 1
        freeze_at = self.faults.freeze_at_message
        if freeze_at is not None and self.since_messages >= freeze_at:
            self.moving.clear()
        return True

    def allowance(self) -> float:
        """How many bytes may still be carried before the link breaks."""
        limit = self.faults.drop_at_byte
        return NEVER if limit is None or self.broke else limit - self.since_bytes

    def carry(self, count: int) -> None:
        """Count bytes that have gone either way."""
        self.carried_bytes += count
        self.since_bytes += count

    def drop(self) -> None:
        """The link breaks, once."""
        self.drops += 1
        self.broke = True  # and no second time
        self.away_until = time.monotonic() + self.faults.away_s


class Wire:
    """Sends and receives packets over one connection; see :class:`Line` for what is shared.

    Args:
        reader: from the host.
        writer: to the host.
        line: what is shared.
        most_payload: the longest payload taken, in bytes.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        line: Line,
        most_payload: int,
    ) -> None:
        self.most_payload = most_payload
        self.reader = reader
        self.writer = writer
        self.line = line
        self.checked = True  # until both sides have agreed on a version without checksums
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue(MOST_QUEUED)
        self._ended = False

    async def receive(self) -> Packet:
        """The next packet from the host.

        Raises:
            LinkBrokenError: there is none any more.
        """
        try:
            header = decode_header(await self._read(HEADER_BYTES), most_payload=self.most_payload)
            if not self.line.begin_message():
                raise self._broken("a fault broke the link")
            await self._thawed()
            payload = await self._read(header.payload_bytes) if header.payload_bytes else b""
            if self.checked:
                check_payload(header, payload)
        except (BadPacketError, OSError, EOFError) as exc:
            raise self._broken(str(exc)) from exc
        return Packet(header.command, header.arg0, header.arg1, payload)

    async def send(self, packet: Packet) -> None:
        """Queue a packet for the host; it goes out whole even if the caller is cancelled.

        Raises:
            LinkBrokenError: the connection has ended.
        """
        if self._ended:
            raise LinkBrokenError("the connection has ended")
        await self._outgoing.put(encode(packet, checked=self.checked))

    async def write_all(self) -> None:
        """Write what is queued, until the connection ends; the one task that writes."""
        with contextlib.suppress(LinkBrokenError, OSError):
            while True:
                data = await self._outgoing.get()
                await self._thawed()
                if not self.line.begin_message():
                    break
                await self._thawed()
                await self._write(data)
        self.hang_up()

    def hang_up(self) -> None:
        """End the connection at once; whatever was not sent is lost."""
        self._ended = True
        self.writer.transport.abort()

    def left_by_host(self) -> bool:
        """Whether the host has hung up, although what it sent before may not be read yet."""
        fd = self.writer.get_extra_info("socket").fileno()
        if fd < 0:
            return True
        poll = select.poll()
        poll.register(fd, getattr(select, "POLLRDHUP", 0))  # and POLLHUP, which is never left out
        return bool(poll.poll(0))

    async def _thawed(self) -> None:
        """Return when the phone is not frozen.

        Raises:
            LinkBrokenError: the connection ended meanwhile.
        """
        while not self.line.moving.is_set():
            if self._ended:
                raise LinkBrokenError("the connection has ended")
            await asyncio.sleep(FROZEN_S)

    async def _read(self, count: int) -> bytes:
        pieces = []
        slow = self.line.faults.bytes_per_s is not None
        while count:
            piece = await self.reader.readexactly(min(count, SLICE_BYTES) if slow else count)
            # How much may come is asked after the wait: meanwhile the other direction went on.
            allowed = self.line.allowance()
            if len(piece) > allowed:
                self.line.carry(int(allowed))
                self.line.drop()
                raise self._broken("a fault broke the link")
            self.line.carry(len(piece))
            await self._take_time(len(piece))
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    async def _write(self, data: bytes) -> None:
        slow = self.line.faults.bytes_per_s is not None
        while data:
            allowed = self.line.allowance()
            piece = data[: int(min(allowed, SLICE_BYTES if slow else len(data)))]
            self.writer.write(piece)
            self.line.carry(len(piece))
            await self.writer.drain()
            if allowed < len(data) and len(piece) == allowed:
                self.line.drop()
                # What was let through is to arrive before the link breaks.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._flushed(), 1)
                raise self._broken("a fault broke the link")
            await self._take_time(len(piece))
            data = data[len(piece) :]

    async def _flushed(self) -> None:
        while self.writer.transport.get_write_buffer_size():
            await asyncio.sleep(0.001)

    async def _take_time(self, count: int) -> None:
        rate = self.line.faults.bytes_per_s
        if rate is not None:
            begin = max(self.line.busy_until, time.monotonic())
            self.line.busy_until = begin + count / rate
            await asyncio.sleep(self.line.busy_until - time.monotonic())

    def _broken(self, why: str) -> LinkBrokenError:
        self.hang_up()
        return LinkBrokenError(why)
