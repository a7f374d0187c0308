"""Agents whose processes stay for the next turn: what a person sees, and what is left of them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

CLAUDE = Path(__file__).with_name("warm_claude.py")


@pytest.fixture
def world(world: Any) -> Any:
    """A world whose agent is a Claude Code that stays."""
    program = world.folder / "claude"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {CLAUDE} "$@"\n')
    program.chmod(0o755)
    _, _, rest = world.text.partition("  agent: ")
    warm = "warm: {max: 2, idle: 5m}"
    agent = f"  agent: {{type: claude-code, command: {program}, args: [], {warm}}}"
    world.text = world.text.replace(f"  agent: {rest.splitlines()[0]}", agent)
    world.write()
    return world


async def say(world: Any, text: str = "hi") -> Any:
    """What the owner is answered."""
    count = len(world.hub.sent)
    world.hub.owner_says("demo", text)
    return json.loads((await world.replies(count + 1))[-1])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_conversation_has_one_process_until_the_sidecar_stops(world: Any) -> None:
    await world.start()
    first, second, third = [await say(world) for _ in range(3)]
    assert first["pid"] == second["pid"] == third["pid"]
    assert first["session"] == third["session"]
    assert await world.stop() == 0
    assert not is_running(first["pid"])
    await world.start()
    again = await say(world)
    assert again["pid"] != first["pid"]
    assert again["session"] == first["session"]


async def test_a_change_of_the_runtime_ends_its_processes_after_their_turns(world: Any) -> None:
    await world.start()
    first = await say(world)
    world.write(**{"args: []": "args: [--verbose, --debug]"})
    await world.until(lambda: not is_running(first["pid"]))
    second = await say(world)
    assert "--debug" in second["argv"]
    assert second["session"] == first["session"]
    assert (await say(world))["pid"] == second["pid"]
    world.write(**{"args: [], warm: {max: 2, idle: 5m}": "args: [], warm: null"})
    await world.until(lambda: not is_running(second["pid"]))
    third, fourth = await say(world), await say(world)
    assert third["session"] == fourth["session"] == first["session"]
    assert third["pid"] != fourth["pid"]
    assert not is_running(fourth["pid"])


async def test_a_turn_that_a_message_cancels_ends_its_process(world: Any) -> None:
    await world.start()
    first = await say(world)
    world.hub.owner_says("demo", "hang")
    await world.until(lambda: len(world.runs) == 2)
    second = await say(world)
    assert second["pid"] != first["pid"]
    assert second["session"] == first["session"]
    assert not is_running(first["pid"])


async def test_what_a_killed_sidecar_leaves_ends_at_the_next_start(world: Any) -> None:
    world.touch("stubborn")
    await world.start()
    first = await say(world)
    await world.kill()
    assert is_running(first["pid"])
    await world.start()
    await world.until(lambda: not is_running(first["pid"]))
    assert (await say(world))["session"] == first["session"]
