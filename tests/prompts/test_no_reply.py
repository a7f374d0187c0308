"""The built-in templates speak of the word of silence that the route has."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sidecar.config.model import Config
from sidecar.prompts.environment import BUILT_IN
from sidecar.prompts.render import Prompts, TurnContext


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name.endswith("user_turn.j2")])
@pytest.mark.parametrize("kind", ["direct", "group"])
def test_the_hint_follows_the_route(
    name: str, kind: str, config: Callable[..., Config], turn: Callable[..., TurnContext]
) -> None:
    route = config(f'{{% include "{name}" %}}').default_route
    assert route is not None
    context = turn()
    message = context.messages[0]
    place = replace(message.conversation, kind=kind)
    context = replace(context, messages=(replace(message, conversation=place),))

    def rendered(word: str | None) -> str:
        found = Prompts().render(replace(context, route=replace(route, no_reply=word)))
        assert found.failures == ()
        return found.prompt.user

    assert "answer with NO_REPLY and nothing else" in rendered("NO_REPLY")
    assert "answer with SILENT and nothing else" in rendered("SILENT")
    assert "nothing else" not in rendered(None)
