"""One host's connection to the phone: who it is, then its streams."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from fer_opt.device.virtual.keys import TOKEN_BYTES, PublicKey, parse_public_key, signed_by
from fer_opt.device.virtual.packets import VERSION_UNCHECKED, Command, Packet
from fer_opt.device.virtual.stream import Stream, StreamClosedError
from fer_opt.device.virtual.wire import LinkBrokenError, Wire
from fer_opt.errors import FerOptError

__all__ = ["Authorise", "Connection", "Guard", "Service"]

Authorise = Literal["always", "known", "never"]
"""Whose key is accepted: any that is offered, those known before, or none."""

Service = Callable[[Stream], Awaitable[None]]

TOKEN, SIGNATURE, OFFERED_KEY = 1, 2, 3  # kinds of AUTH, in arg0


@dataclass(slots=True)
class Guard:
    """Whom the phone lets in.

    Attributes:
        authorise: whose key is accepted.
        delay_s: how long the owner takes to accept an offered key, in seconds.
        known: keys accepted so far.
    """

    authorise: Authorise = "always"
    delay_s: float = 0.0
    known: list[PublicKey] = field(default_factory=list)

    def admits(self, token: bytes, signature: bytes) -> bool:
        """Whether a known key signed ``token``."""
        if self.authorise == "never":
            return False
        return any(signed_by(key, token, signature) for key in self.known)

    async def accepts(self, offered: bytes) -> bool:
        """Whether the owner lets this key in; that takes its time."""
        key = parse_public_key(offered)
        if self.authorise != "always" or key is None:
            return False
        await asyncio.sleep(self.delay_s)
        self.known.append(key)
        return True


class Connection:
    """Talks to one host until either side hangs up.

    Args:
        wire: to the host.
        guard: decides whether the host may come in.
        banner: the phone's own, ``device::...``.
        version: newest version of the protocol that the phone speaks.
        open_service: from the name in an OPEN to its service, None for an unknown one.
    """

    def __init__(
        self,
        wire: Wire,
        guard: Guard,
        banner: bytes,
        *,
        version: int = VERSION_UNCHECKED,
        open_service: Callable[[str], Service | None],
    ) -> None:
        self._wire = wire
        self._guard = guard
        self._banner = banner
        self._version = version
        self._open_service = open_service
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_id = 0
        self._host_payload = 4096

    async def run(self) -> None:
        """Serve the host; returns when the connection has ended and its services have, too."""
        writing = asyncio.create_task(self._wire.write_all())
        try:
            await self._authenticate()
            while True:
                await self._take(await self._wire.receive())
        except LinkBrokenError:
            pass
        finally:
            await self._end()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _authenticate(self) -> None:
        greeting: Packet | None = None
        token = b""
        while True:
            packet = await self._wire.receive()
            if packet.command is Command.CNXN:
                greeting = packet
                token = await self._challenge()
            elif packet.command is Command.AUTH and greeting is not None:
                if packet.arg0 == SIGNATURE:
                    if self._guard.admits(token, packet.payload):
                        break
                    token = await self._challenge()
                elif packet.arg0 == OFFERED_KEY and await self._guard.accepts(packet.payload):
                    break
        await self._welcome(greeting)

    async def _challenge(self) -> bytes:
        token = secrets.token_bytes(TOKEN_BYTES)
        await self._wire.send(Packet(Command.AUTH, TOKEN, 0, token))
        return token

    async def _welcome(self, greeting: Packet) -> None:
        """Agree on version and payload; this last packet still carries its checksum."""
        self._host_payload = max(1, min(greeting.arg1, self._wire.most_payload))
        answer = Packet(Command.CNXN, self._version, self._wire.most_payload, self._banner)
        await self._wire.send(answer)
        self._wire.checked = min(greeting.arg0, self._version) < VERSION_UNCHECKED

    async def _take(self, packet: Packet) -> None:
        if packet.command is Command.OPEN:
            await self._open(packet)
            return
        stream = self._streams.get(packet.arg1)
        # As in adbd, what belongs to no stream is passed over: it was under way when it closed.
        if stream is None or packet.arg0 not in (stream.host_id, 0):
            return
        if packet.command is Command.OKAY:
            stream.confirm()
        elif packet.command is Command.WRTE:
            if not stream.feed(packet.payload):
                self._wire.hang_up()
                raise LinkBrokenError("the host writes without waiting")
        elif packet.command is Command.CLSE:
            stream.close()

    async def _open(self, packet: Packet) -> None:
        name = packet.payload.rstrip(b"\0").decode("utf-8", "surrogateescape")
        service = self._open_service(name)
        if service is None or packet.arg0 == 0:
            await self._wire.send(Packet(Command.CLSE, 0, packet.arg0))
            return
        self._last_id += 1
        stream = Stream(self._wire, self._last_id, packet.arg0, self._host_payload)
        self._streams[stream.own_id] = stream
        task = asyncio.create_task(self._serve(service, stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, service: Service, stream: Stream) -> None:
        try:
            await stream.accept()
            with contextlib.suppress(StreamClosedError, FerOptError, OSError):
                await service(stream)
            await stream.finish()
        except LinkBrokenError:
            self._wire.hang_up()  # so that receiving ends as well
        finally:
            self._streams.pop(stream.own_id, None)

    async def _end(self) -> None:
        self._wire.hang_up()
        for stream in self._streams.values():
            stream.close()
        # A service notices that its stream is closed and cleans up; most take no time.
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=5)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
