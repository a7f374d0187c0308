"""What is old goes, what is still needed stays."""

import asyncio
from collections.abc import Callable
from typing import Any

from sidecar.model import Conversation, Message, Reply
from sidecar.store.journal import Journal
from sidecar.store.records import Outcome, SessionKey
from sidecar.store.retention import BATCH

MakeMessage = Callable[..., Message]
Rows = Callable[..., list[tuple[Any, ...]]]

ANSWERED = Outcome("answered")


async def take(journal: Journal, *messages: Message) -> list[str]:
    return [one.turn for one in await journal.accept(messages, now=1.0)]


async def test_ended_turns_go_with_their_messages_and_replies(
    journal: Journal, message: MakeMessage, reply: Callable[..., Reply], key: SessionKey, rows: Rows
) -> None:
    old, new = await take(journal, message("m1", at=900.0), message("m2", at=900.0))
    for turn, now in ((old, 100.0), (new, 200.0)):
        (sent,) = await journal.finish(
            turn, ANSWERED, key=key, session=None, now=now, replies=[reply()]
        )
        await journal.delivered(sent.id, None, now=now)
    assert await journal.prune(now=600.0, journal_ttl=450.0) == 1
    assert rows("select id from turn") == [(new,)]
    assert rows("select count(*) from message") == rows("select count(*) from reply") == [(1,)]
    assert len(await take(journal, message("m1"), message("m2"))) == 1


async def test_what_is_unfinished_or_not_delivered_stays_however_old(
    journal: Journal, message: MakeMessage, reply: Callable[..., Reply], key: SessionKey
) -> None:
    at = {"at": 1e9}
    queued, running, owed, refused = await take(
        journal, *(message(f"m{number}", **at) for number in range(4))
    )
    await journal.start(running, key, route="r", generation=1, now=2.0)
    (waiting,) = await journal.drop([owed], "full", now=3.0, replies=[reply()])
    (other,) = await journal.drop([refused], "full", now=3.0, replies=[reply()])
    await journal.refused(other.id, "no", now=4.0)
    assert await journal.prune(now=1e6, journal_ttl=1.0) == 1
    assert [one.turn for one in await journal.unfinished()] == [queued, running]
    assert await journal.pending_replies() == [waiting]
    await journal.delivered(waiting.id, None, now=5.0)
    assert await journal.prune(now=1e6, journal_ttl=1.0) == 1


async def test_a_merged_turn_may_go_before_the_one_that_has_its_message(
    journal: Journal, message: MakeMessage, key: SessionKey
) -> None:
    first, second = await take(journal, message("m1", at=1e9), message("m2", at=1e9))
    await journal.start(second, key, route="r", generation=1, now=2.0, merged=[first])
    assert await journal.prune(now=1e6, journal_ttl=1.0) == 1
    (turn,) = await journal.unfinished()
    assert [one.id for one in turn.messages] == ["m1", "m2"]


async def test_old_sessions_and_activity_go(
    journal: Journal, message: MakeMessage, key: SessionKey, rows: Rows
) -> None:
    room = Conversation("rm_2", "group")
    first, second = await take(
        journal, message("m1", at=100.0), message("m2", at=5000.0, conversation=room)
    )
    await journal.finish(first, ANSWERED, key=key, session="old", now=5000.0)
    other = key._replace(conversation="rm_2")
    await journal.finish(second, ANSWERED, key=other, session="new", now=5500.0)
    assert await journal.prune(now=6200.0, journal_ttl=2000.0) == 2
    assert rows("select session from session") == [('"new"',)]
    assert rows("select at from activity") == [(5000.0,)]


async def test_a_turn_waits_for_one_small_batch_at_most(
    journal: Journal, message: MakeMessage, rows: Rows
) -> None:
    ids = await take(journal, *(message(f"m{number}", at=1e9) for number in range(BATCH * 6)))
    await journal.drop(ids, "full", now=2.0)
    left = []

    async def look() -> None:
        while not left or left[-1] > 1:
            await journal.accept([message(f"x{len(left)}", at=1e9)], now=1e9)
            left.append(rows("select count(*) from turn where ended_at is not null")[0][0])

    async with asyncio.TaskGroup() as group:
        group.create_task(look())
        removed = group.create_task(journal.prune(now=1e6, journal_ttl=1.0))
        await removed
    assert removed.result() == BATCH * 6
    assert max(a - b for a, b in zip([BATCH * 6, *left], left, strict=False)) <= 2 * BATCH
