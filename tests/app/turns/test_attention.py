"""What is known of the owners' wishes for rooms."""

import asyncio
from typing import Any

from sidecar.app.turns.attention import AT_ONCE, AttentionPolicies
from sidecar.model import Attention, Conversation, Message, Sender
from tests.patience import PATIENCE

MUTED = Attention(mode="muted")


class Silent:
    """A channel whose Hub knows no policies of rooms."""

    async def attention(self, conversation: str) -> Attention | None:
        return None


def message(room: str) -> Message:
    return Message("demo", "ag", "m", Conversation(room, "group"), Sender("s", "human"), "hi", 0.0)


async def test_what_the_hub_told_of_an_agent_holds_where_nothing_is_known_of_a_room() -> None:
    silent: Any = Silent()
    policies = AttentionPolicies(lambda name: silent, patience=PATIENCE)
    policies.tell("ag", None, MUTED)
    assert await policies.of([message("one")]) == [MUTED]
    policies.tell("ag", None, None)
    assert await policies.of([message("one")]) == [Attention()]


async def test_many_rooms_at_once_are_asked_about_a_few_at_a_time() -> None:
    under_way, most = 0, 0

    class Asked(Silent):
        async def attention(self, conversation: str) -> Attention | None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            for _ in range(3):
                await asyncio.sleep(0)
            under_way -= 1
            return MUTED

    asked: Any = Asked()
    policies = AttentionPolicies(lambda name: asked, patience=PATIENCE)
    found = await policies.of([message(f"room {number}") for number in range(5 * AT_ONCE)])
    assert found == [MUTED] * (5 * AT_ONCE)
    assert most == AT_ONCE
