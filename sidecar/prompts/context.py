"""From a turn to the values that its templates see: every text from outside is made safe here.

Names, titles and ids become labels, all other text is sanitised, but what the owner says is only
cleaned. A text that does not exist is empty.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TypedDict

from sidecar import model
from sidecar.config.model import Route
from sidecar.core.sanitise import clean, label, sanitise
from sidecar.model import ConversationKind, SenderKind, Trust
from sidecar.prompts.environment import View

LONGEST_ID = 256
"""Characters of an id."""
DEEPEST_EXTRA = 8
"""Levels of `message.extra`; what is deeper is left out."""
WIDEST_EXTRA = 200
"""Values of one list or mapping in `message.extra`; what is more is left out."""

_LAST_SECOND = 253402300799.0
"""Of the year 9999, where the calendar of `datetime` ends."""
_UNNAMED: Mapping[SenderKind, str] = {"owner": "owner", "human": "user", "agent": "unknown"}


@dataclass(frozen=True, slots=True)
class TurnContext:
    """A turn that is about to run. `messages` are oldest first, never none.

    `now` is in seconds since the epoch, `env` has environment variables by name. `attempt` is 2
    after an interruption; `reason` is `message`, `coalesced` or `retry`.
    """

    messages: tuple[model.Message, ...]
    route: Route
    trust: Trust
    turn: str
    now: float
    attempt: int = 1
    reason: str = "message"
    session_turns: int = 0
    resumed: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SenderView(View):
    """Who said something."""

    id: str
    name: str
    kind: SenderKind
    label: str


@dataclass(frozen=True, slots=True)
class MessageView(View):
    """One message. `extra` is made safe when a template asks for it, which few do."""

    id: str
    text: str
    time: datetime
    mentioned: bool
    reply_to: str
    sender: SenderView
    _facts: Callable[[], dict[str, object]] = field(repr=False, compare=False)

    @property
    def extra(self) -> dict[str, object]:
        """Facts of the channel's own."""
        return self._facts()


@dataclass(frozen=True, slots=True)
class ConversationView(View):
    """Where it was said."""

    id: str
    kind: ConversationKind
    title: str
    thread: str


@dataclass(frozen=True, slots=True)
class RouteView(View):
    """What decides about the turn."""

    name: str
    runtime: str
    trust: Trust


@dataclass(frozen=True, slots=True)
class TurnView(View):
    """The turn itself."""

    id: str
    attempt: int
    reason: str
    trust: Trust


@dataclass(frozen=True, slots=True)
class SessionView(View):
    """What the agent remembers."""

    resumed: bool
    turns: int


class Env(dict[str, str]):
    """Environment variables. Errors call it by its name."""


class Values(TypedDict):
    """The values by name, as `contract.CONTRACT` tells."""

    messages: list[MessageView]
    message: MessageView
    sender: SenderView
    conversation: ConversationView
    channel: str
    account: str
    route: RouteView
    turn: TurnView
    session: SessionView
    now: datetime
    env: Env


def values(context: TurnContext, names: Iterable[str] = ()) -> Values:
    """What the templates of a turn see. `names` are those that `env` may have."""
    messages = [_message(message) for message in context.messages]
    newest, route = context.messages[-1], context.route
    place = newest.conversation
    return {
        "messages": messages,
        "message": messages[-1],
        "sender": messages[-1].sender,
        "conversation": ConversationView(
            _id(place.id), place.kind, label(place.title or ""), label(place.thread or "")
        ),
        "channel": newest.channel,
        "account": _id(newest.account),
        "route": RouteView(route.name, route.runtime, route.trust),
        "turn": TurnView(context.turn, context.attempt, context.reason, context.trust),
        "session": SessionView(context.resumed, context.session_turns),
        "now": _utc(context.now),
        "env": Env({name: context.env[name] for name in names if name in context.env}),
    }


def _message(message: model.Message) -> MessageView:
    return MessageView(
        id=_id(message.id),
        text=_text(message).strip().strip("\ufeff").strip(),
        time=_utc(message.received_at),
        mentioned=message.mentioned,
        reply_to=_id(message.reply_to or ""),
        sender=_sender(message.sender),
        _facts=partial(_facts, message.extra),
    )


def _sender(sender: model.Sender) -> SenderView:
    name, short_id = label(sender.name or ""), label(sender.id)
    # Whoever runs an agent chooses its name, so that only the id tells which one speaks.
    called = short_id if sender.kind == "agent" else name or short_id
    return SenderView(_id(sender.id), name, sender.kind, called or _UNNAMED[sender.kind])


def _text(message: model.Message) -> str:
    return clean(message.text) if message.sender.kind == "owner" else sanitise(message.text)


def _facts(found: Mapping[str, object], depth: int = 1) -> dict[str, object]:
    """Rules, previews, names: others wrote them, whoever sent the message."""
    return {
        label(str(key)): _fact(value, depth) for key, value in islice(found.items(), WIDEST_EXTRA)
    }


def _fact(value: object, depth: int) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping() if depth < DEEPEST_EXTRA:
            return _facts(value, depth + 1)
        case list() | tuple() if depth < DEEPEST_EXTRA:
            return [_fact(one, depth + 1) for one in value[:WIDEST_EXTRA]]
        case Mapping() | list() | tuple():
            return None
    return sanitise(str(value))


def _id(text: str) -> str:
    return label(text, LONGEST_ID)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(0.0, seconds), _LAST_SECOND), UTC)
