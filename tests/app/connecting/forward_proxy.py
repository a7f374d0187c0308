"""A forward proxy on loopback, the only way to hosts whose names nobody else knows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


class ForwardProxy:
    """Forwards requests and opens tunnels, all to one server whatever host they name, or refuses
    them. `heads` are those with which its connections began."""

    def __init__(self, host: str, port: int) -> None:
        self.heads: list[str] = []
        self.refuses = False
        self.address = ""
        """HOST:PORT of the proxy."""
        self._there = host, port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lead one connection on, until either end ends it."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.decode())
            if self.refuses:
                writer.write(REFUSED)
            else:
                await self._lead(head, reader, writer)
        writer.close()

    async def _lead(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there, there_writer = await asyncio.open_connection(*self._there)
        if head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            there_writer.write(head)
        await asyncio.gather(_copy(reader, there_writer), _copy(there, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
    target.close()


@asynccontextmanager
async def forward_proxy(host: str, port: int) -> AsyncIterator[ForwardProxy]:
    """A proxy that runs, and leads to a server."""
    proxy = ForwardProxy(host, port)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        proxy.address = "{}:{}".format(*server.sockets[0].getsockname())
        yield proxy
