"""A sidecar killed at any step of adding or removing an agent: before or after, nothing between."""

import asyncio
import base64
import json
import signal
import sys
from pathlib import Path
from typing import Any

from sidecar.app.check import check
from sidecar.app.sidecar import Sidecar
from sidecar.channels.credentials import read as read_credentials
from sidecar.config.managed import FILE, UNFINISHED
from sidecar.core.managed import Managed, read
from sidecar.store.managed import CREDENTIALS

PROGRAM = Path(__file__).with_name("cut_short.py")
AGENT = {
    "agentId": "ag_1",
    "keyId": "k_1",
    "privateKey": base64.b64encode(bytes(range(32))).decode(),
    "hubUrl": "http://127.0.0.1:9",
}
ADD = ("provision_agent", {"credentials": AGENT})
REMOVE = ("revoke_agent", {"agentId": "ag_1", "deleteWorkspace": True})
STEPS = {"add": 7, "remove": 6}


def write_config(folder: Path) -> Path:
    """The config of a sidecar in a folder of its own."""
    folder.mkdir()
    path = folder / "config.yaml"
    path.write_text(
        f"version: 1\nstate: {{dir: {folder}/state}}\nserver: null\n"
        "limits: {stop_grace: 100ms, drain_timeout: 200ms}\n"
        "runtimes: {echo: {type: command, command: [cat], protocol: text}}\n"
        f"default_route: {{runtime: echo, cwd: {folder}}}\n"
    )
    return path


async def settled(folder: Path) -> str:
    """Start again; whether the agent is there, wholly, or wholly not."""
    state = folder / "state"
    found = await asyncio.to_thread(check, folder / "config.yaml")
    assert found.config is not None, found.problems
    async with Sidecar(folder / "config.yaml", found.config, found.inputs) as sidecar:
        channels = set(sidecar.channels.statuses())
    managed = read((state / FILE).read_text()) if (state / FILE).exists() else Managed()
    left = sorted(path.name for path in (state / CREDENTIALS).glob("*"))
    assert set(managed.channels) == channels
    assert not (state / UNFINISHED).exists()
    assert [path.name for path in (state / FILE).parent.iterdir()] in ([], ["managed.yaml"])
    if channels:
        assert left == ["ag_1.json"]
        assert read_credentials(state / CREDENTIALS / "ag_1.json").agent == "ag_1"
        return "there"
    assert left == []
    assert not managed.routes
    return "gone"


async def cut_at_every_step(folder: Path, frames: list[Any], steps: int) -> list[str]:
    """What is there after a sidecar was killed before each of its steps, and after all of them."""
    paths = [write_config(folder / str(number)) for number in range(1, steps + 2)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, json.dumps([str(path) for path in paths]), json.dumps(frames),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    # One more than there are steps: it comes to its end, and so they were all of them.
    assert json.loads(output) == [-signal.SIGKILL] * steps + [0], errors.decode()
    return [await settled(path.parent) for path in paths]


async def test_killed_while_an_agent_is_added_it_is_there_or_not(tmp_path: Path) -> None:
    found = await cut_at_every_step(tmp_path, [ADD], STEPS["add"])
    assert found == ["gone"] * 6 + ["there"] * 2


async def test_killed_while_an_agent_is_removed_it_is_there_or_not(tmp_path: Path) -> None:
    found = await cut_at_every_step(tmp_path, [ADD, REMOVE], STEPS["remove"])
    assert found == ["there"] * 4 + ["gone"] * 3
    assert not (tmp_path / "7/state/agents/ag_1").exists()
    assert not (tmp_path / "5/state/agents/ag_1").exists()
