import asyncio
import gzip
import tracemalloc
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from sidecar import metrics
from sidecar.channels.inbox import MOST_FRUITLESS, Inbox
from sidecar.errors import ChannelStopped, JournalError
from sidecar.hubclient.http import LARGEST_BODY
from sidecar.model import Message
from tests.channels.scripted_hub import Answer, Hub, raw, reset, says
from tests.patience import until

BROKEN = {
    "a plain 500": raw(500, b"Internal Server Error"),
    "a page of HTML": raw(200, b"<html>maintenance</html>"),
    "half a JSON": raw(200, b'{"messages": [{"hub_msg'),
    "nothing": raw(200, b""),
    "a reset": reset,
    "a list": raw(200, b"[1, 2]"),
    "deep nesting": raw(200, b"[" * 100_000),
    "no UTF-8": raw(200, b'{"messages": "\xff"}'),
    "a redirect": raw(302, b"", Location="https://elsewhere.example/"),
    "a proxy's 403": raw(403, b"<html>no</html>"),
    "a proxy's 404": raw(404, b"<html>no</html>"),
    "too many requests": raw(429, b""),
    "another 401": says(401, "token_expired"),
}


async def test_a_pushed_message_is_accepted_and_acknowledged(world: Any) -> None:
    async with world.running():
        await world.hub.push(world.item())
        await until(lambda: world.hub.acked)
    (message,) = world.kept.messages
    assert (message.channel, message.account, message.id) == ("ch", world.agent, "h_1")
    assert message.text == "text of h_1"
    assert world.hub.acked == ["h_1"]
    assert world.hub.requests("/hub/inbox")[0].query == {"limit": "50", "ack": "false"}


async def test_what_came_while_nobody_listened_is_fetched_after_the_login(world: Any) -> None:
    world.hub.inbox = {f"h_{n}": world.item(f"h_{n}") for n in range(120)}
    async with world.running():
        await until(lambda: len(world.hub.acked) == 120)
    assert world.kept.ids == [f"h_{n}" for n in range(120)]
    assert world.kept.pages == 3
    assert len(world.hub.requests("/hub/inbox/ack")) <= 3


async def test_nothing_is_acknowledged_before_it_is_durable(world: Any) -> None:
    gate = asyncio.Event()

    async def accept(messages: Sequence[Message]) -> None:
        await gate.wait()
        await world.kept(messages)

    async with world.running(accept=accept):
        await world.hub.push(world.item())
        await until(lambda: world.hub.leased)
        await world.hub.push(world.item("h_2"))
        assert world.hub.acked == []
        gate.set()
        await until(lambda: world.hub.acked == ["h_1", "h_2"])


async def test_messages_that_the_journal_refuses_are_offered_again(world: Any) -> None:
    refusals = 2

    async def accept(messages: Sequence[Message]) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise JournalError("disk full")
        await world.kept(messages)

    async with world.running(accept=accept):
        await world.hub.push(world.item())
        await until(lambda: world.hub.acked == ["h_1"])
    assert world.kept.ids == ["h_1"]


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_poll_that_fails_is_tried_again(world: Any, fault: str) -> None:
    world.hub.script("/hub/inbox", BROKEN[fault], BROKEN[fault], method="GET")
    world.hub.inbox = {"h_1": world.item()}
    async with world.running():
        await until(lambda: world.hub.acked == ["h_1"])
    assert world.kept.ids == ["h_1"]


async def test_a_look_that_failed_is_repeated_though_nothing_calls_for_one(world: Any) -> None:
    hub = await world.channel()._hub()
    inbox = Inbox(hub, world.host, interval=3600.0, first_wait=0.01, longest_wait=0.01)
    world.hub.script("/hub/inbox", says(503, "maintenance"), method="GET")
    world.hub.inbox = {"h_1": world.item()}
    inbox.look()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(inbox.run(world.kept))
        await until(lambda: world.kept.ids == ["h_1"])
        task.cancel()


async def test_who_is_let_in_again_does_not_wait_for_the_time_of_the_next_look(world: Any) -> None:
    hub = await world.channel()._hub()
    inbox = Inbox(hub, world.host, first_wait=60.0, longest_wait=60.0)
    world.hub.script("/hub/inbox", says(503, "maintenance"), method="GET")
    world.hub.inbox = {"h_1": world.item()}
    inbox.look()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(inbox.run(world.kept))
        await until(lambda: inbox.problem)
        inbox.reached()
        await until(lambda: world.kept.ids == ["h_1"])
        task.cancel()


