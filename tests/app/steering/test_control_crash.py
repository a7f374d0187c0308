"""A sidecar killed at a point of adding or removing an agent: before or after, nothing between."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.app.checking.check import check
from sidecar.app.sidecar import Sidecar
from sidecar.channels.credentials import read as read_credentials
from sidecar.config.reading.managed import FILE, UNFINISHED
from sidecar.contexts.memory_file import memory_file
from sidecar.core.managed import Managed, read
from sidecar.devhub import DevHub
from sidecar.store.managed import CREDENTIALS
from tests import starting
from tests.patience import PATIENCE

AGENT = {
    "agentId": "ag_1",
    "keyId": "k_1",
    "privateKey": base64.b64encode(bytes(range(32))).decode(),
    "hubUrl": "http://127.0.0.1:9",
}
ADD = ("provision_agent", {"credentials": AGENT})
REGISTER = ("provision_agent", {"name": "Lazy"})
REMOVE = ("revoke_agent", {"agentId": "ag_1", "deleteWorkspace": True})

ADDING = {
    "unfinished.json written, not in its place": "gone",
    "before unfinished.json is in its place": "gone",
    "credentials written, not in its place": "gone",
    "before ag_1.json is in its place": "gone",
    "managed.yaml written, not in its place": "gone",
    "before managed.yaml is in its place": "gone",
    "before state/unfinished.json is removed": "there",
}
"""The points, in order, and what is there after a start that follows a kill."""
REGISTERING = {
    "before POST agents": "gone",
    "after POST agents": "gone",
    "before POST verify": "gone",
    "after POST verify": "gone",
}
REMOVING = {
    "unfinished.json written, not in its place": "there",
    "before unfinished.json is in its place": "there",
    "managed.yaml written, not in its place": "there",
    "before managed.yaml is in its place": "there",
    "before the reply is refused": "gone",
    "after the reply is refused": "gone",
    "before credentials/ag_1.json is removed": "gone",
    "before memory/ag_1.json is removed": "gone",
    "before the sessions are forgotten": "gone",
    "after the sessions are forgotten": "gone",
    "before agents/ag_1 is removed": "gone",
    "before the folder notes is removed": "gone",
    "before the folder workspace is removed": "gone",
    "before the folder ag_1 is removed": "gone",
    "before state/unfinished.json is removed": "gone",
}


def write_config(folder: Path, login: Path) -> Path:
    """The config of a sidecar in a folder of its own, where `ag_1` has noted something."""
    notes = memory_file(folder / "state", "ag_1").path
    notes.parent.mkdir(parents=True)
    notes.write_text("{}")
    path = folder / "config.yaml"
    path.write_text(
        f"version: 1\nstate: {{dir: {folder}/state}}\nserver: null\n"
        "limits: {stop_grace: 100ms, drain_timeout: 200ms}\n"
        f"control_plane: {{credentials: {login}}}\n"
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
        owed = await sidecar.journal.pending_replies()
    managed = read((state / FILE).read_text()) if (state / FILE).exists() else Managed()
    left = sorted(path.name for path in (state / CREDENTIALS).glob("*"))
    assert set(managed.channels) == channels
    assert not (state / UNFINISHED).exists()
    assert [path.name for path in (state / FILE).parent.iterdir()] in ([], ["managed.yaml"])
    if channels:
        [agent] = channels
        assert left == [f"{agent}.json"]
        assert read_credentials(state / CREDENTIALS / left[0]).agent == agent
        return "there"
    assert left == []
    assert not managed.routes
    assert not owed or not (state / FILE).exists()  # only a removal gives up what is owed
    return "gone"


async def cut_at_every_point(
    folder: Path, frames: list[Any], points: dict[str, str], login: Path
) -> tuple[list[Path], list[str]]:
    """Kill a sidecar at each of the points and look what is there after the next start; the
    folders, first that of a sidecar that came to its end, and the points that this one passed."""
    paths = [write_config(folder / str(number), login) for number in range(len(points) + 1)]
    cut = list(zip(map(str, paths), ["", *points], strict=True))
    command = ("-m", "tests.app.steering.cut_short", json.dumps(cut), json.dumps(frames))
    running = starting.run(*command, cwd=starting.ROOT, env=os.environ)
    code, output = await asyncio.wait_for(running, PATIENCE)
    assert code == 0, output.decode()
    told = json.loads(output.splitlines()[-1])
    assert set(points) <= set(told["points"])
    assert told["ends"] == [0] + [-signal.SIGKILL] * len(points), output.decode()
    found = {point: await settled(path.parent) for path, (_, point) in zip(paths, cut, strict=True)}
    assert {**found, "": ""} == {"": "", **points}
    return [path.parent for path in paths], told["points"]


async def test_killed_while_an_agent_is_added_it_is_there_or_not(tmp_path: Path) -> None:
    _, points = await cut_at_every_point(tmp_path, [ADD], ADDING, tmp_path / "nobody")
    assert points == list(ADDING)


@pytest.fixture
async def hub() -> AsyncIterator[DevHub]:
    made = DevHub(generation="0.1.1")
    await made.start()
    yield made
    await made.stop()


async def test_killed_while_an_agent_is_registered_it_is_there_or_not(
    tmp_path: Path, hub: DevHub
) -> None:
    login = tmp_path / "login.json"
    login.touch(mode=0o600)
    login.write_text(json.dumps(hub.control.login(hub.url)))
    _, points = await cut_at_every_point(tmp_path, [REGISTER], REGISTERING, login)
    assert points[: len(REGISTERING)] == list(REGISTERING)


async def test_killed_while_an_agent_is_removed_it_is_there_or_not(tmp_path: Path) -> None:
    nobody = tmp_path / "nobody"
    folders, points = await cut_at_every_point(tmp_path, [ADD, REMOVE], REMOVING, nobody)
    assert points == list(REMOVING)
    for folder, now in zip(folders, ["gone", *REMOVING.values()], strict=True):
        assert (folder / "state/agents/ag_1").exists() == (now == "there")
