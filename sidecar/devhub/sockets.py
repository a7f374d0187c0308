"""GET /hub/ws: the socket that tells an agent that something waits in its inbox."""

import asyncio
import json
from collections.abc import Mapping

from aiohttp import WSMsgType, web

from sidecar.devhub.answers import Refused
from sidecar.devhub.faults import reset
from sidecar.devhub.state import Agent, State
from sidecar.devhub.tokens import owner_of
from sidecar.devhub.wiring import STATE

_ENDED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
ABNORMAL = 1006
"""Never on the wire: the connection ends without a close frame."""
CLOSE_WAIT = 1.0
"""Seconds in which the client may answer a close frame."""

Frame = Mapping[str, object]


async def serve(request: web.Request) -> web.WebSocketResponse:
    """Let an agent in by its token and keep its socket until either side ends it."""
    connection = web.WebSocketResponse(timeout=CLOSE_WAIT, compress=False)
    await connection.prepare(request)
    await AgentSocket(request, connection).run()
    return connection


class BadFrame(Exception):
    """The client sent what the Hub does not survive: the connection dies without a close frame."""


class Closed(Exception):
    """The socket ends with a code, or has ended by itself (code None)."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class AgentSocket:
    """One socket of an agent. `push` and `end` can be called from anywhere in the Hub."""

    def __init__(self, request: web.Request, connection: web.WebSocketResponse) -> None:
        self._request = request
        self._connection = connection
        self._state: State = request.app[STATE]
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._why = Closed()
        self._ending = False

    def push(self, frame: Frame) -> None:
        """Send a frame soon. Nothing is sent once the socket is ending."""
        if not self._ending and not self._state.faults.silence:
            self._frames.put_nowait(frame)

    def end(self, code: int | None, reason: str = "") -> None:
        """Close the socket; 1006 ends the connection without a close frame."""
        if not self._ending:
            self._ending = True
            self._why = Closed(code, reason)
            self._frames.put_nowait(None)

    async def run(self) -> None:
        """Authenticate, then send and listen until the end."""
        self._state.strangers.add(self)
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(), name="devhub-socket")
                await self._write()
                reading.cancel()
        finally:
            self._state.strangers.discard(self)
        await self._close()

    async def _write(self) -> None:
        while (frame := await self._frames.get()) is not None:
            try:
                await self._connection.send_str(json.dumps(frame))
            except ConnectionError:  # the client has gone
                return

    async def _close(self) -> None:
        """Say why, and wait a moment for the client's answer, so that it hears it."""
        if self._why.code == ABNORMAL:
            reset(self._request)
        elif self._why.code is not None:
            await self._connection.close(code=self._why.code, message=self._why.reason.encode())

    async def _read(self) -> None:
        try:
            agent = await self._let_in()
            self._state.strangers.discard(self)
            self._state.joined(agent, self)
            try:
                await self._listen()
            finally:
                self._state.left(agent, self)
        except BadFrame:
            self.end(ABNORMAL)
        except Closed as closed:
            self.end(closed.code, closed.reason)

    async def _let_in(self) -> Agent:
        """The agent that the first frame proves to be. Raises Closed or BadFrame."""
        try:
            async with asyncio.timeout(self._state.limits.auth_timeout):
                frame = await self._receive()
        except TimeoutError as error:
            raise Closed(4001, "Auth timeout") from error
        token = frame.get("token")
        if not isinstance(token, str) or not token:
            raise Closed(4001, "Missing token")
        try:
            agent = owner_of(self._state, token)
        except Refused as error:
            raise Closed(4001, "Invalid token") from error
        welcome: dict[str, object] = {"type": "auth_ok", "agent_id": agent.id}
        if not self._state.today:
            welcome |= {"latest_plugin_version": "0.2.3", "min_plugin_version": "0.2.0"}
        self.push(welcome)
        return agent

    async def _listen(self) -> None:
        """Answer pings and send heartbeats. Raises Closed or BadFrame."""
        limits = self._state.limits
        clock = asyncio.get_running_loop().time
        heard = clock()
        beat = heard + limits.heartbeat
        while True:
            dead = heard + limits.idle
            try:
                async with asyncio.timeout_at(min(beat, dead)):
                    frame = await self._receive()
            except TimeoutError as error:
                if clock() >= dead:
                    raise Closed(4002, "Ghost connection: no client response") from error
                self.push({"type": "heartbeat"})
                beat += limits.heartbeat
                continue
            heard = clock()
            beat = heard + limits.heartbeat
            if frame.get("type") == "ping":
                self.push({"type": "pong"})

    async def _receive(self) -> Frame:
        """The next frame. Pings of the WebSocket protocol do not count as one."""
        message = await self._connection.receive()
        if message.type in _ENDED:
            raise Closed
        if message.type is not WSMsgType.TEXT:
            raise BadFrame
        try:
            frame = json.loads(message.data)
        except (ValueError, RecursionError) as error:
            raise BadFrame from error
        if not isinstance(frame, dict):
            raise BadFrame
        return frame