async def test_the_status_tells_that_the_inbox_cannot_be_read(world: Any) -> None:
    async with world.running() as channel:
        world.hub.script("/hub/inbox", *[says(503, "maintenance")] * 50, method="GET")
        await world.hub.send({"type": "inbox_update"})
        reason = await until(lambda: channel.status.reason)
        assert channel.status.state == "connected"
        assert "503 maintenance" in reason
        world.hub.scripts.clear()
        await until(lambda: channel.status.reason == "")


@pytest.mark.parametrize("fault", ["a plain 500", "a reset", "too many requests", "another 401"])
async def test_an_acknowledgement_is_tried_until_it_works(world: Any, fault: str) -> None:
    world.hub.script("/hub/inbox/ack", *[BROKEN[fault]] * 3)
    async with world.running():
        await world.hub.push(world.item())
        await until(lambda: world.hub.acked == ["h_1"])
    assert world.kept.ids == ["h_1"]


async def test_a_slow_acknowledgement_holds_up_no_message(world: Any) -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def later(_: Any) -> Any:
        asked.set()
        await gate.wait()
        return await raw(200, b'{"acked": 1}')(_)

    world.hub.script("/hub/inbox/ack", later)
    async with world.running():
        await world.hub.push(world.item("h_1"))
        await until(asked.is_set)
        await world.hub.push(world.item("h_2"))
        await until(lambda: world.kept.ids == ["h_1", "h_2"])
        gate.set()
        await until(lambda: world.hub.acked == ["h_2"])


@pytest.mark.parametrize("answer", [says(422, "too_many_ids"), raw(422, b'{"detail": []}')])
async def test_an_acknowledgement_that_is_refused_for_good_is_given_up(
    world: Any, answer: Answer
) -> None:
    world.hub.script("/hub/inbox/ack", answer)
    before = metrics.value("acks_refused_total", channel="ch")
    async with world.running():
        await world.hub.push(world.item("h_1"))
        await until(lambda: metrics.value("acks_refused_total", channel="ch") > before)
        await world.hub.push(world.item("h_2"))
        await until(lambda: world.hub.acked == ["h_2"])


async def test_a_hub_that_gives_the_same_page_again_causes_no_loop(world: Any) -> None:
    world.hub.lease = False
    world.hub.script("/hub/inbox/ack", *[says(500, "broken")] * 1000)
    world.hub.inbox = {f"h_{n}": world.item(f"h_{n}") for n in range(60)}
    async with world.running():
        await until(lambda: len(world.hub.requests("/hub/inbox/ack")) > 10)
        assert len(world.hub.requests("/hub/inbox")) <= 4


async def test_an_item_without_an_id_does_not_harm_the_others(world: Any) -> None:
    before = metrics.value("inbox_items_skipped_total", channel="ch")
    world.hub.inbox = {
        "1": world.item("h_1"),
        "2": {**world.item("h_2"), "hub_msg_id": None},
        "3": None,
        "4": world.item("h_4"),
    }
    async with world.running():
        await until(lambda: world.hub.acked == ["h_1", "h_4"])
    assert metrics.value("inbox_items_skipped_total", channel="ch") == before + 2


