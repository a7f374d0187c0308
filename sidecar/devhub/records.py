"""What happened in the Hub: the records that tests read and that the chat shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Author = Literal["owner", "human", "agent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that an agent sent and the Hub accepted.

    `at` is the monotonic time, `room` the room that it went to (the direct room for a message to
    an agent), `envelope` exactly what arrived, `trace_id` the stream that it named.
    """

    at: float
    room: str | None
    envelope: Mapping[str, object]
    hub_msg_id: str
    trace_id: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """A progress block that the Hub forwarded. `at` is the monotonic time."""

    at: float
    agent: str
    room: str
    trace_id: str
    seq: int
    block: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Typing:
    """An agent said that it is typing. `at` is the monotonic time."""

    at: float
    agent: str
    room: str


@dataclass(frozen=True, slots=True)
class Posted:
    """A message in a room, whoever wrote it. `at` is in seconds since the epoch.

    `copies` are the inbox ids of its recipients; `id` is the first of them.
    """

    at: int
    id: str
    msg_id: str
    room: str | None
    sender: str
    name: str
    author: Author
    type: str
    text: str
    topic_id: str | None
    topic: str | None
    copies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """An agent has acknowledged its copy of a message."""

    agent: str
    hub_msg_id: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An agent has ended the stream of an owner's message."""

    agent: str
    room: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Settled:
    """Whoever runs an agent tells what comes of its copy of a message: a reply, or, where `silence`
    tells why, none. No Hub is told this; it is for the person at the terminal."""

    hub_msg_id: str
    silence: str = ""


@dataclass(frozen=True, slots=True)
class Presence:
    """An agent has got its first socket, or lost its last one."""

    agent: str
    online: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """Agents or rooms were added."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something to tell the person at the terminal, of no conversation."""

    text: str


Event = Posted | Block | Typing | Received | Ended | Settled | Presence | Changed | Noted
