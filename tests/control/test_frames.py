"""What a running link does with what comes in on its socket."""

import asyncio
import json
import time
from typing import Any

import pytest

from sidecar.codecs.control import Ack, Done, Failed, Frame
from sidecar.control.socket import Limits
from sidecar.devhub import DevHub
from sidecar.store.journal import Journal
from tests.control.conftest import Acted, Running, until


async def test_a_signed_frame_acts_and_its_ack_reaches_the_hub(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    await running(acted)
    ack = await hub.control.ask("list_agents", {"a": 1}, timeout=5)
    assert ack["ok"] is True
    assert ack["result"] == {"seen": True}
    assert "type" not in ack
    assert acted.types == ["list_agents"]
    assert acted.frames[-1].params == {"a": 1}


async def test_the_hubs_greeting_is_acted_upon(hub: DevHub, running: Running, acted: Acted) -> None:
    hub.control.hello = {"agents": [{"agentId": "ag_1"}]}
    await running(acted)
    await until(lambda: acted.frames)
    assert acted.frames[0].type == "hello"
    assert acted.frames[0].params["agents"] == [{"agentId": "ag_1"}]


async def test_an_act_that_fails_is_told_with_its_code(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    acted.answer = Failed("unknown_type", "no")
    await running(acted)
    ack = await hub.control.ask("dance", timeout=5)
    assert ack["ok"] is False
    assert ack["error"] == {"code": "unknown_type", "message": "no"}


async def test_a_defect_of_an_act_is_told_without_its_text_and_the_next_frame_is_heard(
    hub: DevHub, running: Running
) -> None:
    async def act(frame: Frame) -> Ack:
        if frame.type == "bad":
            raise RuntimeError("the secret hunter2")
        return Done()

    await running(act)
    ack = await hub.control.ask("bad", timeout=5)
    assert ack["error"]["code"] == "handler_error"  # type: ignore[index]
    assert "hunter2" not in str(ack)
    assert (await hub.control.ask("good", timeout=5))["ok"] is True


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sig": None}, "unsigned"),
        ({"sig": "AAAA"}, "bad_signature"),
        ({"params": {"agentId": "other"}}, "bad_signature"),
        ({"type": "revoke"}, "bad_signature"),
        ({"params": [1]}, "malformed"),
        ({"params": {"x": "y" * (1 << 20)}}, "too_large"),
    ],
)
async def test_a_frame_that_proves_nothing_is_refused_with_its_code_and_does_nothing(
    hub: DevHub, running: Running, acted: Acted, change: dict[str, Any], code: str
) -> None:
    link = await running(acted)
    ack = await hub.control.send({**hub.control.signed("ping"), **change}, timeout=5)
    assert ack["ok"] is False
    assert ack["error"]["code"] == code  # type: ignore[index]
    assert acted.types == []
    assert link.status.state == "connected"
    assert link.status.refused.startswith(code)


@pytest.mark.parametrize("off", [-400_000, 400_000])
async def test_a_frame_of_another_time_is_refused(
    hub: DevHub, running: Running, acted: Acted, off: int
) -> None:
    await running(acted)
    old = hub.control.signed("ping", ts=int(time.time() * 1000) + off)
    ack = await hub.control.send(old, timeout=5)
    assert ack["error"]["code"] == "stale_ts"  # type: ignore[index]
    assert acted.types == []


