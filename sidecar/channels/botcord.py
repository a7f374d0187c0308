"""The BotCord channel: one agent of a BotCord Hub.

A socket tells that something may be in the inbox; everything else goes over HTTP. What a message
or an answer means is decided in `sidecar.codecs`.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sidecar.api import Accept, ChannelStatus, ChannelType, Host, Progress
from sidecar.channels.connection import STABLE, Connection
from sidecar.channels.credentials import Credentials, default_path, read
from sidecar.channels.hub import PATIENCE, Hub
from sidecar.channels.inbox import INTERVAL, Inbox
from sidecar.channels.pacing import Pacer
from sidecar.channels.progress import OwnerProgress, Pace
from sidecar.channels.sending import Sender
from sidecar.channels.websocket import Limits
from sidecar.codecs.hub.attention import attention_of
from sidecar.codecs.hub.botcord import OWNER_ROOM, hub_url
from sidecar.codecs.hub.botcord_room import is_shared, room_of
from sidecar.codecs.loose import record_of, text_of
from sidecar.config.schemas.shipped import read_schema
from sidecar.config.values import rate
from sidecar.errors import ChannelStopped
from sidecar.model import Attention, Message, Reply, Room


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a channel, in seconds. `first_wait` to `longest_wait` lie between tries."""

    socket: Limits = field(default_factory=Limits)
    progress: Pace = field(default_factory=Pace)
    poll: float = INTERVAL
    request: float = 30.0
    short_request: float = 10.0
    first_wait: float = 1.0
    longest_wait: float = 30.0
    stable: float = STABLE
    patience: float = PATIENCE


@dataclass(frozen=True, slots=True)
class _Parts:
    """What works for one agent, from the moment its credentials are read."""

    hub: Hub
    inbox: Inbox
    connection: Connection
    sender: Sender


