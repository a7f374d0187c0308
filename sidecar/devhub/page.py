"""The chat page and its socket. Both are for the person at this machine alone.

Other sites that run in the person's browser can reach loopback too: so the page and its socket
want a random key, the name of this machine in `Host`, and the socket the page's own `Origin`.
"""

import asyncio
import hmac
import json
import secrets
from pathlib import Path

from aiohttp import WSMsgType, web

from sidecar.devhub.describe import describe
from sidecar.devhub.records import Block, Changed, Ended, Event, Posted, Presence, Received, Typing
from sidecar.devhub.stage import Place, places, speak
from sidecar.devhub.state import Agent, State
from sidecar.devhub.wiring import STATE

KEY: web.AppKey[str] = web.AppKey("chat_key", str)

_PAGE = Path(__file__).with_name("page.html")
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_SHOWN = 500
"""Messages and blocks of one conversation that a page gets when it opens."""
_LARGEST_FRAME = 64 << 10
_HEARTBEAT = 20.0

Frame = dict[str, object]


async def show(request: web.Request) -> web.Response:
    """GET /chat: the page. Raises HTTPForbidden without the key."""
    _check(request)
    nonce = secrets.token_urlsafe(16)
    html = await asyncio.to_thread(_PAGE.read_text, "utf-8")
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        f"connect-src 'self' ws://{request.host}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return web.Response(
        text=html.replace("{{nonce}}", nonce), content_type="text/html", headers=headers
    )


async def serve(request: web.Request) -> web.WebSocketResponse:
    """GET /chat/ws: what happens in the conversations, and what the person says."""
    host = _check(request)
    if request.headers.get("Origin") != f"http://{host}":
        raise web.HTTPForbidden
    state = request.app[STATE]
    socket = web.WebSocketResponse(
        heartbeat=_HEARTBEAT, timeout=1.0, compress=False, max_msg_size=_LARGEST_FRAME
    )
    await socket.prepare(request)
    with state.watch() as events:
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(_show(state, socket, events), name="devhub-chat")
            await _listen(state, socket)
            showing.cancel()
    return socket


def _check(request: web.Request) -> str:
    """The `Host` of a request that may see the chat. Raises HTTPForbidden."""
    given = request.query.get("key", "").encode()
    known = hmac.compare_digest(given, request.app[KEY].encode())
    port = request.transport.get_extra_info("sockname")[1] if request.transport else 0
    if not known or request.host not in {f"{name}:{port}" for name in _NAMES}:
        raise web.HTTPForbidden
    return request.host


async def _show(
    state: State, socket: web.WebSocketResponse, events: "asyncio.Queue[Event | None]"
) -> None:
    try:
        await socket.send_str(json.dumps(_hello(state)))
        while (event := await events.get()) is not None:
            frame = _frame(state, event)
            if frame is not None:
                await socket.send_str(json.dumps(frame))
    except ConnectionError:
        return  # the page has gone
    await socket.close(code=1012)


async def _listen(state: State, socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            continue
        problem = _take(state, message.data)
        if problem:
            await socket.send_str(json.dumps({"type": "error", "text": problem}))


def _take(state: State, data: str) -> str:
    """Do what a frame of the page asks for; returns what is wrong with it."""
    try:
        frame = json.loads(data)
    except (ValueError, RecursionError):
        return "that was not JSON"
    match frame:
        case {"type": "say", "room": str(room), "text": str(text)}:
            try:
                speak(state, room, text)
            except ValueError as error:
                return str(error)
            return ""
    return "that is not known"


def _hello(state: State) -> Frame:
    return {"type": "hello", "places": [_place(state, place) for place in places(state)]}


def _place(state: State, place: Place) -> Frame:
    posts = [_post(state, post) for post in state.rooms[place.room].posts[-_SHOWN:]]
    blocks = [block for block in state.blocks if block.room == place.room][-_SHOWN:]
    return {
        "room": place.room,
        "role": place.role,
        "title": place.title,
        "agents": [_agent(state.agents[agent]) for agent in place.agents],
        "posts": posts,
        "blocks": [frame for block in blocks if (frame := _block(block)) is not None],
        "open": sorted(state.rooms[place.room].streams),
    }


def _frame(state: State, event: Event) -> Frame | None:
    match event:
        case Posted():
            return _post(state, event)
        case Block():
            return _block(event)
        case Typing():
            name = state.name_of(event.agent)
            return {"type": "typing", "room": event.room, "name": name}
        case Ended():
            return {"type": "ended", "room": event.room, "trace": event.trace_id}
        case Received():
            return {"type": "received", "id": event.hub_msg_id}
        case Presence():
            return {"type": "presence", "agent": event.agent, "online": event.online}
        case Changed():
            return _hello(state)
    return None  # the rest is for the terminal


def _post(state: State, post: Posted) -> Frame:
    agent = state.agents.get(post.sender)
    taken = (state.copies[copy].state for copy in post.copies)
    return {
        "type": "post",
        "room": post.room,
        "ids": [post.id, *post.copies],
        "name": post.name,
        "mine": post.author != "agent" or (agent is not None and agent.played),
        "failed": post.type == "error",
        "text": post.text,
        "at": post.at,
        "received": any(found in ("acked", "delivered") for found in taken),
    }


def _block(block: Block) -> Frame | None:
    line = describe(block.block)
    if line is None:
        return None
    return {
        "type": "block",
        "room": block.room,
        "trace": block.trace_id,
        "kind": line.kind,
        "title": line.title,
        "text": line.text,
    }


def _agent(agent: Agent) -> Frame:
    return {"id": agent.id, "name": agent.name, "online": bool(agent.sockets)}
