"""A runtime whose events never have to be waited for."""

import time
from collections.abc import Iterator
from typing import Any

from sidecar.model import AgentEvent, Block, Conversation, TurnEnded
from tests.patience import PATIENCE


async def test_a_flood_of_events_in_one_room_lets_another_one_be_answered(rig: Any) -> None:
    def flood() -> Iterator[AgentEvent]:
        end = time.monotonic() + PATIENCE
        while not rig.texts and time.monotonic() < end:
            yield Block("system", "more", name="status")
        yield TurnEnded("flooded")

    rig.agent.script = [flood()]
    await rig.say("flood")
    await rig.say("hello", conversation=Conversation("other", "group"))
    await rig.quiet()
    assert rig.texts == ["answer 2", "flooded"]
