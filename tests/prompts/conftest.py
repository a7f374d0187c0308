"""Turns and configurations to render with."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.model import Config, Context, Route, State, Template
from sidecar.config.problems import Problem
from sidecar.model import Conversation, Message, Sender
from sidecar.prompts.render import Prompts, TurnContext

ROUTE = Route("main", "claude", Path("/repo"))
MESSAGE = Message(
    channel="hub",
    account="ag_me",
    id="m_1",
    conversation=Conversation("rm_1", "group", "Kitchen"),
    sender=Sender("hu_bob", "human", "Bob"),
    text="hello",
    received_at=1_700_000_000.0,
)

Turn = Callable[..., TurnContext]


@pytest.fixture
def turn() -> Turn:
    """Makes a turn of one message; `sender`, `conversation`, `text`, … change the message."""

    def make(*messages: Message, **changes: Any) -> TurnContext:
        fields = Message.__dataclass_fields__
        of_message = {key: changes.pop(key) for key in list(changes) if key in fields}
        context = TurnContext(
            messages or (replace(MESSAGE, **of_message),), ROUTE, "public", "t_1", 1_700_000_000.0
        )
        return replace(context, **changes)

    return make


@pytest.fixture
def message() -> Callable[..., Message]:
    """Makes one message."""
    return lambda **changes: replace(MESSAGE, **changes)


@pytest.fixture
def config() -> Callable[..., Config]:
    """Makes a configuration whose default route has the given templates."""

    def make(
        user_turn: str | None = None, system_context: str | None = None, env: tuple[str, ...] = ()
    ) -> Config:
        route = replace(
            ROUTE,
            user_turn=None if user_turn is None else Template("user.j2", user_turn),
            system_context=None
            if system_context is None
            else Template("system.j2", system_context),
        )
        return Config(state=State(Path("/state")), default_route=route, context=Context(env=env))

    return make


@pytest.fixture
def problems(config: Callable[..., Config]) -> Callable[..., tuple[Problem, ...]]:
    """The problems of a source as the user turn."""
    return lambda source, **more: Prompts.compile(config(source, **more))[1]


@pytest.fixture
def user_turn(config: Callable[..., Config], turn: Turn) -> Callable[..., str]:
    """Renders a source as the user turn; it must not fail."""

    def render(source: str, env: tuple[str, ...] = (), **changes: Any) -> str:
        checked = config(source, env=env)
        prompts, problems = Prompts.compile(checked)
        assert problems == ()
        rendered = prompts.render(replace(turn(**changes), route=checked.default_route))
        assert rendered.failures == ()
        return rendered.prompt.user

    return render
