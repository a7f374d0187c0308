"""What a component from another package implements, and what it is lent.

A component type is a value: a name, the JSON Schema of its options and a function that builds it.
Built-in types and types from other packages differ in nothing.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from sidecar.model import AgentEvent, Attention, Block, Job, Message, Reply, Room, Said, Trust

if TYPE_CHECKING:
    import asyncio

    from aiohttp import ClientSession

Accept = Callable[[Sequence[Message]], Awaitable[None]]
"""Takes messages over; returns when they are durable, so that they may be acknowledged."""

Spawn = Callable[[Coroutine[object, object, None], str], "asyncio.Task[None]"]
"""Starts a named background task that the sidecar owns: it is logged when it fails, and ended
when the sidecar stops."""

ChannelState = Literal["starting", "connecting", "connected", "waiting", "stopped"]

ComponentKind = Literal["channel", "runtime", "context"]
"""What a type can be a type of."""


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How a channel is. `connection` names the present connection and changes with it."""

    state: ChannelState
    since: float
    reason: str = ""
    connection: str | None = None
    reconnects: int = 0


def _unwatched(before: bytes, after: bytes) -> None:
    """A write that nobody needs to know of."""


def _nothing_waits() -> None:
    """No reply waits for the chat system."""


def _nothing_said(message: Message, since: float) -> Sequence[Said]:
    return ()


async def _not_found(message: Message) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Host:
    """What a component is lent when it is built. `state` is a folder of the sidecar, mode 0700.

    `wrote` is told, before it is done, that the component replaces one content of a file by
    another: a file that the config names is watched, and a write of our own is no edit. A channel
    calls `reached` when its chat system answers again: replies that wait for it are tried at once.

    Three look-ups are of use to context providers; each may raise a SidecarError. `said_since`
    tells what was said last, since a time, in each conversation of a message's account, newest
    first; `replied_to` finds the message that a message replies to; `room_of` asks the channel
    about the conversation of a message, and gives None where it does not know.
    """

    name: str
    log: logging.Logger
    state: Path
    spawn: Spawn
    http: "Callable[[], ClientSession]"
    wrote: Callable[[bytes, bytes], None] = _unwatched
    reached: Callable[[], None] = _nothing_waits
    said_since: Callable[[Message, float], Sequence[Said]] = _nothing_said
    replied_to: Callable[[Message], Awaitable[Message | None]] = _not_found
    room_of: Callable[[Message], Awaitable[Room | None]] = _not_found


class Channel(Protocol):
    """One connection to a chat system, speaking as one account."""

    @property
    def account(self) -> str:
        """The identity that the channel speaks as."""

    @property
    def max_text(self) -> int | None:
        """The longest text of one reply, in characters; None where there is no limit."""

    @property
    def status(self) -> ChannelStatus:
        """How the channel is now."""

    async def run(self, accept: Accept) -> None:
        """Receive until cancelled. Returning, or raising anything but `ChannelStopped`, means
        "start me again"."""

    async def send(self, reply: Reply) -> str | None:
        """Return when the chat system has the reply, with the id it gave it.

        Works also while `run` does not. Keeps to the system's rate limits.

        Raises:
            ChannelUnavailable: try the same reply again later.
            ReplyHeld: the same, but nothing was sent: a rate limit leaves no room for it yet.
            ReplyRefused: it is refused for good.
            ChannelStopped: the account cannot be used until a person acts.
        """

    async def close(self) -> None:
        """Let go of what is held besides `run`. The channel is not used any more."""


class Progress(Protocol):
    """Shows the blocks of one turn while it runs."""

    def show(self, block: Block) -> None:
        """Queue a block; never waits. What is too much is left out."""

    async def close(self, *, reply_follows: bool) -> None:
        """Return when what was queued is sent, within a bound of the channel's own.

        Without a reply to follow, the channel is told that the turn has ended.
        """


class ShowsProgress(Protocol):
    """A channel may also be able to do this."""

    def progress(self, message: Message) -> Progress | None:
        """Begin to show the turn that answers the message; None where it cannot be shown."""