class BotcordChannel:
    """One agent of a Hub, as `sidecar.api.Channel` and all that a channel may also be able to."""

    def __init__(
        self, options: Mapping[str, object], host: Host, timing: Timing | None = None
    ) -> None:
        self._options = options
        self._host = host
        self._timing = timing or Timing()
        self._account = account(host.name, options)
        rates = record_of(options, "send_rate")
        self._pacer = Pacer(
            rate(text_of(rates, "total") or "20/1m"),
            rate(text_of(rates, "per_conversation") or "10/1m"),
        )
        self._lock = asyncio.Lock()
        self._parts: _Parts | None = None
        self._at_rest: ChannelStatus | None = ChannelStatus("starting", time.time())

    @property
    def account(self) -> str:
        """The agent's id."""
        return self._account

    @property
    def max_text(self) -> int | None:
        """The Hub sets no limit."""
        return None

    @property
    def status(self) -> ChannelStatus:
        """How the channel is now. A connected one whose inbox cannot be read tells so."""
        if self._parts is None or self._at_rest is not None:
            return self._at_rest or ChannelStatus("starting", time.time())
        status = self._parts.connection.status
        problem = self._parts.inbox.problem
        return replace(status, reason=problem) if problem and not status.reason else status

    async def run(self, accept: Accept) -> None:
        """Receive until cancelled.

        Raises:
            ChannelStopped: a person has to act; the text tells on what.
        """
        try:
            parts = await self._open()
            self._at_rest = None
            async with asyncio.TaskGroup() as group:
                for work in (
                    parts.inbox.run(accept),
                    parts.inbox.acknowledge(),
                    parts.connection.run(),
                ):
                    group.create_task(work, name=f"channel:{self._host.name}")
        except BaseExceptionGroup as failures:
            error = _worst(failures)
            self._rest(f"{error}")
            if isinstance(error, ChannelStopped):
                self._parts = None  # another run reads the credentials anew
            raise error from failures
        except BaseException as error:
            self._rest("" if isinstance(error, asyncio.CancelledError) else f"{error}")
            raise

    async def send(self, reply: Reply) -> str | None:
        """Return when the Hub has the reply, with its `hub_msg_id`."""
        return await (await self._open()).sender.send(reply)

    def progress(self, message: Message) -> Progress | None:
        """Show the turn that answers a message. Only the owner can be shown one."""
        trace = text_of(message.extra, "trace_id")
        if trace is None or not self._options.get("stream", True):
            return None
        room = message.conversation.id
        return OwnerProgress(self._hub, self._host, room, trace, self._timing.progress)

    async def room(self, conversation: str) -> Room | None:
        """What the Hub tells about a room of several people; of another it is not asked."""
        if not is_shared(conversation):
            return None
        return room_of(await (await self._hub()).room(conversation), conversation)

    async def attention(self, conversation: str) -> Attention | None:
        """Which messages of a room of several people are to wake the agent; of another it is not
        asked, there all do."""
        if not is_shared(conversation):
            return None
        return attention_of(await (await self._hub()).attention(conversation))

    async def tell_owner(self, text: str) -> None:
        """Show a text in the owner's chat with the agent; what is too long is cut."""
        await (await self._hub()).notify_owner(text)

    async def new_credentials(self) -> object | None:
        """The file's, where it has another key, Hub or token. One that has gone may come again."""
        parts = self._parts
        if parts is None or not await asyncio.to_thread(self._path.exists):
            return None
        before = parts.hub.token.kept  # a refresh may end while the file is read
        found, base = await self._credentials()
        kept = found.token in before | parts.hub.token.kept
        return None if kept and parts.hub.uses(found, base) else (found, base)

    async def close(self) -> None:
        """Nothing is held besides `run`; what is under way belongs to the host."""

    async def _hub(self) -> Hub:
        return (await self._open()).hub

    async def _open(self) -> _Parts:
        async with self._lock:
            if self._parts is None:
                self._parts = self._assemble(*await self._credentials())
            return self._parts

    @property
    def _path(self) -> Path:
        given = text_of(self._options, "credentials")
        return Path(given) if given is not None else default_path(self._account)

    async def _credentials(self) -> tuple[Credentials, str]:
        """The credentials, and the Hub's address."""
        path = self._path
        found = await asyncio.to_thread(read, path)
        if found.agent != self._account:
            raise ChannelStopped(f"{path} is of agent {found.agent}, not of {self._account}")
        base = text_of(self._options, "hub_url")
        try:
            return found, hub_url(base) if base is not None else found.hub
        except ValueError as error:
            raise ChannelStopped(f"hub_url: {error}") from error

    def _assemble(self, credentials: Credentials, base: str) -> _Parts:
        timing, host = self._timing, self._host
        waits = {"first_wait": timing.first_wait, "longest_wait": timing.longest_wait}
        hub = Hub(
            credentials,
            base,
            host,
            timeout=timing.request,
            short_timeout=timing.short_request,
            patience=timing.patience,
        )
        inbox = Inbox(hub, host, interval=timing.poll, **waits)

        def reached() -> None:
            inbox.reached()
            host.reached()

        limits, stable = timing.socket, timing.stable
        connection = Connection(
            hub, host, inbox.look, reached, limits=limits, stable=stable, **waits
        )
        return _Parts(hub, inbox, connection, Sender(hub, self._pacer, host))

    def _rest(self, reason: str) -> None:
        reconnects = self._parts.connection.status.reconnects if self._parts is not None else 0
        self._at_rest = ChannelStatus("stopped", time.time(), reason, reconnects=reconnects)


def _worst(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """What the channel ends with when several of its parts fail at once."""
    stops = failures.subgroup(ChannelStopped)
    found = (stops or failures).exceptions[0]
    return _worst(found) if isinstance(found, BaseExceptionGroup) else found


def account(id_: str, options: Mapping[str, object]) -> str:
    """The agent of a channel: the one in its options, else the channel is named after it."""
    return text_of(options, "agent") or id_


CHANNEL = ChannelType(
    name="botcord",
    options=read_schema("channel.botcord.json"),
    build=BotcordChannel,
    account=account,
    # The Hub may accept the newest token of an agent only.
    exclusive=True,
    owner_room=f"{OWNER_ROOM}preview",
)
