"""The memory's tools, and arguments of the operator's, with real coding-agent CLIs."""

import asyncio
from collections.abc import Callable

import pytest

from sidecar.contexts.memory import tool_server
from sidecar.contexts.memory_file import memory_file
from sidecar.core.memory import Memory
from tests.e2e.conftest import Bench
from tests.e2e.played_api import Answer, Call

NOTE = {"name": "todo", "text": "water the tulips"}
CALLS = {
    "claude-code": Call("mcp__sidecar__memory_set", NOTE),
    "codex": Call("memory_set", NOTE, namespace="mcp__sidecar"),
    "gemini-acp": Call("mcp_sidecar_memory_set", NOTE),
}


async def memory(bench: Bench) -> Memory | None:
    return await asyncio.to_thread(memory_file(bench.host.state, "ag_1").read)


@pytest.mark.parametrize("trust", ["owner", "trusted"])
async def test_an_agent_notes_something(bench: Bench, trust: str) -> None:
    if bench.way.cli not in CALLS:
        pytest.skip("it is given no tools")
    bench.api.plays(Answer(calls=[CALLS[bench.way.cli]]), Answer("Noted."))
    tools = (tool_server(bench.host.state, "ag_1"),)
    assert (await bench.answered(tools=tools, trust=trust)).text == "Noted."
    found = await memory(bench)
    assert found is not None, bench.api.requests[-1].get("input", [])[-2:]
    assert found.sections == {"todo": "water the tulips"}


async def test_tools_that_the_operator_allows_are_allowed_beside_the_memory(
    make_bench: Callable[[str], Bench],
) -> None:
    bench = make_bench("claude-code")
    line = f'python3 -c \'open("{bench.checkout}/made", "w")\''
    calls = [CALLS["claude-code"], bench.way.shell(line)]
    for args in ((), ("--allowedTools", "Bash(python3 *)")):
        bench.api.plays(Answer(calls=calls), Answer("Done."))
        tools = (tool_server(bench.host.state, "ag_1"),)
        await bench.answered(tools=tools, trust="trusted", args=args)
        assert await memory(bench) is not None
        assert (bench.checkout / "made").exists() is bool(args)
