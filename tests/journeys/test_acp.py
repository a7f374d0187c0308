"""An agent that speaks the Agent Client Protocol, from the chat to its process and back."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

AGENT = Path(__file__).parents[1] / "runtimes" / "acp_agent.py"
PATIENT = """\
import signal, sys, time
agent, folder = sys.argv[1:3]

def end(*_):
    time.sleep = sys.exit  # when it has heard it, there is nothing to wait for
    if '"session/cancel"' in open(f"{folder}/heard").read():
        sys.exit()

signal.signal(signal.SIGTERM, end)
del sys.argv[0]
exec(open(agent).read())
"""
"""The agent, which does not end for a SIGTERM that comes before the word to cancel: a slow machine
lets it read that late."""


def agent(world: Any, *flags: str, program: tuple[str, ...] = (), **options: Any) -> None:
    """Have it answer in the place of the usual agent, by a `program` that runs it."""
    command = [sys.executable, "-S", *program, str(AGENT), str(world.folder), *flags]
    [line] = [line for line in world.text.splitlines() if line.startswith("  agent:")]
    [route] = [line for line in world.text.splitlines() if line.startswith("default_route:")]
    runtime = json.dumps({"type": "acp", "command": command, **options})
    turn = f'{route.removesuffix("}")}, user_turn: "{{{{ message.text }}}}"}}'
    world.write(**{line: f"  agent: {runtime}", route: turn})


@pytest.mark.parametrize("options", [{}, {"warm": {"max": 1, "idle": "1m"}}])
async def test_an_acp_agent_answers_and_keeps_its_session(
    world: Any, options: dict[str, Any]
) -> None:
    agent(world, "--resume", **options)
    await world.start()
    world.hub.owner_says("demo", "hello")
    assert await world.replies(1) == ["Hi, there."]
    world.hub.owner_says("demo", f"edit {world.cwd}/a")
    assert (await world.replies(2))[1] == "allow_once"
    heard = [json.loads(line) for line in (world.folder / "heard").read_text().splitlines()]
    methods = [one.get("method") for one in heard]
    assert methods.count("session/new") == 1
    assert methods.count("session/resume") == (0 if options else 1)
    assert methods.count("initialize") == (1 if options else 2)


async def test_a_stranger_is_allowed_nothing(world: Any) -> None:
    agent(world, "--resume")
    await world.start()
    world.hub.add_agent("peer")
    world.hub.say("peer", "demo", f"execute {world.cwd}/a")
    assert await world.replies(1) == ["reject_once"]


async def test_a_new_message_cancels_the_turn_of_an_acp_agent(world: Any) -> None:
    world.text = world.text.replace("stop_grace: 500ms", "stop_grace: 30s")
    agent(world, "--resume", program=("-c", PATIENT))
    await world.start()
    world.hub.owner_says("demo", "hang")
    await world.until(lambda: world.hub.blocks)
    world.hub.owner_says("demo", "hello")
    assert await world.replies(1) == ["Hi, there."]
    heard = (world.folder / "heard").read_text()
    assert '"session/cancel"' in heard


async def test_a_session_that_an_acp_agent_has_lost_leads_to_a_fresh_start(world: Any) -> None:
    agent(world, "--resume", "--forgets")
    await world.start()
    for number in range(2):
        world.hub.owner_says("demo", "hello")
        assert (await world.replies(number + 1))[number] == "Hi, there."


async def test_an_acp_agent_without_a_login_is_told_in_words_fit_for_the_room(world: Any) -> None:
    agent(world, "--login")
    await world.start()
    world.hub.owner_says("demo", "hello")
    [text] = await world.replies(1)
    assert "log" in text.lower()
    await world.until(lambda: "run `it login`" in world.log.read_text())
