"""The development Hub: a small Hub on loopback that a test or a newcomer can talk through."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from sidecar.devhub import (
    accounts,
    acts,
    control_login,
    control_socket,
    mailbox,
    notices,
    page,
    progress,
    registration,
    rooms,
    send,
    sockets,
    tokens,
)
from sidecar.devhub.control import Control
from sidecar.devhub.faults import Faults
from sidecar.devhub.limits import Generation, HubLimits
from sidecar.devhub.records import Block, Changed, Noted, Sent, Typing
from sidecar.devhub.state import State
from sidecar.devhub.wiring import STATE, surround

DEFAULTS = HubLimits()
LARGEST_BODY = 16 << 20
"""Bytes of a request's body. The Hub sets no limit on the length of a text."""


class DevHub:
    """A Hub in this process, its state in memory. Stopped and started again it goes on.

    `sent`, `blocks` and `typing` are what agents sent and the Hub accepted, in order, `notices`
    what their owners were told outside of turns. `ended` are the streams that have ended, by a
    reply or without one. `requests` counts the requests by route, `faults` orders what goes wrong
    next, `control` is the control plane.
    """

    def __init__(self, *, limits: HubLimits = DEFAULTS, generation: Generation = "today") -> None:
        self.state = State(limits, generation)
        self.faults: Faults = self.state.faults
        self.sent: list[Sent] = self.state.sent
        self.blocks: list[Block] = self.state.blocks
        self.ended: list[str] = self.state.ended
        self.typing: list[Typing] = self.state.typing
        self.notices: list[str] = self.state.notices
        self.requests: Counter[str] = self.state.requests
        self.control: Control = self.state.control
        self._chat_key = secrets.token_urlsafe(24)
        self._runner: web.AppRunner | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one. Raises OSError when the port cannot be had."""
        app = web.Application(middlewares=[surround], client_max_size=LARGEST_BODY)
        app[STATE] = self.state
        app[page.KEY] = self._chat_key
        app.add_routes(_routes(self.state))
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=1.0
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        name = f"[{host}]" if ":" in host else host
        self.state.url = f"http://{name}:{self._runner.addresses[0][1]}"
        self.state.closing = False
        self._loop = asyncio.get_running_loop()
        self._sweep()

    async def stop(self) -> None:
        """Close all sockets (1012) and stop listening."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        if self._sweeper is not None:
            self._sweeper.cancel()
        self.state.closing = True
        self.state.news.tell()
        self.state.close_watchers()
        self.drop_sockets(1012)
        self.control.drop(1012)
        await runner.cleanup()

    def _sweep(self) -> None:
        self.state.sweep()
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(self.state.limits.sweep, self._sweep)

    @property
    def url(self) -> str:
        """The base address, `http://127.0.0.1:PORT`; empty before the first start."""
        return self.state.url

    @property
    def chat_url(self) -> str:
        """The address of the chat page, with the key that opens it."""
        return f"{self.url}/chat?key={self._chat_key}"

    def add_agent(
        self,
        agent: str | None = None,
        *,
        name: str | None = None,
        credentials: Mapping[str, object] | None = None,
    ) -> dict[str, object]:
        """Register an agent and return its credentials, in the form of a credentials file.

        Without `credentials` it gets a new key pair. With those of an earlier run it is registered
        with its own key; what they hold besides the Hub's address and the token stays in them.
        Registering the same again changes nothing. `agent` None takes the id that follows from
        the key, `name` None the id. May be called from any thread, after the start.

        Raises:
            ValueError: the credentials are damaged or belong to another agent.
        """
        if self._loop is None:
            raise RuntimeError("start the Hub first: credentials contain its address")
        known = accounts.register(self.state, agent, name, credentials)
        self._loop.call_soon_threadsafe(self.state.emit, Changed())
        return accounts.credentials_of(self.state, known, credentials or {})

    def note(self, text: str) -> None:
        """Tell the person at the terminal something. Any thread may call it."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.state.emit, Noted(text))

    def add_person(self, name: str) -> str:
        """Add a person and return their id, `hu_…`."""
        return accounts.add_person(self.state, name)

    def add_room(
        self,
        name: str,
        members: Sequence[str],
        *,
        rule: str | None = None,
        description: str = "",
        default_send: bool = True,
        slow_mode: int | None = None,
    ) -> str:
        """Add a group room and return its id, `rm_…`. The first member owns it.

        The id follows from the name, so that it is the same after a restart; a second room with
        the same name gets a random one. Without `default_send` only the owner may post;
        `slow_mode` is in seconds. Raises ValueError for a member that is not known.
        """
        room = rooms.add_room(self.state, name, members)
        room.rule, room.description = rule, description
        room.default_send, room.slow_mode = default_send, slow_mode
        return room.id

    def owner_says(self, agent: str, text: str) -> str:
        """The owner writes to their agent, with a stream; returns the message's inbox id."""
        return acts.owner_says(self.state, self.state.agent(agent), text).id

    def say(
        self,
        sender: str,
        to: str,
        text: str,
        *,
        topic: str | None = None,
        mentions: Sequence[str] = (),
        reply_to: str | None = None,
        payload: Mapping[str, object] | None = None,
    ) -> list[str]:
        """A person (`hu_…`) or an agent writes into a room or to an agent.

        Returns the inbox ids of the copies. `payload` replaces `{"text": text}`; `reply_to` is any
        id of a message. Raises ValueError for who is not known or not in the room.
        """
        said = payload if payload is not None else {"text": text}
        posted = acts.say(
            self.state, sender, to, said, topic=topic, mentions=mentions, reply_to=reply_to
        )
        return list(posted.copies)

    async def provision(self, name: str, **params: object) -> Mapping[str, object]:
        """Have the only machine of the control plane run a new agent, and know it from then on;
        the ack, with its credentials. Raises as `Control.ask`."""
        ack = await self.control.provision(self.url, name, **params)
        if ack["ok"] and isinstance(given := ack["credentials"], dict):
            self.add_agent(name=name, credentials=given)
        return ack

    def put_raw(self, agent: str, item: object) -> None:
        """Put an inbox item exactly as given, however wrong it is."""
        known = self.state.agent(agent)
        acts.put_raw(known, item)
        self.state.wake(known)

    def last_item(self, agent: str) -> object:
        """The item that was put last into an agent's inbox; None when there was none."""
        latest = self.state.agent(agent).inbox.latest
        return latest.item if latest else None

    def unacknowledged(self, agent: str) -> list[str]:
        """The inbox ids that an agent has not acknowledged, whether it has fetched them or not."""
        return self.state.agent(agent).inbox.unacknowledged

    def connected(self, agent: str) -> int:
        """How many sockets of an agent are authenticated now."""
        return len(self.state.agent(agent).sockets)

    def connects(self, agent: str) -> int:
        """How many sockets of an agent have been authenticated so far."""
        return self.state.connects[agent]

    def drop_sockets(self, code: int = 1012, agent: str | None = None) -> None:
        """Close the sockets of all agents or of one; code 1006 sends no close frame."""
        dropped = set() if agent else set(self.state.strangers)
        for known in self.state.agents.values():
            if agent in (None, known.id):
                dropped |= known.sockets
        for socket in dropped:
            socket.end(code)

    def revoke_token(self, agent: str) -> None:
        """Make an agent's tokens invalid; its sockets stay."""
        tokens.revoke(self.state, self.state.agent(agent))

    def revoke_key(self, agent: str) -> None:
        """Make an agent's keys inactive: it can neither sign nor get a token."""
        for key in self.state.keys.values():
            if key.agent == agent:
                key.active = False

    def unclaim(self, agent: str) -> None:
        """Take an agent from its owner: most routes refuse it then."""
        self.state.agent(agent).claimed = False

    async def wait(self, condition: Callable[[], object], *, timeout: float = 10.0) -> None:
        """Wait until a condition on the Hub holds; it is looked at whenever something happens.

        Raises TimeoutError after `timeout` seconds.
        """
        if not await self.state.news.until(lambda: bool(condition()), timeout):
            counts = dict(self.requests)
            raise TimeoutError(f"not true after {timeout:g} s; requests so far: {counts}")

    async def wait_sent(
        self,
        count: int = 1,
        *,
        matching: Callable[[Sent], object] = bool,
        timeout: float = 10.0,
    ) -> list[Sent]:
        """The messages that agents sent and that match, as soon as there are `count` of them.

        Raises TimeoutError after `timeout` seconds.
        """
        await self.wait(lambda: len(list(filter(matching, self.sent))) >= count, timeout=timeout)
        return list(filter(matching, self.sent))


