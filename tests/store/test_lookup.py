"""What the journal tells of what was said before."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.model import Conversation, Message, Reply, Sender
from sidecar.store.journal import Journal

ROOM = Conversation("rm_1", "group", "Kitchen")
BOB = Sender("hu_1", "human", "Bob")
FIRST = Message("c", "ag", "h_1", ROOM, BOB, "first", 100.0, alias="env-1")


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    found = await Journal.open(tmp_path, session_ttl=60.0, now=time.time())
    yield found
    await found.close()


async def test_what_was_said_last_is_told_for_one_account_only(journal: Journal) -> None:
    other, accented = replace(ROOM, id="rm_2"), "y" * 119 + "e\u0301z"
    await journal.accept(
        [
            FIRST,
            Message("c", "ag", "h_2", other, BOB, accented, 200.0),
            replace(FIRST, id="h_3", account="ag2"),
            replace(FIRST, id="h_4", channel="c2"),
            replace(FIRST, id="h_5", conversation=replace(ROOM, id="rm_3"), received_at=50.0),
        ],
        now=300.0,
    )
    found = journal.said_since("c", "ag", 99.0)
    assert [(said.conversation.id, said.sender, said.at) for said in found] == [
        ("rm_2", BOB, 200.0),
        ("rm_1", BOB, 100.0),
    ]
    assert found[0].preview == "y" * 119  # no letter loses its accent


@pytest.mark.parametrize("name", ["h_1", "env-1"])
async def test_a_message_is_found_by_both_of_its_ids(journal: Journal, name: str) -> None:
    await journal.accept([FIRST], now=300.0)
    asks = replace(FIRST, id="h_2", reply_to=name, conversation=replace(ROOM, thread="tp_1"))
    assert await journal.replied_to(asks) == FIRST
    assert await journal.replied_to(replace(asks, reply_to=None)) is None
    assert await journal.replied_to(replace(asks, reply_to="h_9")) is None


async def test_nobody_fetches_what_was_said_in_another_room_or_to_another_account(
    journal: Journal,
) -> None:
    await journal.accept([FIRST], now=300.0)
    asks = replace(FIRST, id="h_2", reply_to="h_1")
    assert await journal.replied_to(replace(asks, conversation=replace(ROOM, id="rm_2"))) is None
    assert await journal.replied_to(replace(asks, account="ag2")) is None


@pytest.mark.parametrize("name", ["key-1", "hub-1"])
async def test_our_own_reply_is_found(journal: Journal, name: str) -> None:
    (accepted,) = await journal.accept([FIRST], now=300.0)
    reply = Reply("key-1", "c", "ag", ROOM, "done", "answer", 310.0, answers="h_1")
    (pending,) = await journal.drop([accepted.turn], "test", now=310.0, replies=[reply])
    await journal.delivered(pending.id, "hub-1", now=311.0)
    found = await journal.replied_to(replace(FIRST, id="h_2", reply_to=name))
    assert found is not None
    assert (found.sender, found.text, found.received_at) == (Sender("ag", "agent"), "done", 310.0)
