"""GET /daemon/ws: the socket through which a machine is asked to do something."""

import asyncio
import json
import time

from aiohttp import WSMsgType, web

from sidecar.devhub.control import Control, Instance
from sidecar.devhub.faults import reset
from sidecar.devhub.wiring import STATE

ABNORMAL = 1006
"""Never on the wire: the connection ends without a close frame."""
DISPLACED = 4001
_ENDED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
_KNOWN = ("runtime_snapshot", "agent_provisioned", "agent_revoked", "pong")


async def serve(request: web.Request) -> web.StreamResponse:
    """Let a machine in by its access token; without one the upgrade is refused."""
    control = request.app[STATE].control
    scheme, _, access = request.headers.get("Authorization", "").partition(" ")
    instance = control.of_token(access) if scheme.lower() == "bearer" else None
    if instance is None:
        return web.Response(status=403)
    connection = web.WebSocketResponse(timeout=1.0, compress=False, autoping=control.pongs)
    await connection.prepare(request)
    instance.labels.append(request.query.get("label", ""))
    await ControlSocket(request, connection, control, instance).run()
    return connection


class ControlSocket:
    """The live socket of one machine. `push` and `end` can be called from anywhere in the Hub."""

    def __init__(
        self,
        request: web.Request,
        connection: web.WebSocketResponse,
        control: Control,
        instance: Instance,
    ) -> None:
        self._request = request
        self._connection = connection
        self._control = control
        self._instance = instance
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._why: tuple[int, str] | None = None

    def push(self, text: str) -> None:
        """Send a text soon."""
        self._texts.put_nowait(text)

    def end(self, code: int, reason: str) -> None:
        """Close the socket after what is to be sent; 1006 sends no close frame."""
        if self._why is None:
            self._why = (code, reason)
            self._texts.put_nowait(None)

    async def run(self) -> None:
        """Displace an older socket, then send and listen until the end."""
        before, self._instance.socket = self._instance.socket, self
        if before is not None:
            before.end(DISPLACED, "displaced by new connection")
        self._instance.connects += 1
        self._control.news.tell()
        hello = {"server_time": int(time.time() * 1000), **self._control.hello}
        self.push(json.dumps(self._control.signed("hello", hello)))
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(), name="devhub-control")
                while (text := await self._texts.get()) is not None:
                    await self._connection.send_str(text)
                reading.cancel()
        except* ConnectionError:  # the client has gone
            pass
        finally:
            if self._instance.socket is self:
                self._instance.socket = None
            self._control.news.tell()
        if self._why is not None and self._why[0] == ABNORMAL:
            reset(self._request)
        elif self._why is not None:
            await self._connection.close(code=self._why[0], message=self._why[1].encode())

    async def _read(self) -> None:
        while (message := await self._connection.receive()).type not in _ENDED:
            if message.type is WSMsgType.TEXT:
                self._take(message.data)
        self._texts.put_nowait(None)

    def _take(self, text: str) -> None:
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(frame, dict) or not isinstance(frame.get("id"), str):
            return
        if "type" not in frame:
            self._control.acknowledged(frame)
        elif frame["type"] in _KNOWN:
            self._instance.events.append(frame)
            self.push(json.dumps({"id": frame["id"], "ok": True}))
        else:
            error = {"code": "unknown_type", "message": str(frame["type"])}
            self.push(json.dumps({"id": frame["id"], "ok": False, "error": error}))
        self._control.news.tell()
