"""One socket to the Hub: opened, logged in, and kept until either side ends it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, ClientWSTimeout, WSMsgType

from sidecar.codecs.hub.botcord import PING, frame_type, login_frame

_ENDED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one socket, in seconds.

    `ping` is how often the Hub hears from us, `silence` how long we believe a Hub that says
    nothing, `close` how long we wait for its goodbye.
    """

    handshake: float = 15.0
    login: float = 10.0
    ping: float = 20.0
    silence: float = 60.0
    close: float = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a socket ended: the Hub's close code where there is one, and whether we were let in."""

    reason: str
    code: int | None = None
    welcomed: bool = False


async def listen(
    session: ClientSession,
    url: str,
    token: str,
    *,
    welcome: Callable[[], None],
    update: Callable[[], None],
    limits: Limits,
) -> Ended:
    """Open a socket and listen until it ends. Cancelled, it is closed.

    `welcome` is called when the Hub lets us in, `update` when something may be in the inbox.
    """
    try:
        async with asyncio.timeout(limits.handshake):
            # 4 MiB a frame is aiohttp's own bound; frames of the Hub have some hundred bytes.
            socket = await session.ws_connect(url, timeout=ClientWSTimeout(ws_close=limits.close))
    except (ClientError, OSError) as error:  # TimeoutError is an OSError
        return Ended(f"no connection: {str(error) or type(error).__name__}")
    try:
        return await _Conversation(socket, welcome, update, limits).run(token)
    except (ClientError, OSError) as error:  # writing to a socket that is just being closed
        return Ended(
            f"the connection broke: {str(error) or type(error).__name__}", socket.close_code
        )
    finally:
        await socket.close()


class _Conversation:
    def __init__(
        self,
        socket: ClientWebSocketResponse,
        welcome: Callable[[], None],
        update: Callable[[], None],
        limits: Limits,
    ) -> None:
        self._socket = socket
        self._welcome = welcome
        self._update = update
        self._limits = limits

    async def run(self, token: str) -> Ended:
        try:
            async with asyncio.timeout(self._limits.login):
                await self._socket.send_str(login_frame(token))
                if not await self._let_in():
                    return self._ended(welcomed=False)
        except TimeoutError:
            return Ended("the Hub did not answer the login")
        self._welcome()
        if not await self._listen():
            return Ended(f"nothing heard for {self._limits.silence:g} s", welcomed=True)
        return self._ended(welcomed=True)

    async def _let_in(self) -> bool:
        """Whether the Hub accepts the login; False when it ends the socket instead."""
        while True:
            frame = await self._socket.receive()
            if frame.type in _ENDED:
                return False
            if frame.type is WSMsgType.TEXT and frame_type(frame.data) == "auth_ok":
                return True

    async def _listen(self) -> bool:
        """Listen and ping. True when the socket has ended, False when the Hub fell silent."""
        clock = asyncio.get_running_loop().time
        heard = clock()
        ping_at = heard + self._limits.ping
        while True:
            now = clock()
            if now >= heard + self._limits.silence:
                return False
            if now >= ping_at:
                await self._socket.send_str(PING)
                ping_at = now + self._limits.ping
            try:
                frame = await self._socket.receive(min(ping_at, heard + self._limits.silence) - now)
            except TimeoutError:
                continue
            if frame.type in _ENDED:
                return True
            heard = clock()
            if frame.type is WSMsgType.TEXT:
                self._act(frame.data)

    def _act(self, data: str) -> None:
        # Heartbeats, pongs, typing peers and what later Hubs may say need no answer.
        if frame_type(data) in ("inbox_update", "auth_ok"):
            self._update()

    def _ended(self, *, welcomed: bool) -> Ended:
        code = self._socket.close_code
        return Ended(f"the connection ended with code {code}", code, welcomed)