async def test_one_look_gets_past_pages_with_nothing_new(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = Inbox(await world.channel()._hub(), world.host)
    useless = {f"{n}": {**world.item(), "hub_msg_id": None} for n in range(110)}
    world.hub.inbox = {**useless, "h_1": world.item("h_1")}
    await inbox._drain(world.kept)
    assert world.kept.ids == ["h_1"]
    told = [one.message for one in caplog.records if "hub_msg_id" in one.message]
    assert [int(one.split()[0]) for one in told] == [50, 50, 10]

    world.hub.leased.clear()
    known = {f"k_{n}": world.item(f"k_{n}") for n in range(100)}
    world.hub.inbox = dict(known)
    await inbox._drain(world.kept)
    world.hub.leased.clear()  # nothing was acknowledged: the Hub gives it again
    world.hub.inbox = {**known, "h_2": world.item("h_2")}
    await inbox._drain(world.kept)
    assert world.kept.ids == ["h_1", *known, "h_2"]


async def test_a_hub_that_has_nothing_of_use_causes_no_loop(world: Any) -> None:
    inbox = Inbox(await world.channel()._hub(), world.host)
    world.hub.lease = False
    world.hub.inbox = {f"{n}": {**world.item(), "hub_msg_id": None} for n in range(60)}
    await inbox._drain(world.kept)
    assert len(world.hub.requests("/hub/inbox")) == MOST_FRUITLESS


async def test_what_cannot_start_a_turn_is_kept_and_acknowledged_too(world: Any) -> None:
    async with world.running():
        await world.hub.push(world.item(envelope={"type": "contact_request"}, room_id=None))
        await until(lambda: world.hub.acked == ["h_1"])
    assert [message.unusable for message in world.kept.messages] == ["type:contact_request"]


async def test_many_calls_during_one_poll_cause_exactly_one_more(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, calls, look = asyncio.Event(), 0, Inbox.look

    def called(inbox: Inbox) -> None:
        nonlocal calls
        calls += 1
        look(inbox)

    monkeypatch.setattr(Inbox, "look", called)
    async with world.running():
        polls = len(world.hub.requests("/hub/inbox"))
        world.hub.script("/hub/inbox", _held(gate, world.hub), method="GET")
        await world.hub.send({"type": "inbox_update"})
        await until(lambda: len(world.hub.requests("/hub/inbox")) == polls + 1)
        for _ in range(5):
            await world.hub.send({"type": "inbox_update"})
        await world.hub.push(world.item())
        await until(lambda: calls == 7)
        gate.set()
        await until(lambda: world.hub.acked == ["h_1"])
        assert len(world.hub.requests("/hub/inbox")) == polls + 2


def _held(gate: asyncio.Event, hub: Hub) -> Answer:
    async def answer(_: Any) -> Any:
        await gate.wait()
        return await raw(200, b'{"messages": [], "has_more": false}')(_)

    return answer


async def test_the_inbox_is_looked_into_now_and_then_without_any_socket(world: Any) -> None:
    world.hub.welcome.extend([(503,)] * 1000)
    world.hub.inbox = {"h_1": world.item()}
    channel = world.channel(replace(world.fast, poll=0.05))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(channel.run(world.kept))
        await until(lambda: world.hub.acked == ["h_1"])
        task.cancel()


@pytest.mark.parametrize("code", ["agent_not_claimed", "agent_not_claimed_generic"])
async def test_an_agent_that_nobody_claimed_stops_the_channel(world: Any, code: str) -> None:
    world.hub.script("/hub/inbox", says(403, code), method="GET")
    channel = world.channel()
    error = await world.ending(channel)
    assert isinstance(error, ChannelStopped)
    assert code in str(error)
    assert channel.status.state == "stopped"
    assert code in channel.status.reason
    await until(lambda: world.hub.opened == 0)


@pytest.mark.parametrize("code", ["agent_not_claimed", "agent_not_claimed_generic"])
async def test_a_new_agent_that_registered_itself_waits_for_its_owner(
    world: Any, code: str
) -> None:
    world.write_credentials(claimUrl="https://hub.example/claim/1")
    world.hub.script("/hub/inbox", says(403, code), says(403, code), method="GET")
    world.hub.inbox = {"h_1": world.item()}
    async with world.running():
        await until(lambda: world.hub.acked == ["h_1"])


async def test_a_page_larger_than_usual_is_read(world: Any) -> None:
    text = "ä" * 1_000_000
    async with world.running():
        await world.hub.push(world.item(envelope={"payload": {"text": text}}))
        await until(lambda: world.hub.acked)
    assert world.kept.messages[0].text == text


async def test_an_answer_without_end_is_not_read_and_smaller_pages_are_asked_for(
    world: Any,
) -> None:
    piece, told = b" " * (1 << 20), 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal told
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while told <= 4 * LARGEST_BODY:
                await response.write(piece)
                told += len(piece)
        return response

    world.hub.script("/hub/inbox", endless, method="GET")
    async with world.running():
        await world.hub.push(world.item())
        await until(lambda: world.hub.acked == ["h_1"])
        for later in ("h_2", "h_3"):
            await world.hub.push(world.item(later))
            await until(lambda: world.hub.acked[-1] == later)  # noqa: B023 -- awaited here
    assert told < 2 * LARGEST_BODY
    limits = [int(one.query["limit"]) for one in world.hub.requests("/hub/inbox")]
    assert limits[:3] == [50, 7, 49]
    assert limits[-1] == 50


async def test_a_small_answer_that_unpacks_to_a_huge_one_is_given_up_in_little_memory(
    world: Any,
) -> None:
    bomb = await asyncio.to_thread(gzip.compress, b" " * (4 * LARGEST_BODY), 1)
    assert len(bomb) < LARGEST_BODY / 20
    world.hub.script("/hub/inbox", raw(200, bomb, **{"Content-Encoding": "gzip"}), method="GET")
    tracemalloc.start()
    try:
        async with world.running():
            await world.hub.push(world.item())
            await until(lambda: world.hub.acked == ["h_1"])
        assert tracemalloc.get_traced_memory()[1] < 2 * LARGEST_BODY
    finally:
        tracemalloc.stop()
