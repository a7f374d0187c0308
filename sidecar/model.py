"""The nouns that cross layers: frozen values without behaviour.

Times are seconds since the epoch, UTC, as floats. Ids are the channel's own texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Literal, NamedTuple

ConversationKind = Literal["direct", "group"]
SenderKind = Literal["owner", "human", "agent"]
Trust = Literal["owner", "trusted", "public"]
QueueMode = Literal["serial", "cancel-previous", "coalesce"]
BlockKind = Literal["assistant", "thinking", "tool_use", "tool_result", "system", "other"]
ACTS: tuple[BlockKind, ...] = ("assistant", "tool_use", "tool_result")
"""Blocks after which a turn is not run again: it would say, or do, the same twice."""
ReplyKind = Literal["answer", "error", "notice"]
AttentionMode = Literal["always", "mention_only", "keyword", "allowed_senders", "muted"]
FailureKind = Literal[
    "not_found",  # the program of the runtime, or its working directory, is not there
    "exited",  # it ended without a final event, by a code or a signal
    "protocol",  # what it printed makes no sense
    "api",  # the model behind it answered with an error
    "auth",  # it is not logged in, or its login has expired
    "usage_limit",  # a quota is used up; `resets_at` where it is known
    "session_missing",  # the session to resume does not exist any more
    "idle_timeout",  # no output for too long
    "turn_timeout",  # the whole turn took too long
    "internal",  # a defect of the sidecar or of a plug-in
]

NO_REPLY = "NO_REPLY"
"""The answer with which an agent says that it has nothing to say, where a route has no other."""


class ConversationKey(NamedTuple):
    """Names one conversation. Turns with one key never overlap."""

    channel: str
    account: str
    conversation: str
    thread: str | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where a message was said. `thread` is the channel's id of a topic inside it."""

    id: str
    kind: ConversationKind
    title: str | None = None
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who said it. `owner` is the person that the agent belongs to."""

    id: str
    kind: SenderKind
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One inbound message, as the channel understood it. `(channel, account, id)` is unique.

    `sent_at` is when it was said, as far as the channel knows: `received_at` without that, and
    never later. `alias` is another id by which replies may name it, `reply_to` what this one
    replies to. `unusable` is the reason why it can never start a turn (it is recorded all the
    same). One that was `planned` for its time waits for others, and they for it. `extra` is a JSON
    object of the channel's own: what it needs to answer, and facts that its templates may read.
    Nobody else looks into it.
    """

    channel: str
    account: str
    id: str
    conversation: Conversation
    sender: Sender
    text: str
    received_at: float
    mentioned: bool = False
    reply_to: str | None = None
    alias: str | None = None
    unusable: str | None = None
    planned: bool = False
    sent_at: float = inf
    extra: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sent_at", min(self.received_at, self.sent_at))

    @property
    def key(self) -> ConversationKey:
        """The conversation that the message belongs to."""
        place = self.conversation
        return ConversationKey(self.channel, self.account, place.id, place.thread)


@dataclass(frozen=True, slots=True)
class Said:
    """What was said last in a conversation. `preview` is the beginning of it, as it was written."""

    conversation: Conversation
    sender: Sender
    preview: str
    at: float


@dataclass(frozen=True, slots=True)
class Attention:
    """Which messages of a conversation the owner wants the agent to be woken by. `muted_until`
    holds besides the mode; None is not muted."""

    mode: AttentionMode = "always"
    keywords: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    muted_until: float | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a room. `role` is the channel's own word, empty where there is none."""

    id: str
    name: str | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """What a channel knows of a conversation. All texts are as others wrote them. `members` may be
    only some of the `member_count`."""

    id: str
    name: str = ""
    description: str = ""
    rule: str = ""
    visibility: str = ""
    join_policy: str = ""
    members: tuple[Member, ...] = ()
    member_count: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """Text on its way to a conversation.

    `key` is a UUID and stays the same on every try: channels use it as the idempotency key.
    `answers` is the id of the message that it answers, `extra` that message's `extra`.
    `last` tells that nothing more follows for that message.
    """

    key: str
    channel: str
    account: str
    conversation: Conversation
    text: str
    kind: ReplyKind
    created_at: float
    answers: str | None = None
    last: bool = True
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was said in a conversation, oldest first, and the answer to it; empty if none."""

    messages: tuple[Message, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a runtime is given: the system context and the user turn."""

    system: str
    user: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What one turn used, as far as the runtime tells. `cost_usd` is of this turn alone."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a turn did not succeed. `detail` is for the log, never for a room. `retryable` tells that
    the same turn may succeed in a moment."""

    kind: FailureKind
    detail: str
    retryable: bool = False
    resets_at: float | None = None


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The runtime named the session in which it works."""

    session: str


@dataclass(frozen=True, slots=True)
class Block:
    """One streamed event of a turn.

    `text` is what was said, thought or printed; `name`, `id` and `input` describe a tool's call,
    and `id` pairs a `tool_use` with its `tool_result`. `partial` marks a piece of a text that the
    whole text will follow, or an empty one when it was given up.
    """

    kind: BlockKind
    text: str = ""
    name: str = ""
    id: str = ""
    input: Mapping[str, object] = field(default_factory=dict)
    failed: bool = False
    partial: bool = False


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The last event of a turn, always exactly one. `failure` is None on success.

    `text` is the answer; after a failure, what there is of it. `session` is the id with which
    the next turn resumes, None when there is none. `total` is what all turns of the session used,
    from agents that tell only that: the next turn is given it as `Job.total`.
    """

    text: str
    session: str | None = None
    failure: Failure | None = None
    usage: Usage | None = None
    total: Usage | None = None


AgentEvent = SessionStarted | Block | TurnEnded


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Bounds of one turn, in seconds and bytes."""

    idle_timeout: float = 600.0
    stop_grace: float = 5.0
    linger: float = 5.0
    output: int = 1 << 20


@dataclass(frozen=True, slots=True)
class ToolServer:
    """A program that offers tools to an agent, over MCP on its standard input and output.

    The agent starts it with `env` added to the environment, and may call `tools`, and no other of
    its tools, without asking. A runtime adds the marks of the turn to `env`, so that the program
    ends with the turn.
    """

    name: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One turn as a runtime sees it.

    `session` is the id to resume, `env` is added to the environment, and `message` describes the
    message for runtimes that take more than the prompt. `model` and `effort` are the agent's own
    names; None leaves the choice to it. `tools` are given only to runtimes whose type takes them.
    `total` is what an earlier turn of the session told last.
    """

    turn: str
    account: str
    prompt: Prompt
    cwd: Path
    trust: Trust
    session: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    message: Mapping[str, object] = field(default_factory=dict)
    limits: JobLimits = JobLimits()
    model: str | None = None
    effort: str | None = None
    tools: tuple[ToolServer, ...] = ()
    total: Usage | None = None
