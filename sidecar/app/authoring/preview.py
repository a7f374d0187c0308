"""What would become of a message: its route, its trust, its prompt. Nothing is run."""

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Any

from sidecar.app.authoring.facts import given
from sidecar.config.model import Config, Grant, Route, Template
from sidecar.core.queueing import mode_of
from sidecar.core.routing import Router
from sidecar.core.trust import trust_of
from sidecar.errors import TemplateFailed
from sidecar.model import Conversation, Exchange, Message, QueueMode, Sender, Trust
from sidecar.plugins import channel_type
from sidecar.prompts.render import BLANK_LINES, Prompts, TurnContext
from sidecar.prompts.trace import Piece, Trace, trimmed

Told = Mapping[str, Any]
"""A message, or a whole test, as the config's `tests` tell it: see the schema."""

LookUp = Callable[[Collection[str], Route, Message, Trust], Mapping[str, object]]
"""Tells what there is of the named contexts, for a route and the newest message of a turn."""

_PLACE = ("channel", "account")


@dataclass(frozen=True, slots=True)
class Situation:
    """What a turn meets. `messages` are oldest first, `now` is in seconds since the epoch, `env`
    has the environment variables that templates may read, `facts` the context by name; `history`
    is what was said in a session whose place a fresh one takes."""

    messages: Sequence[Message]
    now: float
    attempt: int = 1
    session_turns: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    history: Sequence[Exchange] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a text, and what made it: the template, and the block in it, empty outside of
    blocks."""

    text: str
    template: str
    block: str


@dataclass(frozen=True, slots=True)
class Made:
    """One text of a prompt. `by` is the template that made it, None where none could; `wrote` are
    the blocks of that template, empty for what is outside of them, that printed something."""

    text: str
    parts: tuple[Part, ...]
    by: Template | None
    wrote: frozenset[str]


@dataclass(frozen=True, slots=True)
class Preview:
    """The turn of a message. `recovery` stands before the user turn where there is a history;
    `failures` are the templates that failed."""

    route: Route
    trust: Trust
    queue: QueueMode
    system_context: Made
    user_turn: Made
    recovery: Made
    failures: tuple[TemplateFailed, ...]

    @property
    def told(self) -> str:
        """What the agent is told as the user's turn."""
        return "\n\n".join(filter(None, (self.recovery.text, self.user_turn.text)))


def message_of(told: Told, config: Config, now: float | None = None) -> Message:
    """The message that is told; what is not told has the defaults of the schema. What the owner
    says, and no room is named, is said in a room such as the owner's chat.

    Raises:
        KeyError, TypeError, AttributeError: it has not the form of the schema.
        ValueError: its `sent_at` is no time.
    """
    place, sender = told.get("conversation", {}), told.get("sender", {})
    channel = told.get("channel") or next(iter(config.channels), "")
    sender_kind, kind = sender.get("kind", "owner"), place.get("kind", "direct")
    is_own = (sender_kind, kind) == ("owner", "direct")
    return Message(
        channel=channel,
        account=told.get("account") or _account(channel, config),
        id="preview",
        conversation=Conversation(
            place.get("id", _owner_room(channel, config) if is_own else "preview"),
            kind,
            place.get("title"),
            place.get("thread"),
        ),
        sender=Sender(sender.get("id", "preview"), sender_kind, sender.get("name")),
        text=told["text"],
        received_at=time.time() if now is None else now,
        sent_at=_time(told, "sent_at", inf),
        mentioned=told.get("mentioned", False),
        reply_to=told.get("reply_to"),
    )


def messages_of(
    told: Sequence[Told], config: Config, now: float | None = None
) -> tuple[Message, ...]:
    """The messages of one turn, oldest first: they share the place of the last one where they
    name no other. Raises what `message_of` does; IndexError where there is none."""
    newest = message_of(told[-1], config, now)
    place = {name: told[-1][name] for name in _PLACE if name in told[-1]}
    place["conversation"] = asdict(newest.conversation)
    return tuple(message_of({**place, **one}, config, now) for one in told)


def history_of(
    told: Sequence[Told], newest: Told, config: Config, now: float | None = None
) -> tuple[Exchange, ...]:
    """What was said before the newest message, in its place where no other is named. Raises what
    `messages_of` does."""
    return tuple(
        Exchange(messages_of([*one["messages"], newest], config, now)[:-1], one.get("answer", ""))
        for one in told
    )