async def test_without_a_key_every_frame_is_refused_until_there_is_one(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    ring: list[str] = []
    link = await running(acted, keys=lambda: tuple(ring))
    ack = await hub.control.ask("ping", timeout=5)
    assert ack["error"]["code"] == "no_control_key"  # type: ignore[index]
    assert "no public key" in link.status.refused
    ring.append(hub.control.public_key)
    assert (await hub.control.ask("ping", timeout=5))["ok"] is True
    assert hub.control.only().connects == 1


@pytest.mark.parametrize(
    "text", ["", "hello", "[]", "{}", "\0", '{"id":1,"type":"ping"}', "[" * 99_999]
)
async def test_what_is_no_frame_at_all_is_ignored(
    hub: DevHub, running: Running, acted: Acted, text: str
) -> None:
    link = await running(acted)
    hub.control.send_text(text)
    assert (await hub.control.ask("ping", timeout=5))["ok"] is True
    assert acted.types == ["ping"]
    assert link.status.refused.startswith("malformed")


async def test_what_is_too_large_to_be_read_ends_the_socket_and_not_the_link(
    hub: DevHub, running: Running, acted: Acted, caplog: pytest.LogCaptureFixture
) -> None:
    link = await running(acted, limits=Limits(frame=1 << 20))
    hub.control.send_text(json.dumps(hub.control.signed("set_route", {"x": "hunter2" * 200_000})))
    await until(lambda: link.status.state == "connected" and link.status.reconnects == 1)
    assert (await hub.control.ask("ping", timeout=5))["ok"] is True
    assert acted.types == ["ping"]
    assert "hunter2" not in caplog.text


async def test_a_frame_that_comes_twice_acts_once_and_is_answered_the_same(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    acted.answer = Failed("no", "it did not work")
    await running(acted)
    frame = hub.control.signed("provision_agent")
    first = await hub.control.send(frame, timeout=5)
    acted.answer = Done()
    assert await hub.control.send(frame, timeout=5) == first
    assert acted.types == ["provision_agent"]


async def test_a_replay_after_a_restart_does_nothing(
    hub: DevHub, running: Running, acted: Acted, journal: Journal
) -> None:
    frame = hub.control.signed("provision_agent")
    assert await journal.begin_frame(str(frame["id"]), now=time.time()) is None
    await running(acted)  # the process that began it was killed before it had an answer
    ack = await hub.control.send(frame, timeout=5)
    assert ack["ok"] is False
    assert ack["error"]["code"] == "duplicate"  # type: ignore[index]
    assert acted.types == []


async def test_frames_are_acted_upon_one_after_the_other_in_order(
    hub: DevHub, running: Running
) -> None:
    order: list[str] = []

    async def act(frame: Frame) -> Ack:
        if frame.type != "hello":
            order.append(f"begin {frame.params['n']}")
            await asyncio.sleep(0.01)
            order.append(f"end {frame.params['n']}")
        return Done()

    await running(act)
    await asyncio.gather(*(hub.control.ask("set_route", {"n": n}, timeout=5) for n in range(4)))
    assert order == [f"{what} {n}" for n in range(4) for what in ("begin", "end")]


async def test_a_frame_that_is_acted_upon_keeps_nobody_from_hearing_that_we_live(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    await running(acted, limits=Limits(beat=0.02))
    await until(lambda: acted.frames)  # the greeting
    acted.go.clear()
    asking = asyncio.ensure_future(hub.control.ask("slow", timeout=5))  # noqa: TID251 -- in a test
    await until(lambda: acted.types == ["slow"])
    heard = len(hub.control.only().events)
    await until(lambda: len(hub.control.only().events) > heard)
    acted.go.set()
    assert (await asking)["ok"] is True


async def test_a_revocation_is_acknowledged_and_ends_the_link_whoever_closes_it(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    link = await running(acted)
    ack = await hub.control.ask("revoke", {"reason": "removed_by_user"}, timeout=5)
    assert (ack["ok"], ack["result"]) == (True, {"acknowledged": True})
    await until(lambda: link.status.state == "login")
    assert acted.types == []


async def test_events_reach_the_hub(hub: DevHub, running: Running, acted: Acted) -> None:
    link = await running(acted)
    assert await link.send("agent_revoked", {"agentId": "ag_1"})
    await until(lambda: hub.control.only().events)
    told = hub.control.only().events[0]
    assert (told["type"], told["params"]) == ("agent_revoked", {"agentId": "ag_1"})


async def test_what_a_frame_holds_is_never_logged(
    hub: DevHub, running: Running, acted: Acted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "sidecar")
    await running(acted)
    await hub.control.ask("provision_agent", {"credentials": {"privateKey": "hunter2"}}, timeout=5)
    wrong = {**hub.control.signed("x", {"a": "hunter2"}), "sig": "AAAA"}
    await hub.control.send(wrong, timeout=5)
    hub.control.send_text(json.dumps({"hunter2": "hunter2"}))
    await hub.control.ask("ping", timeout=5)
    assert "provision_agent" in caplog.text
    assert "hunter2" not in caplog.text