def _routes(state: State) -> list[web.RouteDef]:
    routes = [
        web.get("/health", _health),
        web.post("/registry/agents", registration.register),
        web.post("/registry/agents/{agent}/verify", registration.verify),
        web.post("/registry/agents/{agent}/token/refresh", tokens.refresh),
        web.get("/hub/ws", sockets.serve),
        web.get("/hub/inbox", mailbox.poll),
        web.post("/hub/inbox/ack", mailbox.acknowledge),
        web.post("/hub/send", send.send),
        web.get("/hub/status/{msg_id}", send.status),
        web.post("/hub/stream-block", progress.stream_block),
        web.post("/hub/typing", progress.typing),
        web.post("/hub/notify-owner", notices.notify_owner),
        web.get("/hub/rooms/{room}", rooms.show),
        web.get("/hub/rooms/{room}/messages", rooms.history),
        web.post("/daemon/auth/device-code", control_login.device_code),
        web.post("/daemon/auth/device-token", control_login.device_token),
        web.post("/daemon/auth/install-token", control_login.install_token),
        web.post("/daemon/auth/refresh", control_login.refresh),
        web.get("/daemon/ws", control_socket.serve),
        web.get("/chat", page.show),
        web.get("/chat/ws", page.serve),
    ]
    if state.today:
        routes += [
            web.post("/hub/inbox/lease/renew", mailbox.renew),
            web.post("/hub/stream-end", progress.stream_end),
            web.get("/hub/attention-policy", rooms.attention),
        ]
    return routes


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})