def situation_of(test: Told, config: Config) -> Situation:
    """What a test of the config tells. Of the real environment it has nothing.

    Raises:
        ValueError: its clock, or what a message has as `sent_at`, is no time.
    """
    now = _time(test, "clock", time.time())
    return Situation(
        messages=messages_of([*test.get("earlier", ()), test["message"]], config, now),
        history=history_of(test.get("history", ()), test["message"], config, now),
        now=now,
        attempt=test.get("attempt", 1),
        session_turns=test.get("session", {}).get("turns", 0),
        env=test.get("env", {}),
        facts=test.get("facts", {}),
    )


def preview(
    config: Config,
    prompts: Prompts,
    situation: Situation,
    route: Route | None = None,
    look_up: LookUp | None = None,
) -> Preview | None:
    """The turn that it would lead to; None when no route takes the newest message. A `route` that
    is given takes it, whatever it matches. Context that the situation does not tell is looked up,
    or else empty. Raises what `look_up` raises."""
    messages = tuple(situation.messages)
    route = route or Router(config.routes, config.default_route).match(messages[-1])
    if route is None:
        return None
    trust = _trust(config, messages, route)
    facts = given(situation.facts, situation.now)
    if look_up is not None:
        names = prompts.needs(route, messages[-1].channel) - facts.keys()
        facts |= look_up(names, route, messages[-1], trust)
    trace = Trace()
    rendered = prompts.render(_context(config, situation, route, trust, facts), trace)
    runs = iter(trace.runs)  # one for each text that a template made
    made_by = {
        key: (template, () if template is None else next(runs))
        for key, template in rendered.made_by.items()
    }
    recovery = rendered.recovery
    user = rendered.prompt.user.removeprefix(f"{recovery}\n\n" if recovery else "")
    return Preview(
        route=route,
        trust=trust,
        queue=mode_of(route, messages[-1].conversation.kind),
        system_context=_made(rendered.prompt.system, *made_by["system_context"], BLANK_LINES),
        user_turn=_made(user, *made_by["user_turn"]),
        recovery=_made(recovery, *made_by.get("recovery", (None, ()))),
        failures=rendered.failures,
    )


def _made(
    text: str,
    by: Template | None,
    pieces: Sequence[Piece],
    blank_lines: re.Pattern[str] | None = None,
) -> Made:
    if by is None:
        return Made(text, (), None, frozenset())
    parts = tuple(_part(piece, by) for piece in trimmed(pieces, blank_lines))
    wrote = frozenset(block for piece in pieces for block in _blocks(piece))
    return Made(text, parts, by, wrote)


def _part(piece: Piece, by: Template) -> Part:
    return Part(piece.text, piece.origin.template or name_of(by), piece.origin.block)


def name_of(template: Template) -> str:
    """A template's file; of one inside a config, with the line where it begins."""
    return f"{template.name}:{template.line}" if template.line > 1 else template.name


def _blocks(piece: Piece) -> Sequence[str]:
    """The blocks of the template that began, around a piece."""
    if not piece.text.strip():
        return ()
    return [step.block for step in piece.way if not step.template and step.block] or [""]


def _context(
    config: Config,
    situation: Situation,
    route: Route,
    trust: Trust,
    facts: Mapping[str, object],
) -> TurnContext:
    again = situation.attempt > 1
    several = len(situation.messages) > 1
    return TurnContext(
        messages=tuple(situation.messages),
        route=route,
        trust=trust,
        turn="preview",
        now=situation.now,
        attempt=situation.attempt,
        reason="retry" if again else "coalesced" if several else "message",
        session_turns=0 if situation.history else situation.session_turns,
        resumed=situation.session_turns > 0 and not situation.history,
        history=tuple(situation.history),
        env={name: situation.env[name] for name in config.context.env if name in situation.env},
        facts=facts,
    )


def _trust(config: Config, messages: Sequence[Message], route: Route) -> Trust:
    channel = config.channels.get(messages[-1].channel)
    grant = channel.grant if channel is not None else Grant()
    return trust_of(route.trust, grant, messages)


def _time(told: Told, name: str, default: float) -> float:
    """A time that may be told, UTC where no zone is, in seconds since the epoch."""
    if name not in told:
        return default
    try:
        at = datetime.fromisoformat(told[name])
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _account(channel: str, config: Config) -> str:
    if channel not in config.channels:
        return channel
    found = config.channels[channel]
    return channel_type(found.type).account(channel, found.options)


def _owner_room(channel: str, config: Config) -> str:
    found = config.channels.get(channel)
    return channel_type(found.type).owner_room if found is not None else "preview"
