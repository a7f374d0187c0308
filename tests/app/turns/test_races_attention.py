"""What a Hub tells of the owner's wishes while it is asked for them."""

import asyncio
from collections.abc import Callable
from typing import Any

from sidecar.app.turns.attention import AttentionPolicies
from sidecar.model import Attention, Conversation, Message, Sender
from tests.patience import PATIENCE

MUTED, MENTIONS = Attention(mode="muted"), Attention(mode="mention_only")


class Asked:
    """A channel whose Hub answers with what it held when it was asked, and tells of a change of
    that while its first answer about the room `slow` is on its way."""

    def __init__(self) -> None:
        self.held: dict[str, Attention] = {}
        self.asked: list[str] = []
        self.changes: Callable[[], None] = lambda: None

    async def attention(self, conversation: str) -> Attention | None:
        self.asked.append(conversation)
        found = self.held.get(conversation, Attention())
        if conversation == "slow" and self.asked.count("slow") == 1:
            await asyncio.sleep(0)
            self.changes()
        return found


def message(room: str) -> Message:
    return Message("demo", "ag", room, Conversation(room, "group"), Sender("s", "human"), "hi", 0.0)


def policies_of(asked: Any) -> AttentionPolicies:
    return AttentionPolicies(lambda name: asked, patience=PATIENCE)


async def test_what_is_told_of_all_rooms_while_one_is_asked_for_holds_in_the_others_too() -> None:
    asked = Asked()
    policies = policies_of(asked)
    assert await policies.of([message("known")]) == [Attention()]

    def change() -> None:
        asked.held = {"known": MENTIONS, "slow": MENTIONS}
        policies.tell("ag", None, MENTIONS)

    asked.changes = change
    assert await policies.of([message("known"), message("slow")]) == [MENTIONS, MENTIONS]
    assert asked.asked == ["known", "slow", "known", "slow"]


async def test_what_is_told_of_a_room_while_it_is_asked_for_is_newer_than_the_answer() -> None:
    asked = Asked()
    policies = policies_of(asked)
    asked.changes = lambda: policies.tell("ag", "slow", MUTED)
    assert await policies.of([message("slow")]) == [MUTED]
    assert await policies.of([message("slow")]) == [MUTED]
    assert asked.asked == ["slow"]


async def test_what_is_taken_back_while_it_is_asked_for_is_asked_again() -> None:
    asked = Asked()
    policies = policies_of(asked)

    def change() -> None:
        asked.held["slow"] = MUTED
        policies.tell("ag", "slow", None)

    asked.changes = change
    assert await policies.of([message("slow")]) == [MUTED]
    assert asked.asked == ["slow", "slow"]
