"""What a running link does with what comes in on its socket."""

import asyncio
import json
import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.api import Host
from sidecar.codecs.hub.control import Ack, Done, Failed, Frame
from sidecar.control.frames import LONG, QUESTIONS, WAITING, Frames
from sidecar.control.socket import Limits
from sidecar.devhub import DevHub
from sidecar.store.journal import Journal
from tests.control.conftest import Acted, Running
from tests.patience import PATIENCE, until


async def test_a_signed_frame_acts_and_its_ack_reaches_the_hub(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    await running(acted)
    ack = await hub.control.ask("list_agents", {"a": 1}, timeout=PATIENCE)
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
    ack = await hub.control.ask("dance", timeout=PATIENCE)
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
    ack = await hub.control.ask("bad", timeout=PATIENCE)
    assert ack["error"]["code"] == "handler_error"  # type: ignore[index]
    assert "hunter2" not in str(ack)
    assert (await hub.control.ask("good", timeout=PATIENCE))["ok"] is True


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
    ack = await hub.control.send({**hub.control.signed("ping"), **change}, timeout=PATIENCE)
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
    ack = await hub.control.send(old, timeout=PATIENCE)
    assert ack["error"]["code"] == "stale_ts"  # type: ignore[index]
    assert acted.types == []


async def test_without_a_key_every_frame_is_refused_until_there_is_one(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    ring: list[str] = []
    link = await running(acted, keys=lambda: tuple(ring))
    ack = await hub.control.ask("ping", timeout=PATIENCE)
    assert ack["error"]["code"] == "no_control_key"  # type: ignore[index]
    assert "no public key" in link.status.refused
    ring.append(hub.control.public_key)
    assert (await hub.control.ask("ping", timeout=PATIENCE))["ok"] is True
    assert hub.control.only().connects == 1


@pytest.mark.parametrize(
    "text", ["", "hello", "[]", "{}", "\0", '{"id":1,"type":"ping"}', "[" * 99_999]
)
async def test_what_is_no_frame_at_all_is_ignored(
    hub: DevHub, running: Running, acted: Acted, text: str
) -> None:
    link = await running(acted)
    hub.control.send_text(text)
    assert (await hub.control.ask("ping", timeout=PATIENCE))["ok"] is True
    assert acted.types == ["ping"]
    assert link.status.refused.startswith("malformed")


async def test_what_is_too_large_to_be_read_ends_the_socket_and_not_the_link(
    hub: DevHub, running: Running, acted: Acted, caplog: pytest.LogCaptureFixture
) -> None:
    link = await running(acted, limits=Limits(frame=1 << 20))
    hub.control.send_text(json.dumps(hub.control.signed("set_route", {"x": "hunter2" * 200_000})))
    await until(lambda: link.status.state == "connected" and link.status.reconnects == 1)
    assert (await hub.control.ask("ping", timeout=PATIENCE))["ok"] is True
    assert acted.types == ["ping"]
    assert "hunter2" not in caplog.text


async def test_a_frame_that_comes_twice_acts_once_and_is_answered_the_same(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    acted.answer = Failed("no", "it did not work")
    await running(acted)
    frame = hub.control.signed("provision_agent")
    first = await hub.control.send(frame, timeout=PATIENCE)
    acted.answer = Done()
    assert await hub.control.send(frame, timeout=PATIENCE) == first
    assert acted.types == ["provision_agent"]


async def test_a_replay_after_a_restart_does_nothing(
    hub: DevHub, running: Running, acted: Acted, journal: Journal
) -> None:
    frame = hub.control.signed("provision_agent")
    assert await journal.begin_frame(str(frame["id"]), now=time.time()) is None
    await running(acted)  # the process that began it was killed before it had an answer
    ack = await hub.control.send(frame, timeout=PATIENCE)
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
    await asyncio.gather(
        *(hub.control.ask("set_route", {"n": n}, timeout=PATIENCE) for n in range(4))
    )
    assert order == [f"{what} {n}" for n in range(4) for what in ("begin", "end")]


def frames_of(
    hub: DevHub, host: Host, journal: Journal, sent: list[Any], clock: Callable[[], float]
) -> Frames:
    """The queues of a link that sends into a list."""

    async def send(text: str) -> bool:
        sent.append(json.loads(text))
        return True

    async def revoke() -> None:
        """Nobody is revoked."""

    keys = (hub.control.public_key,)
    return Frames(host, lambda: keys, journal, send, lambda _: None, revoke, clock)


def text_of(hub: DevHub, type_: str, id_: str, **params: object) -> str:
    return json.dumps(hub.control.signed(type_, params, id=id_))


async def test_while_one_frame_takes_long_questions_are_answered_and_each_other_is_told(
    hub: DevHub, host: Host, journal: Journal, acted: Acted
) -> None:
    sent: list[Any] = []
    frames = frames_of(hub, host, journal, sent, time.monotonic)
    acted.go.clear()

    async def act(frame: Frame) -> Ack:
        return await acted(frame) if frame.type == "set_route" else Done({"asked": True})

    task = host.spawn(frames.run(act), "frames")
    await frames.take(text_of(hub, "set_route", "slow"))
    await until(lambda: acted.types)
    for number in range(40):
        await frames.take(text_of(hub, "set_route", f"f{number}"))
    busy = [one["id"] for one in sent if one["error"]["code"] == "busy"]
    assert busy == [f"f{number}" for number in range(WAITING, 40)]
    sent.clear()
    for type_ in QUESTIONS:
        await frames.take(text_of(hub, type_, type_))
    await until(lambda: len(sent) == len(QUESTIONS))
    assert {one["id"]: one["ok"] for one in sent} == dict.fromkeys(QUESTIONS, True)
    assert not frames.idle.is_set()
    acted.go.set()
    await until(lambda: len(sent) == len(QUESTIONS) + 1 + WAITING)
    assert [one["id"] for one in sent[len(QUESTIONS) :]] == [
        "slow",
        *(f"f{number}" for number in range(WAITING)),
    ]
    await stop(task)


async def test_an_agent_that_the_hub_waits_for_no_more_is_not_added(
    hub: DevHub, host: Host, journal: Journal, acted: Acted
) -> None:
    now, sent = [0.0], list[Any]()
    frames = frames_of(hub, host, journal, sent, lambda: now[0])
    for type_ in ("provision_agent", "revoke_agent"):
        await frames.take(text_of(hub, type_, f"late {type_}"))
    now[0] += 25.1
    await frames.take(text_of(hub, "provision_agent", "in time"))
    task = host.spawn(frames.run(acted), "frames")
    await until(lambda: len(sent) == 3)
    codes = {one["id"]: one["ok"] or one["error"]["code"] for one in sent}
    assert codes == {"late provision_agent": "busy", "late revoke_agent": True, "in time": True}
    assert acted.types == ["revoke_agent", "provision_agent"]
    assert [frame.due for frame in acted.frames] == [math.inf, 25.1 + 25.0]
    await stop(task)


async def test_without_the_journal_nothing_acts_and_each_frame_is_answered(
    hub: DevHub, host: Host, journal: Journal, acted: Acted
) -> None:
    sent: list[Any] = []
    frames = frames_of(hub, host, journal, sent, time.monotonic)
    task = host.spawn(frames.run(acted), "frames")
    await journal.close()
    for type_ in ("set_route", "provision_agent", "ping"):
        await frames.take(text_of(hub, type_, type_))
    await until(lambda: len(sent) == 3)
    codes = {one["id"]: one["ok"] or one["error"]["code"] for one in sent}
    assert codes == {
        "set_route": "state_unusable",
        "provision_agent": "state_unusable",
        "ping": True,
    }
    assert acted.types == ["ping"]
    await stop(task)


async def test_what_was_done_is_told_also_when_the_journal_fails_after_it(
    hub: DevHub, host: Host, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[Any] = []
    frames = frames_of(hub, host, journal, sent, time.monotonic)

    async def act(frame: Frame) -> Ack:
        await journal.close()
        return Done({"agentId": "ag_1"})

    task = host.spawn(frames.run(act), "frames")
    await frames.take(text_of(hub, "provision_agent", "f1"))
    await until(lambda: sent)
    assert sent == [{"id": "f1", "ok": True, "result": {"agentId": "ag_1"}}]
    assert "an answer is not kept" in caplog.text
    await stop(task)


async def test_an_answer_is_durable_before_it_is_sent(
    hub: DevHub, host: Host, journal: Journal, acted: Acted
) -> None:
    kept: list[str | None] = []

    class Sent(list[Any]):
        def append(self, answer: Any) -> None:
            kept.append(answer["id"])
            super().append(answer)

    sent = Sent()
    end = journal.end_frame

    async def end_frame(id_: str, answer: str) -> None:
        await end(id_, answer)
        kept.append(f"kept {id_}")

    journal.end_frame = end_frame  # type: ignore[method-assign]
    frames = frames_of(hub, host, journal, sent, time.monotonic)
    task = host.spawn(frames.run(acted), "frames")
    await frames.take(text_of(hub, "set_route", "f1"))
    await until(lambda: sent)
    assert kept == ["kept f1", "f1"]
    await stop(task)


async def test_a_large_answer_to_a_question_is_not_kept_and_given_anew(
    hub: DevHub, host: Host, journal: Journal, acted: Acted
) -> None:
    sent: list[Any] = []
    frames = frames_of(hub, host, journal, sent, time.monotonic)
    task = host.spawn(frames.run(acted), "frames")
    acted.answer = Done({"files": "x" * LONG})
    for _ in range(2):
        await frames.take(text_of(hub, "list_agent_files", "large"))
        await frames.take(text_of(hub, "set_route", "order"))
    await until(lambda: len(sent) == 4)
    assert all(one["ok"] for one in sent)
    assert sorted(acted.types) == ["list_agent_files", "list_agent_files", "set_route"]
    assert await journal.begin_frame("large", now=time.time()) == ""
    assert len(await journal.begin_frame("order", now=time.time()) or "") > LONG
    await stop(task)


async def stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


async def test_a_frame_that_is_acted_upon_keeps_nobody_from_hearing_that_we_live(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    await running(acted, limits=Limits(beat=0.02))
    await until(lambda: acted.frames)  # the greeting
    acted.go.clear()
    asking = asyncio.ensure_future(hub.control.ask("slow", timeout=PATIENCE))  # noqa: TID251 -- in a test
    await until(lambda: acted.types == ["slow"])
    heard = len(hub.control.only().events)
    await until(lambda: len(hub.control.only().events) > heard)
    acted.go.set()
    assert (await asking)["ok"] is True


async def test_a_revocation_is_acknowledged_and_ends_the_link_whoever_closes_it(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    link = await running(acted)
    ack = await hub.control.ask("revoke", {"reason": "removed_by_user"}, timeout=PATIENCE)
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
    await hub.control.ask(
        "provision_agent", {"credentials": {"privateKey": "hunter2"}}, timeout=PATIENCE
    )
    wrong = {**hub.control.signed("x", {"a": "hunter2"}), "sig": "AAAA"}
    await hub.control.send(wrong, timeout=PATIENCE)
    hub.control.send_text(json.dumps({"hunter2": "hunter2"}))
    await hub.control.ask("ping", timeout=PATIENCE)
    assert "provision_agent" in caplog.text
    assert "hunter2" not in caplog.text
