"""The control plane of the development Hub: machines that are logged in, and what they are asked.

It has a key of its own, made at each start: what it signs proves nothing elsewhere.
"""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

from sidecar.codecs.hub import signing
from sidecar.devhub.ids import random_id
from sidecar.devhub.news import News

ACCESS_TTL = 3600
"""Seconds that an access token is good for."""
CODE_TTL = 600
"""Seconds in which a code has to be approved."""

Json = Mapping[str, object]


@dataclass(slots=True)
class Code:
    """A device code. `instance` is set when it is approved; a bundle is given once."""

    device: str
    user: str
    expires_at: float
    instance: "Instance | None" = None
    consumed: bool = False


class Socket(Protocol):
    """The live socket of a machine."""

    def push(self, text: str) -> None:
        """Send a text soon."""

    def end(self, code: int, reason: str) -> None:
        """Close the socket after what is to be sent; 1006 sends no close frame."""


@dataclass(slots=True)
class Instance:
    """A machine that is logged in. `events` are what it told, in order; `labels` those of its
    sockets. `connects` counts its sockets, `socket` is the live one."""

    id: str
    user: str
    refresh: str = ""
    tokens: dict[str, float] = field(default_factory=dict)
    revoked: bool = False
    socket: Socket | None = None
    connects: int = 0
    refreshes: int = 0
    events: list[Json] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


class Control:
    """What a person does at their Hub with the machines that are logged in.

    `approves` lets every code through at once, and `claims` makes agents that register themselves
    the owner's. `interval` is what a client is told to wait between two looks, in seconds;
    `answers` are given to those looks first, as (status, body). `hello` is what the first frame
    tells besides the time; without `pongs` new sockets leave pings unanswered.
    """

    def __init__(self, news: News) -> None:
        self.approves = True
        self.claims = True
        self.interval = 5.0
        self.code_ttl: float = CODE_TTL
        self.access_ttl: float = ACCESS_TTL
        self.pongs = True
        self.hello: Json = {}
        self.answers: list[tuple[int, Json]] = []
        self.instances: dict[str, Instance] = {}
        self.codes: dict[str, Code] = {}
        self.install_tokens: set[str] = set()
        self.news = news
        self._key = signing.signing_key(secrets.token_bytes(32))
        self._acks: dict[str, asyncio.Future[Json]] = {}

    @property
    def public_key(self) -> str:
        """The key with which frames are to be checked, base64."""
        return signing.public_key(self._key)

    def approve(self, user_code: str) -> Instance:
        """Do what a person does in the browser. Raises ValueError for an unknown code."""
        code = next((one for one in self.codes.values() if one.user == user_code.upper()), None)
        if code is None or code.expires_at <= time.time():
            raise ValueError("no such code")
        if code.instance is None:
            code.instance = self.add_instance()
        self.news.tell()
        return code.instance

    def add_instance(self) -> Instance:
        """Let a machine in."""
        made = Instance(random_id("dm_", 12), str(uuid4()))
        self.instances[made.id] = made
        return made

    def add_install_token(self) -> str:
        """A token with which one machine can log in without a browser."""
        token = random_id("dit_", 32)
        self.install_tokens.add(token)
        return token

    def grant(self, instance: Instance, url: str) -> dict[str, object]:
        """A new access token, and a refresh token instead of the one before."""
        access = f"access.{instance.id}.{secrets.token_hex(8)}"
        instance.tokens[access] = time.time() + self.access_ttl
        instance.refresh = random_id("drt_", 32)
        return {
            "access_token": access,
            "refresh_token": instance.refresh,
            "expires_in": self.access_ttl,
            "user_id": instance.user,
            "daemon_instance_id": instance.id,
            "hub_url": url,
        }

    def login(self, url: str, instance: Instance | None = None) -> dict[str, object]:
        """The document of a login file, as if somebody had logged in."""
        made = instance or self.add_instance()
        given = self.grant(made, url)
        return {
            "version": 1,
            "userId": made.user,
            "daemonInstanceId": made.id,
            "hubUrl": url,
            "accessToken": given["access_token"],
            "refreshToken": given["refresh_token"],
            "expiresAt": int((time.time() + self.access_ttl) * 1000),
        }

    def of_token(self, access: str) -> Instance | None:
        """The machine that an access token belongs to, None for one that is not valid."""
        for instance in self.instances.values():
            if instance.tokens.get(access, 0.0) > time.time() and not instance.revoked:
                return instance
        return None

    def only(self) -> Instance:
        """The machine that is connected. Raises ValueError unless there is just one."""
        live = [one for one in self.instances.values() if one.socket is not None]
        if len(live) != 1:
            raise ValueError(f"{len(live)} machines are connected")
        return live[0]

    def signed(self, type_: str, params: Json | None = None, **others: object) -> dict[str, object]:
        """A frame as the Hub sends it; `others` replace its id or time before it is signed."""
        frame: dict[str, object] = {
            "id": str(uuid4()),
            "type": type_,
            "params": dict(params or {}),
            "ts": int(time.time() * 1000),
            **others,
        }
        return {**frame, "sig": signing.sign(self._key, signing.control_input(frame))}

    async def ask(self, type_: str, params: Json | None = None, *, timeout: float = 30.0) -> Json:
        """Send a frame to the only machine and return its ack.

        Raises:
            ValueError: not just one machine is connected.
            TimeoutError: there is no ack in time.
        """
        return await self.send(self.signed(type_, params), timeout=timeout)

    async def send(self, frame: Json, *, timeout: float = 30.0) -> Json:
        """Send a frame exactly as given and return its ack. Raises as `ask`."""
        socket = self.only().socket
        waiting = asyncio.get_running_loop().create_future()
        self._acks[str(frame["id"])] = waiting
        try:
            if socket is not None:
                socket.push(json.dumps(frame))
            async with asyncio.timeout(timeout):
                found: Json = await waiting
                return found
        finally:
            self._acks.pop(str(frame["id"]), None)

    def send_text(self, text: str) -> None:
        """Send a text, however wrong it is, to the only machine."""
        socket = self.only().socket
        if socket is not None:
            socket.push(text)

    def acknowledged(self, ack: Json) -> None:
        """Take the ack of a frame."""
        waiting = self._acks.get(str(ack.get("id")))
        if waiting is not None and not waiting.done():
            waiting.set_result(ack)

    async def revoke(self, instance: Instance | None = None) -> None:
        """Take a machine's login away, as its user does: it is told, then its socket is closed."""
        gone = instance or self.only()
        gone.revoked = True
        if gone.socket is not None:
            gone.socket.push(json.dumps(self.signed("revoke", {"reason": "revoked_by_user"})))
            gone.socket.end(4403, "revoked")

    def drop(self, code: int = 1012) -> None:
        """Close all sockets."""
        for instance in self.instances.values():
            if instance.socket is not None:
                instance.socket.end(code, "")

    async def provision(self, url: str, name: str, **params: object) -> Json:
        """Have the only machine run a new agent; its ack. Raises as `ask`.

        The agent is not known to the Hub until it is registered with these credentials.
        """
        seed = secrets.token_bytes(32)
        public = signing.public_key(signing.signing_key(seed))
        credentials = {
            "agentId": signing.agent_id(public),
            "keyId": random_id("k_", 12),
            "privateKey": base64.b64encode(seed).decode(),
            "publicKey": public,
            "hubUrl": url,
            "displayName": name,
        }
        given = {"name": name, "credentials": credentials, **params}
        return {**await self.ask("provision_agent", given), "credentials": credentials}
