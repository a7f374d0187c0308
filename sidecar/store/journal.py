"""The journal as the rest of the sidecar sees it: each method is one durable step.

A method returns after the commit. Cancelling the wait does not undo the step.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar

from sidecar.core.budgets import KEPT
from sidecar.model import ConversationKey, Exchange, Message, Reply, Said
from sidecar.store import frames, history, lookup, outbox, retention, sessions
from sidecar.store import turns as turn_rows
from sidecar.store.keeper import Keeper, UnderWay
from sidecar.store.names import Names
from sidecar.store.reader import Reader
from sidecar.store.recent import RecentActivity
from sidecar.store.records import (
    Accepted,
    JournalCounts,
    Outcome,
    PendingReply,
    Refused,
    SessionKey,
    StartedTurn,
    UnfinishedTurn,
)
from sidecar.store.writer import Writer

T = TypeVar("T")


class Journal:
    """The durable record of messages, turns, replies and sessions.

    Times are seconds since the epoch. Every method may raise JournalError: the disk is full or
    failing, the journal is closed, or a turn has ended already. Nothing is recorded then. By its
    `names`, a channel goes on where one with another id had its account.
    """

    def __init__(
        self,
        writer: Writer,
        keeper: Keeper,
        reader: Reader,
        recent: RecentActivity,
        names: Names,
        ttl: float,
    ) -> None:
        self.names = names
        self._reader = reader
        self._keeper = keeper
        self._recent = recent
        self._writer = writer
        self._session_ttl = ttl

    @classmethod
    async def open(cls, folder: Path, *, session_ttl: float, now: float) -> Self:
        """Open `folder/journal.db`, or begin one. A session older than `session_ttl` seconds is
        not resumed.

        Raises:
            JournalError: it cannot be opened, or a newer version wrote it.
        """
        path = folder / "journal.db"
        recent, names, reader = RecentActivity(), Names(), Reader(path)
        keeper = Keeper(path, reader.close)

        def begin() -> sqlite3.Connection:
            connection, _ = keeper.open(now)
            recent.load(connection)
            names.load(connection)
            return connection

        writer = Writer(await asyncio.to_thread(begin), keeper)
        return cls(writer, keeper, reader, recent, names, session_ttl)

    def protect(
        self, under_way: Callable[[], UnderWay], beside: Callable[[], None] = lambda: None
    ) -> None:
        """Ask for what is under way when the journal turns out to be damaged, so that the new one
        has it, too. `beside` is called in another thread when the file was written again: all else
        in the folder may have gone, too."""
        self._keeper.under_way, self._keeper.beside = under_way, beside

    async def close(self) -> None:
        """Return when all steps under way are durable and the file is closed."""
        await self._writer.close()
        await asyncio.to_thread(self._reader.close)

    async def accept(
        self,
        messages: Sequence[Message],
        *,
        now: float,
        unheard: Collection[str] = (),
        refuse: Callable[[Message], Refused | None] = lambda _: None,
    ) -> list[Accepted]:
        """Take messages over, in one commit; the new ones, in order.

        Each gets a queued turn, and is the activity of its conversation unless it is unusable or
        its id is in `unheard`. Repeats, known by (channel, account, id), are left out. `refuse` is
        asked of each new one, in the writer's thread: the turn of one that it refuses has ended
        with the same commit, so that nothing ever runs it.
        """

        def work(db: sqlite3.Connection) -> list[Accepted]:
            new = turn_rows.accept(db, messages, now, self.names, unheard)
            self.names.save(db, messages)
            return [_refused(db, one, refuse(one.message), now) for one in new]

        accepted = await self._writer.submit(work)
        for message in (one.message for one in accepted):
            if message.unusable is None and message.id not in unheard:
                said = turn_rows.said_of(message)
                self._recent.note(message.channel, message.account, said, now)
        return accepted

    async def drop(
        self, turns: Sequence[str], reason: str, *, now: float, replies: Sequence[Reply] = ()
    ) -> list[PendingReply]:
        """End turns that will not be run (refused, superseded, full, no_route, …).

        A reply belongs to the turn of the message that it answers, else to the first turn.
        """

        def work(db: sqlite3.Connection) -> list[PendingReply]:
            turn_rows.drop(db, turns, reason, now)
            owned = [(turn_rows.turn_of(db, reply) or turns[0], reply) for reply in replies]
            return outbox.add(db, owned, now)

        return await self._writer.submit(work)

    async def start(
        self,
        turn: str,
        key: SessionKey,
        *,
        route: str,
        generation: int,
        now: float,
        merged: Sequence[str] = (),
    ) -> StartedTurn:
        """Mark a turn as running, with its session where one is stored and not too old.

        The turns in `merged` end; their messages belong to this one from now on.
        """

        def work(db: sqlite3.Connection) -> StartedTurn:
            attempt = turn_rows.start(
                db, turn, key, route=route, generation=generation, now=now, merged=merged
            )
            sessions.rename(db, key, self.names)
            return StartedTurn(attempt, *sessions.find(db, key, now - self._session_ttl))

        return await self._writer.submit(work)

    async def finish(
        self,
        turn: str,
        outcome: Outcome,
        *,
        key: SessionKey | None,
        session: str | None,
        resumed: bool = True,
        now: float,
        replies: Sequence[Reply] = (),
        merged: Sequence[str] = (),
        heir: str | None = None,
    ) -> list[PendingReply]:
        """Record in one commit how a turn ended, its session and its replies. The turns in `merged`
        end too, where `start` has not recorded that; the messages belong to the turn `heir` from
        now on, if there is one.

        Without a `session` the stored one stays as it is. One that was not `resumed` is new, also
        when it is called as the one before. The `key` of a turn that could not start
        is None.
        """

        def work(db: sqlite3.Connection) -> list[PendingReply]:
            turn_rows.finish(db, turn, outcome, now, merged, heir)
            if session is not None and key is not None:
                sessions.keep(db, key, session, outcome, now, resumed=resumed)
            return outbox.add(db, [(turn, reply) for reply in replies], now)

        return await self._writer.submit(work)

    async def forget_session(self, key: SessionKey) -> None:
        """Let the next turn of this key begin a new session."""
        await self._writer.submit(lambda db: sessions.forget(db, key))

    async def forget_named(self, name: str) -> list[SessionKey]:
        """Forget the session with this id, or all of this conversation; which there were."""
        return await self._writer.submit(lambda db: sessions.forget_named(db, name))

    async def forget_account(self, channel: str, account: str) -> int:
        """Forget all sessions of an account of a channel, and what was said last in its
        conversations; how many of both there were."""
        known = self.names.of(channel, account)
        self._recent.forget(known, account)
        return await self._writer.submit(lambda db: sessions.forget_account(db, known, account))

    async def recent(self, key: ConversationKey, *, before: str, most: int) -> list[Exchange]:
        """What was said last in a conversation before a turn, oldest first."""
        return await self._look(lambda db: history.recent(db, key, before, most, self.names))

    async def spent(self, since: float) -> list[tuple[str, int, float]]:
        """What each route has spent, by hour: route, start of the hour, dollars."""
        return await self._writer.submit(lambda db: turn_rows.spent(db, since))

    async def retry(self, turn: str, *, now: float) -> UnfinishedTurn:
        """A new queued turn for the messages of one that ended without an answer.

        Raises:
            OutcomeFinal: it cannot be run again; the text tells why.
        """
        return await self._writer.submit(lambda db: turn_rows.retry(db, turn, now))

    async def requeued(self, reply: int, *, now: float) -> PendingReply | None:
        """A reply that was refused waits again; None: it was not refused."""
        return await self._writer.submit(lambda db: outbox.requeued(db, reply, now))

    async def delivered(self, reply: int, provider_id: str | None, *, now: float) -> None:
        """The channel has the reply, and gave it this id."""
        await self._writer.submit(lambda db: outbox.delivered(db, reply, provider_id, now))

    async def postponed(self, reply: int, *, attempts: int, next_at: float, error: str) -> None:
        """The reply was tried this often; it is tried again at `next_at`."""
        await self._writer.submit(lambda db: outbox.postponed(db, reply, attempts, next_at, error))

    async def refused(self, reply: int, error: str, *, now: float) -> None:
        """The channel will never take the reply."""
        await self._writer.submit(lambda db: outbox.refused(db, reply, error, now))

    async def begin_frame(self, id_: str, *, now: float) -> str | None:
        """Know a frame of the control plane from now on, for a day: None for a new one, else its
        answer, empty where it has none yet."""
        return await self._writer.submit(lambda db: frames.begin(db, id_, now))

    async def end_frame(self, id_: str, answer: str) -> None:
        """Keep the answer to a frame of the control plane."""
        await self._writer.submit(lambda db: frames.end(db, id_, answer))

    async def unfinished(self) -> list[UnfinishedTurn]:
        """The queued and the running turns, in the order of arrival."""
        return await self._writer.submit(turn_rows.unfinished)

    async def pending_replies(self) -> list[PendingReply]:
        """The replies that wait, in the order in which they were queued."""
        return await self._writer.submit(outbox.pending)

    def said_since(self, channel: str, account: str, since: float) -> list[Said]:
        """What was said last in each conversation of an account since a time, newest first."""
        return self._recent.since(self.names.of(channel, account), account, since)

    async def replied_to(self, message: Message) -> Message | None:
        """The message, or our own reply as one, that a message replies to in its conversation."""
        return await self._look(lambda db: lookup.replied_to(db, message, self.names))

    async def counts(self) -> JournalCounts:
        """How much the journal holds. Counting takes a while, but no turn waits for it."""
        return await asyncio.to_thread(self._reader.look_long, retention.count)

    async def prune(self, *, now: float, journal_ttl: float) -> int:
        """Remove what is old: ended turns without a pending reply, sessions, activity.

        Returns the number of rows removed. Works in small commits, so that turns go on in between.
        """
        return (
            await self._remove(retention.remove_turns, now - journal_ttl)
            + await self._remove(retention.remove_sessions, now - self._session_ttl)
            + await self._remove(retention.remove_activity, now - journal_ttl)
            + await self._remove(retention.remove_spending, now - KEPT)
        )

    async def _look(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Look something up beside the writer, so that no turn waits for it."""
        return await asyncio.to_thread(self._reader.look, look)

    async def _remove(
        self, batch: Callable[[sqlite3.Connection, float], int], before: float
    ) -> int:
        total = 0
        while removed := await self._writer.submit(lambda db: batch(db, before)):
            total += removed
        return total


def _refused(
    db: sqlite3.Connection, one: Accepted, refused: Refused | None, now: float
) -> Accepted:
    """End the turn of a message that is refused."""
    if refused is None:
        return one
    turn_rows.drop(db, [one.turn], refused.reason, now)
    pending = outbox.add(db, [(one.turn, reply) for reply in refused.replies], now)
    return replace(one, refused=refused.reason, replies=pending)
