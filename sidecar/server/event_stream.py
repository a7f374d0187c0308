"""`GET /events`: what happens, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from sidecar import events

LOOK = 1.0
"""Seconds between looks at the states of channels, which tell nobody when they change."""
ALIVE = 15.0
"""Seconds of silence after which a comment is sent, so that nothing on the way gives up."""

States = Callable[[], Mapping[str, str]]
"""The state of each channel."""


def add_route(app: web.Application, states: States, check: Callable[[web.Request], None]) -> None:
    """Take the request; `check` raises an answer for whoever may not listen."""
    app.router.add_get("/events", _stream(states, check))


def _stream(
    states: States, check: Callable[[web.Request], None]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def stream(request: web.Request) -> web.StreamResponse:
        check(request)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        with events.listen() as queue:
            await response.prepare(request)
            try:
                await _send(response, queue, states)
            except ConnectionResetError:  # the listener has gone
                return response
        return response

    return stream


async def _send(
    response: web.StreamResponse, queue: "asyncio.Queue[events.Event]", states: States
) -> None:
    known: Mapping[str, str] = {}
    silent = 0.0
    while True:
        now = states()
        for name in known.keys() | now.keys():
            if known.get(name) != now.get(name):
                facts = {"channel": name, "state": now.get(name, "removed")}
                await _write(response, "channel", facts)
        known = now
        try:
            name, told = await asyncio.wait_for(queue.get(), LOOK)
        except TimeoutError:
            silent += LOOK
            if silent >= ALIVE:
                await response.write(b": alive\n\n")
                silent = 0.0
        else:
            silent = 0.0
            await _write(response, name, told)


async def _write(response: web.StreamResponse, name: str, facts: Mapping[str, object]) -> None:
    await response.write(f"event: {name}\ndata: {json.dumps(facts, default=str)}\n\n".encode())
