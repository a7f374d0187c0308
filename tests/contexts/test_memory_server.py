"""The tools of the working memory, over the standard streams of a real process."""

import asyncio
import json
import os
import pty
import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.contexts.memory import TOOLS, tool_server
from sidecar.contexts.memory_file import memory_file
from sidecar.core.memory import changed
from tests import starting
from tests.patience import PATIENCE

if TYPE_CHECKING:
    from mcp import Client

Connect = Callable[..., "AbstractAsyncContextManager[Client]"]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "state"


@pytest.fixture
def connect(state: Path, tmp_path: Path) -> Connect:
    """Connects to the server of an account, which runs in a folder."""

    # Here and below: half a second, which those do not wait for who run other tests.
    from mcp import Client, StdioServerParameters

    def connected(account: str = "ag_1", cwd: Path = tmp_path) -> "Client":
        told = tool_server(state, account)
        parameters = StdioServerParameters(
            command=told.command, args=list(told.args), env=dict(told.env), cwd=cwd
        )
        return Client(parameters, read_timeout_seconds=PATIENCE)

    return connected


async def call(client: "Client", tool: str, **arguments: Any) -> tuple[str, bool]:
    """The text of the answer, and whether it is an error."""
    result = await client.call_tool(tool, arguments)
    [content] = result.content
    return content.text, bool(result.is_error)  # type: ignore[union-attr]  # it is a text


@pytest.fixture
def within(state: Path) -> "Client":
    """Connects to a server in this process, whose account is ag_1: for what is no matter of the
    process, whose start takes a second."""
    from mcp import Client

    from sidecar.contexts.memory_server import server

    return Client(server(memory_file(state, "ag_1")), read_timeout_seconds=PATIENCE)


async def test_an_agent_notes_and_deletes_wherever_it_runs_also_while_others_do(
    connect: Connect, state: Path, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("sidecar", "mcp", "json", "anyio"):
        (checkout / f"{name}.py").write_text("raise SystemExit('this must not run')\n")
    async with connect(cwd=checkout) as client:
        listed = await client.list_tools()
        assert [tool.name for tool in listed.tools] == list(TOOLS)
        assert json.loads((await call(client, "memory_get"))[0]) == {"goal": "", "sections": {}}
        told, failed = await call(client, "memory_set", name="todo", text="ask Ann")
        assert (told, failed) == ("todo is set. The memory has 7 of 20000 characters.", False)
        await call(client, "memory_set", name="goal", text="naïve ✓")
        found = await asyncio.to_thread(memory_file(state, "ag_1").read)
        assert found is not None
        assert (found.goal, found.sections) == ("naïve ✓", {"todo": "ask Ann"})
        await call(client, "memory_delete", name="todo")
        told, _ = await call(client, "memory_get")
        assert json.loads(told) == {"goal": "naïve ✓", "sections": {}}
        for number in range(10):
            name, text = f"here{number}", "x"
            write = partial(
                memory_file(state, "ag_1").change,
                lambda memory: changed(memory, name, text, 0.0),  # noqa: B023
            )
            there = call(client, "memory_set", name=f"there{number}", text=text)
            (_, failed), _ = await asyncio.gather(there, asyncio.to_thread(write))
            assert not failed
    found = await asyncio.to_thread(memory_file(state, "ag_1").read)
    assert found is not None
    assert len(found.sections) == 20


async def test_what_the_rules_forbid_is_told_to_the_model(within: "Client") -> None:
    async with within as client:
        told, failed = await call(client, "memory_set", name="goal", text="x" * 501)
        assert failed
        assert "the goal would have 501 characters, of at most 500" in told
        told, failed = await call(client, "memory_set", name="my notes", text="x")
        assert failed
        assert "letters, digits and underscores" in told
        _, failed = await call(client, "memory_get")
        assert not failed


async def test_the_model_cannot_choose_another_account(within: "Client", state: Path) -> None:
    async with within as client:
        await call(client, "memory_set", name="notes", text="mine", account="ag_2", state="/tmp")
    files = await asyncio.to_thread(lambda: sorted((state / "memory").iterdir()))
    assert [file.name for file in files] == ["ag_1.json", "ag_1.lock"]


def test_it_ends_when_its_input_ends(state: Path) -> None:
    told = tool_server(state, "ag_1")
    command = [told.command, *told.args]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("arguments", [[], ["--state", "x"], ["--account", "x"]])
def test_a_person_is_told_what_it_is_for(arguments: list[str]) -> None:
    code, _, told = starting.said("-m", "sidecar", "mcp", *arguments)
    assert code == 2
    assert b"no need to start it by hand" in told
    assert b"sidecar memory --help" in told


def test_a_person_at_a_terminal_is_told_too_instead_of_waiting(state: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        told = tool_server(state, "ag_1")
        done = subprocess.run(
            [told.command, *told.args],
            stdin=theirs, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert "no need to start it by hand" in done.stderr
