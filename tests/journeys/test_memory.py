"""What an agent notes, and what a person at the terminal does with it."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

CLAUDE = Path(__file__).with_name("claude.py")
GEMINI = """
import json, sys, uuid
told = {"type": "message", "role": "assistant", "content": sys.stdin.read()}
for event in ({"type": "init", "session_id": str(uuid.uuid4())}, told):
    print(json.dumps(event))
print('{"type": "result", "status": "success"}')
"""
"""A Gemini CLI that answers what it was told."""


def install(program: Path, script: Path) -> Path:
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {script} "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def world(world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A world whose agent is a Claude Code."""
    monkeypatch.setenv("HOME", str(world.folder))
    program = install(world.folder / "claude", CLAUDE)
    _, _, rest = world.text.partition("  agent: ")
    old = f"  agent: {rest.splitlines()[0]}"
    world.text = world.text.replace(old, f"  agent: {{type: claude-code, command: {program}}}")
    world.text += "context: {timeout: 60s}\n"
    world.write()
    return world


async def say(world: Any, text: str) -> str:
    """What the owner is answered."""
    count = len(world.hub.sent)
    world.hub.owner_says("demo", text)
    found: str = (await world.replies(count + 1))[-1]
    return found


async def memory(world: Any, *arguments: str) -> tuple[int, str]:
    action, *rest = arguments
    code, output = await world.run("memory", action, "--config", str(world.config), *rest)
    return code, output.strip()


async def test_what_an_agent_notes_is_in_the_prompt_of_its_next_turn(world: Any) -> None:
    await world.start()
    before = await say(world, "context")
    assert "It is currently empty." in before
    assert "with the tools memory_set and memory_delete" in before
    assert "todo is set" in await say(world, "remember todo ask Ann")
    assert "<section_todo>\nask Ann\n</section_todo>" in await say(world, "context")
    assert await memory(world, "get", "todo") == (0, "ask Ann")
    assert (await memory(world, "set", "goal", "ship it"))[0] == 0
    assert "todo is not there any more" in await say(world, "forget todo")
    context = await say(world, "context")
    assert "Goal: ship it" in context
    assert "section_todo" not in context
    left = await asyncio.to_thread(lambda: list((world.folder / "state" / "contexts").iterdir()))
    assert left == []


async def test_a_stranger_reads_the_memory_and_cannot_change_it(world: Any) -> None:
    await world.start()
    await memory(world, "set", "goal", "ship it")
    world.hub.add_agent("peer")
    world.hub.say("peer", "demo", "tools")
    assert await world.replies(1) == ["none"]
    world.hub.say("peer", "demo", "context")
    told = (await world.replies(2))[-1]
    assert "Goal: ship it" in told
    assert "memory_set" not in told


async def test_no_tools_are_promised_to_an_agent_that_is_given_none(world: Any) -> None:
    await world.start()
    await memory(world, "set", "goal", "ship it")
    tools = "mcp__sidecar__memory_get,mcp__sidecar__memory_set,mcp__sidecar__memory_delete"
    assert await say(world, "tools") == tools
    world.write(**{"timeout: 60s": "timeout: 60s, working_memory: {enabled: false}"})
    await world.until(lambda: "config applied" in world.log.read_text())
    assert await say(world, "tools") == "none"
    assert "Memory" not in await say(world, "context")
    (world.folder / "gemini.py").write_text(GEMINI)
    program = install(world.folder / "gemini", world.folder / "gemini.py")
    claude = f"type: claude-code, command: {world.folder}/claude"
    world.config.write_text(world.text.replace(claude, f"type: gemini, command: {program}"))
    await world.until(lambda: world.log.read_text().count("config applied") == 2)
    told = await say(world, "context")
    assert "Goal: ship it" in told
    assert "memory_set" not in told
