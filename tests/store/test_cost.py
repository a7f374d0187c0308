"""The cost of a turn does not grow with what is stored: every statement goes by an index."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sidecar.model import Message, Reply
from sidecar.store import retention
from sidecar.store.journal import Journal
from sidecar.store.records import Outcome, SessionKey


def plan(folder: Path, statement: str) -> list[str]:
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        return [row[3] for row in connection.execute(f"explain query plan {statement}")]


async def run_a_turn(
    journal: Journal, message: Callable[..., Message], reply: Reply, key: SessionKey
) -> None:
    first, second = [
        one.turn for one in await journal.accept([message("m1"), message("m2")], now=1.0)
    ]
    await journal.start(second, key, route="r", generation=1, now=2.0, merged=[first])
    replies = [reply, reply, reply]
    sent = await journal.finish(
        second, Outcome("answered"), key=key, session="s", now=3.0, replies=replies
    )
    await journal.postponed(sent[0].id, attempts=1, next_at=4.0, error="503")
    await journal.delivered(sent[0].id, "h", now=4.0)
    await journal.refused(sent[1].id, "no", now=4.0)
    (third,) = [one.turn for one in await journal.accept([message("m3")], now=1.0)]
    await journal.drop([third], "full", now=5.0, replies=[reply])
    await journal.forget_session(key)


async def traced(journal: Journal) -> list[str]:
    statements: list[str] = []

    def note(statement: str) -> None:
        if statement.lstrip().lower().startswith(("select", "insert", "update", "delete")):
            statements.append(statement)

    await journal._writer.submit(lambda db: db.set_trace_callback(note))
    return statements


async def test_no_statement_of_a_turn_scans_a_table(
    journal: Journal,
    folder: Path,
    message: Callable[..., Message],
    reply: Callable[..., Reply],
    key: SessionKey,
) -> None:
    statements = await traced(journal)
    await run_a_turn(journal, message, reply(answers="m3"), key)
    tables = ("turn", "message", "reply", "session", "activity")
    assert all(any(table in text for text in statements) for table in tables)
    plans = {text: plan(folder, text) for text in statements}
    assert {text: steps for text, steps in plans.items() if "SCAN" in str(steps)} == {}


async def test_a_restart_reads_only_what_is_unfinished(journal: Journal, folder: Path) -> None:
    statements = await traced(journal)
    await journal.unfinished()
    await journal.pending_replies()
    unfinished, pending = (plan(folder, text) for text in statements)
    assert unfinished[0] == "SCAN turn USING INDEX turn_unfinished"
    assert pending[0] == "SCAN reply USING INDEX reply_pending"
    assert not any("SCAN" in step or "TEMP" in step for step in unfinished[1:] + pending[1:])


async def test_counting_reads_no_message_and_no_reply(journal: Journal, folder: Path) -> None:
    statements = await traced(journal)
    await journal._writer.submit(retention.count)
    steps = [step for text in statements for step in plan(folder, text)]
    reads = [step for step in steps if step.startswith(("SCAN", "SEARCH"))]
    assert len(reads) == 5
    assert all("INDEX" in step for step in reads)


async def test_retention_reads_only_what_is_old(
    journal: Journal, folder: Path, message: Callable[..., Message]
) -> None:
    statements = await traced(journal)
    await journal.prune(now=1e6, journal_ttl=1.0)
    deletes = [text for text in statements if text.lstrip().startswith("delete")]
    assert len(deletes) == 4
    plans = {text: plan(folder, text) for text in deletes}
    assert {text: steps for text, steps in plans.items() if "SCAN" in str(steps)} == {}
