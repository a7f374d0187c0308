"""A TCP proxy on loopback that spoils what passes through it."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIECE = 65536
SLOW_PIECE = 100
"""Bytes of a slow body that come at once."""


class Link:
    """One connection, both ways."""

    def __init__(self, client: asyncio.StreamWriter, hub: asyncio.StreamWriter) -> None:
        self.client = client
        self.hub = hub
        self.frozen = False

    def reset(self) -> None:
        """End it as a machine does that knows nothing of it any more."""
        for writer in (self.client, self.hub):
            found = writer.transport.get_extra_info("socket")
            if found is not None:
                linger = struct.pack("ii", 1, 0)
                with suppress(OSError):
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()


class Proxy:
    """Passes connections on to a port. `delay` is in seconds, for each piece; while `slow`, bytes
    trickle; while `closed`, nobody gets through; the next answer is cut after `cut` bytes."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.delay = 0.0
        self.slow = False
        self.closed = False
        self.cut: int | None = None
        self.links: set[Link] = set()
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        self.drop()
        while self.links:
            await asyncio.sleep(0.01)

    def drop(self) -> None:
        """Reset every connection."""
        for link in tuple(self.links):
            link.reset()

    def freeze(self) -> None:
        """Let nothing pass through the connections of now, ever; nobody is told."""
        for link in self.links:
            link.frozen = True

    @contextmanager
    def spoiled(self, **fault: object) -> Iterator[None]:
        """A fault that ends with the block."""
        before = {name: getattr(self, name) for name in fault}
        for name, value in fault.items():
            setattr(self, name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        try:
            theirs, hub = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, hub)
        self.links.add(link)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(link, reader, hub, answer=False))
                group.create_task(self._pass(link, theirs, writer, answer=True))
        finally:
            link.reset()
            self.links.discard(link)

    async def _pass(
        self,
        link: Link,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        answer: bool,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(PIECE):
                if link.frozen:
                    continue
                if self.delay:
                    await asyncio.sleep(self.delay)
                if answer and self.cut is not None:
                    data, self.cut = data[: self.cut], None
                    writer.write(data)
                    await writer.drain()
                    break
                await self._write(writer, data)
        if not link.frozen:
            link.reset()

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        while self.slow and data:
            writer.write(data[:SLOW_PIECE])
            await writer.drain()
            data = data[SLOW_PIECE:]
            await asyncio.sleep(0.02)
        writer.write(data)
        await writer.drain()
