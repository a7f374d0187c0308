"""One control socket to the Hub: opened with a login, and kept until either side ends it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from aiohttp import (
    ClientError,
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSMsgType,
    WSServerHandshakeError,
    hdrs,
)

from sidecar.codecs.hub.control import event

_ENDED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one socket, in seconds and bytes.

    `beat` is how often the Hub hears a JSON frame of ours, as some proxies count no other;
    `ping` how often a ping of the WebSocket protocol asks whether the Hub is there: after half of
    that without an answer the socket counts as dead. `frame` is the largest frame that is read.
    """

    handshake: float = 15.0
    beat: float = 20.0
    ping: float = 25.0
    close: float = 1.0
    frame: int = 2 << 20


@dataclass(frozen=True, slots=True)
class Ended:
    """How a socket ended: the close code, or the HTTP status of a Hub that did not open it.

    `lived` is how many seconds it was open, None when it never was.
    """

    reason: str
    code: int | None = None
    status: int | None = None
    lived: float | None = None


async def listen(
    session: ClientSession,
    url: str,
    token: str,
    *,
    opened: Callable[[ClientWebSocketResponse], None],
    receive: Callable[[str], Awaitable[None]],
    limits: Limits,
) -> Ended:
    """Open a socket and give each text frame to `receive`, one after the other, until it ends.
    Cancelled, it is closed.

    `opened` gets the socket when the Hub has let us in.
    """
    try:
        async with asyncio.timeout(limits.handshake):
            socket = await session.ws_connect(
                url,
                headers={hdrs.AUTHORIZATION: f"Bearer {token}"},
                timeout=ClientWSTimeout(ws_close=limits.close),
                heartbeat=limits.ping,
                max_msg_size=limits.frame,
            )
    except WSServerHandshakeError as error:  # its text holds the address, with the label
        return Ended(f"the Hub answered HTTP {error.status}", status=error.status)
    except (ClientError, OSError) as error:  # TimeoutError is an OSError
        return Ended(f"no connection: {str(error) or type(error).__name__}")
    clock = asyncio.get_running_loop().time
    since = clock()
    try:
        async with _beating(socket, limits.beat):
            opened(socket)
            while (frame := await socket.receive()).type not in _ENDED:
                if frame.type is WSMsgType.TEXT:
                    await receive(frame.data)
    finally:
        await socket.close()
    code = socket.close_code
    return Ended(f"the connection ended with code {code}", code, lived=clock() - since)


@asynccontextmanager
async def _beating(socket: ClientWebSocketResponse, beat: float) -> AsyncIterator[None]:
    async def pulse() -> None:
        while not socket.closed:
            await asyncio.sleep(beat)
            try:
                await socket.send_str(event("pong", id_=f"hb_{uuid4().hex}", now=time.time()))
            except (ClientError, OSError):  # who reads hears of it
                return

    async with asyncio.TaskGroup() as group:
        beating = group.create_task(pulse(), name="control-beat")
        try:
            yield
        finally:
            beating.cancel()
