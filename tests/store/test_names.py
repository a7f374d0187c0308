"""An account goes on as it was when a channel with another id speaks as it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.model import Message, Reply
from sidecar.store.journal import Journal
from sidecar.store.names import Names
from sidecar.store.records import Outcome, SessionKey

MakeMessage = Callable[..., Message]


async def reopened(journal: Journal, folder: Path) -> Journal:
    await journal.close()
    return await Journal.open(folder, session_ttl=1000.0, now=0.0)


def rename(journal: Journal) -> None:
    """`ag_demo` speaks as itself by the channel `new`, and somebody else by its former channel."""
    journal.names.note("new", "ag_demo", "botcord")
    journal.names.note("ag_demo", "ag_other", "botcord")


async def test_names_are_kept_with_the_messages_that_are_known_by_them(
    journal: Journal, folder: Path, message: MakeMessage
) -> None:
    for channel in ("ag_demo", "silent"):
        journal.names.note(channel, "ag_demo", "botcord")
    await journal.accept([message("m1")], now=1.0)
    journal = await reopened(journal, folder)
    rename(journal)
    assert journal.names.of("new", "ag_demo") == ("new", "ag_demo")
    assert journal.names.of("ag_demo", "ag_other") == ("ag_demo",)
    again = [message("m1", channel="new"), message("m1", account="ag_other")]
    assert [one.message for one in await journal.accept(again, now=2.0)] == again[1:]
    await journal.close()


async def test_what_was_said_is_found_by_either_name_and_forgotten_by_both(
    journal: Journal, message: MakeMessage, reply: Callable[..., Reply], key: SessionKey
) -> None:
    journal.names.note("ag_demo", "ag_demo", "botcord")
    [accepted] = await journal.accept([message("m1", "first")], now=1.0)
    begun = {"route": "all", "generation": 1}
    await journal.start(accepted.turn, key, **begun, now=1.0)
    said = [reply("hi", "m1")]
    answered = Outcome("answered")
    await journal.finish(accepted.turn, answered, key=key, session="s1", now=2.0, replies=said)
    rename(journal)
    asks = message("m2", "second", 3.0, channel="new")
    [later] = await journal.accept([asks], now=3.0)
    found = await journal.replied_to(replace(asks, reply_to="m1"))
    assert found is not None
    assert found.text == "first"
    quoted = await journal.replied_to(replace(asks, reply_to=said[0].key))
    assert quoted is not None
    assert quoted.text == "hi"
    [exchange] = await journal.recent(asks.key, before=later.turn, most=5)
    assert (exchange.messages[0].text, exchange.answer) == ("first", "hi")
    assert [one.preview for one in journal.said_since("new", "ag_demo", 0.0)] == ["second"]
    renamed = key._replace(channel="new")
    started = await journal.start(later.turn, renamed, **begun, now=4.0)
    assert (started.session, started.session_turns) == ("s1", 1)
    assert await journal.forget_account("new", "ag_demo") == 3
    assert journal.said_since("new", "ag_demo", 0.0) == []


async def test_the_session_of_the_present_name_counts(
    journal: Journal, message: MakeMessage, key: SessionKey
) -> None:
    journal.names.note("ag_demo", "ag_demo", "botcord")
    rename(journal)
    present = key._replace(channel="new")
    taken = await journal.accept([message(f"m{number}") for number in range(3)], now=1.0)
    for one, used, session in ((taken[0], key, "old"), (taken[1], present, "present")):
        await journal.finish(one.turn, Outcome("answered"), key=used, session=session, now=2.0)
    started = await journal.start(taken[2].turn, present, route="all", generation=1, now=3.0)
    assert started.session == "present"
    await journal.forget_session(present)
    assert await journal.forget_named("old") == []


async def test_a_name_that_cannot_be_read_hides_no_other(
    journal: Journal, folder: Path, message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    journal.names.note("ag_demo", "ag_demo", "botcord")
    await journal.accept([message("m1")], now=1.0)
    await journal._writer.submit(lambda db: db.execute("insert into name values('[', '\"x\"')"))
    journal = await reopened(journal, folder)
    assert journal.names.type_of("ag_demo", "ag_demo") == "botcord"
    assert "which channel an account had cannot be told" in caplog.text
    await journal.close()


def test_a_channel_of_another_type_has_another_account() -> None:
    names = Names()
    for channel in ("one", "two"):
        names.note(channel, "ag", "botcord")
    names.note("one", "ag", "mail")
    assert names.of("two", "ag") == ("two",)
    assert names.of("one", "ag") == ("one",)
    assert names.type_of("one", "ag") == "mail"
    names.note("one", "ag", "botcord")
    assert names.of("two", "ag") == ("two", "one")
