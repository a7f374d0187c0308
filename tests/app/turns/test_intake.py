"""Messages that the journal does not take at once are decided about as if it had."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.app.turns import intake
from sidecar.config import model as config
from sidecar.errors import JournalError
from sidecar.model import Message
from sidecar.store import listing

_FAIL = (
    "create table vow(turn references turn(seq) deferrable initially deferred)",
    "create trigger fail after insert on message begin insert into vow values (-1); end",
)
"""What makes a commit with a new message fail, as a full disk may, when all else has been done."""
_WORK = ("drop trigger fail", "drop table vow")


async def run(rig: Any, statements: Sequence[str]) -> None:
    def work(db: sqlite3.Connection) -> None:
        for statement in statements:
            db.execute(statement)

    await rig.journal._writer.submit(work)


async def accept_late(rig: Any, messages: Sequence[Message], tries: int = 5) -> None:
    """Offer the same messages until they are taken, as a channel does."""
    await run(rig, _FAIL)
    for _ in range(tries):
        with pytest.raises(JournalError, match="FOREIGN KEY"):
            await rig.intake.accept(messages)
    await run(rig, _WORK)
    await rig.intake.accept(messages)
    await rig.quiet()


def outcomes(folder: Path) -> list[tuple[str, str | None]]:
    """State and error of each turn, in the order of arrival."""
    with listing.reader(folder) as database:
        turns = listing.turns(database, state=None, conversation=None, most=100)
    return [(one["state"], one["error"]) for one in reversed(turns)]


@pytest.mark.parametrize("kind", ["human", "agent"])
async def test_messages_count_once_however_often_the_journal_refuses_them(
    rig: Any, kind: Any
) -> None:
    rig.channels["demo"] = config.Channel("demo", "line")  # with the limits that hold by default
    rig.reroute(queue="serial")
    await accept_late(rig, [rig.message(f"number {number}", kind) for number in range(6)])
    assert rig.texts == [f"answer {number}" for number in range(1, 7)]


async def test_who_is_above_the_rate_is_told_so_once_though_the_journal_refused_it_first(
    rig: Any,
) -> None:
    rig.channels["demo"] = config.Channel("demo", "line", rate_limit=config.Rate(1, 3600.0))
    await accept_late(rig, [rig.message(f"number {number}") for number in range(3)])
    told = [reply.kind for reply in rig.line.taken]
    assert sorted(told) == ["answer", "notice"]
    states = await asyncio.to_thread(outcomes, rig.folder)
    assert states == [("answered", None), *[("dropped", "rate_limited")] * 2]


async def test_a_clock_that_is_set_back_makes_nobody_wait_longer(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.channels["demo"] = config.Channel("demo", "line", rate_limit=config.Rate(1, 60.0))
    clock = SimpleNamespace(time=lambda: 1e9, monotonic=lambda: 5.0)
    monkeypatch.setattr(intake, "time", clock)
    for text in ("one", "two"):
        await rig.say(text)
    clock.time, clock.monotonic = lambda: 1e9 - 3600, lambda: 65.5
    await rig.say("three")
    await rig.quiet()
    told = "That is too many messages for now. Try again in 60 s."
    assert sorted(rig.texts) == [told, "answer 1", "answer 2"]


async def test_what_counted_in_vain_does_not_count_against_others_that_come_meanwhile(
    rig: Any,
) -> None:
    rig.channels["demo"] = config.Channel("demo", "line", rate_limit=config.Rate(2, 3600.0))
    first, second = rig.message("one"), rig.message("two")
    await run(rig, _FAIL)
    with pytest.raises(JournalError):
        await rig.intake.accept([first])
    with pytest.raises(JournalError):
        await rig.intake.accept([second])
    await run(rig, _WORK)
    await rig.intake.accept([second, first])
    await rig.quiet()
    assert len(rig.texts) == 2
    assert rig.intake._unsettled == {}


async def test_what_is_remembered_of_messages_that_never_come_again_is_bounded(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_UNSETTLED", 2)
    await run(rig, _FAIL)
    for number in range(4):
        with pytest.raises(JournalError):
            await rig.intake.accept([rig.message(f"number {number}")])
    assert [key[-1] for key in rig.intake._unsettled] == ["m3", "m4"]


async def test_a_message_that_comes_again_is_held_to_the_rules_of_then(rig: Any) -> None:
    message = rig.message("let me in", "human")
    await run(rig, _FAIL)
    with pytest.raises(JournalError):
        await rig.intake.accept([message])
    await run(rig, _WORK)
    rig.channels["demo"] = config.Channel("demo", "line", allow=config.Allow(("a-owner",)))
    await rig.intake.accept([message])
    await rig.quiet()
    assert rig.texts == []
    assert await asyncio.to_thread(outcomes, rig.folder) == [("dropped", "not_allowed")]
