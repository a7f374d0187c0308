"""What somebody who writes templates sees."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests import starting
from tests.patience import PATIENCE

CONFIG = """\
version: 1
channels: {demo: {type: botcord, credentials: demo.json, grant: {senders: {ag_friend: trusted}}}}
runtimes: {cat: {type: command, command: [cat]}}
routes:
  - name: team
    match: {kind: group}
    runtime: cat
    cwd: .
    queue: coalesce
    user_turn: {file: turn.j2}
default_route: {runtime: cat, cwd: .}
tests:
  - name: the team is served
    message: {text: hello, conversation: {kind: group}, sender: {id: ag_friend, kind: agent}}
    expect: {route: team, runtime: cat, trust: trusted, queue: coalesce, user_turn: 'Say: hello'}
"""
Sidecar = Callable[..., Awaitable[tuple[int, str]]]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(starting.ROOT)}


@pytest.fixture
def sidecar(tmp_path: Path) -> Sidecar:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "turn.j2").write_text("Say: {{ message.text }}")

    async def run(*arguments: str) -> tuple[int, str]:
        """The exit code, and what it says on both its streams."""
        running = starting.run("-m", "sidecar", *arguments, cwd=tmp_path, env=environment())
        code, output = await asyncio.wait_for(running, PATIENCE)
        return code, output.decode()

    return run


async def test_the_prompt_of_a_message_is_shown_with_its_route_and_trust(sidecar: Sidecar) -> None:
    code, out = await sidecar("render", "--text", "good day")
    assert code == 0
    assert "route default · runtime cat · owner · cancel-previous" in out
    assert "[BotCord Scene: Owner Chat]" in out
    assert out.endswith("good day\n")
    code, out = await sidecar("render", "--group", "--as", "agent", "--sender", "ag_x", "--json")
    found = json.loads(out)
    assert (found["route"], found["trust"], found["user_turn"]) == ("team", "public", "Say: hello")


async def test_a_message_can_come_from_a_file(sidecar: Sidecar, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"text": "from a file", "conversation": {"kind": "group"}}')
    code, out = await sidecar("render", "--message", "m.json")
    assert (code, out.splitlines()[-1]) == (0, "Say: from a file")
    (tmp_path / "m.json").write_text('{"txt": 1}')
    command = ("-m", "sidecar", "render", "--message", "m.json")
    running = asyncio.to_thread(starting.said, *command, cwd=tmp_path, env=environment())
    code, told, err = await running
    assert (code, told) == (2, b"")
    assert b"m.json is no message" in err


async def test_the_prompt_is_shown_anew_at_each_save(sidecar: Sidecar, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", "render", "--group", "--watch", "--diff", cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    assert process.stdout is not None

    async def until(text: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            while text not in await process.stdout.readline():  # type: ignore[union-attr]
                pass

    def save(text: str) -> None:
        beside = tmp_path / ".turn.j2"
        beside.write_text(text)
        beside.replace(tmp_path / "turn.j2")

    await until(b"Say: hello")
    save("Tell: {{ message.text }}\n")
    await until(b"Tell: hello")
    await until(b"-Say: hello")
    await until(b"+Tell: hello")
    save("Ask: {{ message.text }}\n")
    await until(b"Ask: hello")
    process.send_signal(signal.SIGINT)
    assert (await process.communicate())[1] == b""
    assert process.returncode == 0


async def test_the_tests_of_a_config_are_run(sidecar: Sidecar, tmp_path: Path) -> None:
    code, out = await sidecar("test")
    assert (code, out.splitlines()) == (
        0,
        [
            "ok     the team is served",
            "1 passed, 0 failed",
            "routes: 1 of 2 reached; no test reaches default",
            "template blocks: 1 of 1 reached",
        ],
    )
    (tmp_path / "turn.j2").write_text("Tell: {{ message.text }}")
    code, out = await sidecar("test")
    assert code == 1
    assert "FAILED the team is served" in out
    assert "user_turn: expected 'Say: hello', found 'Tell: hello'" in out
