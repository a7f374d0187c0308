"""A Hub and a bare client of it, which signs its envelopes itself."""

import base64
import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import rfc8785
from aiohttp import ClientSession, ClientWebSocketResponse
from nacl.signing import SigningKey

from sidecar.devhub import DevHub, Generation, HubLimits

ROOMY = HubLimits(sends_per_minute=1000, sends_per_pair=1000)


class Client:
    """One agent, as its credentials describe it."""

    def __init__(self, http: ClientSession, credentials: dict[str, Any]) -> None:
        self.http = http
        self.url: str = credentials["hubUrl"]
        self.id: str = credentials["agentId"]
        self.key_id: str = credentials["keyId"]
        self.key = SigningKey(base64.b64decode(credentials["privateKey"]))
        self.token = ""

    def sign(self, data: bytes) -> str:
        return base64.b64encode(self.key.sign(data).signature).decode()

    async def refresh(self, **changes: Any) -> tuple[int, Any]:
        nonce = os.urandom(32)
        body = {
            "key_id": self.key_id,
            "nonce": base64.b64encode(nonce).decode(),
            "sig": self.sign(nonce),
        }
        path = f"/registry/agents/{self.id}/token/refresh"
        status, answer = await self.call("POST", path, {**body, **changes}, token=None)
        if status == 200:
            self.token = answer["agent_token"]
        return status, answer

    async def raw(self, method: str, path: str, body: Any = None, token: str | None = "own") -> Any:
        chosen = self.token if token == "own" else token
        headers = {} if chosen is None else {"Authorization": f"Bearer {chosen}"}
        return self.http.request(method, self.url + path, json=body, headers=headers)

    async def call(
        self, method: str, path: str, body: Any = None, token: str | None = "own"
    ) -> tuple[int, Any]:
        async with await self.raw(method, path, body, token) as response:
            if response.status == 204:
                return 204, None
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.text()

    def envelope(self, to: str, text: str = "hello", **changes: Any) -> dict[str, Any]:
        envelope: dict[str, Any] = {
            "v": "a2a/0.1",
            "msg_id": str(uuid.uuid4()),
            "ts": int(time.time()),
            "from": self.id,
            "to": to,
            "type": "message",
            "reply_to": None,
            "ttl_sec": 3600,
            "topic": None,
            "goal": None,
            "payload": {"text": text},
        } | changes
        digest = hashlib.sha256(rfc8785.dumps(envelope["payload"])).hexdigest()
        envelope.setdefault("payload_hash", f"sha256:{digest}")
        names = ["v", "msg_id", "ts", "from", "to", "type", "reply_to", "ttl_sec", "payload_hash"]
        signed = "\n".join("" if envelope[name] is None else str(envelope[name]) for name in names)
        signature = {"alg": "ed25519", "key_id": self.key_id, "value": self.sign(signed.encode())}
        envelope.setdefault("sig", signature)
        return envelope

    async def send(self, to: str, text: str = "hello", **changes: Any) -> tuple[int, Any]:
        return await self.call("POST", "/hub/send", self.envelope(to, text, **changes))

    async def inbox(self, **query: Any) -> list[Any]:
        fields = "&".join(f"{key}={value}" for key, value in {"ack": "false", **query}.items())
        status, page = await self.call("GET", f"/hub/inbox?{fields}")
        assert status == 200, page
        assert page["count"] == len(page["messages"])
        messages: list[Any] = page["messages"]
        return messages

    async def socket(self, token: str | None = "own") -> ClientWebSocketResponse:
        """An authenticated socket."""
        socket = await self.http.ws_connect(f"{self.url}/hub/ws")
        await socket.send_json({"type": "auth", "token": self.token if token == "own" else token})
        return socket


Start = Callable[..., Awaitable[DevHub]]
Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
async def start_hub() -> AsyncIterator[Start]:
    hubs: list[DevHub] = []

    async def start(generation: Generation = "today", limits: HubLimits = ROOMY) -> DevHub:
        hub = DevHub(limits=limits, generation=generation)
        await hub.start()
        hubs.append(hub)
        return hub

    yield start
    for hub in hubs:
        await hub.stop()


@pytest.fixture
async def hub(start_hub: Start) -> DevHub:
    return await start_hub()


@pytest.fixture
def connect(http: ClientSession) -> Connect:
    async def join(hub: DevHub, agent: str | None = None, **options: Any) -> Client:
        client = Client(http, hub.add_agent(agent, **options))
        await client.refresh()
        return client

    return join


@pytest.fixture
async def demo(hub: DevHub, connect: Connect) -> Client:
    return await connect(hub, "ag_demo", name="Demo")
