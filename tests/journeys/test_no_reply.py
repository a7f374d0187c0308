"""The word with which an agent stays silent is the route's."""

from typing import Any


async def test_a_route_can_have_every_answer_sent(world: Any) -> None:
    world.write(**{"runtime: agent, cwd": "runtime: agent, no_reply: null, cwd"})
    await world.start()
    world.hub.owner_says("demo", "silent")
    assert await world.replies(1) == ["NO_REPLY"]


async def test_a_route_can_have_a_word_of_its_own(world: Any) -> None:
    world.write(**{"runtime: agent, cwd": "runtime: agent, no_reply: QUIET, cwd"})
    await world.start()
    asked = world.hub.owner_says("demo", 'say "QUIET."')
    await world.until(lambda: asked in world.hub.ended)
    world.hub.owner_says("demo", "silent")
    assert await world.replies(1) == ["NO_REPLY"]
