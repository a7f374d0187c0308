import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar import metrics
from sidecar.api import ChannelStatus
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.app.turns.outbox import Outbox
from sidecar.app.turns.work import reply_to
from sidecar.errors import ChannelStopped, ChannelUnavailable, ReplyHeld, ReplyRefused
from sidecar.model import Conversation, Message, Reply, Sender
from sidecar.store import listing
from sidecar.store.journal import Journal
from sidecar.store.records import PendingReply
from tests.patience import PATIENCE, until


class Line:
    """A channel that keeps what it took; `answers` are raised first, one a try."""

    account = "ag"
    max_text = None
    status = ChannelStatus("connected", 0.0)

    def __init__(self) -> None:
        self.taken: list[Reply] = []
        self.tries: list[str] = []
        self.answers: list[Exception] = []
        self.ids: list[object] = []
        self.blocked: set[str] = set()
        self.unblocked = asyncio.Event()

    async def run(self, accept: object) -> None: ...

    async def close(self) -> None: ...

    async def send(self, reply: Reply) -> str | None:
        self.tries.append(reply.key)
        if self.answers:
            raise self.answers.pop(0)
        if reply.conversation.id in self.blocked:
            await self.unblocked.wait()
        self.taken.append(reply)
        return self.ids.pop(0) if self.ids else "provider-id"  # type: ignore[return-value]


class Rig:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.supervisor = Supervisor()
        self.line = Line()
        self.lines = {"demo": self.line}
        self.moved: dict[tuple[str, str], str] = {}
        self.outbox = Outbox(journal, self._find, self.supervisor.spawn, first_wait=0.01)
        self.number = 0

    def _find(self, channel: str, account: str) -> Line | None:
        return self.lines.get(self.moved.get((channel, account), channel))

    async def reply(self, *texts: str, room: str = "r1") -> list[PendingReply]:
        """Replies of one turn, as the journal gives them."""
        self.number += 1
        message = Message(
            "demo", "ag", f"m{self.number}", Conversation(room, "group"),
            Sender("s", "human"), "hello", 0.0,
        )  # fmt: skip
        [accepted] = await self.journal.accept([message], now=time.time())
        replies = [reply_to(message, text, "answer") for text in texts]
        return await self.journal.drop([accepted.turn], "test", now=time.time(), replies=replies)

    @property
    def texts(self) -> list[str]:
        return [reply.text for reply in self.line.taken]


def errors(folder: Path) -> list[str]:
    """Why replies were refused."""
    with listing.reader(folder) as database:
        return [one["error"] for one in listing.replies(database, state="refused", most=10)]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    journal = await Journal.open(tmp_path, session_ttl=60.0, now=time.time())
    found = Rig(journal)
    yield found
    await found.supervisor.close()
    await journal.close()


async def test_replies_of_a_conversation_arrive_in_order_and_are_recorded(rig: Rig) -> None:
    rig.outbox.add(await rig.reply("one", "two"))
    rig.outbox.add(await rig.reply("three"))
    await rig.outbox.drained()
    assert rig.texts == ["one", "two", "three"]
    assert await rig.journal.pending_replies() == []


async def test_a_channel_that_is_away_gets_the_same_reply_again_until_it_takes_it(
    rig: Rig,
) -> None:
    rig.line.answers = [ChannelUnavailable("away"), ChannelUnavailable("away"), OSError("defect")]
    rig.outbox.add(await rig.reply("one"))
    await rig.outbox.drained()
    assert rig.texts == ["one"]
    assert len(set(rig.line.tries)) == 1
    assert len(rig.line.tries) == 4


async def test_a_refused_reply_is_recorded_and_the_next_one_goes_on(rig: Rig) -> None:
    rig.line.answers = [ReplyRefused("not a member")]
    rig.outbox.add(await rig.reply("one", "two"))
    await rig.outbox.drained()
    assert rig.texts == ["two"]
    counts = await rig.journal.counts()
    assert (counts.replies_pending, counts.replies_refused) == (0, 1)


