"""What the Hub knows: agents, people, rooms, messages, streams. All of it in memory."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from nacl.signing import SigningKey

from sidecar.devhub.control import Control
from sidecar.devhub.faults import Faults
from sidecar.devhub.inbox import Copy, Inbox
from sidecar.devhub.limits import Generation, HubLimits, SlidingWindow
from sidecar.devhub.news import News
from sidecar.devhub.records import Block, Event, Posted, Presence, Sent, Typing

WATCH_BACKLOG = 1000
"""Events that a watcher may leave unread before it is given up."""


class Socket(Protocol):
    """A socket that somebody has opened as an agent."""

    def push(self, frame: Mapping[str, object]) -> None:
        """Send a frame soon. Nothing is sent once the socket is ending."""

    def end(self, code: int | None, reason: str = "") -> None:
        """Close the socket; 1006 ends the connection without a close frame."""


@dataclass(slots=True)
class Agent:
    """An agent account. `signer` is known when the Hub made the key pair or was given it.

    `played` marks an agent that a person plays in the chat: nobody answers for it. `attention` is
    what the owner wants the agent to be woken by, as the Hub tells it.
    """

    id: str
    name: str
    key_id: str
    signer: SigningKey | None = None
    claimed: bool = True
    played: bool = False
    attention: Mapping[str, object] = field(default_factory=dict)
    token: str | None = None
    nonces: set[str] = field(default_factory=set)
    inbox: Inbox = field(default_factory=Inbox)
    sockets: set[Socket] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Person:
    """A human account. `user_id` is the UUID that inbox messages name as their source."""

    id: str
    name: str
    user_id: str


@dataclass(slots=True)
class Key:
    """A public key of an agent, base64."""

    agent: str
    public: str
    active: bool = True


@dataclass(slots=True)
class Challenge:
    """What the holder of a new key has to sign once, until `expires_at`."""

    key_id: str
    expires_at: float
    used: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """An agent's bearer token. `expires_at` is in seconds since the epoch."""

    agent: str
    expires_at: float


@dataclass(slots=True)
class Topic:
    """A topic of a room; clients name it by its title."""

    id: str
    title: str
    goal: str | None
    status: str = "open"


@dataclass(slots=True)
class Room:
    """A room. `members` maps the ids of agents and people to their role.

    `latest` is the hash and the monotonic time of each sender's last payload, `streams` are the
    ids of the open streams.
    """

    id: str
    name: str
    members: dict[str, str]
    created: float
    description: str = ""
    rule: str | None = None
    default_send: bool = True
    slow_mode: int | None = None
    topics: dict[str, Topic] = field(default_factory=dict)
    posts: list[Posted] = field(default_factory=list)
    latest: dict[str, tuple[str, float]] = field(default_factory=dict)
    streams: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Trace:
    """The stream of progress blocks that belongs to one message of the owner."""

    agent: str
    room: str
    blocks: int = 0
    open: bool = True


class State:
    """All that the Hub knows. One per `DevHub`; its parts share it."""

    def __init__(self, limits: HubLimits, generation: Generation) -> None:
        self.limits = limits
        self.generation = generation
        self.url = ""
        self.closing = False
        self.owner = Person("hu_000000000001", "Owner", "00000000-0000-4000-8000-000000000001")
        self.agents: dict[str, Agent] = {}
        self.strangers: set[Socket] = set()
        self.people: dict[str, Person] = {self.owner.id: self.owner}
        self.rooms: dict[str, Room] = {}
        self.keys: dict[str, Key] = {}
        self.tokens: dict[str, Token] = {}
        self.challenges: dict[str, Challenge] = {}
        self.traces: dict[str, Trace] = {}
        self.posts: dict[str, Posted] = {}
        self.copies: dict[str, Copy] = {}
        self.accepted: dict[tuple[str, str], Posted] = {}
        self.sends = SlidingWindow(limits.sends_per_minute, limits.rate_window)
        self.pairs = SlidingWindow(limits.sends_per_pair, limits.rate_window)
        self.typings = SlidingWindow(limits.typing_per_minute, limits.rate_window)
        self.notified = SlidingWindow(limits.notices_per_minute, limits.rate_window)
        self.shown_typing: dict[tuple[str, str], float] = {}
        self.sent: list[Sent] = []
        self.blocks: list[Block] = []
        self.ended: list[str] = []
        self.typing: list[Typing] = []
        self.notices: list[str] = []
        self.requests: Counter[str] = Counter()
        self.connects: Counter[str] = Counter()
        self.faults = Faults()
        self.news = News()
        self.control = Control(self.news)
        self._watchers: set[asyncio.Queue[Event | None]] = set()

    @property
    def today(self) -> bool:
        """Whether today's Hub is played."""
        return self.generation == "today"

    def name_of(self, member: str) -> str:
        """The display name of an agent or a person; the id itself where there is none."""
        found = self.agents.get(member) or self.people.get(member)
        return found.name if found else member

    def wake(self, agent: Agent) -> None:
        """Tell an agent's sockets and long polls that something waits in its inbox."""
        for socket in agent.sockets:
            socket.push({"type": "inbox_update"})
        self.news.tell()

    def joined(self, agent: Agent, socket: Socket) -> None:
        """Count a socket that has authenticated as one of the agent's."""
        agent.sockets.add(socket)
        self.connects[agent.id] += 1
        if len(agent.sockets) == 1:
            self.emit(Presence(agent.id, online=True))
        self.news.tell()

    def left(self, agent: Agent, socket: Socket) -> None:
        """Forget a socket that is gone."""
        agent.sockets.discard(socket)
        if not agent.sockets:
            self.emit(Presence(agent.id, online=False))
        self.news.tell()

    def sweep(self) -> None:
        """Queue copies whose lease has run out again, and wake their agents."""
        now = time.monotonic()
        for agent in tuple(self.agents.values()):
            if agent.inbox.expire(now):
                self.wake(agent)

    def emit(self, event: Event) -> None:
        """Give an event to everybody who watches; who does not keep up is given up (None)."""
        for queue in tuple(self._watchers):
            if queue.qsize() >= WATCH_BACKLOG:
                self._watchers.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def agent(self, agent: str) -> Agent:
        """The agent with an id. Raises ValueError."""
        if agent not in self.agents:
            raise ValueError(f"no such agent: {agent}")
        return self.agents[agent]

    def close_watchers(self) -> None:
        """Tell everybody who watches that nothing more follows."""
        for queue in self._watchers:
            queue.put_nowait(None)
        self._watchers.clear()

    @contextmanager
    def watch(self) -> "Iterator[asyncio.Queue[Event | None]]":
        """A queue of all events from now on.

        None is the last one: the Hub stops, or the watcher was too slow.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)
