"""From a turn to the values that its templates see: every text from outside is made safe here.

Names, titles and ids become labels, all other text is sanitised, but what the owner says is only
cleaned. A text that does not exist is empty.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypedDict, cast

from sidecar import model
from sidecar.config.model import Route
from sidecar.core.sanitise import clean, cut, label, sanitise
from sidecar.model import ConversationKind, SenderKind, Trust
from sidecar.prompts.facts import provided, safe_mapping
from sidecar.prompts.view import View

LONGEST_LINE = 500
"""Characters of a message, or an answer, of an earlier session."""
MOST_AT_ONCE = 3
"""Messages that were answered together of which a fresh session is told: the last ones."""
LONGEST_ID = 256
"""Characters of an id."""
OLD = 300.0
"""Seconds after which it matters when a message was said."""

_LAST_SECOND = 253402300799.0
"""Of the year 9999, where the calendar of `datetime` ends."""
_UNNAMED: Mapping[SenderKind, str] = {"owner": "owner", "human": "user", "agent": "unknown"}


@dataclass(frozen=True, slots=True)
class TurnContext:
    """A turn that is about to run. `messages` are oldest first, never none.

    `now` is in seconds since the epoch, `env` has environment variables by name. `attempt` is 2
    after an interruption; `reason` is `message`, `coalesced` or `retry`. `history` is what was
    said before, for a fresh session that takes the place of another. `facts` are what context
    providers told, by their names; one that is not among them is empty.
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
    history: tuple[model.Exchange, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


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
    sent_at: datetime
    old: bool
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
    no_reply: str


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


@dataclass(frozen=True, slots=True)
class ExchangeView(View):
    """What was said before, and the answer."""

    messages: list[MessageView]
    answer: str


class Env(dict[str, str]):
    """Environment variables. Errors call it by its name."""


class Values(TypedDict):
    """The values by name, as `contract.CONTRACT` tells; those of providers are beside them."""

    messages: list[MessageView]
    message: MessageView
    sender: SenderView
    conversation: ConversationView
    channel: str
    account: str
    route: RouteView
    turn: TurnView
    session: SessionView
    history: list[ExchangeView]
    now: datetime
    env: Env


def values(context: TurnContext, names: Iterable[str] = (), others: Iterable[str] = ()) -> Values:
    """What the templates of a turn see. `names` are those that `env` may have, `others` the
    context providers of other packages: theirs are values too, as `provided` tells."""
    messages = [_message(message, context.now) for message in context.messages]
    newest, route = context.messages[-1], context.route
    place = newest.conversation
    found: Values = {
        "messages": messages,
        "message": messages[-1],
        "sender": messages[-1].sender,
        "conversation": ConversationView(
            _id(place.id), place.kind, label(place.title or ""), label(place.thread or "")
        ),
        "channel": newest.channel,
        "account": _id(newest.account),
        "route": RouteView(route.name, route.runtime, route.trust, route.no_reply or ""),
        "turn": TurnView(context.turn, context.attempt, context.reason, context.trust),
        "session": SessionView(context.resumed, context.session_turns),
        "history": [_exchange(exchange, context.now) for exchange in context.history],
        "now": _utc(context.now),
        "env": Env({name: context.env[name] for name in names if name in context.env}),
    }
    return cast(Values, {**provided(context.facts, others), **found})


def _message(message: model.Message, now: float) -> MessageView:
    return MessageView(
        id=_id(message.id),
        text=_text(message).strip().strip("\ufeff").strip(),
        time=_utc(message.received_at),
        sent_at=_utc(message.sent_at),
        old=now - message.sent_at >= OLD,
        mentioned=message.mentioned,
        reply_to=_id(message.reply_to or ""),
        sender=_sender(message.sender),
        _facts=partial(safe_mapping, message.extra),
    )


def _exchange(exchange: model.Exchange, now: float) -> ExchangeView:
    """An exchange of an earlier session: nobody speaks with authority in it, the owner neither."""
    messages = [
        replace(_message(replace(message, text=""), now), text=_line(message.text))
        for message in exchange.messages[-MOST_AT_ONCE:]
    ]
    return ExchangeView(messages, _line(exchange.answer))


def _line(text: str) -> str:
    words = " ".join(clean(text[: 4 * LONGEST_LINE]).split())
    line = sanitise(words)
    return line if len(line) <= LONGEST_LINE else f"{cut(line, LONGEST_LINE - 1)}…"


def called(sender: model.Sender) -> str:
    """How to call a sender, as a label: people by name, agents by id."""
    # Whoever runs an agent chooses its name, so that only the id tells which one speaks.
    name = "" if sender.kind == "agent" else label(sender.name or "")
    return name or label(sender.id) or _UNNAMED[sender.kind]


def _sender(sender: model.Sender) -> SenderView:
    return SenderView(_id(sender.id), label(sender.name or ""), sender.kind, called(sender))


def _text(message: model.Message) -> str:
    return clean(message.text) if message.sender.kind == "owner" else sanitise(message.text)


def _id(text: str) -> str:
    return label(text, LONGEST_ID)


def _utc(seconds: float) -> datetime:
    if not 0.0 <= seconds <= _LAST_SECOND:
        seconds = min(max(0.0, seconds), _LAST_SECOND)
    return datetime.fromtimestamp(seconds, UTC)
