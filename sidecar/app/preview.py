"""What would become of a message: its route, its trust, its prompt. Nothing is run."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sidecar.config.model import Config, Grant, Route
from sidecar.core.queueing import mode_of
from sidecar.core.routing import Router
from sidecar.core.trust import granted, lower
from sidecar.errors import TemplateFailed
from sidecar.model import Conversation, Message, QueueMode, Sender, Trust
from sidecar.plugins import channel_type
from sidecar.prompts.render import Prompts, TurnContext

Told = Mapping[str, Any]
"""A message as the config's `tests` tell it: see `message` in the schema."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The turn of a message. `failures` are templates whose place the built-in one took."""

    route: str
    runtime: str
    trust: Trust
    queue: QueueMode
    system_context: str
    user_turn: str
    failures: tuple[TemplateFailed, ...]


def message_of(told: Told, config: Config) -> Message:
    """The message that is told; what is not told has the defaults of the schema.

    Raises:
        KeyError, TypeError, AttributeError: it has not the form of the schema.
    """
    place, sender = told.get("conversation", {}), told.get("sender", {})
    channel = told.get("channel") or next(iter(config.channels), "")
    return Message(
        channel=channel,
        account=told.get("account") or _account(channel, config),
        id="preview",
        conversation=Conversation(
            place.get("id", "preview"),
            place.get("kind", "direct"),
            place.get("title"),
            place.get("thread"),
        ),
        sender=Sender(sender.get("id", "preview"), sender.get("kind", "owner"), sender.get("name")),
        text=told["text"],
        received_at=time.time(),
        mentioned=told.get("mentioned", False),
    )


def preview(
    config: Config, prompts: Prompts, message: Message, env: Mapping[str, str]
) -> Preview | None:
    """The turn that a message would lead to; None when no route takes it."""
    route = Router(config.routes, config.default_route).match(message)
    return None if route is None else _turn(config, prompts, message, route, env)


def _turn(
    config: Config, prompts: Prompts, message: Message, route: Route, env: Mapping[str, str]
) -> Preview:
    channel = config.channels.get(message.channel)
    grant = channel.grant if channel is not None else Grant()
    trust = lower(route.trust, granted(grant, message.sender))
    seen = {name: env[name] for name in config.context.env if name in env}
    rendered = prompts.render(
        TurnContext((message,), route, trust, "preview", message.received_at, env=seen)
    )
    return Preview(
        route=route.name,
        runtime=route.runtime,
        trust=trust,
        queue=mode_of(route, message.conversation.kind),
        system_context=rendered.prompt.system,
        user_turn=rendered.prompt.user,
        failures=rendered.failures,
    )


def mistakes(expected: Told, found: Preview | None) -> list[str]:
    """Where a preview is not what a test of the config expects, one line each."""
    if found is None:
        told = expected.get("route", "a turn")
        return [] if told is None else [f"no route takes it, expected {told!r}"]
    wrong = []
    for name, wanted in expected.items():
        got = cast(str, getattr(found, name))
        if isinstance(wanted, Mapping):
            pieces = wanted["contains"]
            missing = [one for one in _listed(pieces) if one not in got]
            wrong += [f"{name}: {piece!r} is not in {got!r}" for piece in missing]
        elif got != wanted:
            wrong.append(f"{name}: expected {wanted!r}, found {got!r}")
    return wrong


def _listed(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def _account(channel: str, config: Config) -> str:
    if channel not in config.channels:
        return channel
    found = config.channels[channel]
    return channel_type(found.type).account(channel, found.options)
