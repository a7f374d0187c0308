"""A Hub on loopback that answers as the real one does, except for what a test scripts."""

import asyncio
import base64
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from sidecar.codecs.hub.signing import agent_id, envelope_input, public_key, signing_key, verify

SEED = bytes(range(32))
PUBLIC = public_key(signing_key(SEED))
AGENT = agent_id(PUBLIC)
KEY_ID = "k_00112233aabb"

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request that the Hub got."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str | None


@dataclass
class Hub:
    """Answers as the Hub does, except for what is scripted.

    `welcome` says what becomes of the next sockets: a close code after the login, `hang` (no
    handshake), `mute` (no answer to the login), `deaf` (no pongs), or a tuple with an HTTP status.
    """

    old: bool = False
    lease: bool = True
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    inbox: dict[str, Any] = field(default_factory=dict)
    leased: set[str] = field(default_factory=set)
    acked: list[str] = field(default_factory=list)
    stored: dict[str, Any] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    opened: int = 0
    handshakes: int = 0
    frames: list[Any] = field(default_factory=list)
    welcome: deque[Any] = field(default_factory=deque)
    scripts: dict[tuple[str, str], deque[Answer]] = field(default_factory=dict)

    def script(self, path: str, *answers: Answer, method: str = "POST") -> None:
        """The next requests for a path get these answers."""
        self.scripts.setdefault((method, path), deque()).extend(answers)

    def requests(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    async def push(self, *items: dict[str, Any]) -> None:
        """Put items into the inbox and ring the bell once for each."""
        self.inbox.update({item["hub_msg_id"]: item for item in items})
        for _ in items:
            await self.send({"type": "inbox_update"})

    async def send(self, frame: Any) -> None:
        for socket in list(self.sockets):
            await socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/hub/ws":
            return await self._socket(request)
        raw = await request.read()
        body = json.loads(raw) if raw else None
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or None
        self.seen.append(Seen(request.method, request.path, dict(request.query), body, token))
        if script := self.scripts.get((request.method, request.path)):
            return await script.popleft()(request)
        if request.path.endswith("/token/refresh"):
            return self._refresh(body)
        if not self.tokens or token != self.tokens[-1]:
            return await says(401, "invalid_token")(request)
        kind, _, rest = request.path.removeprefix("/hub/").partition("/")
        known = {
            "inbox": self._acknowledge if rest == "ack" else self._page,
            "send": self._send,
            "status": self._status,
            "rooms": self._room,
            "stream-block": self._nothing,
            "typing": self._nothing,
            "notify-owner": self._nothing,
        }
        if not self.old:
            known["stream-end"] = self._nothing
        if kind not in known:
            return web.json_response({"detail": "Not Found"}, status=404)
        return known[kind](request, body)

    def _refresh(self, body: Any) -> web.Response:
        assert body["key_id"] == KEY_ID
        assert verify(PUBLIC, base64.b64decode(body["nonce"]), body["sig"])
        self.tokens.append(f"token-{len(self.tokens) + 1}")
        return web.json_response({"agent_token": self.tokens[-1], "expires_at": 4_000_000_000})

    def _page(self, request: web.Request, _: Any) -> web.Response:
        limit = int(request.query["limit"])
        waiting = [id_ for id_ in self.inbox if not self.lease or id_ not in self.leased]
        if request.query["ack"] == "false":
            self.leased.update(waiting[:limit])
        items = [self.inbox[id_] for id_ in waiting[:limit]]
        more = len(waiting) > limit
        return web.json_response({"messages": items, "count": len(items), "has_more": more})

    def _acknowledge(self, _: web.Request, body: Any) -> web.Response:
        for id_ in body["message_ids"]:
            self.acked.append(id_)
            self.inbox.pop(id_, None)
        return web.json_response({"acked": len(body["message_ids"])})

    def _send(self, _: web.Request, envelope: Any) -> web.Response:
        assert verify(PUBLIC, envelope_input(envelope), envelope["sig"]["value"])
        self.stored.setdefault(envelope["msg_id"], envelope)
        body = {"queued": True, "hub_msg_id": f"h_{envelope['msg_id']}", "status": "queued"}
        return web.json_response(body, status=202)

    def _status(self, request: web.Request, _: Any) -> web.Response:
        if request.path.rpartition("/")[2] in self.stored:
            return web.json_response({"state": "queued"})
        return web.json_response({"code": "message_not_found"}, status=404)

    def _room(self, request: web.Request, _: Any) -> web.Response:
        return web.json_response({"room_id": request.path.rpartition("/")[2], "members": []})

    def _nothing(self, _: web.Request, __: Any) -> web.Response:
        return web.Response(status=204)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self.handshakes += 1
        step = self.welcome.popleft() if self.welcome else None
        if step == "hang":
            await asyncio.Event().wait()
        if isinstance(step, tuple):
            return web.Response(status=step[0])
        socket = web.WebSocketResponse(timeout=0.2)
        await socket.prepare(request)
        self.opened += 1
        try:
            frame = await socket.receive_json()
            if step == "mute":
                await socket.receive()
            elif isinstance(step, int):
                await socket.close(code=step)
            elif not self.tokens or frame["token"] != self.tokens[-1]:
                await socket.close(code=4001)
            else:
                await self._converse(socket, answers=step != "deaf")
        finally:
            self.opened -= 1
        return socket

    async def _converse(self, socket: web.WebSocketResponse, *, answers: bool) -> None:
        await socket.send_json({"type": "auth_ok", "agent_id": AGENT})
        self.sockets.append(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.frames.append(json.loads(message.data))
                    if answers:
                        await socket.send_json({"type": "pong"})
        finally:
            self.sockets.remove(socket)


def says(status: int, code: str, **headers: str) -> Answer:
    """The Hub refuses with a code."""
    body = {"detail": "a sentence", "code": code, "hint": None, "retryable": status >= 500}
    return raw(status, json.dumps(body).encode(), **headers)


def raw(status: int, body: bytes, **headers: str) -> Answer:
    """The Hub, or what stands before it, answers with some bytes. `Retry_After` is a header."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=given)

    return answer


async def reset(request: web.Request) -> web.StreamResponse:
    """The connection breaks before there is an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