class KnowsRooms(Protocol):
    """A channel may also be able to do this."""

    async def room(self, conversation: str) -> Room | None:
        """What there is to know of a conversation; None where the account may not see it.

        Raises:
            ChannelError: the chat system does not tell now.
        """


class KnowsAttention(Protocol):
    """A channel may also be able to do this."""

    async def attention(self, conversation: str) -> Attention | None:
        """Which messages of a conversation are to wake the agent; None where nothing is said.

        Raises:
            ChannelError: the chat system does not tell now.
        """


class TellsOwner(Protocol):
    """A channel may also be able to do this."""

    async def tell_owner(self, text: str) -> None:
        """Return when the owner of the account is shown a text that belongs to no turn.

        Raises:
            ChannelError: the chat system does not take it; an unavailable one may do so later.
        """


class HasCredentials(Protocol):
    """A channel may also be able to do this."""

    async def new_credentials(self) -> object | None:
        """What its file of credentials holds, where it is another hand's and not what the channel
        works with; None otherwise. It is equal to what it was before only where nobody has written
        to the file since.

        Raises:
            ChannelStopped: what the file holds cannot be used.
        """


class Runtime(Protocol):
    """A way to run an agent."""

    def run(self, job: Job) -> AsyncGenerator[AgentEvent, None]:
        """Run one turn. Ends with exactly one `TurnEnded`; closing or cancelling it stops the
        agent and all that the agent started."""

    async def close(self) -> None:
        """End what is kept between turns."""


class Retires(Protocol):
    """A runtime may also be able to do this."""

    async def retire(self) -> None:
        """End what waits for turns to come: another runtime is given them. Those that run go on;
        `close` follows the last of them."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a turn would be run: the program with its arguments, and the names of the environment
    variables that it is given."""

    argv: Sequence[str]
    env: frozenset[str]


class Describes(Protocol):
    """A runtime may also be able to do this."""

    async def describe(self, job: Job) -> Invocation:
        """How it would run a turn. Nothing is started or looked up, so that it is the same on
        every machine: flags that only some versions of a tool know are left out."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The turn that a context provider is asked about: its newest message, the folder in which
    the runtime will work, the present time, the names of the tool servers that the runtime is
    given, and how far the turn is trusted."""

    message: Message
    cwd: Path
    now: float
    tools: frozenset[str] = frozenset()
    trust: Trust = "public"


class ContextProvider(Protocol):
    """Knows something that templates can use, under the name of its type."""

    def value(self, asked: Asked) -> object:
        """The value, as plain data: None, booleans, numbers, texts, lists and mappings.

        It is asked only for turns whose templates use the name. An `async` method is waited for,
        under a time limit; one that is not must know its answer without waiting for anything, and
        may return an awaitable when it does not. Whatever it raises, the turn goes on with the
        type's `empty` value.
        """

    async def close(self) -> None:
        """Let go of what is held. The provider is not used any more."""


@dataclass(frozen=True, slots=True)
class ContextType:
    """A kind of context. `options` is the JSON Schema of its keys in the config, below
    `context.NAME`; `empty` is what templates see where there is no value."""

    name: str
    options: Mapping[str, object]
    build: Callable[[Mapping[str, object], Host], ContextProvider]
    empty: object = None


@dataclass(frozen=True, slots=True)
class ChannelType:
    """A kind of channel. `options` is the JSON Schema of its keys in the config.

    `account` reads the account from the channel's id and options. `exclusive`: two of one account
    cannot be open at once, so a changed one is stopped before its successor starts. `owner_room`
    is an id such as the owner's own chat has there: a preview of what the owner says uses it.
    """

    name: str
    options: Mapping[str, object]
    build: Callable[[Mapping[str, object], Host], Channel]
    account: Callable[[str, Mapping[str, object]], str]
    exclusive: bool = False
    owner_room: str = "preview"


@dataclass(frozen=True, slots=True)
class RuntimeType:
    """A kind of runtime. `options` is the JSON Schema of its keys in the config.

    `takes_tools`: it starts the servers of `Job.tools` for its agent.
    """

    name: str
    options: Mapping[str, object]
    build: Callable[[Mapping[str, object], Host], Runtime]
    takes_tools: bool = False
