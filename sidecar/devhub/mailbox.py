"""The inbox routes: poll, acknowledge, renew a lease."""

import time

from aiohttp import web

from sidecar.devhub.answers import Invalid, answer, read_object, take_ids, take_number
from sidecar.devhub.records import Received
from sidecar.devhub.state import State
from sidecar.devhub.tokens import authenticate

LARGEST_PAGE = 50
_TRUE = ("true", "1", "yes", "on", "t", "y")
_FALSE = ("false", "0", "no", "off", "f", "n")


async def poll(request: web.Request) -> web.Response:
    """GET /hub/inbox: the oldest waiting messages.

    Without `ack=false` they are delivered at once and for good; with it they are hidden under a
    lease until they are acknowledged. `timeout` waits for mail.
    """
    state, agent = authenticate(request, claim="needed-plainly")
    limit = _whole(request, "limit", 10, LARGEST_PAGE)
    patience = take_number(request, "timeout", 0, 0, state.limits.long_poll)
    final = _flag(request, "ack", default=True)
    room = request.query.get("room_id")
    if patience and not agent.inbox.has_mail(room):
        await state.news.until(lambda: agent.inbox.has_mail(room) or state.closing, patience)
    page, more = agent.inbox.take(limit, room)
    if final:
        agent.inbox.deliver(page, int(time.time()))
        _received(state, agent.id, [copy.id for copy in page])
    else:
        agent.inbox.lease(page, time.monotonic() + state.limits.lease)
    items = [copy.item for copy in page]
    return answer({"messages": items, "count": len(items), "has_more": more})


async def acknowledge(request: web.Request) -> web.Response:
    """POST /hub/inbox/ack: let go of messages; says how many of them the agent still had."""
    state, agent = authenticate(request, claim="needed-plainly")
    ids = take_ids(await read_object(request), "message_ids")
    found = agent.inbox.acknowledge(ids, int(time.time()))
    _received(state, agent.id, [copy.id for copy in found])
    return answer({"acked": len(found)})


async def renew(request: web.Request) -> web.Response:
    """POST /hub/inbox/lease/renew: keep messages that are still worked on."""
    state, agent = authenticate(request, claim="needed-plainly")
    ids = take_ids(await read_object(request), "message_ids")
    return answer({"renewed": agent.inbox.renew(ids, time.monotonic() + state.limits.lease)})


def _received(state: State, agent: str, ids: list[str]) -> None:
    for copy_id in ids:
        state.emit(Received(agent, copy_id))
    state.news.tell()


def _whole(request: web.Request, key: str, default: int, most: int) -> int:
    number = take_number(request, key, default, 1, most)
    if number != int(number):
        raise Invalid(("query", key), "Input should be a whole number", request.query[key])
    return int(number)


def _flag(request: web.Request, key: str, *, default: bool) -> bool:
    text = request.query.get(key)
    if text is None:
        return default
    if text.lower() not in _TRUE + _FALSE:
        raise Invalid(("query", key), "Input should be a valid boolean", text)
    return text.lower() in _TRUE
