"""The requests that act on single turns, sessions, replies and agents.

`POST /-/turns/ID/cancel`, `POST /-/turns/ID/retry`, `POST /-/sessions/NAME/forget`,
`POST /-/outbox/ID/retry`, `POST /-/outbox/ID/drop` and `POST /-/agents/ID/forget`: they answer, as
JSON, what was done, or 409 with the reason why it cannot be.
"""

import json
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from sidecar.errors import ActionRefused

ACTS = (
    ("turns", "cancel"),
    ("turns", "retry"),
    ("sessions", "forget"),
    ("outbox", "retry"),
    ("outbox", "drop"),
    ("agents", "forget"),
)
"""What can be acted on, and how."""

Act = Callable[[str, str, str], Awaitable[Mapping[str, object]]]
"""Does one of `ACTS` to what the last argument names. Raises ActionRefused."""


def add_routes(app: web.Application, act: Act, check: Callable[[web.Request], None]) -> None:
    """Take these requests; `check` raises an answer for whoever may not send them."""
    for kind, verb in ACTS:
        app.router.add_post(f"/-/{kind}/{{target}}/{verb}", _answers(kind, verb, act, check))


def _answers(
    kind: str, verb: str, act: Act, check: Callable[[web.Request], None]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        check(request)
        try:
            done = await act(kind, verb, request.match_info["target"])
        except ActionRefused as error:
            raise web.HTTPConflict(text=f"{error}\n") from error
        return web.json_response(done, dumps=json.dumps)

    return answer
