"""ADB's file service seen from outside: bytes to and from the process inside that serves it."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from fer_opt.device.virtual.sandbox import Sandbox
from fer_opt.device.virtual.stream import Stream, run_until_closed

__all__ = ["run_sync"]

READ_BYTES = 256 * 1024


async def run_sync(stream: Stream, sandbox: Sandbox) -> None:
    """Serve files at the end of a stream."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = asyncio.get_running_loop()

    async def answers() -> None:
        while data := await loop.sock_recv(ours, READ_BYTES):
            await stream.write(data)

    async def requests() -> None:
        while (data := await stream.read()) is not None:
            await loop.sock_sendall(ours, data)

    with contextlib.closing(ours):
        with contextlib.closing(theirs):
            sandbox.serve_files(theirs.fileno())
        # The service ends by itself; after the host has gone it finds its socket closed.
        await run_until_closed(stream, answers(), requests())