async def test_an_id_that_is_no_text_is_kept_as_one_and_the_next_reply_goes_on(rig: Rig) -> None:
    rig.line.ids = [uuid.UUID(int=7), 8]
    pending = await rig.reply("one", "two", "three")
    rig.outbox.add(pending)
    await rig.outbox.drained()
    assert rig.texts == ["one", "two", "three"]
    assert await rig.journal.pending_replies() == []
    answer = Message(
        "demo", "ag", "m", pending[0].reply.conversation, Sender("s", "human"), "?", 0.0
    )
    for id_, text in ((str(uuid.UUID(int=7)), "one"), ("8", "two")):
        found = await rig.journal.replied_to(replace(answer, reply_to=id_))
        assert found is not None
        assert found.text == text


async def test_a_channel_that_cannot_tell_its_account_is_asked_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def account(line: Line) -> str:
        asked.append(True)
        if len(asked) == 1:
            raise KeyError("account")
        return "ag"

    monkeypatch.setattr(Line, "account", property(account))
    rig.outbox.add(await rig.reply("one", "two"))
    await rig.outbox.drained()
    assert rig.texts == ["one", "two"]


async def test_a_defect_while_a_reply_is_sent_holds_up_no_other(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.line.answers = [ChannelUnavailable("away", "soon")]  # type: ignore[arg-type]
    first, second = await rig.reply("one", "two")
    before = metrics.value("task_failures_total", task="outbox")
    rig.outbox.add([first, second])
    await rig.outbox.drained()
    assert rig.texts == ["two"]
    assert [one.id for one in await rig.journal.pending_replies()] == [first.id]
    assert metrics.value("task_failures_total", task="outbox") == before + 1
    assert f"reply {first.id} is left until the next start" in caplog.text


async def test_one_conversation_that_is_held_up_does_not_hold_up_another(rig: Rig) -> None:
    rig.line.blocked = {"slow"}
    rig.outbox.add(await rig.reply("late", room="slow"))
    rig.outbox.add(await rig.reply("early", room="quick"))
    await until(lambda: rig.texts == ["early"])
    rig.line.unblocked.set()
    await rig.outbox.drained()
    assert rig.texts == ["early", "late"]


async def test_a_reply_waits_for_its_channel_and_goes_out_when_it_is_there(rig: Rig) -> None:
    del rig.lines["demo"]
    rig.outbox.add(await rig.reply("one"))
    await asyncio.sleep(0)
    assert rig.outbox.waiting == 1
    rig.lines["demo"] = rig.line
    await until(lambda: rig.outbox.waiting == 1)
    while rig.outbox.waiting:
        rig.outbox.retry()
        await asyncio.sleep(0.005)
    assert rig.texts == ["one"]


async def test_a_stopped_channel_keeps_its_replies(rig: Rig) -> None:
    rig.line.answers = [ChannelStopped("revoked")]
    rig.outbox.add(await rig.reply("one"))
    await until(lambda: len(rig.line.tries) == 1)
    while rig.outbox.waiting:
        rig.outbox.retry()
        await asyncio.sleep(0.005)
    assert rig.texts == ["one"]


async def test_a_reply_is_never_sent_as_somebody_else(rig: Rig) -> None:
    """After the channel was given another agent in the config."""
    rig.line.account = "other"
    rig.outbox.add(await rig.reply("one"))
    await asyncio.sleep(0.05)
    assert rig.line.tries == []
    rig.line.account = "ag"
    while rig.outbox.waiting:
        rig.outbox.retry()
        await asyncio.sleep(0.005)
    assert rig.texts == ["one"]


async def test_what_waits_for_another_channel_is_not_tried_when_one_gets_through(rig: Rig) -> None:
    rig.line.answers = [ChannelUnavailable("away", 60.0)]
    rig.outbox.add(await rig.reply("one"))
    await until(lambda: bool(rig.outbox._due))
    rig.outbox.retry("another")
    rig.outbox.add(await rig.reply("two", room="r2"))
    await until(lambda: rig.texts == ["two"])
    assert len(rig.line.tries) == 2
    rig.outbox.retry("demo")
    await rig.outbox.drained()
    assert rig.texts == ["two", "one"]


async def test_who_waits_for_the_end_does_not_wait_for_what_is_tried_after_it(rig: Rig) -> None:
    rig.line.answers = [ChannelUnavailable("away", 60.0)]
    rig.outbox.add(await rig.reply("one", room="away"))
    rig.outbox.add(await rig.reply("two", room="here"))
    async with asyncio.timeout(PATIENCE):
        await rig.outbox.drained(by=time.time() + 30.0)
    assert rig.texts == ["two"]
    assert rig.outbox.waiting == 1
    waits = asyncio.wait_for(rig.outbox.drained(by=time.time() + 90.0), 0.05)
    with pytest.raises(TimeoutError):
        await waits
    rig.outbox.retry()
    async with asyncio.timeout(PATIENCE):
        await rig.outbox.drained()
    assert rig.texts == ["two", "one"]


def waiting(folder: Path) -> list[tuple[int, str | None]]:
    """Tries and last error of each reply that waits."""
    with listing.reader(folder) as database:
        found = listing.replies(database, state="pending", most=10)
    return [(one["attempts"], one["error"]) for one in found]


async def test_a_reply_without_room_was_not_tried_and_waits_where_all_can_see_it(
    rig: Rig, tmp_path: Path
) -> None:
    rig.line.answers = [ReplyHeld("no room", 3600.0)]
    [pending] = await rig.reply("one")
    rig.outbox.add([pending])
    await until(lambda: rig.outbox._due)
    assert await asyncio.to_thread(waiting, tmp_path) == [(0, "no room")]
    async with asyncio.timeout(PATIENCE):  # who stops does not wait for it
        await rig.outbox.drained(by=time.time() + 1800.0)
    assert await rig.outbox.drop(pending.id)
    await rig.outbox.drained()
    assert rig.texts == []
    assert await asyncio.to_thread(errors, tmp_path) == ["dropped by the operator"]


async def test_a_reply_without_room_is_sent_as_soon_as_there_is_some(rig: Rig) -> None:
    rig.outbox._first_wait = 3600.0
    rig.line.answers = [ReplyHeld("no room", 0.01), ReplyHeld("no room", 0.01)]
    rig.outbox.add(await rig.reply("one"))
    await until(lambda: rig.texts == ["one"])
    assert len(rig.line.tries) == 3


async def test_a_reply_that_fails_after_it_was_asked_for_waits_again(rig: Rig) -> None:
    rig.line.answers = [ChannelUnavailable("away", 3600.0) for _ in range(100)]
    rig.outbox.add(await rig.reply("one"))
    for tries in (1, 2, 3):
        await until(lambda: len(rig.line.tries) >= tries and (rig.outbox._due or rig.texts))  # noqa: B023
        assert len(rig.line.tries) == tries
        rig.outbox.retry()


async def test_replies_of_an_account_that_is_gone_get_their_outcome_and_no_others(
    rig: Rig, tmp_path: Path
) -> None:
    rig.line.blocked = {"slow"}
    rig.line.answers = [ChannelUnavailable("away", 60.0)]
    rig.outbox.add(await rig.reply("one", "two", room="away"))
    rig.outbox.add(await rig.reply("three", "four", room="slow"))
    await until(lambda: len(rig.line.tries) == 2)
    await rig.outbox.give_up("demo", "other", "gone")
    assert rig.outbox.waiting == 4
    giving_up = rig.supervisor.spawn(rig.outbox.give_up("demo", "ag", "gone"), "giving up")
    await until(lambda: rig.outbox.waiting == 2)
    assert not giving_up.done()
    rig.line.unblocked.set()
    await giving_up
    assert rig.texts == ["three"]  # it was on its way already
    counts = await rig.journal.counts()
    assert (counts.replies_pending, counts.replies_refused) == (0, 3)
    assert await asyncio.to_thread(errors, tmp_path) == ["gone"] * 3
    rig.outbox.add(await rig.reply("later", room="away"))
    await rig.outbox.drained()
    assert rig.texts == ["three", "later"]
