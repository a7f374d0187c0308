"""What an agent is told of its surroundings, from a real Hub to its prompt."""

import copy
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tests.journeys.conftest import World

MakeWorld = Callable[..., Awaitable[World]]


async def prompt_of(world: World, number: int) -> dict[str, Any]:
    """The prompt that an agent, told to show it, was given in the turn of this number."""
    found: dict[str, Any] = json.loads((await world.replies(number))[number - 1])
    return found


async def test_room_activity_quote_and_age_reach_the_prompt(world: World) -> None:
    bob = world.hub.add_person("Bob")
    kitchen = world.hub.add_room("Kitchen", [bob, "demo"], rule="Be kind.", description="We cook")
    garden = world.hub.add_room("Garden", [bob, "demo"])
    world.config.write_text(f"{world.text}context: {{timeout: 60s}}\n")
    await world.start()
    world.hub.say(bob, garden, "say the roses bloom")
    await world.replies(1)
    (first, *_) = world.hub.say(bob, kitchen, "say soup")
    await world.replies(2)
    world.hub.say(bob, kitchen, "job prompt", reply_to=first)
    prompt = await prompt_of(world, 3)
    system, user = prompt["system"], prompt["user"]
    assert '[BotCord Room Context]\nRoom: "Kitchen" (' in system
    assert "Description: We cook\n" in system
    assert ">\nBe kind.\n</room-rule>" in system
    assert "[BotCord Cross-Room Awareness]\nYou are active in 2 sessions now." in system
    assert f'- "Garden" ({garden}) — last ' in system
    assert 'human "Bob": say the roses bloom' in system
    assert system.index("[BotCord Room") < system.index("[BotCord Cross-Room")
    assert '[BotCord Reply] | to: "Bob" | said: just now\n<human-message' in user
    assert user.index("say soup") < user.index("[BotCord Message]")
    assert user.count(" | said: ") == 1
    item: Any = copy.deepcopy(world.hub.last_item("demo"))
    item["hub_msg_id"] = "h_late"
    item["envelope"] |= {"msg_id": "late", "reply_to": None, "ts": int(time.time()) - 7 * 43200}
    world.hub.put_raw("demo", item)
    user = (await prompt_of(world, 4))["user"]
    assert user.startswith("[BotCord Message] | from: Bob | ")
    assert " | room: Kitchen | said: 3d ago\n<human-message" in user


async def test_an_account_without_a_folder_of_a_route_works_in_its_own(world: World) -> None:
    text = world.text.replace(f", cwd: {world.cwd}", "")
    assert text != world.text
    world.config.write_text(text)
    await world.start()
    world.hub.owner_says("demo", "job cwd")
    (reply,) = await world.replies(1)
    workspace = world.folder / "state/agents/demo/workspace"
    assert json.loads(reply) == str(workspace)
    assert (workspace / "identity.md").exists()
