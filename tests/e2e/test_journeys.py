"""The whole way: a message in a room of a Hub, `sidecar run`, a real CLI, and the reply."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.devhub import DevHub
from tests.e2e.conftest import ways
from tests.e2e.played_api import Answer, Call, PlayedApi
from tests.e2e.test_tools import CALLS
from tests.e2e.test_turns import LIMITS
from tests.journeys import conftest as journeys

make_world = journeys.make_world
ACP = ("gemini-acp", "gemini-acp warm")


@pytest.fixture(params=[name for name in ways("") if name not in ACP])
async def world(
    request: pytest.FixtureRequest,
    make_world: Callable[..., Awaitable[journeys.World]],
    home: Path,
    api: PlayedApi,
) -> Any:
    """A world whose agent is a real CLI."""
    world = await make_world()
    way = ways(api.url)[request.param]
    options = {**way.options, "type": way.type.name, "model": way.model}
    if way.warm:
        options["warm"] = {"max": 2, "idle": "1m"}
    old = next(line for line in world.text.splitlines() if line.startswith("  agent: "))
    world.text = world.text.replace(old, f"  agent: {json.dumps(options)}")
    world.write()
    world.way, world.api = way, api  # type: ignore[attr-defined]
    await world.start()
    return world


async def say(world: Any, text: str, *answers: Answer) -> str:
    """What the owner is answered, when the model answers so."""
    world.api.plays(*answers)
    count = len(world.hub.sent)
    world.hub.owner_says("demo", text)
    return (await world.replies(count + 1))[-1]


async def test_a_conversation_with_an_agent(world: Any) -> None:
    hub: DevHub = world.hub
    assert await say(world, "my name is Zebedee", Answer("Hello.")) == "Hello."
    assert await say(world, "who am I?", Answer("Zebedee.")) == "Zebedee."
    assert "my name is Zebedee" in world.api.asked
    if call := CALLS.get(world.way.cli):
        assert await say(world, "note it", Answer(calls=[call]), Answer("Noted.")) == "Noted."
        await say(world, "what is to do?", Answer("To water."))
        assert "water the tulips" in world.api.asked
    await _lost(world)
    hub.add_agent("peer")
    await _stranger(world)
    assert await world.stop() == 0


async def _lost(world: Any) -> None:
    """Its sessions are gone, as after a move to another machine: it begins a new one."""
    await world.stop()
    for folder in (".claude/projects", ".codex/sessions", ".gemini/tmp"):
        path = world.folder / "home" / folder
        if await asyncio.to_thread(path.exists):
            await asyncio.to_thread(path.rename, world.folder / "gone")
    await world.start()
    assert await say(world, "still there?", Answer("Yes.")) == "Yes."
    assert "Zebedee" in world.api.asked, "the fresh session is told what was said last"


async def _stranger(world: Any) -> None:
    """Another agent wants a file written, and an answer."""
    made = world.cwd / "made"
    calls: list[Call] = [world.way.shell(f"touch {made}"), world.way.write(str(made))]
    world.api.plays(Answer(calls=calls), Answer("I may not."))
    count = len(world.hub.sent)
    world.hub.say("peer", "demo", "write it")
    assert (await world.replies(count + 1))[-1] == "I may not."
    assert not made.exists()


async def test_a_used_up_limit_is_told_calmly(world: Any) -> None:
    world.api.rest = LIMITS[world.way.cli]
    told = await say(world, "hello")
    assert "limit" in told
    world.api.rest = Answer("Well.")
    assert await say(world, "again", Answer("Well.")) == "Well."
