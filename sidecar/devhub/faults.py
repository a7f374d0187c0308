"""Faults that tests order: what a route answers next instead of, or after, its work."""

import socket
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from sidecar.devhub.answers import answer, crash, refusal

ROUTES = frozenset(
    {
        "/registry/agents",
        "/registry/agents/{agent}/verify",
        "/registry/agents/{agent}/token/refresh",
        "/hub/ws",
        "/hub/inbox",
        "/hub/inbox/ack",
        "/hub/inbox/lease/renew",
        "/hub/send",
        "/hub/status/{msg_id}",
        "/hub/stream-block",
        "/hub/stream-end",
        "/hub/typing",
        "/hub/rooms/{room}",
        "/hub/rooms/{room}/messages",
        "/hub/attention-policy",
        "/daemon/auth/device-code",
        "/daemon/auth/device-token",
        "/daemon/auth/install-token",
        "/daemon/auth/refresh",
        "/daemon/ws",
    }
)
"""The routes that faults and request counts are named by."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One ordered fault. Without `status`, `body` and `reset` it only delays."""

    status: int | None = None
    body: bytes | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reset: bool = False
    delay: float = 0.0
    after: bool = False

    @property
    def answers(self) -> bool:
        """Whether the client gets something else than the route's own answer."""
        return self.reset or self.status is not None or self.body is not None

    def response(self, request: web.Request) -> web.Response:
        """The wrong answer; a reset ends the connection at once."""
        if self.reset:
            reset(request)
            return web.Response()
        status = self.status or 200
        if self.body is not None:
            return web.Response(body=self.body, status=status, headers=self.headers)
        if status >= 500 and self.code is None:
            response = crash(status)
        else:
            code = self.code or "fault"
            response = answer(refusal(status, code, code, plain=self.code is None), status)
        response.headers.update(self.headers)
        return response


class Faults:
    """The faults that are still to happen, by route and in order.

    While `silence` is true, sockets stay open but the Hub sends nothing through them.
    """

    def __init__(self) -> None:
        self.silence = False
        self._next: dict[str, deque[Fault]] = {}

    def add(
        self,
        route: str,
        *,
        times: int = 1,
        status: int | None = None,
        body: bytes | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        reset: bool = False,
        delay: float = 0.0,
        after: bool = False,
    ) -> None:
        """Order a fault for the next `times` requests to a route of `ROUTES`.

        `body` is sent as it is; without it `code` makes an error body of the Hub's form. `reset`
        resets the connection, `delay` waits that many seconds first. With `after` the request
        takes effect before the fault hides its answer. Raises ValueError for an unknown route.
        """
        if route not in ROUTES:
            raise ValueError(f"no such route: {route}")
        fault = Fault(status, body, code, headers or {}, reset, delay, after)
        self._next.setdefault(route, deque()).extend([fault] * times)

    def take(self, route: str) -> Fault | None:
        """The next fault of a route, which is then used up."""
        queue = self._next.get(route)
        return queue.popleft() if queue else None

    def clear(self) -> None:
        """Forget what has not happened yet."""
        self._next.clear()

    @property
    def left(self) -> int:
        """How many ordered faults have not happened yet."""
        return sum(len(queue) for queue in self._next.values())


def reset(request: web.Request) -> None:
    """End the connection with a TCP reset, as a crash or a broken proxy would."""
    if request.transport is None:
        return
    connection = request.transport.get_extra_info("socket")
    if connection is not None:
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    request.transport.abort()
