"""One stream of a connection, as the service at its end sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from fer_opt.device.virtual.packets import Command, Packet
from fer_opt.device.virtual.wire import LinkBrokenError, Wire

__all__ = ["Stream", "StreamClosedError", "run_until_closed"]

GRACE_S = 0.5  # for what the host wrote just before it closed
MOST_WAITING = 64  # a host may have one write in flight; this many means it keeps no rules


class StreamClosedError(Exception):
    """The host closed the stream, or its connection ended."""


ENDED = (OSError, StreamClosedError, LinkBrokenError)


class Stream:
    """Reads and writes for a service, one write in flight in either direction.

    Attributes:
        own_id: names the stream in packets to the phone.
        host_id: names it in packets to the host.
        most_payload: of a packet to the host, in bytes.
    """

    def __init__(self, wire: Wire, own_id: int, host_id: int, most_payload: int) -> None:
        self.own_id = own_id
        self.host_id = host_id
        self.most_payload = most_payload
        self._wire = wire
        self._incoming: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_WAITING)
        self._unconfirmed = False
        self._may_write = asyncio.Event()
        self._closed = asyncio.Event()
        self._closed_by_us = False

    async def read(self) -> bytes | None:
        """What the host wrote next; None after its last.

        Asking for more says that what was read before is consumed: only then may the host send on.
        """
        if self._unconfirmed:
            self._unconfirmed = False
            if not self._closed.is_set():
                await self._send(Command.OKAY)
        if self._closed.is_set() and self._incoming.empty():
            return None
        payload = await self._incoming.get()
        self._unconfirmed = payload is not None
        return payload

    async def write(self, data: bytes) -> None:
        """Send ``data``, in as many packets as it takes; returns when the last has gone out.

        Raises:
            StreamClosedError: nobody reads it any more.
        """
        view = memoryview(data)
        for begin in range(0, len(data), self.most_payload):
            await self._may_write.wait()
            if self._closed.is_set():
                raise StreamClosedError
            self._may_write.clear()
            await self._send(Command.WRTE, bytes(view[begin : begin + self.most_payload]))

    async def wait_closed(self) -> None:
        """Return when the host has closed the stream."""
        await self._closed.wait()

    async def finish(self) -> None:
        """Close from this side, once everything written has been taken."""
        if not self._closed.is_set():
            await self._may_write.wait()  # the last write is consumed, or the host closed
        if not self._closed_by_us:
            self._closed_by_us = True
            await self._send(Command.CLSE)

    async def accept(self) -> None:
        """Tell the host that its service runs."""
        self._may_write.set()
        await self._send(Command.OKAY)

    def feed(self, payload: bytes) -> bool:
        """Take a write of the host; False when it sent far more than it may."""
        if self._incoming.full():
            return False
        self._incoming.put_nowait(payload)
        return True

    def confirm(self) -> None:
        """The host consumed the last write."""
        self._may_write.set()

    def close(self) -> None:
        """The host closed the stream, or its connection ended."""
        self._closed.set()
        self._may_write.set()
        if not self._incoming.full():
            self._incoming.put_nowait(None)

    async def _send(self, command: Command, payload: bytes = b"") -> None:
        await self._wire.send(Packet(command, self.own_id, self.host_id, payload))


async def run_until_closed(
    stream: Stream, work: Awaitable[None], incoming: Awaitable[None]
) -> None:
    """Run both sides of a service until its work is done or the host has closed the stream.

    Args:
        stream: that is served.
        work: what is done for the host, and written to it.
        incoming: what takes the host's writes; it may be held up by a process that does not read.
    """
    working, taking = asyncio.ensure_future(work), asyncio.ensure_future(incoming)
    closing = asyncio.ensure_future(stream.wait_closed())
    tasks = [working, taking, closing]
    try:
        await asyncio.wait([working, closing], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            both = [working, taking]
            await asyncio.wait(both, timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, ENDED):
                raise result
