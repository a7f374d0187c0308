"""What is read from the journal by others: turns with their cost, sessions, replies, history."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sidecar.core.budgets import KEPT
from sidecar.errors import JournalError, OutcomeFinal
from sidecar.model import Conversation, Message, Reply, Usage
from sidecar.store import history, listing, migrations
from sidecar.store.journal import Journal
from sidecar.store.names import Names
from sidecar.store.records import Outcome, SessionKey

T = TypeVar("T")
MakeMessage = Callable[..., Message]
HOUR = 3600.0


async def looked(folder: Path, find: Callable[[sqlite3.Connection], T]) -> T:
    """What is found in a journal, by another connection than its own."""

    def look() -> T:
        with listing.reader(folder) as db:
            return find(db)

    return await asyncio.to_thread(look)


async def run(
    journal: Journal, message: Message, key: SessionKey, *, now: float = 2.0, **facts: Any
) -> str:
    """A whole turn; its id."""
    [accepted] = await journal.accept([message], now=now)
    await journal.start(accepted.turn, key, route="r é", generation=1, now=now)
    await journal.finish(
        accepted.turn,
        Outcome(
            facts.get("state", "answered"),
            facts.get("error", ""),
            facts.get("usage"),
            facts.get("total"),
        ),
        key=key,
        session=facts.get("session"),
        resumed=facts.get("resumed", True),
        now=now,
        replies=facts.get("replies", ()),
    )
    return accepted.turn


async def test_what_turns_cost_is_summed_by_route_and_hour_and_outlives_them(
    journal: Journal, message: MakeMessage, key: SessionKey
) -> None:
    for number, at in enumerate((HOUR, HOUR + 1, 2 * HOUR)):
        usage = Usage(10, 1, 0.25)
        await run(journal, message(f"m{number}"), key, now=at, usage=usage)
    await run(journal, message("m9"), key, now=HOUR)
    assert await journal.spent(0) == [("r é", 3600, 0.5), ("r é", 7200, 0.25)]
    assert await journal.spent(7200) == [("r é", 7200, 0.25)]
    await journal.prune(now=1e6, journal_ttl=1.0)
    assert len(await journal.spent(0)) == 2
    await journal.prune(now=7200 + KEPT, journal_ttl=1.0)
    assert await journal.spent(0) == [("r é", 7200, 0.25)]


async def test_a_session_knows_its_turns_its_tokens_and_when_it_was_used(
    folder: Path, journal: Journal, message: MakeMessage, key: SessionKey
) -> None:
    usage = Usage(100, 20)
    for number, session in enumerate(("s1", "s1", "s2")):
        await run(
            journal, message(f"m{number}"), key, now=2.0 + number, session=session, usage=usage
        )
        [told] = await looked(folder, lambda db: listing.sessions(db, most=10))
        assert (told["session"], told["runtime"], told["conversation"]) == (
            session, key.runtime.partition(":")[2], "rm_1",
        )  # fmt: skip
        assert (told["turns"], told["tokens"], told["used_at"]) == (
            (1, 120, 2.0), (2, 240, 3.0), (1, 120, 4.0),
        )[number]  # fmt: skip
    [accepted] = await journal.accept([message("m9")], now=9.0)
    started = await journal.start(accepted.turn, key, route="r", generation=1, now=9.0)
    assert (started.session_turns, started.session_tokens, started.session_used_at) == (1, 120, 4.0)


@pytest.mark.parametrize(
    ("turn", "known"),
    [
        ({"total": Usage(300, 60)}, Usage(300, 60)),
        ({}, Usage(200, 40)),
        ({"resumed": False}, None),
        ({"session": "s2"}, None),
        ({"session": "s2", "total": Usage(1, 2)}, Usage(1, 2)),
    ],
)
async def test_what_an_agent_told_last_of_all_its_session_is_known_to_the_next_turn(
    journal: Journal, message: MakeMessage, key: SessionKey, turn: dict[str, Any],
    known: Usage | None,
) -> None:  # fmt: skip
    await run(journal, message("m1"), key, session="s1", total=Usage(200, 40))
    await run(journal, message("m2"), key, **{"session": "s1", **turn})
    [accepted] = await journal.accept([message("m9")], now=3.0)
    started = await journal.start(accepted.turn, key, route="r", generation=1, now=3.0)
    assert started.session_total == known


async def test_turns_are_listed_newest_first_and_shown_whole(
    journal: Journal, folder: Path, message: MakeMessage, reply: Callable[..., Reply],
    key: SessionKey,
) -> None:  # fmt: skip
    usage = Usage(10, 2, 0.5)
    first = await run(journal, message("m1", "one"), key, usage=usage, replies=[reply("hi")])
    second = await run(journal, message("m2", "two \ud800"), key, state="failed", error="api: x")

    def listed(**asked: Any) -> Any:
        only = {"state": None, "conversation": None, "most": 9} | asked
        return looked(folder, lambda db: listing.turns(db, **only))

    both = await listed()
    assert [one["turn"] for one in both] == [second, first]
    assert await listed(most=1) == both[:1]
    assert await listed(state="failed", conversation="rm_1") == both[:1]
    assert await listed(conversation="rm_2") == []
    shown = await looked(folder, lambda db: listing.turn(db, first))
    assert await looked(folder, lambda db: listing.turn(db, "nothing")) is None
    [waiting] = await looked(folder, lambda db: listing.replies(db, state="pending", most=9))
    assert shown is not None
    assert (shown["cost_usd"], shown["input_tokens"], shown["route"]) == (0.5, 10, "r é")
    assert [one["text"] for one in shown["messages"]] == ["one"]
    assert shown["replies"] == [waiting]
    assert (waiting["turn"], waiting["text"]) == (first, "hi")
    assert (both[0]["error"], both[0]["text"]) == ("api: x", "two \ud800")


def test_a_folder_without_a_journal_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal"), listing.reader(tmp_path):
        pass
    (tmp_path / "journal.db").write_text("no database " * 100)
    with pytest.raises(JournalError, match="cannot be read"), listing.reader(tmp_path):
        pass


async def test_history_is_what_was_said_in_one_conversation_with_the_answers(
    journal: Journal, message: MakeMessage, reply: Callable[..., Reply], key: SessionKey
) -> None:
    for number in range(5):
        answers = [reply(f"a{number}"), reply("b")] if number else []
        state = "answered" if number else "silent"
        await run(journal, message(f"m{number}", f"t{number}"), key, state=state, replies=answers)
    elsewhere = message("e1", conversation=Conversation("rm_2", "group"))
    await run(journal, elsewhere, key)
    [dropped, now] = await journal.accept([message("d1"), message("m9")], now=3.0)
    await journal.drop([dropped.turn], "full", now=3.0)
    place = now.message.key
    found = await journal.recent(place, before=now.turn, most=3)
    assert [([one.text for one in got.messages], got.answer) for got in found] == [
        (["t2"], "a2\nb"), (["t3"], "a3\nb"), (["t4"], "a4\nb"),
    ]  # fmt: skip
    assert [got.answer for got in await journal.recent(place, before=now.turn, most=9)][:1] == [""]


async def test_history_and_retry_go_by_an_index(
    journal: Journal, folder: Path, message: MakeMessage, key: SessionKey
) -> None:
    turn = await run(journal, message("m1"), key, state="failed")
    statements: list[str] = []

    def recall(db: sqlite3.Connection) -> None:
        db.set_trace_callback(statements.append)
        history.recent(db, message("m1").key, turn, 5, Names())

    await looked(folder, recall)
    await journal._writer.submit(lambda db: db.set_trace_callback(statements.append))
    await journal.retry(turn, now=3.0)
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        steps = [
            row[3]
            for text in statements
            if text.lstrip().startswith(("select", "update", "insert"))
            for row in db.execute(f"explain query plan {text}")
        ]
    assert len(steps) > 5
    assert [step for step in steps if "SCAN" in step or "TEMP" in step] == []


async def test_of_two_that_ask_for_the_same_retry_one_has_it(
    journal: Journal, message: MakeMessage, key: SessionKey
) -> None:
    turn = await run(journal, message("m1"), key, state="failed")
    again = await journal.retry(turn, now=3.0)
    assert [one.id for one in again.messages] == ["m1"]
    assert [one.turn for one in await journal.unfinished()] == [again.turn]
    with pytest.raises(OutcomeFinal, match="has its messages now"):
        await journal.retry(turn, now=3.0)


def test_a_journal_of_the_first_version_is_taken_over_with_its_sessions(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as db:
        migrations.migrate(db, migrations.STEPS[:1])
        db.execute(
            'insert into session values(\'["c","a","r",null,"x:y","/","owner"]\', \'"s"\', 4, 1.0)'
        )
        migrations.migrate(db)
    with listing.reader(tmp_path) as db:
        [told] = listing.sessions(db, most=9)
        assert (told["turns"], told["tokens"]) == (4, 0)
        assert listing.turns(db, state=None, conversation=None, most=9) == []


@pytest.mark.parametrize(("version", "told"), [(1, "older sidecar"), (999, "newer sidecar")])
def test_a_journal_of_another_version_is_called_so(tmp_path: Path, version: int, told: str) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        db.execute(f"pragma user_version = {version}")
    with pytest.raises(JournalError, match=told), listing.reader(tmp_path):
        pass
