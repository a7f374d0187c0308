"""What a user can rely on: nothing is lost, nothing is done twice, sessions go on."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from sidecar.errors import JournalError
from sidecar.model import Conversation, Message, Reply, Sender, Usage
from sidecar.store import turns
from sidecar.store.journal import Journal
from sidecar.store.names import Names
from sidecar.store.records import Outcome, SessionKey, UnfinishedTurn

MakeMessage = Callable[..., Message]
MakeReply = Callable[..., Reply]
Rows = Callable[..., list[tuple[Any, ...]]]

ANSWERED = Outcome("answered")


async def reopen(journal: Journal, folder: Path, session_ttl: float = 1000.0) -> Journal:
    await journal.close()
    return await Journal.open(folder, session_ttl=session_ttl, now=0.0)


async def take(journal: Journal, *messages: Message) -> list[str]:
    return [one.turn for one in await journal.accept(messages, now=1.0)]


async def begin(
    journal: Journal, turn: str, key: SessionKey, now: float = 2.0, merged: tuple[str, ...] = ()
) -> tuple[int, str | None, int]:
    started = await journal.start(turn, key, route="r", generation=1, now=now, merged=merged)
    return started.attempt, started.session, started.session_turns


async def test_a_turn_is_named_by_ten_hexadecimal_characters(
    journal: Journal, message: MakeMessage
) -> None:
    ids = await take(journal, *(message(f"m{number}") for number in range(20)))
    assert len(set(ids)) == 20
    assert all(len(turn) == 10 and set(turn) <= set("0123456789abcdef") for turn in ids)


async def test_an_id_that_is_taken_is_not_given_twice(
    journal: Journal, message: MakeMessage
) -> None:
    ids = iter(["a" * 10, "a" * 10, "a" * 10, "b" * 10])
    accepted = await journal._writer.submit(
        lambda db: turns.accept(
            db, [message("m1"), message("m2")], 1.0, Names(), make_id=lambda: next(ids)
        )
    )
    assert [one.turn for one in accepted] == ["a" * 10, "b" * 10]


async def test_a_repeated_message_is_accepted_once(journal: Journal, message: MakeMessage) -> None:
    first, second = message("m1"), message("m2")
    accepted = await journal.accept([first, first, second], now=1.0)
    assert [one.message for one in accepted] == [first, second]
    assert await journal.accept([second, first], now=2.0) == []


async def test_a_repeated_message_is_known_after_a_restart(
    journal: Journal, folder: Path, message: MakeMessage, key: SessionKey
) -> None:
    (turn,) = await take(journal, message("m1"))
    await begin(journal, turn, key)
    await journal.finish(turn, ANSWERED, key=key, session=None, now=3.0)
    journal = await reopen(journal, folder)
    assert await journal.accept([message("m1"), message("m2")], now=4.0) != []
    assert [one.messages[0].id for one in await journal.unfinished()] == ["m2"]
    await journal.close()


async def test_the_same_id_from_another_account_or_channel_is_another_message(
    journal: Journal, message: MakeMessage
) -> None:
    same = [message("m1"), message("m1", account="other"), message("m1", channel="other")]
    assert len(await take(journal, *same)) == 3
    tricky = [message('b","c', account="a"), message("c", account='a","b')]
    assert len(await take(journal, *tricky)) == 2


async def test_a_message_comes_back_as_it_was(journal: Journal, message: MakeMessage) -> None:
    whole = Message(
        channel="c\x00",
        account="a\ud800",
        id="i\udfff\x00",
        conversation=Conversation("rm:1", "direct", "T\x00tle", "tp\ud83d"),
        sender=Sender("s", "agent", None),
        text="\x00 \ud800 \U0001f600 '\"\\ \u2028",
        received_at=1723.25,
        mentioned=True,
        reply_to="m0",
        unusable="echo",
        extra=MappingProxyType({"envelope": {"a": [1, None, 1.5, "\udc00"]}}),
    )
    assert len(await take(journal, whole)) == 1
    assert await take(journal, whole) == []
    (turn,) = await journal.unfinished()
    assert turn.messages == (replace(whole, extra=dict(whole.extra)),)


async def test_a_field_of_a_later_version_is_left_out(
    journal: Journal, message: MakeMessage
) -> None:
    await take(journal, message("m1"))

    def add(db: Any) -> None:
        (body,) = db.execute("select body from message").fetchone()
        plain = json.loads(body)
        plain["mood"] = plain["sender"]["mood"] = "later"
        db.execute("update message set body = ?", (json.dumps(plain),))

    await journal._writer.submit(add)
    (turn,) = await journal.unfinished()
    assert turn.messages == (message("m1"),)


@pytest.mark.parametrize(
    "body", ["{}", "[]", '{"conversation": [], "sender": "x"}', "[" * 100_000, "not JSON"]
)
async def test_a_message_that_cannot_be_read_is_told_and_holds_up_no_other(
    journal: Journal, message: MakeMessage, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    broken, _ = await take(journal, message("m1"), message("m2"))
    statement = "update message set body = ? where turn = (select seq from turn where id = ?)"
    await journal._writer.submit(lambda db: db.execute(statement, (body, broken)).rowcount)
    assert [found.messages[0].id for found in await journal.unfinished()] == ["m2"]
    assert "a Message in the journal cannot be read" in caplog.text


async def test_a_reply_that_cannot_be_read_is_told_and_holds_up_no_other(
    journal: Journal,
    message: MakeMessage,
    reply: MakeReply,
    caplog: pytest.LogCaptureFixture,
) -> None:
    [turn] = await take(journal, message("m1"))
    replies = [replace(reply(text), key=text) for text in ("one", "two")]
    broken, _ = await journal.drop([turn], "test", now=0.0, replies=replies)
    statement = """update reply set body = '{"conversation": 1}' where id = ?"""
    await journal._writer.submit(lambda db: db.execute(statement, (broken.id,)).rowcount)
    assert [found.reply.text for found in await journal.pending_replies()] == ["two"]
    assert "a Reply in the journal cannot be read" in caplog.text


async def test_extra_that_is_not_json_fails_only_its_own_batch(
    journal: Journal, message: MakeMessage
) -> None:
    with pytest.raises(TypeError, match="not JSON"):
        await take(journal, message("m1"), message("m2", extra={"x": object()}))
    assert await journal.unfinished() == []
    assert len(await take(journal, message("m1"))) == 1


async def test_unfinished_turns_come_back_in_the_order_of_arrival(
    journal: Journal, folder: Path, message: MakeMessage, key: SessionKey
) -> None:
    ids = await take(journal, *(message(f"m{number}") for number in range(4)))
    await begin(journal, ids[2], key)
    await begin(journal, ids[0], key)
    await journal.finish(ids[0], ANSWERED, key=key, session=None, now=3.0)
    await journal.drop([ids[1]], "refused", now=3.0)
    journal = await reopen(journal, folder)
    assert await journal.unfinished() == [
        UnfinishedTurn(ids[2], attempt=1, running=True, messages=(message("m2"),)),
        UnfinishedTurn(ids[3], attempt=0, running=False, messages=(message("m3"),)),
    ]
    assert await begin(journal, ids[2], key) == (2, None, 0)
    await journal.close()


async def test_merged_turns_end_and_give_their_messages_to_the_one_that_runs(
    journal: Journal, message: MakeMessage, key: SessionKey, rows: Rows
) -> None:
    ids = await take(journal, *(message(f"m{number}") for number in range(4)))
    await begin(journal, ids[2], key, merged=(ids[0], ids[1]))
    running, queued = await journal.unfinished()
    assert running.turn == ids[2]
    assert [one.id for one in running.messages] == ["m0", "m1", "m2"]
    assert [one.id for one in queued.messages] == ["m3"]
    assert rows("select state, merged_into from turn order by seq") == [
        ("merged", ids[2]),
        ("merged", ids[2]),
        ("running", None),
        ("queued", None),
    ]


async def test_turns_that_were_to_be_merged_end_with_one_whose_start_was_not_recorded(
    journal: Journal, message: MakeMessage, rows: Rows
) -> None:
    one, two, lead = await take(journal, *(message(f"m{number}") for number in range(3)))
    await journal.drop([one], "superseded", now=2.0)
    stopped = Outcome("cancelled", "operator")
    await journal.finish(lead, stopped, key=None, session=None, now=3.0, merged=(one, two))
    assert rows("select state, merged_into from turn order by seq") == [
        ("dropped", None),
        ("merged", lead),
        ("cancelled", None),
    ]
    retried = await journal.retry(lead, now=4.0)
    assert [one.id for one in retried.messages] == ["m1", "m2"]


async def test_a_merge_with_a_turn_that_has_ended_changes_nothing(
    journal: Journal, message: MakeMessage, key: SessionKey
) -> None:
    first, second = await take(journal, message("m1"), message("m2"))
    await journal.drop([first], "superseded", now=2.0)
    with pytest.raises(JournalError, match=first):
        await begin(journal, second, key, merged=(first,))
    (turn,) = await journal.unfinished()
    assert (turn.turn, turn.running, turn.attempt) == (second, False, 0)


async def test_a_turn_has_exactly_one_outcome(
    journal: Journal, message: MakeMessage, reply: MakeReply, key: SessionKey
) -> None:
    (turn,) = await take(journal, message("m1"))
    await begin(journal, turn, key)
    await journal.finish(turn, ANSWERED, key=key, session="s1", now=3.0, replies=[reply("one")])
    with pytest.raises(JournalError, match="ended"):
        await journal.finish(turn, ANSWERED, key=key, session="s2", now=4.0, replies=[reply("2")])
    with pytest.raises(JournalError, match="ended"):
        await journal.drop([turn], "full", now=4.0, replies=[reply("3")])
    with pytest.raises(JournalError, match="ended"):
        await begin(journal, turn, key)
    with pytest.raises(JournalError, match="not in the journal"):
        await journal.finish("0123456789", ANSWERED, key=key, session=None, now=4.0)
    assert [one.reply.text for one in await journal.pending_replies()] == ["one"]
    (other,) = await take(journal, message("m2"))
    assert await begin(journal, other, key) == (1, "s1", 1)


async def test_a_session_goes_on_where_all_parts_of_its_key_agree(
    journal: Journal, folder: Path, message: MakeMessage, key: SessionKey
) -> None:
    keys = [
        key,
        key._replace(channel="other"),
        key._replace(account="other"),
        key._replace(conversation="rm_1:x"),
        key._replace(conversation="rm_1", thread="x"),
        key._replace(thread=""),
        key._replace(runtime="codex"),
        key._replace(cwd="/elsewhere\udcff"),
        key._replace(trust="public"),
    ]
    ids = await take(journal, *(message(f"m{number}") for number in range(len(keys) * 2)))
    for number, one in enumerate(keys):
        turn = ids.pop()
        assert await begin(journal, turn, one) == (1, None, 0)
        await journal.finish(turn, ANSWERED, key=one, session=f"s{number}\ud800", now=3.0)
    journal = await reopen(journal, folder)
    for number, one in enumerate(keys):
        assert await begin(journal, ids.pop(), one) == (1, f"s{number}\ud800", 1)
    await journal.close()


async def test_turns_of_a_session_are_counted_from_its_first(
    journal: Journal, message: MakeMessage, key: SessionKey
) -> None:
    ids = await take(journal, *(message(f"m{number}") for number in range(6)))
    seen = []
    for turn, session in zip(ids, ["s1", "s1", None, "s1", "s2", "s2"], strict=True):
        seen.append((await begin(journal, turn, key))[1:])
        await journal.finish(turn, ANSWERED, key=key, session=session, now=3.0)
    assert seen == [(None, 0), ("s1", 1), ("s1", 2), ("s1", 2), ("s1", 3), ("s2", 1)]


async def test_a_session_that_is_forgotten_is_not_resumed(
    journal: Journal, message: MakeMessage, key: SessionKey
) -> None:
    first, second = await take(journal, message("m1"), message("m2"))
    await journal.finish(first, ANSWERED, key=key, session="s1", now=3.0)
    await journal.forget_session(key)
    assert await begin(journal, second, key) == (1, None, 0)


async def test_a_session_is_resumed_until_its_time_is_over(
    journal: Journal, message: MakeMessage, key: SessionKey
) -> None:
    first, second = await take(journal, message("m1"), message("m2"))
    await journal.finish(first, ANSWERED, key=key, session="s1", now=100.0)
    assert await begin(journal, second, key, now=1100.0) == (1, "s1", 1)
    assert await begin(journal, second, key, now=1100.5) == (2, None, 0)


async def test_replies_wait_in_order_until_they_are_delivered_or_refused(
    journal: Journal, folder: Path, message: MakeMessage, reply: MakeReply, key: SessionKey
) -> None:
    first, second = await take(journal, message("m1"), message("m2"))
    texts = [reply("a\ud800", extra={"k": [1]}), reply("b", last=False), reply("c")]
    queued = await journal.finish(
        first, ANSWERED, key=key, session=None, now=5.0, replies=texts[:2]
    )
    queued += await journal.finish(
        second, ANSWERED, key=key, session=None, now=6.0, replies=texts[2:]
    )
    assert [(one.turn, one.reply, one.attempts, one.next_at) for one in queued] == [
        (first, texts[0], 0, 5.0),
        (first, texts[1], 0, 5.0),
        (second, texts[2], 0, 6.0),
    ]
    journal = await reopen(journal, folder)
    assert await journal.pending_replies() == queued
    await journal.delivered(queued[0].id, "hub\ud800", now=7.0)
    await journal.postponed(queued[1].id, attempts=1, next_at=9.0, error="503")
    await journal.refused(queued[2].id, "too long", now=7.0)
    journal = await reopen(journal, folder)
    assert await journal.pending_replies() == [replace(queued[1], attempts=1, next_at=9.0)]
    counts = await journal.counts()
    assert (counts.replies_pending, counts.replies_refused) == (1, 1)
    await journal.close()


async def test_a_reply_to_a_dropped_turn_belongs_to_the_message_that_it_answers(
    journal: Journal, message: MakeMessage, reply: MakeReply
) -> None:
    ids = await take(journal, message("m1"), message("m2"), message("m3"))
    replies = [reply("to m2", answers="m2"), reply("to all")]
    queued = await journal.drop(ids, "full", now=2.0, replies=replies)
    assert [(one.turn, one.reply) for one in queued] == [(ids[1], replies[0]), (ids[0], replies[1])]
    assert await journal.unfinished() == []
    assert await journal.drop([], "full", now=2.0) == []


async def test_a_turn_keeps_its_facts(
    journal: Journal, message: MakeMessage, key: SessionKey, rows: Rows
) -> None:
    first, second = await take(journal, message("m1"), message("m2"))
    await journal.start(first, key, route="owner", generation=7, now=2.0)
    outcome = Outcome("failed", "it \ud800 broke", Usage(10, 20, 0.5))
    await journal.finish(first, outcome, key=key, session=None, now=3.0)
    await journal.drop([second], "rate_limited", now=4.0)
    facts = "route, generation, session_key, error, usage, accepted_at, started_at, ended_at"
    failed, dropped = rows(f"select state, {facts} from turn order by seq")
    assert failed[:3] == ("failed", '"owner"', 7)
    assert SessionKey(*json.loads(failed[3])) == key
    assert json.loads(failed[4]) == "it \ud800 broke"
    assert json.loads(failed[5]) == {"input_tokens": 10, "output_tokens": 20, "cost_usd": 0.5}
    assert failed[6:] == (1.0, 2.0, 3.0)
    assert dropped == ("dropped", None, None, None, '"rate_limited"', None, 1.0, None, 4.0)


async def test_the_last_thing_said_in_a_conversation_is_its_activity(
    journal: Journal, message: MakeMessage, rows: Rows
) -> None:
    other = Conversation("rm_1", "group", "Room", "topic")
    said = [
        message("m1", "first", at=10.0),
        message("m2", "x\n" * 100, at=20.0),
        message("m3", "an old one", at=15.0),
        message("m4", "an echo", at=30.0, unusable="echo"),
        message("m5", "elsewhere", at=5.0, conversation=other),
    ]
    await journal.accept(said, now=40.0)
    found = {
        json.loads(place)[3]: (at, json.loads(entry))
        for place, at, entry in rows("select conversation, at, entry from activity")
    }
    assert found[None][0] == 20.0
    assert found[None][1]["preview"] == "x\n" * 60
    assert found[None][1]["sender"] == {"id": "u1", "kind": "human", "name": "Ann"}
    assert found["topic"][1]["conversation"]["title"] == "Room"


async def test_what_is_said_after_the_clock_was_set_back_is_the_last_thing_said(
    journal: Journal, folder: Path, message: MakeMessage
) -> None:
    said = [message("m1", "before", at=5000.0), message("m2", "older", at=4000.0)]
    await journal.accept(said, now=5000.0)
    said = [message("m3", "after", at=1000.0), message("m4", "older", at=900.0)]
    await journal.accept(said, now=1000.0)
    [known] = journal.said_since("ag_demo", "ag_demo", 0.0)
    assert (known.preview, known.at) == ("after", 1000.0)
    journal = await reopen(journal, folder)
    assert journal.said_since("ag_demo", "ag_demo", 0.0) == [known]
    await journal.close()


async def test_counts_tell_turns_by_state(
    journal: Journal, message: MakeMessage, key: SessionKey
) -> None:
    ids = await take(journal, *(message(f"m{number}") for number in range(5)))
    await begin(journal, ids[0], key)
    await journal.finish(ids[1], Outcome("silent"), key=key, session="s", now=3.0)
    await journal.drop(ids[2:4], "full", now=3.0)
    counts = await journal.counts()
    assert counts.turns == {"queued": 1, "running": 1, "silent": 1, "dropped": 2}
    assert (counts.replies_pending, counts.replies_refused, counts.sessions) == (0, 0, 1)


async def test_a_closed_journal_says_so(journal: Journal, message: MakeMessage) -> None:
    await journal.close()
    with pytest.raises(JournalError, match="closed"):
        await journal.accept([message("m1")], now=1.0)


async def test_counting_a_journal_that_is_gone_is_a_clear_error(
    journal: Journal, folder: Path
) -> None:
    await journal.close()
    shutil.rmtree(folder)
    with pytest.raises(JournalError, match="cannot be read"):
        await journal.counts()
