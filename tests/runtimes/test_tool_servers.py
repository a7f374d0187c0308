"""How a tool server reaches the agent that starts it."""

import asyncio
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.model import ToolServer
from sidecar.runtimes import claude_code, codex, gemini
from sidecar.runtimes.claude_code import CLAUDE_CODE
from sidecar.runtimes.codex import CODEX

SERVER = ToolServer(
    "sidecar",
    "/usr/bin/python3",
    ("-c", 'say "hi"\\n', "--account=naïve ✓ \x7f"),
    {"LEVEL": "3"},
    ("memory_get", "memory_set"),
)
ALLOWED = "mcp__sidecar__memory_get,mcp__sidecar__memory_set"

Plays = Callable[[str], Any]


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def given_to_claude(player: Plays, *args: str, **job: Any) -> Any:
    tool = player("claude")
    tool.plays("text")
    runtime = claude_code.build({"command": tool.program, "args": args}, tool.workshop.host)
    return await tool.given(runtime, tools=(SERVER,), **job)


async def settings_of_codex(player: Plays, *args: str, **job: Any) -> tuple[list[str], Any]:
    """Its arguments, and what the settings among them come to."""
    tool = player("codex")
    tool.plays("text")
    runtime = codex.build({"command": tool.program, "args": args}, tool.workshop.host)
    argv = (await tool.given(runtime, tools=(SERVER,), **job))["argv"]
    told = [word for word in argv if word.startswith("mcp_servers.")]
    merged: dict[str, Any] = {}
    for setting in told:
        found = tomllib.loads(setting)["mcp_servers"]["sidecar"]
        merged |= found
    return argv, merged


def test_the_types_tell_that_they_take_tools() -> None:
    assert CLAUDE_CODE.takes_tools
    assert CODEX.takes_tools
    assert not gemini.GEMINI.takes_tools


async def test_claude_code_is_given_a_private_file_that_is_gone_after_the_turn(
    player: Plays,
) -> None:
    seen = await given_to_claude(player)
    path = seen["argv"][seen["argv"].index("--mcp-config") + 1]
    text, mode = seen["files"][path]
    assert mode == 0o600
    assert path not in map(str, await asyncio.to_thread(files_below, Path(path).parents[1]))
    [(name, entry)] = json.loads(text)["mcpServers"].items()
    assert (name, entry["command"]) == (SERVER.name, SERVER.command)
    assert tuple(entry["args"]) == SERVER.args


async def test_claude_code_may_call_these_tools_and_no_others(player: Plays) -> None:
    for trust in ("owner", "trusted"):
        argv = (await given_to_claude(player, trust=trust))["argv"]
        assert argv[argv.index("--allowedTools") + 1] == ALLOWED


async def test_what_the_operator_allows_is_added(player: Plays) -> None:
    args = ("--allowedTools", "WebFetch", "--mcp-config", "more.json")
    argv = (await given_to_claude(player, *args))["argv"]
    assert argv[-4:] == list(args)
    assert argv[argv.index("--allowedTools") + 1] == ALLOWED
    assert argv.count("--mcp-config") == 2


async def test_codex_is_given_settings_for_this_turn_alone(player: Plays) -> None:
    for trust in ("owner", "trusted"):
        argv, found = await settings_of_codex(player, trust=trust)
        assert found["command"] == SERVER.command
        assert tuple(found["args"]) == SERVER.args
        assert found["default_tools_approval_mode"] == "approve"
        assert found["required"] is True  # otherwise a turn begins without the tools
        assert "resume" not in argv


async def test_the_operator_can_change_the_settings_of_codex(player: Plays) -> None:
    args = ("-c", "mcp_servers.sidecar.tool_timeout_sec=5")
    argv, _ = await settings_of_codex(player, *args)
    assert argv.index(args[1]) > max(
        place for place, word in enumerate(argv) if word.endswith('="approve"')
    )


@pytest.mark.parametrize("cli", ["claude", "codex"])
async def test_a_server_bears_the_marks_of_the_turn_so_that_it_ends_with_it(
    player: Plays, cli: str
) -> None:
    if cli == "claude":
        seen = await given_to_claude(player)
        path = seen["argv"][seen["argv"].index("--mcp-config") + 1]
        env = json.loads(seen["files"][path][0])["mcpServers"]["sidecar"]["env"]
    else:
        env = (await settings_of_codex(player))[1]["env"]
    assert env["LEVEL"] == "3"
    assert env["SIDECAR_TURN"] == "turn-1"
    assert len(env["SIDECAR_STATE"]) == 16


async def test_without_servers_nothing_is_told(player: Plays) -> None:
    tool = player("claude")
    tool.plays("text")
    runtime = claude_code.build({"command": tool.program}, tool.workshop.host)
    argv = (await tool.given(runtime))["argv"]
    assert not {"--mcp-config", "--allowedTools"} & set(argv)
