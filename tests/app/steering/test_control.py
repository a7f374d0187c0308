"""Frames of the control plane on a whole sidecar in this process, with a real Hub and agents."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sidecar import metrics
from sidecar.app.steering.managed import ManagedLayer
from sidecar.codecs.hub.control import Done, Failed
from sidecar.config.reading.managed import FILE, UNFINISHED
from sidecar.core.managed import Managed
from sidecar.store import listing
from sidecar.store.agent_files import LARGEST, MOST_SENT, agent_files
from tests.app.steering.control_rig import DEFAULT, Rig, mode, running
from tests.patience import until


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(tmp_path) as found:
        yield found


async def test_a_provisioned_agent_answers_and_no_other_channel_is_touched(rig: Rig) -> None:
    await until(lambda: rig.hub.connected("demo"))
    user_file = rig.path.read_bytes()
    done = await rig.done("provision_agent", rig.agent(runtime="second"))
    assert done == {
        "agentId": "ag_new",
        "hubUrl": rig.hub.url,
        "credentialsFile": str(rig.state / "credentials/ag_new.json"),
    }
    assert mode(rig.state / "credentials/ag_new.json") == 0o600
    assert mode(rig.state / FILE) == 0o600
    workspace = rig.state / "agents/ag_new/workspace"
    assert await rig.answer("ag_new", "hello") == f"second in {workspace}"
    assert rig.hub.connects("demo") == 1
    assert rig.path.read_bytes() == user_file
    assert ("agent_provisioned", {"agentId": "ag_new"}) in rig.told
    await until(lambda: rig.told[-1][0] == "runtime_snapshot")


async def test_a_control_plane_that_hangs_keeps_no_channel_waiting(tmp_path: Path) -> None:
    def hang(rig: Rig) -> None:
        rig.log_in()
        text = rig.path.read_text()
        rig.path.write_text(text.replace("control_plane: {", "control_plane: {enabled: true, "))
        rig.hub.faults.add("/daemon/ws", delay=3600.0)

    async with running(tmp_path, begin=hang) as rig:
        assert (await rig.answer("demo", "hello")).startswith("first:")
        await until(lambda: rig.hub.requests["/daemon/ws"])
        status = rig.sidecar.plane.status
        assert status is not None
        assert status.state == "connecting"


async def test_another_state_folder_counts_for_agents_and_turns_with_the_next_start(
    rig: Rig,
) -> None:
    other = rig.folder / "other"
    rig.path.write_text(rig.path.read_text().replace(f"dir: {rig.state}", f"dir: {other}"))
    assert (await rig.sidecar.reloader.reload("test")).pending == ("state.dir",)
    await rig.done("provision_agent", rig.agent(runtime="second"))
    assert await rig.answer("ag_new", "hello") == f"second in {rig.state}/agents/ag_new/workspace"
    assert rig.managed.channels
    assert not other.exists()


async def test_asked_again_for_the_same_agent_says_yes_and_changes_nothing(rig: Rig) -> None:
    asked = rig.agent()
    first = await rig.done("provision_agent", asked)
    before = rig.managed
    assert await rig.done("provision_agent", asked) == first
    assert rig.managed == before


async def test_an_agent_that_is_here_is_never_destroyed(rig: Rig) -> None:
    await rig.done("provision_agent", rig.agent())
    other = rig.hub.add_agent("ag_other")
    stolen = {**other, "agentId": "ag_new"}
    assert await rig.code("provision_agent", {"credentials": stolen}) == "agent_exists"
    own = {**other, "agentId": "demo"}
    assert await rig.code("provision_agent", {"credentials": own}) == "agent_exists"
    assert (await rig.answer("ag_new", "hello")).startswith("first:")


WAYS_OUT = ("../escape", "a/b", "..", ".", "", "a b", "a\0b", "\u0430g_1", "/etc/x", "a" * 200)
"""One begins with the Cyrillic letter that looks like an a."""


async def test_an_id_that_is_a_way_out_is_refused_before_any_file_is_touched(rig: Rig) -> None:
    for agent in WAYS_OUT:
        credentials = {**rig.hub.add_agent("ag_new"), "agentId": agent}
        assert await rig.code("provision_agent", {"credentials": credentials}) == "bad_params"
        for type_ in ("revoke_agent", "list_agent_files"):
            assert await rig.code(type_, {"agentId": agent}) == "bad_params"
        assert await rig.code("set_route", {"agentId": agent, "pattern": "rm_"}) == "bad_params"


async def test_a_cwd_outside_the_roots_is_refused_also_by_way_of_a_link(rig: Rig) -> None:
    (rig.work / "link").symlink_to(rig.folder)
    (rig.folder / "worked").mkdir()
    for cwd in (str(rig.folder), str(rig.work / "link"), str(rig.work / ".."), "/",
                str(rig.folder / "worked")):  # fmt: skip
        assert await rig.code("provision_agent", rig.agent(cwd=cwd)) == "cwd_outside"
    alike = str(rig.work / "\uff0e\uff0e")  # the dots are wide ones
    for cwd in ("work", str(rig.work / "none"), "~nobody", alike):
        assert await rig.code("provision_agent", rig.agent(cwd=cwd)) == "bad_cwd"
    assert await rig.code("provision_agent", rig.agent(cwd=f"{rig.work}\0")) == "bad_params"
    asked = {"agentId": "demo", "route": {"cwd": "/"}}
    assert await rig.code("set_route", asked) == "cwd_outside"
    inside = rig.work / "repo"
    inside.mkdir()
    (rig.work / "way").symlink_to(inside)
    await rig.done("provision_agent", rig.agent(cwd=str(rig.work / "way"), runtime="second"))
    assert await rig.answer("ag_new", "hello") == f"second in {inside}"


async def test_a_place_that_is_outside_the_roots_by_now_is_not_worked_in(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    repo, other = rig.work / "repo", rig.folder / "other"
    repo.mkdir()
    other.mkdir()
    await rig.done("provision_agent", rig.agent(cwd=str(repo), runtime="second"))
    assert await rig.answer("ag_new", "hello") == f"second in {repo}"
    before = rig.path.read_text()
    rig.path.write_text(before.replace(f"roots: [{rig.work}]", f"roots: [{other}]"))
    await rig.done("reload_config")
    await until(lambda: "none of its turns will run" in caplog.text)
    assert "could not be started here" in await rig.answer("ag_new", "hello")
    rig.path.write_text(before)
    await rig.done("reload_config")
    assert await rig.answer("ag_new", "hello") == f"second in {repo}"
    repo.rmdir()
    repo.symlink_to(other)
    assert "could not be started here" in await rig.answer("ag_new", "hello")
    assert (await rig.answer("demo", "hello")).startswith("first:")


async def test_what_cannot_be_provisioned_leaves_nothing_behind(rig: Rig) -> None:
    assert await rig.code("provision_agent", rig.agent(runtime="gpt")) == "unknown_runtime"
    rig.path.write_text("version: 2\n")
    assert await rig.code("provision_agent", rig.agent()) == "config_refused"
    assert not (rig.state / UNFINISHED).exists()
    rig.write(DEFAULT)
    await rig.done("provision_agent", rig.agent())
    assert (await rig.answer("ag_new", "hello")).startswith("first:")


async def test_an_agent_that_the_hub_has_given_up_meanwhile_is_taken_back(rig: Rig) -> None:
    asked, credentials = rig.agent(), rig.state / "credentials/ag_new.json"
    late = await rig.act("provision_agent", asked, due=0.0)
    assert isinstance(late, Failed)
    assert late.code == "busy"
    assert (rig.managed, credentials.exists()) == (Managed(), False)
    assert set(rig.sidecar.channels.statuses()) == {"demo"}
    assert not (rig.state / UNFINISHED).exists()
    assert not rig.told
    await rig.done("provision_agent", asked)
    assert isinstance(await rig.act("provision_agent", asked, due=0.0), Done)  # it was there
    await rig.done("revoke_agent", {"agentId": "ag_new", "deleteCredentials": False})
    kept = credentials.read_bytes()
    assert isinstance(await rig.act("provision_agent", asked, due=0.0), Failed)
    assert (rig.managed, credentials.read_bytes()) == (Managed(), kept)


async def test_a_revoked_agent_is_gone_with_its_turn_and_what_was_asked_for(rig: Rig) -> None:
    await rig.done("provision_agent", rig.agent(runtime="second"))
    await until(lambda: rig.hub.connected("ag_new"))
    rig.hub.owner_says("ag_new", "sleep")
    await until(lambda: rig.sidecar.dispatcher.running)
    done = await rig.done("revoke_agent", {"agentId": "ag_new"})
    assert done == {
        "agentId": "ag_new",
        "removed": True,
        "credentialsDeleted": True,
        "stateDeleted": True,
        "workspaceDeleted": False,
    }
    assert not rig.sidecar.dispatcher.running
    assert not (rig.state / "credentials/ag_new.json").exists()
    await until(lambda: not rig.hub.connected("ag_new"))
    assert (rig.state / "agents/ag_new").exists()
    assert ("agent_revoked", {"agentId": "ag_new"}) in rig.told
    again = {"agentId": "ag_new", "deleteWorkspace": True}
    assert (await rig.done("revoke_agent", again))["workspaceDeleted"]
    assert not (rig.state / "agents/ag_new").exists()


async def test_what_waits_for_a_revoked_agent_is_given_up_and_told(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.done("provision_agent", rig.agent())
    rig.hub.faults.add("/hub/send", status=503, times=1000)
    counted = metrics.value("replies_refused_total", channel="ag_new")
    for agent in ("ag_new", "demo"):
        rig.hub.owner_says(agent, "hello")
    await until(lambda: rig.sidecar.outbox.waiting == 2)
    await rig.done("revoke_agent", {"agentId": "ag_new"})
    counts = await rig.sidecar.journal.counts()
    assert (counts.replies_pending, counts.replies_refused) == (1, 1)
    assert rig.sidecar.outbox.waiting == 1
    assert metrics.value("replies_refused_total", channel="ag_new") == counted + 1
    assert "its agent was removed" in caplog.text
    [pending] = await rig.sidecar.journal.pending_replies()
    assert pending.reply.account == "demo"
    rig.hub.faults.clear()


async def test_kept_credentials_serve_when_the_agent_comes_back(rig: Rig) -> None:
    asked = rig.agent()
    await rig.done("provision_agent", asked)
    kept = await rig.done("revoke_agent", {"agentId": "ag_new", "deleteCredentials": False})
    assert (kept["removed"], kept["credentialsDeleted"]) == (True, False)
    await rig.done("provision_agent", asked)
    assert (await rig.answer("ag_new", "hello")).startswith("first:")


async def test_an_agent_of_the_user_cannot_be_revoked_by_the_hub(rig: Rig) -> None:
    await rig.done("set_route", {"agentId": "demo", "pattern": "rm_"})
    assert await rig.code("revoke_agent", {"agentId": "demo"}) == "not_managed"
    unknown = await rig.done("revoke_agent", {"agentId": "ag_unknown"})
    assert not any(unknown[key] for key in unknown if key != "agentId")


async def test_an_agent_is_revoked_also_while_the_users_config_is_broken(rig: Rig) -> None:
    await rig.done("provision_agent", rig.agent())
    await until(lambda: rig.hub.connected("ag_new") and rig.hub.connected("demo"))
    rig.path.write_text("version: 2\n")
    assert (await rig.done("revoke_agent", {"agentId": "ag_new"}))["removed"]
    await until(lambda: not rig.hub.connected("ag_new"))
    assert rig.hub.connected("demo")


async def test_a_route_takes_effect_at_once_and_a_narrow_one_is_reached(rig: Rig) -> None:
    rig.write(f"routes: []\n{DEFAULT}")
    assert (await rig.answer("demo", "hello")).startswith("first:")
    general = {"agentId": "demo", "route": {"adapter": "second", "cwd": str(rig.work)}}
    done = await rig.done("set_route", general)
    assert done == {"ok": True, "agentId": "demo", "routeIndex": 0, "inserted": True}
    assert await rig.answer("demo", "hello") == f"second in {rig.work}"
    narrow = {"agentId": "demo", "pattern": "rm_oc_", "route": {"adapter": "first"}}
    assert (await rig.done("set_route", narrow))["routeIndex"] == 0
    assert (await rig.answer("demo", "hello")).startswith("first:")
    assert not (await rig.done("set_route", narrow))["inserted"]


async def test_the_users_own_route_wins_over_a_managed_one(rig: Rig) -> None:
    rig.write(
        "routes: [{{name: mine, match: {{account: demo}}, runtime: first, cwd: {folder}}}]\n"
        + DEFAULT
    )
    await rig.done("reload_config")
    await rig.done("set_route", {"agentId": "demo", "route": {"adapter": "second"}})
    assert (await rig.answer("demo", "hello")).startswith("first:")


async def test_frames_that_tell_of_this_machine_are_answered(rig: Rig) -> None:
    assert (await rig.done("ping"))["pong"] is True
    agents = {"agents": [{"agentId": "demo", "displayName": "Demo", "bio": None}]}
    assert await rig.done("hello", agents) is None
    await rig.answer("demo", "hello")
    [told] = (await rig.done("list_agents"))["agents"]
    assert (told["id"], told["name"], told["online"]) == ("demo", "Demo", True)
    assert told["status"] == "running"
    renamed = {"agentId": "demo", "displayName": "Renamed"}
    assert await rig.done("update_agent", renamed) == {"agentId": "demo"}
    assert (await rig.done("list_agents"))["agents"][0]["name"] == "Renamed"
    assert told["lastMessageAt"] > 1e12
    found = await rig.done("list_runtimes")
    assert [one["id"] for one in found["runtimes"]] == ["first", "second"]
    assert all(one["available"] for one in found["runtimes"])
    assert found["probedAt"] > 1e12
    assert await rig.done("list_runtimes") is found
    assert (await rig.done("collect_diagnostics"))["diagnostics"]["channels"]["demo"]
    assert await rig.code("restart_daemon") == "unsupported"
    assert await rig.code("upsert_gateway") == "unknown_type"


async def test_an_agent_goes_by_the_name_of_its_credentials_until_the_hub_tells_another(
    rig: Rig,
) -> None:
    given: Any = rig.agent()
    given["name"] = None
    given["credentials"]["displayName"] = "Lazy Bones"
    await rig.done("provision_agent", given)
    for name in ("Lazy Bones", "Renamed"):
        names = {one["id"]: one["name"] for one in (await rig.done("list_agents"))["agents"]}
        assert names == {"demo": "demo", "ag_new": name}
        await rig.done("update_agent", {"agentId": "ag_new", "displayName": "Renamed"})


async def test_the_files_of_an_agent_are_shown_and_no_others(rig: Rig) -> None:
    await rig.done("provision_agent", rig.agent(bio="Reads *everything*."))
    workspace = rig.state / "agents/ag_new/workspace"
    (workspace / "secret.md").symlink_to(rig.state / "credentials/ag_new.json")
    found = (await rig.done("list_agent_files", {"agentId": "ag_new"}))["files"]
    assert [one["id"] for one in found] == ["AGENTS.md", "CLAUDE.md", "identity.md"]
    assert "Reads *everything*." in found[2]["content"]
    for wanted in ("secret.md", "../../../credentials/ag_new.json"):
        asked = {"agentId": "ag_new", "fileId": wanted}
        assert (await rig.done("list_agent_files", asked))["files"] == []


def test_contents_of_files_are_told_as_far_as_an_answer_may_be_long(tmp_path: Path) -> None:
    texts = ["x" * 65_000, "\0" * 65_000]  # of which JSON makes six times as much
    for number in range(40):
        (tmp_path / f"{number:02}.md").write_text(texts[number % 2])
    found = agent_files(tmp_path)
    assert len(found) == 40
    assert {"content", "truncated"} & found[0].keys() == {"content"}
    assert MOST_SENT / 2 < len(json.dumps(found)) < MOST_SENT + 40 * 200
    assert {tuple(sorted({"content", "truncated"} & one.keys())) for one in found} == {
        ("content",),
        ("truncated",),
    }
    assert agent_files(tmp_path, "39.md")[0]["content"] == texts[1]


def test_files_without_content_are_told_beside_contents_that_fill_the_answer(
    tmp_path: Path,
) -> None:
    for number in range(MOST_SENT // LARGEST):
        (tmp_path / f"{number:02}.md").write_text("x" * (LARGEST - len('""')))
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    found = agent_files(tmp_path)
    assert all("content" in one for one in found[:-1])
    assert found[-1] | {"mtimeMs": 0} == {
        "id": "picture.png",
        "name": "workspace/picture.png",
        "scope": "workspace",
        "size": 4,
        "mtimeMs": 0,
        "truncated": True,
    }


async def test_reload_config_takes_over_what_the_user_saved(rig: Rig) -> None:
    rig.path.write_text(rig.path.read_text().replace("demo: {", "other: {agent: demo, "))
    done = await rig.done("reload_config")
    assert done["reloaded"] is True
    assert await rig.done("reload_config") == {"reloaded": True, "added": [], "removed": []}
    rig.path.write_text("version: 2\n")
    assert await rig.code("reload_config") == "config_refused"


async def test_the_hub_is_told_of_runtimes_that_a_save_has_changed(rig: Rig) -> None:
    rig.sidecar.control.connected()
    await until(lambda: rig.told)
    rig.path.write_text(rig.path.read_text().replace("  second:", "  third:"))
    await rig.sidecar.reloader.reload("file")
    await until(lambda: "'third'" in str(rig.told[-1]))
    assert rig.told[-1][0] == "runtime_snapshot"


async def test_what_was_begun_is_done_though_nobody_waits_for_it_any_more(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    change = ManagedLayer.change

    async def slow(layer: ManagedLayer, *rest: Any) -> None:
        begun.set()
        await go.wait()
        await change(layer, *rest)

    monkeypatch.setattr(ManagedLayer, "change", slow)

    async def act() -> None:
        await rig.act("provision_agent", rig.agent())

    acting = rig.sidecar.spawn(act(), "test")
    await begun.wait()
    acting.cancel()
    await asyncio.wait([acting])
    go.set()
    await until(lambda: ("agent_provisioned", {"agentId": "ag_new"}) in rig.told)
    assert (await rig.answer("ag_new", "hello")).startswith("first:")
    assert "failed" not in caplog.text


async def test_two_agents_at_once_are_both_there_afterwards(rig: Rig) -> None:
    names = ["ag_1", "ag_2", "ag_3"]
    await asyncio.gather(*(rig.done("provision_agent", rig.agent(name)) for name in names))
    assert set(names) < set(rig.sidecar.reloader.snapshot.config.channels)
    for name in names:
        assert (await rig.answer(name, "hello")).startswith("first:")


async def test_what_no_longer_fits_the_users_config_is_left_out_and_told(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.done("provision_agent", rig.agent(runtime="second"))
    rig.path.write_text(rig.path.read_text().replace("  second:", "  third:"))
    await rig.done("reload_config")
    assert "routes[0] is left out: there is no runtime 'second'" in caplog.text
    await until(lambda: "'third'" in str(rig.told[-1]))
    assert (await rig.answer("ag_new", "hello")).startswith("first:")
    rig.path.write_text(rig.path.read_text().replace("  third:", "  second:"))
    await rig.done("reload_config")
    assert (await rig.answer("ag_new", "hello")).startswith("second in")


async def group(rig: Rig) -> tuple[str, str]:
    """A person, and a room in which they are with the agent demo."""
    person = rig.hub.add_person("Ann")
    room = rig.hub.add_room("Plans", [person, "demo"])
    await until(lambda: rig.hub.connected("demo"))
    return person, room


async def dropped(rig: Rig, count: int) -> None:
    """Return when so many messages were recorded as not woken."""

    async def enough() -> bool:
        return (await rig.sidecar.journal.counts()).turns.get("dropped", 0) >= count

    await until(enough)


def reasons(state: Path) -> list[str]:
    """Why messages were dropped."""
    with listing.reader(state) as database:
        found = listing.turns(database, state="dropped", conversation=None, most=10)
    return [one["error"] for one in found]


async def test_a_message_that_is_not_to_wake_the_agent_is_recorded_and_no_turn_runs(
    rig: Rig,
) -> None:
    rig.hub.state.agent("demo").attention = {"mode": "mention_only"}
    person, room = await group(rig)
    rig.hub.say(person, room, "for everybody")
    await dropped(rig, 1)
    said = await until(lambda: rig.sidecar.journal.said_since("demo", "demo", 0))
    assert [one.preview for one in said] == ["for everybody"]
    assert await asyncio.to_thread(reasons, rig.state) == ["not_woken"]
    rig.hub.say(person, room, "for demo", mentions=["demo"])
    await until(lambda: rig.hub.sent)
    assert (await rig.sidecar.journal.counts()).turns["dropped"] == 1
    assert (await rig.answer("demo", "the owner")) == "first: the owner"


async def test_a_pushed_policy_holds_at_once_and_a_dropped_one_is_asked_for_anew(rig: Rig) -> None:
    person, room = await group(rig)
    rig.hub.say(person, room, "one")
    await until(lambda: len(rig.hub.sent) == 1)
    muted = {"agent_id": "demo", "room_id": room, "policy": {"mode": "muted", "keywords": []}}
    assert await rig.done("policy_updated", muted) == {"agent_id": "demo", "applied": True}
    rig.hub.say(person, room, "two")
    await dropped(rig, 1)
    rig.hub.state.agent("demo").attention = {"mode": "keyword", "keywords": ["Build"]}
    await rig.done("policy_updated", {"agent_id": "demo"})
    rig.hub.say(person, room, "three")
    await dropped(rig, 2)
    rig.hub.say(person, room, "the BUILD is red")
    await until(lambda: len(rig.hub.sent) == 2)
    unknown = {"agent_id": "ag_none"}
    assert await rig.done("policy_updated", unknown) == {"agent_id": "ag_none", "applied": False}


async def test_an_agent_is_known_by_its_id_and_not_by_the_name_of_its_channel(rig: Rig) -> None:
    rig.path.write_text(rig.path.read_text().replace("demo: {", "mine: {agent: demo, "))
    await rig.done("reload_config")
    assert await rig.code("set_route", {"agentId": "mine", "pattern": "rm_"}) == "agent_not_loaded"
    await rig.done("set_route", {"agentId": "demo", "pattern": "rm_"})
    for agent, applied in (("mine", False), ("demo", True)):
        assert (await rig.done("policy_updated", {"agent_id": agent}))["applied"] is applied
    assert await rig.code("provision_agent", rig.agent("mine")) == "agent_exists"


async def test_an_agent_that_is_woken_answers_its_owner_and_only_once(rig: Rig) -> None:
    wake = {"agent_id": "demo", "message": "the morning report", "run_id": "r1"}
    assert await rig.code("wake_agent", wake) == "agent_not_loaded"
    await rig.answer("demo", "hello")
    rig.log_in(userId=rig.hub.state.owner.user_id)
    rig.path.write_text(
        rig.path.read_text().replace("demo.json}", "demo.json, allow: {senders: [x]}}")
    )
    await rig.done("reload_config")
    assert await rig.code("wake_agent", wake) == "not_allowed"
    rig.write(DEFAULT)
    await rig.done("reload_config")
    assert await rig.done("wake_agent", wake) == {"agent_id": "demo", "accepted": True}
    await rig.done("wake_agent", wake)
    await until(lambda: len(rig.hub.sent) == 2)
    assert rig.hub.sent[1].room == rig.hub.sent[0].room
    assert sum((await rig.sidecar.journal.counts()).turns.values()) == 2


async def test_plans_for_the_same_time_are_all_carried_out(rig: Rig) -> None:
    await rig.answer("demo", "hello")
    rig.log_in(userId=rig.hub.state.owner.user_id)
    text = rig.path.read_text().replace("demo.json}", "demo.json, loop_guard: {turns: 1}}")
    rig.path.write_text(text)
    await rig.done("reload_config")
    for run in ("r1", "r2", "r3"):
        await rig.done("wake_agent", {"agent_id": "demo", "message": f"plan {run}", "run_id": run})
    await until(lambda: len(rig.hub.sent) == 4)
