"""An agent that a scripted Hub knows, and channels between them."""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from sidecar.api import Host
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.channels.botcord import BotcordChannel, Timing
from sidecar.channels.progress import Pace
from sidecar.channels.websocket import Limits
from sidecar.errors import SidecarError
from sidecar.model import Conversation, Message, Reply
from tests.channels.scripted_hub import AGENT, KEY_ID, PUBLIC, SEED, Hub, raw, reset, says
from tests.patience import PATIENCE, until

OWNER_ROOM = "rm_oc_c8a7989f957870b9"


class Kept:
    """An `accept` that remembers."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.pages = 0

    async def __call__(self, messages: Sequence[Message]) -> None:
        self.pages += 1
        self.messages.extend(messages)

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.messages]


class World:
    """One Hub, one agent, and what tests of its channels need."""

    says = staticmethod(says)
    raw = staticmethod(raw)
    reset = staticmethod(reset)
    agent = AGENT
    fast = Timing(
        socket=Limits(PATIENCE, PATIENCE, ping=PATIENCE, silence=PATIENCE, close=0.2),
        progress=Pace(blocks=0.01, typing=PATIENCE, close=PATIENCE),
        poll=100 * PATIENCE,  # so that nothing is fetched by it
        request=PATIENCE,
        short_request=PATIENCE,
        first_wait=0.01,
        longest_wait=0.02,
        stable=0.5,
        patience=0.0,
    )

    def __init__(self, hub: Hub, folder: Path, host: Host) -> None:
        self.hub = hub
        self.folder = folder
        self.host = host
        self.kept = Kept()
        self.credentials = folder / f"{AGENT}.json"
        self.write_credentials()

    def write_credentials(self, **changes: Any) -> None:
        document = {
            "version": 1,
            "hubUrl": self.hub.url,
            "agentId": AGENT,
            "keyId": KEY_ID,
            "privateKey": base64.b64encode(SEED).decode(),
            "publicKey": PUBLIC,
            **changes,
        }
        self.credentials.write_text(json.dumps(document, indent=2) + "\n")
        self.credentials.chmod(0o600)

    def channel(self, timing: Timing = fast, **options: Any) -> BotcordChannel:
        given = {"agent": AGENT, "credentials": str(self.credentials), **options}
        return BotcordChannel(given, self.host, timing)

    @asynccontextmanager
    async def running(
        self, timing: Timing = fast, accept: Any = None, **options: Any
    ) -> AsyncIterator[BotcordChannel]:
        """A channel that is connected and has looked into its inbox."""
        channel = self.channel(timing, **options)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(channel.run(accept or self.kept))
            await until(lambda: channel.status.state == "connected" or task.done())
            await until(lambda: self.hub.requests("/hub/inbox") or task.done())
            yield channel
            task.cancel()

    async def ending(self, channel: BotcordChannel) -> SidecarError:
        """What `run` ends with by itself."""
        with pytest.raises(SidecarError) as caught:
            async with asyncio.timeout(PATIENCE):
                await channel.run(self.kept)
        return caught.value

    def item(self, id_: str = "h_1", *, envelope: Any = None, **changes: Any) -> dict[str, Any]:
        """An inbox item: the owner talks to the agent."""
        said = {
            "v": "a2a/0.1",
            "msg_id": f"msg-of-{id_}",
            "ts": 1795328543,
            "from": AGENT,
            "to": AGENT,
            "type": "message",
            "reply_to": None,
            "payload": {"text": f"text of {id_}"},
            "sig": {"alg": "ed25519", "key_id": "dashboard", "value": ""},
        }
        return {
            "hub_msg_id": id_,
            "envelope": {**said, **(envelope or {})},
            "text": "never looked at",
            "room_id": OWNER_ROOM,
            "source_type": "dashboard_user_chat",
            "source_user_name": "Olga Owner",
            **changes,
        }

    def reply(self, text: str = "hello", *, room: str = "rm_1", **changes: Any) -> Reply:
        given = {"key": "3f2b8c1e-6f0d-4a55-9d7e-0123456789ab", "kind": "answer", **changes}
        place = Conversation(room, "group")
        return Reply(
            channel="ch", account=AGENT, conversation=place, text=text, created_at=0.0, **given
        )


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", hub.handle)
    async with TestServer(app, shutdown_timeout=0.1) as server:
        hub.url = str(server.make_url("")).rstrip("/")
        yield hub


@pytest.fixture
async def world(hub: Hub, tmp_path: Path) -> AsyncIterator[World]:
    supervisor = Supervisor()
    log = logging.getLogger("sidecar.ch")
    async with ClientSession() as session:
        yield World(hub, tmp_path, Host("ch", log, tmp_path, supervisor.spawn, lambda: session))
        await supervisor.close()
