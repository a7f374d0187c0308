"""What is deleted of an agent that the control plane added, and what never is."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sidecar import metrics
from sidecar.app.checking.check import check
from sidecar.app.sidecar import Sidecar
from sidecar.app.steering.managed import ManagedLayer
from sidecar.app.steering.traces import delete_traces
from sidecar.cli import agents as command
from sidecar.config.reading.managed import UNFINISHED
from sidecar.contexts.memory_file import memory_file
from sidecar.core.memory import Memory
from sidecar.errors import ActionRefused
from sidecar.store.journal import Journal
from sidecar.store.managed import ManagedFiles, Unfinished
from sidecar.store.workspace import workspace_of
from tests.app.steering.control_rig import Rig, running
from tests.patience import until


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(tmp_path) as found:
        yield found


async def take_over(rig: Rig, channel: str) -> None:
    """The user names the managed agent `ag_new` in their own config."""
    text = rig.path.read_text()
    rig.path.write_text(text.replace("channels:\n", f"channels:\n  {channel}\n"))
    await rig.done("reload_config")


@pytest.mark.parametrize(
    "channel",
    [
        "ag_new: {{type: botcord, credentials: {managed}}}",
        "ag_new: {{type: botcord, credentials: {own}}}",
        "mine: {{type: botcord, agent: ag_new, credentials: {own}}}",
    ],
)
async def test_an_agent_that_the_user_took_over_is_not_destroyed(rig: Rig, channel: str) -> None:
    given: dict[str, Any] = rig.agent(runtime="second")
    await rig.done("provision_agent", given)
    managed, own = rig.state / "credentials/ag_new.json", rig.folder / "own.json"
    own.touch(mode=0o600)
    own.write_text(json.dumps(given["credentials"]))
    await take_over(rig, channel.format(managed=managed, own=own))
    before = [path.read_bytes() for path in (managed, own)]
    assert await rig.answer("ag_new", "hello") == f"second in {rig.state}/agents/ag_new/workspace"
    rig.hub.owner_says("ag_new", "sleep")
    await until(lambda: rig.sidecar.dispatcher.running)
    assert await rig.refused("revoke_agent", {"agentId": "ag_new"}) == "not_managed"
    with pytest.raises(ActionRefused):
        await rig.sidecar.control.forget("ag_new")
    assert rig.managed.channels == {}
    assert rig.managed.routes == ()
    assert rig.sidecar.dispatcher.running
    assert rig.hub.connected("ag_new")
    assert [path.read_bytes() for path in (managed, own)] == before
    assert rig.sidecar.journal.said_since("ag_new", "ag_new", 0) or "mine" in channel
    for turn in list(rig.sidecar.dispatcher.running):
        rig.sidecar.dispatcher.cancel(turn, "test")
    await until(lambda: not rig.sidecar.dispatcher.running)


async def test_a_turn_that_begins_while_its_agent_is_removed_is_ended_too(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.done("provision_agent", rig.agent(runtime="second"))
    await until(lambda: rig.hub.connected("ag_new"))
    change = ManagedLayer.change

    async def late(layer: ManagedLayer, *rest: Any) -> None:
        rig.hub.owner_says("ag_new", "sleep")
        await until(lambda: rig.sidecar.dispatcher.running)
        await change(layer, *rest)

    monkeypatch.setattr(ManagedLayer, "change", late)
    await rig.done("revoke_agent", {"agentId": "ag_new"})
    assert not rig.sidecar.dispatcher.running


async def test_an_agent_that_the_user_takes_over_in_this_moment_is_not_destroyed(
    rig: Rig,
) -> None:
    await rig.done("provision_agent", rig.agent())
    managed = rig.state / "credentials/ag_new.json"
    text = rig.path.read_text()
    own = f"channels:\n  ag_new: {{type: botcord, credentials: {managed}}}\n"
    rig.path.write_text(text.replace("channels:\n", own))  # and nobody has loaded it
    assert await rig.refused("revoke_agent", {"agentId": "ag_new"}) == "not_managed"
    assert managed.exists()
    assert not (rig.state / UNFINISHED).exists()
    assert "ag_new" in rig.sidecar.reloader.snapshot.config.channels


async def test_a_broken_config_of_the_user_keeps_their_agent_too(rig: Rig) -> None:
    await rig.done("provision_agent", rig.agent())
    managed = rig.state / "credentials/ag_new.json"
    await take_over(rig, f"ag_new: {{type: botcord, credentials: {managed}}}")
    rig.path.write_text("version: 2\n")
    assert await rig.refused("revoke_agent", {"agentId": "ag_new"}) == "not_managed"
    assert "ag_new" in rig.sidecar.reloader.snapshot.config.channels
    assert managed.exists()


async def test_with_its_state_go_its_profile_and_what_was_said_to_it(rig: Rig) -> None:
    await rig.done("provision_agent", rig.agent())
    told = {"agentId": "ag_new", "displayName": "New", "bio": "a secret"}
    await rig.done("update_agent", told)
    await rig.done("update_agent", {**told, "agentId": "demo"})
    for agent in ("ag_new", "demo"):
        await rig.answer(agent, "hello")
    kept = {"agentId": "ag_new", "deleteState": False}
    assert not (await rig.done("revoke_agent", kept))["stateDeleted"]
    files = ManagedFiles(rig.state, lambda before, after: None)
    assert set(await asyncio.to_thread(files.profiles)) == {"ag_new", "demo"}
    assert rig.sidecar.journal.said_since("ag_new", "ag_new", 0)
    assert (await rig.done("revoke_agent", {"agentId": "ag_new"}))["stateDeleted"]
    assert set(await asyncio.to_thread(files.profiles)) == {"demo"}
    assert not rig.sidecar.journal.said_since("ag_new", "ag_new", 0)
    assert rig.sidecar.journal.said_since("demo", "demo", 0)


async def test_kept_credentials_follow_what_the_hub_says_of_the_same_key(rig: Rig) -> None:
    given: dict[str, Any] = rig.agent()
    await rig.done("provision_agent", given)
    away = {"agentId": "ag_new", "deleteCredentials": False}
    await rig.done("revoke_agent", away)
    path = rig.state / "credentials/ag_new.json"
    before = path.read_bytes()
    new = {**given["credentials"], "keyId": "k_other", "token": "new"}
    broken = {**given, "credentials": new, "runtime": "gpt"}
    assert await rig.code("provision_agent", broken) == "unknown_runtime"
    config = rig.path.read_text()
    rig.path.write_text("version: 2\n")
    assert await rig.code("provision_agent", {**given, "credentials": new}) == "config_refused"
    assert path.read_bytes() == before
    rig.path.write_text(config)
    await rig.done("provision_agent", {**given, "credentials": new})
    kept = json.loads(path.read_text())
    assert (kept["keyId"], kept["token"]) == ("k_other", "new")
    moved = {**given, "credentials": {**new, "hubUrl": "http://127.0.0.1:1"}}
    assert await rig.code("provision_agent", moved) == "agent_exists"


async def test_kept_credentials_of_another_key_can_be_forgotten(rig: Rig) -> None:
    given: dict[str, Any] = rig.agent()
    await rig.done("provision_agent", given)
    await rig.done("revoke_agent", {"agentId": "ag_new", "deleteCredentials": False})
    other = {**rig.hub.add_agent("ag_other"), "agentId": "ag_new"}
    assert await rig.code("provision_agent", {"credentials": other}) == "agent_exists"
    for unknown in ("ag_none", "../ag_new", "demo"):
        with pytest.raises(ActionRefused, match="not an agent of the control plane"):
            await rig.sidecar.control.forget(unknown)
    assert (await rig.sidecar.control.forget("ag_new"))["credentialsDeleted"]
    await rig.done("provision_agent", {"credentials": other})


async def test_agents_forgotten_one_after_the_other_at_rest_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    names = ["ag_1", "ag_2", "ag_3"]
    async with running(tmp_path) as rig:
        for name in names:
            await rig.done("provision_agent", rig.agent(name))
            await rig.answer(name, "hello")
        config = rig.sidecar.reloader.snapshot.config
    await asyncio.to_thread(note, rig.state, names)
    daemon = tmp_path / "home/.botcord/agents/ag_2/state/working-memory.json"
    daemon.parent.mkdir(parents=True)
    daemon.write_text('{"version": 1, "content": "what the daemon kept"}')
    for name in names[:2]:
        assert await asyncio.to_thread(command._forget_at_rest, config, name) == ""
    for name in (names[0], "ag_none", "demo", "../x"):
        refused = await asyncio.to_thread(command._forget_at_rest, config, name)
        assert "is not an agent of the control plane" in refused
    await asyncio.to_thread(take_in_config, rig)
    found = await asyncio.to_thread(check, rig.path)
    assert found.config is not None, found.problems
    kept = await asyncio.to_thread(command._forget_at_rest, found.config, "ag_3")
    assert "in the config of this machine's user" in kept
    files = ManagedFiles(rig.state, lambda before, after: None)
    cut = Unfinished("remove", "ag_3", credentials=True, state=True)  # before the user took it over
    await asyncio.to_thread(files.begin, cut)
    async with Sidecar(rig.path, found.config, found.inputs) as sidecar:
        assert set(sidecar.channels.statuses()) == {"demo", "ag_3"}
    journal = await Journal.open(rig.state, session_ttl=60.0, now=time.time())
    said = [bool(journal.said_since(name, name, 0)) for name in names]
    await journal.close()
    assert said == [False, False, True]
    assert await asyncio.to_thread(noted, rig.state, names) == [0, 0, len("ship it")]
    assert [path.name for path in (rig.state / "credentials").iterdir()] == ["ag_3.json"]
    assert not (rig.state / UNFINISHED).exists()


async def test_notes_that_cannot_be_deleted_keep_nothing_else_from_it(tmp_path: Path) -> None:
    files = ManagedFiles(tmp_path, lambda before, after: None)
    notes = memory_file(tmp_path, "ag_1").path
    notes.mkdir(parents=True)
    journal = await Journal.open(tmp_path, session_ttl=60.0, now=time.time())
    failures = metrics.value("control_failures_total", what="delete")
    workspace = workspace_of(tmp_path, "ag_1")
    workspace.mkdir(parents=True)
    change = Unfinished("remove", "ag_1", state=True, workspace=True)
    deleted = await delete_traces(change, files, journal)
    await journal.close()
    assert (deleted["stateDeleted"], deleted["workspaceDeleted"]) == (False, True)
    assert metrics.value("control_failures_total", what="delete") == failures + 1


def note(state: Path, agents: list[str]) -> None:
    """Each of the agents notes something."""
    for agent in agents:
        memory_file(state, agent).change(lambda _: Memory("ship it"))


def noted(state: Path, agents: list[str]) -> list[int]:
    """How many characters each of the agents has noted, as its next turn would find it."""
    return [(memory_file(state, agent).read() or Memory()).size for agent in agents]


def take_in_config(rig: Rig) -> None:
    """The user has the third agent in their own config."""
    own = f"channels:\n  ag_3: {{type: botcord, credentials: {rig.state}/credentials/ag_3.json}}\n"
    rig.path.write_text(rig.path.read_text().replace("channels:\n", own))


def test_of_each_agent_one_change_is_noted_and_a_damaged_note_keeps_nobody_waiting(
    tmp_path: Path,
) -> None:
    files = ManagedFiles(tmp_path, lambda before, after: None)
    files.begin(Unfinished("add", "ag_1"))
    files.begin(Unfinished("add", "ag_2", credentials=True))
    files.begin(Unfinished("remove", "ag_1", state=True))
    assert files.unfinished() == [
        Unfinished("add", "ag_2", credentials=True),
        Unfinished("remove", "ag_1", state=True),
    ]
    files.end("ag_2")
    assert files.unfinished() == [Unfinished("remove", "ag_1", state=True)]
    (tmp_path / UNFINISHED).write_text("{")
    files.begin(Unfinished("add", "ag_3"))
    assert files.unfinished() == [Unfinished("add", "ag_3")]
    files.end("ag_3")
    assert not (tmp_path / UNFINISHED).exists()
