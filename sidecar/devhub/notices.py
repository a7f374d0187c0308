"""POST /hub/notify-owner: an agent's program tells the owner something, outside of any turn."""

import time
from typing import cast

from aiohttp import web

from sidecar.devhub.answers import Invalid, Refused, read_object, take
from sidecar.devhub.envelopes import written
from sidecar.devhub.posting import Source, post
from sidecar.devhub.rooms import owner_room
from sidecar.devhub.tokens import authenticate

LONGEST = 8000


async def notify_owner(request: web.Request) -> web.Response:
    """Show a text in the owner's chat with the agent; nobody's inbox gets it."""
    state, agent = authenticate(request)
    text = cast("str", take(await read_object(request), "text", str, longest=LONGEST))
    if not text:
        raise Invalid(("body", "text"), "String should have at least 1 character", text)
    if state.notified.take(agent.id, time.monotonic()) > 0:
        raise Refused(429, "Notify rate limit exceeded", plain=True)
    envelope = written(state, agent.id, agent.id, {"text": text}, key_id=agent.key_id)
    post(state, owner_room(state, agent), envelope, Source("agent", agent.name), ())
    state.notices.append(text)
    state.news.tell()
    return web.Response(status=204)
