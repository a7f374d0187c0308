"""What the journal tells: accepted messages, started turns, replies that wait, unfinished work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sidecar.model import ConversationKey, Message, Reply, Usage


class SessionKey(NamedTuple):
    """Names one stored session. A runtime resumes it only where all parts are the same."""

    channel: str
    account: str
    conversation: str
    thread: str | None
    runtime: str
    cwd: str
    trust: str


@dataclass(frozen=True, slots=True)
class PendingReply:
    """A reply that its channel has not taken yet.

    `attempts` were made so far; the next one is due at `next_at`.
    """

    id: int
    turn: str
    reply: Reply
    attempts: int
    next_at: float

    @property
    def conversation_key(self) -> ConversationKey:
        """The conversation that it goes to."""
        place = self.reply.conversation
        return ConversationKey(self.reply.channel, self.reply.account, place.id, place.thread)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why no turn is run for a message, and what its sender is told."""

    reason: str
    replies: Sequence[Reply] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that was new, and the id of the turn that waits for it.

    `refused` is the reason of one that has ended already, with `replies` to be delivered.
    """

    turn: str
    message: Message
    refused: str | None = None
    replies: Sequence[PendingReply] = ()


@dataclass(frozen=True, slots=True)
class StartedTurn:
    """A turn that may run now.

    `attempt` counts from 1. `session` is the id to resume, None to begin a new one;
    `session_turns` is the number of turns that were finished in it, the last one at
    `session_used_at`, and `session_tokens` what they used together. `session_total` is what its
    agent told last of that.
    """

    attempt: int
    session: str | None
    session_turns: int
    session_tokens: int = 0
    session_used_at: float = 0.0
    session_total: Usage | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn that was run ended. `silent` is a success without an answer. `total` is what all
    turns of its session used, where the agent tells that."""

    state: Literal["answered", "silent", "failed", "cancelled"]
    error: str = ""
    usage: Usage | None = None
    total: Usage | None = None


@dataclass(frozen=True, slots=True)
class UnfinishedTurn:
    """A turn without an outcome. `running` tells that it was started, for the `attempt`th time.

    `messages` are those that it answers, the merged ones included, oldest first.
    """

    turn: str
    attempt: int
    running: bool
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class JournalCounts:
    """How much the journal holds. `turns` is by state."""

    turns: Mapping[str, int]
    replies_pending: int
    replies_refused: int
    sessions: int
