"""What a person can do about single turns, sessions and replies of a running sidecar."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from sidecar.app.turns.actions import Actions
from sidecar.core import wording
from sidecar.errors import ActionRefused, ChannelUnavailable, ReplyRefused
from sidecar.model import AgentEvent, Failure, Job, Reply, TurnEnded
from sidecar.store import listing
from sidecar.store.listing import Row
from tests.patience import until


@pytest.fixture
def actions(rig: Any) -> Actions:
    return Actions(rig.journal, rig.dispatcher, rig.outbox)


async def turns(rig: Any) -> list[Row]:
    def read() -> list[Row]:
        with listing.reader(rig.folder) as db:
            return listing.turns(db, state=None, conversation=None, most=100)[::-1]

    return await asyncio.to_thread(read)


async def refused(rig: Any) -> list[Row]:
    def read() -> list[Row]:
        with listing.reader(rig.folder) as db:
            return listing.replies(db, state="refused", most=100)

    return await asyncio.to_thread(read)


async def test_a_running_and_a_waiting_turn_are_stopped_and_the_room_is_told(
    rig: Any, actions: Actions
) -> None:
    await rig.say("wait")
    await rig.say("two")
    await until(lambda: rig.agent.jobs)
    [running], [waiting] = list(rig.dispatcher.running), list(rig.dispatcher.waiting)
    assert await actions.act("turns", "cancel", waiting) == {"turn": waiting}
    assert await actions.act("turns", "cancel", running) == {"turn": running}
    await rig.quiet()
    assert rig.texts == [wording.STOPPED] * 2
    assert [(one["state"], one["error"]) for one in await turns(rig)] == [
        ("cancelled", "operator"),
        ("dropped", "operator"),
    ]
    with pytest.raises(ActionRefused, match="neither runs nor waits"):
        await actions.act("turns", "cancel", running)


async def test_a_failed_turn_is_run_again_as_a_turn_of_its_own_once(
    rig: Any, actions: Actions
) -> None:
    rig.agent.script = [[TurnEnded("", None, Failure("api", "broken"))]]
    await rig.say("one")
    await rig.quiet()
    [failed] = await turns(rig)
    done = await actions.act("turns", "retry", failed["turn"])
    await rig.quiet()
    assert rig.texts[1:] == ["answer 2"]
    assert rig.agent.jobs[1].prompt.user == "one"
    old, new = await turns(rig)
    assert (old["state"], old["went_on_as"]) == ("failed", new["turn"])
    assert (new["turn"], new["state"]) == (done["turn"], "answered")
    with pytest.raises(ActionRefused, match=f"turn {new['turn']} has its messages now"):
        await actions.act("turns", "retry", failed["turn"])
    with pytest.raises(ActionRefused, match="it is answered"):
        await actions.act("turns", "retry", new["turn"])
    with pytest.raises(ActionRefused, match="not in the journal"):
        await actions.act("turns", "retry", "nothing")


async def test_a_retried_turn_waits_for_the_one_that_runs_however_its_route_queues(
    rig: Any, actions: Actions
) -> None:
    rig.reroute(queue="cancel-previous")
    rig.agent.script = [[TurnEnded("", None, Failure("api", "broken"))]]
    await rig.say("one")
    await rig.quiet()
    [failed] = await turns(rig)
    await rig.say("wait")
    await until(lambda: len(rig.agent.jobs) == 2)
    await actions.act("turns", "retry", failed["turn"])
    rig.agent.go.set()
    await rig.quiet()
    assert rig.texts[1:] == ["answer 2", "answer 3"]


async def test_a_message_that_can_never_start_a_turn_is_not_run_again(
    rig: Any, actions: Actions
) -> None:
    await rig.say("echo", unusable="own_message")
    await rig.quiet()
    [dropped] = await turns(rig)
    with pytest.raises(ActionRefused, match="own_message"):
        await actions.act("turns", "retry", dropped["turn"])


async def test_a_turn_that_has_not_ended_is_not_run_again(rig: Any, actions: Actions) -> None:
    await rig.say("wait")
    await until(lambda: rig.agent.jobs)
    with pytest.raises(ActionRefused, match="has not ended"):
        await actions.act("turns", "retry", next(iter(rig.dispatcher.running)))
    rig.agent.go.set()
    await rig.quiet()


@pytest.mark.parametrize("name", ["s1", "room"])
async def test_a_forgotten_session_is_not_resumed(rig: Any, actions: Actions, name: str) -> None:
    rig.agent.script = [[TurnEnded("a", "s1")], [TurnEnded("b", "s2")]]
    await rig.say("one")
    await rig.quiet()
    assert await actions.act("sessions", "forget", name) == {"sessions": 1}
    await rig.say("two")
    await rig.quiet()
    assert rig.agent.jobs[1].session is None
    assert "Notice" not in rig.agent.jobs[1].prompt.user
    with pytest.raises(ActionRefused, match="is called nobody"):
        await actions.act("sessions", "forget", "nobody")


async def test_a_reply_that_waits_is_dropped_and_the_next_one_is_sent(
    rig: Any, actions: Actions
) -> None:
    send, stuck = rig.line.send, True

    async def once(reply: Reply) -> str | None:
        if stuck:
            raise ChannelUnavailable("down", 60.0)
        return await send(reply)

    rig.line.send = once
    await rig.say("one")
    await rig.say("two")
    await until(lambda: rig.outbox.waiting == 2)
    pending = await rig.journal.pending_replies()
    await until(lambda: not rig.outbox._sending)
    stuck = False
    assert await actions.act("outbox", "drop", str(pending[0].id)) == {"reply": pending[0].id}
    await rig.quiet()
    assert rig.texts == ["answer 2"]
    [gone] = await refused(rig)
    assert (gone["reply"], gone["error"]) == (pending[0].id, "dropped by the operator")
    for target in (str(pending[1].id), "x", "²"):
        with pytest.raises(ActionRefused):
            await actions.act("outbox", "drop", target)


async def test_a_reply_that_is_being_sent_is_not_dropped(rig: Any, actions: Actions) -> None:
    go, send = asyncio.Event(), rig.line.send

    async def slow(reply: Reply) -> str | None:
        await go.wait()
        return await send(reply)

    rig.line.send = slow
    await rig.say("one")
    await until(lambda: rig.outbox._sending)
    [pending] = await rig.journal.pending_replies()
    with pytest.raises(ActionRefused, match="being sent now"):
        await actions.act("outbox", "drop", str(pending.id))
    go.set()
    await rig.quiet()
    assert rig.texts == ["answer 1"]


async def test_a_refused_reply_is_sent_again_with_the_same_key(rig: Any, actions: Actions) -> None:
    send, keys = rig.line.send, []

    async def first_refused(reply: Reply) -> str | None:
        keys.append(reply.key)
        if len(keys) == 1:
            raise ReplyRefused("too long")
        return await send(reply)

    rig.line.send = first_refused
    await rig.say("one")
    await rig.quiet()
    [gone] = await refused(rig)
    await actions.act("outbox", "retry", str(gone["reply"]))
    await rig.quiet()
    assert rig.texts == ["answer 1"]
    assert keys[0] == keys[1]
    with pytest.raises(ActionRefused, match="was not refused"):
        await actions.act("outbox", "retry", str(gone["reply"]))


async def test_a_reply_that_waits_for_its_next_try_is_tried_at_once(
    rig: Any, actions: Actions
) -> None:
    send, up = rig.line.send, False

    async def sometimes(reply: Reply) -> str | None:
        if not up:
            raise ChannelUnavailable("down", 60.0)
        return await send(reply)

    rig.line.send = sometimes
    await rig.say("one")
    await until(lambda: bool(rig.outbox._due))
    [pending] = await rig.journal.pending_replies()
    up = True
    await actions.act("outbox", "retry", str(pending.id))
    await rig.quiet()
    assert rig.texts == ["answer 1"]


async def test_a_retry_asked_for_while_a_try_fails_is_not_lost(rig: Any) -> None:
    send, tries = rig.line.send, 0

    async def fails_once(reply: Reply) -> str | None:
        nonlocal tries
        tries += 1
        if tries == 1:
            rig.outbox.retry()  # the channel comes up while the reply is on its way into the void
            raise ChannelUnavailable("down", 60.0)
        return await send(reply)

    rig.line.send = fails_once
    await rig.say("one")
    await rig.quiet()
    assert rig.texts == ["answer 1"]
    assert tries == 2


async def test_what_is_unknown_is_refused(actions: Actions) -> None:
    with pytest.raises(ActionRefused, match="cannot be told"):
        await actions.act("turns", "explode", "t")


async def test_a_session_that_is_forgotten_while_its_turn_runs_is_not_kept(
    rig: Any, actions: Actions
) -> None:
    run, go = rig.agent.run, asyncio.Event()

    async def slow(job: Job) -> AsyncGenerator[AgentEvent, None]:
        async for event in run(job):
            await go.wait()
            yield event

    rig.agent.run = slow
    rig.agent.script = [[TurnEnded("", name)] for name in ("s1", "s1", "s2", "s3")]
    for number, forgotten in enumerate((None, "s1", "room", None), start=1):
        go.clear()
        await rig.say("hello")
        await until(lambda number=number: len(rig.agent.jobs) == number)
        if forgotten is not None:
            assert await actions.act("sessions", "forget", forgotten) == {"sessions": 1}
        go.set()
        await rig.quiet()
    assert [job.session for job in rig.agent.jobs] == [None, "s1", None, None]


async def test_a_reply_that_is_dropped_behind_one_that_is_stuck_is_given_up_for_good(
    rig: Any, actions: Actions
) -> None:
    async def down(reply: Reply) -> str | None:
        raise ChannelUnavailable("down", 60.0)

    rig.line.send = down
    await rig.say("one")
    await rig.say("two")
    await until(lambda: rig.outbox.waiting == 2)
    first, second = await rig.journal.pending_replies()
    await actions.act("outbox", "drop", str(second.id))
    # What a restart would find now.
    assert [one.id for one in await rig.journal.pending_replies()] == [first.id]
    assert [one["reply"] for one in await refused(rig)] == [second.id]
