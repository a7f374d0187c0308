"""What is known of the owners' wishes for rooms."""

from typing import Any

from sidecar.app.attention import AttentionPolicies
from sidecar.model import Attention, Conversation, Message, Sender

MUTED = Attention(mode="muted")


class Silent:
    """A channel whose Hub knows no policies of rooms."""

    async def attention(self, conversation: str) -> Attention | None:
        return None


def message(room: str) -> Message:
    return Message("demo", "ag", "m", Conversation(room, "group"), Sender("s", "human"), "hi", 0.0)


async def test_what_the_hub_told_of_an_agent_holds_where_nothing_is_known_of_a_room() -> None:
    silent: Any = Silent()
    policies = AttentionPolicies(lambda name: silent)
    policies.tell("ag", None, MUTED)
    assert await policies.of([message("one")]) == [MUTED]
    policies.tell("ag", None, None)
    assert await policies.of([message("one")]) == [Attention()]
